//! One connection, and the one after it when it is lost.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::{Client, RowStream};

use super::super::statement::{Parameter, Prepared};
use super::target::Target;
use crate::domain::Error;

/// How long to wait before the next attempt to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Begins a transaction each of whose statements sees what is committed when it begins, so that
/// one which follows a lock sees what was done by whoever had the lock before.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

pub(super) async fn pause() {
    sleep(RECONNECT_PAUSE).await;
}

/// The place of one connection.
#[derive(Debug, Default)]
pub(super) struct Lane {
    current: Mutex<Option<Arc<Connection>>>,
    /// Whoever connects holds this, and the others wait for what comes of it.
    connecting: tokio::sync::Mutex<()>,
    under_way: AtomicUsize,
    is_closed: AtomicBool,
}

impl Lane {
    /// How many statements are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way() == 0
    }

    /// Counts one more statement until the answer is dropped.
    pub(super) fn occupy(&self) -> Busy<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// The connection, if there is one and it lives.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        let current = lock(&self.current);
        current
            .as_ref()
            .filter(|connection| !connection.client.is_closed())
            .cloned()
    }

    /// The connection, made if there is none; `None` when the lane is closed.
    pub(super) async fn connect(
        &self,
        target: &Target,
    ) -> Result<Option<Arc<Connection>>, tokio_postgres::Error> {
        let _alone = self.connecting.lock().await;
        if self.is_closed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(connection) = self.connection() {
            return Ok(Some(connection));
        }
        let (client, driver) = target.connect().await?;
        let connection = Arc::new(Connection {
            client,
            sending: Mutex::default(),
            driver: Mutex::new(Some(driver)),
            prepared: Mutex::default(),
        });
        *lock(&self.current) = Some(Arc::clone(&connection));
        Ok(Some(connection))
    }

    /// Waits until all that has been sent is answered, and for the end of the connection.
    pub(super) async fn close(&self) {
        let _alone = self.connecting.lock().await;
        self.is_closed.store(true, Ordering::Relaxed);
        let Some(connection) = lock(&self.current).take() else {
            return;
        };
        let driver = lock(&connection.driver).take();
        // The driver says goodbye when the last who may ask it has gone.
        drop(connection);
        if let Some(driver) = driver
            && driver.await.is_err()
        {
            tracing::warn!("a connection to PostgreSQL did not end as it should");
        }
    }
}

/// A statement that is under way.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a Lane);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection, and the statements that it knows by their places.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    /// Held while something is asked of the client that it may send to the server.
    sending: Mutex<()>,
    driver: Mutex<Option<JoinHandle<()>>>,
    prepared: Mutex<Vec<Option<tokio_postgres::Statement>>>,
}

/// Why there are no rows.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server or the way to it.
    Driver(tokio_postgres::Error),
    /// A row that is not as it should be.
    Row(Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Driver(error) => error.into(),
            Failure::Row(error) => error,
        }
    }
}

/// A statement with what stands for its parameters.
#[derive(Debug)]
pub(in super::super) struct Bound<'a, T> {
    pub(in super::super) statement: &'a Prepared<T>,
    pub(in super::super) parameters: &'a [Parameter<'a>],
}

impl Connection {
    /// The rows of a statement.
    pub(super) async fn all<T>(&self, bound: &Bound<'_, T>) -> Result<Vec<T>, Failure> {
        let prepared = self.prepared(bound.statement).await?;
        let answer = self.alone(pin!(self.send(&prepared, bound))).await?;
        rows(bound, answer).await
    }

    /// The rows of a statement that is carried out in a transaction of its own, after another one
    /// that takes the locks which it needs.
    ///
    /// All of the transaction is sent at once, its end too, before anything is known of its
    /// beginning. If a part fails, the server passes over those behind it and takes the end for a
    /// rollback. So whatever fails, and whoever gives up, the connection is ready for others.
    pub(super) async fn all_locked<T>(
        &self,
        lock: &Bound<'_, ()>,
        bound: &Bound<'_, T>,
    ) -> Result<Vec<T>, Failure> {
        let [lock_prepared, prepared] = [
            self.prepared(lock.statement).await?,
            self.prepared(bound.statement).await?,
        ];
        let locked = async { rows(lock, self.send(&lock_prepared, lock).await?).await };
        let answer = async { rows(bound, self.send(&prepared, bound).await?).await };
        // They send when they are first polled, which is one after the other, within one poll of
        // the whole. All are, whatever becomes of those before: what has begun must end.
        let transaction = pin!(async {
            tokio::join!(
                biased;
                self.client.batch_execute(BEGIN),
                locked,
                answer,
                self.client.batch_execute("COMMIT"),
            )
        });
        let (begun, locked, answer, committed) = self.alone(transaction).await;
        begun?;
        locked?;
        let answer = answer?;
        committed?;
        Ok(answer)
    }

    async fn send<T>(
        &self,
        prepared: &tokio_postgres::Statement,
        bound: &Bound<'_, T>,
    ) -> Result<RowStream, tokio_postgres::Error> {
        let parameters = bound.parameters.iter().copied();
        self.client.query_raw(prepared, parameters).await
    }

    /// Polls `request` while nobody else does so with theirs: what it sends in one poll arrives
    /// with nothing in between.
    async fn alone<F: Future>(&self, mut request: Pin<&mut F>) -> F::Output {
        poll_fn(|context| {
            let _alone = lock(&self.sending);
            request.as_mut().poll(context)
        })
        .await
    }

    /// What the connection knows the statement by, prepared if it is not yet.
    async fn prepared<T>(
        &self,
        statement: &Prepared<T>,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        match self.known(statement.place) {
            Some(prepared) => Ok(prepared),
            None => Box::pin(self.prepare(statement)).await,
        }
    }

    /// Forgets what was prepared at a place.
    pub(super) fn forget(&self, place: usize) {
        if let Some(known) = lock(&self.prepared).get_mut(place) {
            *known = None;
        }
    }

    fn known(&self, place: usize) -> Option<tokio_postgres::Statement> {
        lock(&self.prepared).get(place)?.clone()
    }

    /// Prepares a statement. Of several who do so at once the last one's stays.
    async fn prepare<T>(
        &self,
        statement: &Prepared<T>,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        let prepared = self
            .alone(pin!(self.client.prepare(&statement.text)))
            .await?;
        let mut known = lock(&self.prepared);
        if known.len() <= statement.place {
            known.resize(statement.place + 1, None);
        }
        if let Some(known) = known.get_mut(statement.place) {
            *known = Some(prepared.clone());
        }
        Ok(prepared)
    }
}

/// Reads the rows of an answer.
async fn rows<T>(bound: &Bound<'_, T>, answer: RowStream) -> Result<Vec<T>, Failure> {
    let mut answer = pin!(answer);
    let statement = bound.statement;
    let asked = bound.parameters.iter().map(Parameter::asked).max();
    let asked = asked.unwrap_or_default();
    let mut rows = Vec::with_capacity(statement.expected_rows(asked));
    while let Some(row) = answer.try_next().await? {
        rows.push((statement.read)(&mut (&row).into()).map_err(Failure::Row)?);
    }
    statement.remember_rows(asked, rows.len());
    Ok(rows)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
