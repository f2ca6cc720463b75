//! Look-ups by id that concurrent requests share.
//!
//! A look-up goes out at once while none of its kind is under way on its connection. Otherwise it
//! would only wait in the server, so it waits here instead, with all others that come meanwhile,
//! and they leave together as one statement when the one under way is answered. There is no timer:
//! who is alone waits for nobody, and the more there are the more share.
//!
//! A look-up only ever joins a statement that has not been sent. So whoever begins one after a
//! change was committed sees that change, whoever else is asking.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::connect::LANES_OF_WORKER;
use super::error::is_row_error;
use super::pipeline::Pipeline;
use super::queue::Queue;
use super::statement::{Parameter, Prepared};
use crate::domain::{Error, Result};
use crate::worker;

/// From so many ids on a look-up may go by a connection of another thread, to be answered sooner.
/// With fewer, waking the other costs more than that is worth, and the more share a statement.
const MANY_IDS: usize = 8;
/// The most statements into which a batch is split when rows in it cannot be read.
const MAX_STATEMENTS: usize = 64;
/// A look-up of more ids than this goes alone: sharing saves it next to nothing.
const MAX_IDS_OF_ONE: usize = 64;

/// Look-ups of one kind: a statement whose only parameter is a list of ids, and the id to which a
/// row of it belongs.
#[derive(Debug)]
pub(super) struct Shared<T> {
    statement: Prepared<T>,
    id: fn(&T) -> i64,
    /// For each connection those who wait for it.
    queues: Box<[Queue<Asker<T>>]>,
}

#[derive(Debug)]
struct Asker<T> {
    ids: Vec<i64>,
    answer: oneshot::Sender<Result<Vec<T>>>,
}

/// A batch was given up with the runtime that it was to run on.
#[derive(Debug, thiserror::Error)]
#[error("the process is ending")]
struct Ending;

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    pub(super) fn new(statement: Prepared<T>, id: fn(&T) -> i64) -> Arc<Self> {
        let queues = (0..worker::count() * LANES_OF_WORKER).map(|_| Queue::new());
        Arc::new(Self {
            statement,
            id,
            queues: queues.collect(),
        })
    }

    pub(super) const fn statement(&self) -> &Prepared<T> {
        &self.statement
    }

    /// The rows of `ids`, in the statement's order.
    pub(super) async fn look_up(
        self: &Arc<Self>,
        pipeline: &Arc<Pipeline>,
        ids: &[i64],
    ) -> Result<Vec<T>> {
        if ids.len() > MAX_IDS_OF_ONE {
            return pipeline.all(&self.statement, &[Parameter::Ids(ids)]).await;
        }
        match self.queue_up(pipeline, ids) {
            Wait::Turn(turn) => turn.all(ids).await,
            Wait::Batch(answer) => answer
                .await
                .unwrap_or_else(|_| Err(Error::Unavailable(Arc::new(Ending)))),
        }
    }

    fn queue_up(self: &Arc<Self>, pipeline: &Arc<Pipeline>, ids: &[i64]) -> Wait<T> {
        let place = if ids.len() < MANY_IDS {
            pipeline.own_place()
        } else {
            pipeline.free_place()
        };
        let waiting = self.queues[place].enter(ids.len(), || {
            let (answer, answered) = oneshot::channel();
            let ids = ids.to_vec();
            (Asker { ids, answer }, answered)
        });
        match waiting {
            Some(answered) => Wait::Batch(answered),
            None => Wait::Turn(Turn {
                shared: Arc::clone(self),
                pipeline: Arc::clone(pipeline),
                place,
            }),
        }
    }
}

/// How a look-up is answered.
enum Wait<T: Clone + Send + Sync + 'static> {
    /// By itself, now.
    Turn(Turn<T>),
    /// With others.
    Batch(oneshot::Receiver<Result<Vec<T>>>),
}

/// One of the statements that may be under way. Whoever waits gets it when it is dropped, whether
/// the statement was answered or given up.
#[derive(Debug)]
struct Turn<T: Clone + Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    pipeline: Arc<Pipeline>,
    place: usize,
}

impl<T: Clone + Send + Sync + 'static> Turn<T> {
    async fn all(&self, ids: &[i64]) -> Result<Vec<T>> {
        let ids = [Parameter::Ids(ids)];
        let statement = &self.shared.statement;
        self.pipeline.all_at(self.place, statement, &ids).await
    }

    /// Looks all ids up and distributes the rows. If a row cannot be read, the batch is bisected until only
    /// those who asked for that row fail.
    async fn run(self, askers: Vec<Asker<T>>) {
        let mut batches = vec![askers];
        let mut statements = 0;
        while let Some(mut askers) = batches.pop() {
            askers.retain(|asker| !asker.answer.is_closed());
            let wishes = Wishes::of(&askers);
            if wishes.ids.is_empty() {
                continue;
            }
            statements += 1;
            match self.all(&wishes.ids).await {
                Ok(rows) => self.answer(askers, &wishes, rows),
                Err(error)
                    if askers.len() > 1 && statements < MAX_STATEMENTS && is_row_error(&error) =>
                {
                    let rest = askers.split_off(askers.len() / 2);
                    batches.extend([rest, askers]);
                }
                Err(error) => {
                    for asker in askers {
                        let _ = asker.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Distributes the rows.
    fn answer(&self, askers: Vec<Asker<T>>, wishes: &Wishes, rows: Vec<T>) {
        let statement = &self.shared.statement;
        let mut answers: Vec<Vec<T>> = askers
            .iter()
            .map(|asker| Vec::with_capacity(statement.expected_rows(asker.ids.len())))
            .collect();
        for row in rows {
            let mut numbers = wishes.numbers((self.shared.id)(&row));
            let Some(first) = numbers.next() else {
                continue;
            };
            for number in numbers {
                answers[number].push(row.clone());
            }
            answers[first].push(row);
        }
        for (asker, answer) in askers.into_iter().zip(answers) {
            // Whoever has gone needs no answer.
            let _ = asker.answer.send(Ok(answer));
        }
    }
}

/// Which ids are requested by which askers.
struct Wishes {
    /// Each id with the number of an asker, in order.
    pairs: Vec<(i64, usize)>,
    /// Each id once.
    ids: Vec<i64>,
}

impl Wishes {
    fn of<T>(askers: &[Asker<T>]) -> Self {
        let mut pairs: Vec<(i64, usize)> = Vec::with_capacity(askers.len());
        for (number, asker) in askers.iter().enumerate() {
            pairs.extend(asker.ids.iter().map(|id| (*id, number)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut ids: Vec<i64> = pairs.iter().map(|(id, _)| *id).collect();
        ids.dedup();
        Self { pairs, ids }
    }

    /// The numbers of the askers of an id.
    fn numbers(&self, id: i64) -> impl Iterator<Item = usize> {
        let start = self.pairs.partition_point(|(wished, _)| *wished < id);
        self.pairs[start..]
            .iter()
            .take_while(move |(wished, _)| *wished == id)
            .map(|(_, number)| *number)
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Turn<T> {
    fn drop(&mut self) {
        let queue = &self.shared.queues[self.place];
        let Some(askers) = queue.pass_on() else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            // The process is ending. Whoever still waits is told so.
            queue.give_up();
            return;
        };
        let turn = Self {
            shared: Arc::clone(&self.shared),
            pipeline: Arc::clone(&self.pipeline),
            place: self.place,
        };
        // A task of its own: it serves many, and none of them may take it away from the others.
        runtime.spawn(turn.run(askers));
    }
}
