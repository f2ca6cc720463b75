//! A connection, and the statements that it knows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::Oid;
use postgres_protocol::message::frontend::{self, BindError};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep;

use super::super::statement::{Parameter, Prepared};
use super::binary;
use super::failure::Failure;
use super::startup::Started;
use super::wire::{Driver, Wire};
use crate::domain::Error;

/// The format of all parameters and columns.
const BINARY: i16 = 1;
/// Stands for a statement, and not for a portal, where a message may mean either.
const STATEMENT: u8 = b'S';
/// The portal that lasts until the next takes its place.
const PORTAL: &str = "";

/// A connection, and the statements that it knows by their places.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Arc<Wire>,
    driver: Mutex<Option<JoinHandle<()>>>,
    known: Mutex<Vec<Option<Arc<Known>>>>,
}

/// What a connection knows of a statement.
#[derive(Debug)]
struct Known {
    name: String,
    /// The types of its columns.
    kinds: Vec<Oid>,
}

/// A statement with what stands for its parameters.
#[derive(Debug)]
pub(in super::super) struct Bound<'a, T> {
    pub(in super::super) statement: &'a Prepared<T>,
    pub(in super::super) parameters: &'a [Parameter<'a>],
}

impl<T> Bound<'_, T> {
    /// How much the parameter asks for that asks for the most.
    pub(super) fn asked(&self) -> usize {
        let asked = self.parameters.iter().map(Parameter::asked);
        asked.max().unwrap_or_default()
    }

    /// Appends the messages that have the statement carried out.
    fn write(&self, known: &Known, out: &mut BytesMut) -> Result<(), Failure> {
        let parameters = self.parameters.iter().copied();
        frontend::bind(
            PORTAL,
            &known.name,
            [BINARY],
            parameters,
            binary::write,
            [BINARY],
            out,
        )
        .map_err(|error| {
            Failure::Value(Error::internal(match error {
                BindError::Conversion(cause) => cause,
                BindError::Serialization(cause) => cause.into(),
            }))
        })?;
        Ok(frontend::execute(PORTAL, 0, out)?)
    }
}

impl Connection {
    /// Goes on where a connection has begun. A task drives it until it is closed or lost. It is
    /// aborted if nothing is answered for `limit` while an answer is awaited.
    pub(super) fn new(started: Started, limit: Duration) -> Self {
        let wire = Arc::<Wire>::default();
        let driver = Driver::new(Arc::clone(&wire), started);
        let driver = tokio::spawn(async {
            if let Err(error) = driver.await {
                tracing::warn!(%error, "lost a connection to PostgreSQL");
            }
        });
        if limit < Duration::MAX {
            tokio::spawn(abort_if_stuck(
                Arc::downgrade(&wire),
                driver.abort_handle(),
                limit / 2,
            ));
        }
        Self {
            wire,
            driver: Mutex::new(Some(driver)),
            known: Mutex::default(),
        }
    }

    /// Closes it once all statements are answered.
    pub(super) fn close(&self) {
        self.wire.close();
    }

    /// Whether it has come to an end.
    pub(super) fn is_closed(&self) -> bool {
        self.wire.is_closed()
    }

    /// What ends when the connection does, for the first who asks.
    pub(super) fn driver(&self) -> Option<JoinHandle<()>> {
        lock(&self.driver).take()
    }

    /// The rows of a statement.
    pub(super) async fn all<T>(&self, bound: &Bound<'_, T>) -> Result<Vec<T>, Failure> {
        let known = self.known(bound.statement).await?;
        let answer = self.wire.ask(|out| bound.write(&known, out)).await?;
        answer.rows(0, bound, &known.kinds)
    }

    /// The rows of a statement that is carried out after another one that takes the locks which it
    /// needs.
    ///
    /// What is sent up to one `Sync` is one transaction, which the server begins and commits by
    /// itself, and takes back if a part of it fails. Each statement of it sees what is committed
    /// when it begins (`default_transaction_isolation`, which `Target` sets), so the one that
    /// follows the lock sees what was done by whoever had the lock before.
    pub(super) async fn all_locked<T>(
        &self,
        lock: &Bound<'_, ()>,
        bound: &Bound<'_, T>,
    ) -> Result<Vec<T>, Failure> {
        let lock_known = self.known(lock.statement).await?;
        let known = self.known(bound.statement).await?;
        let transaction = self.wire.ask(|out| {
            lock.write(&lock_known, out)?;
            bound.write(&known, out)
        });
        transaction.await?.rows(1, bound, &known.kinds)
    }

    /// What the connection knows of a statement, which it prepares if it does not know it yet.
    async fn known<T>(&self, statement: &Prepared<T>) -> Result<Arc<Known>, Failure> {
        let known = lock(&self.known).get(statement.place).cloned().flatten();
        match known {
            Some(known) => Ok(known),
            None => Box::pin(self.prepare(statement)).await,
        }
    }

    /// Forgets what was prepared at a place.
    pub(super) fn forget(&self, place: usize) {
        if let Some(known) = lock(&self.known).get_mut(place) {
            *known = None;
        }
    }

    /// Prepares a statement, in place of one that was forgotten.
    async fn prepare<T>(&self, statement: &Prepared<T>) -> Result<Arc<Known>, Failure> {
        let name = format!("statement_{}", statement.place);
        let prepared = self.wire.ask(|out| {
            // That there is none of this name is no error.
            frontend::close(STATEMENT, &name, out)?;
            // What types the parameters have, the server finds out.
            frontend::parse(&name, &statement.text, [], out)?;
            Ok(frontend::describe(STATEMENT, &name, out)?)
        });
        let kinds = prepared.await?.kinds()?;
        let prepared = Arc::new(Known { name, kinds });
        let mut known = lock(&self.known);
        if known.len() <= statement.place {
            known.resize(statement.place + 1, None);
        }
        known[statement.place] = Some(Arc::clone(&prepared));
        Ok(prepared)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Aborts a connection on which nothing is answered for two periods while an answer is awaited: a
/// network failure may be silent. One timer for each connection is cheaper than one for each statement.
async fn abort_if_stuck(wire: Weak<Wire>, driver: AbortHandle, period: Duration) {
    let (mut before, mut periods) = (None, 0);
    loop {
        sleep(period).await;
        let Some(awaiting) = wire.upgrade().map(|wire| wire.answered_if_awaiting()) else {
            return;
        };
        let is_stuck = awaiting.is_some() && awaiting == before;
        periods = if is_stuck { periods + 1 } else { 0 };
        if periods == 2 {
            tracing::warn!("PostgreSQL does not answer; aborting a connection");
            return driver.abort();
        }
        before = awaiting;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
