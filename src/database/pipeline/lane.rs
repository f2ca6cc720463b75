//! One connection, and the one after it when it is lost.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::super::statement::{Parameter, Prepared};
use super::target::Target;
use crate::domain::Error;

/// How long to wait before the next attempt to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

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
    pub(super) fn load(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
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

impl Connection {
    /// The rows of a statement, prepared if it is not yet.
    pub(super) async fn all<T>(
        &self,
        statement: &Prepared<T>,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>, Failure> {
        let prepared = match self.known(statement.place) {
            Some(prepared) => prepared,
            None => self.prepare(statement).await?,
        };
        let mut values =
            Vec::with_capacity(parameters.iter().map(Parameter::rows).max().unwrap_or(0));
        let parameters = parameters.iter().copied();
        let mut rows = pin!(self.client.query_raw(&prepared, parameters).await?);
        while let Some(row) = rows.try_next().await? {
            let value = (statement.read)(&mut (&row).into()).map_err(Failure::Row)?;
            values.push(value);
        }
        Ok(values)
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
        let prepared = self.client.prepare(&statement.text).await?;
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
