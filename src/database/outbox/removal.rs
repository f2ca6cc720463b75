//! How rows are taken away whose changes are delivered, where changes are pipelined.
//!
//! While one statement that removes rows is under way, those of other changes wait, and leave
//! together as the next. There is no timer: who is alone waits for nobody.
//!
//! A row goes only by the side of a change of its user that was announced after the row had been
//! committed, as each names how far the rows of its own user are covered. Rows that another process
//! is removing at the moment are passed over, so that no two processes ever wait for each other.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::super::Database;
use super::super::dialect::DELETE_DELIVERED;
use super::super::error::is_locked;
use super::super::pipeline::Pipeline;
use super::super::statement::{Parameter, Prepared, Shelf};
use super::Recorded;
use crate::domain::{Error, Result};

/// The statement that removes rows, and who waits for it.
#[derive(Debug)]
pub(in super::super) struct Removal {
    /// See [`DELETE_DELIVERED`].
    statement: Prepared<()>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    is_under_way: bool,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    rows: Recorded,
    removed: oneshot::Sender<Result<()>>,
}

/// The process ended before the rows were removed.
#[derive(Debug, thiserror::Error)]
#[error("the process is ending")]
struct Ending;

impl Removal {
    pub(in super::super) fn new(shelf: &Shelf<'_>) -> Self {
        Self {
            statement: shelf.keep_raw(DELETE_DELIVERED, |_| Ok(())),
            queue: Mutex::default(),
        }
    }

    /// Removes `rows`, alone or with others.
    pub(super) async fn remove(
        &self,
        database: &Database,
        pipeline: &Pipeline,
        rows: Recorded,
    ) -> Result<()> {
        let waits = {
            let mut queue = self.queue();
            if mem::replace(&mut queue.is_under_way, true) {
                let (removed, answer) = oneshot::channel();
                queue.waiting.push(Waiting { rows, removed });
                Err(answer)
            } else {
                Ok(rows)
            }
        };
        match waits {
            Ok(rows) => {
                let _turn = Turn(database);
                self.send(database, pipeline, &[&rows]).await
            }
            Err(answer) => answer
                .await
                .unwrap_or_else(|_| Err(Error::Unavailable(Arc::new(Ending)))),
        }
    }

    async fn remove_all(&self, database: &Database, pipeline: &Pipeline, waiting: Vec<Waiting>) {
        let rows: Vec<&Recorded> = waiting.iter().map(|waiting| &waiting.rows).collect();
        let outcome = self.send(database, pipeline, &rows).await;
        for waiting in waiting {
            // Whoever has gone need not know.
            let _ = waiting.removed.send(outcome.clone());
        }
    }

    async fn send(
        &self,
        database: &Database,
        pipeline: &Pipeline,
        rows: &[&Recorded],
    ) -> Result<()> {
        let local = &database.inner.outbox.local;
        let regions: Vec<&str> = local.iter().map(String::as_str).collect();
        let covered = rows
            .iter()
            .flat_map(|rows| rows.users.iter().map(|user| (*user, rows.up_to)));
        let (users, up_to): (Vec<i64>, Vec<i64>) = covered.unzip();
        let parameters = [
            Parameter::Texts(&regions),
            Parameter::Ids(&users),
            Parameter::Ids(&up_to),
        ];
        let removed = pipeline.all(&self.statement, &parameters).await;
        if removed.as_ref().is_err_and(is_locked) {
            // Another transaction has locked the whole table.
            let writer = &database.inner.writer;
            Box::pin(self.statement.all_on(writer, &parameters)).await?;
            return Ok(());
        }
        removed?;
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statement that is under way. Those who wait get it when it is dropped, whether it was
/// answered or given up.
struct Turn<'a>(&'a Database);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.inner.lookups.removal.queue();
        let waiting = mem::take(&mut queue.waiting);
        match Handle::try_current() {
            Ok(runtime) if !waiting.is_empty() => {
                let database = self.0.clone();
                // A task of its own: it serves many.
                runtime.spawn(async move {
                    let turn = Turn(&database);
                    let removal = &database.inner.lookups.removal;
                    if let Some(changes) = &database.inner.changes {
                        removal.remove_all(&database, changes, waiting).await;
                    }
                    drop(turn);
                });
            }
            _ => queue.is_under_way = false,
        }
    }
}
