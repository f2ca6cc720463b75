//! PostgreSQL connections on which any number of statements are under way at a time.
//!
//! A connection of SeaORM's pool belongs to one statement until that is answered. Here a statement
//! is sent behind those that are not answered yet, so a few connections serve all requests, none
//! waits for a free one, and the driver writes and reads for many at once. The server works on the
//! statements of one connection one after the other: what belongs here are look-ups by key, whose
//! cost is bounded, and, on connections of their own, changes that need not look at an answer
//! before they go on. Searches, other transactions and administration stay with the pool.
//!
//! A transaction is sent as a whole, from its beginning to its end, while nobody else can send on
//! its connection. So no statement of another request ever becomes a part of it, and none is
//! left open, whatever fails in it and whoever gives up.
//!
//! Connections are made when they are first needed and again when they are lost. While there is
//! none, requests wait as long as they would wait for one of the pool. A request that is given up
//! leaves its answer to be passed over; answers are never mixed up.
//!
//! The connections speak PostgreSQL's protocol by themselves, with the messages and the formats of
//! the crate `postgres-protocol` (`wire.rs` says how). A general client makes an object of each row
//! and a channel of each answer, which was a quarter of what a page of users costs.

mod answer;
mod binary;
mod connection;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod lane;
mod startup;
mod target;
mod tls;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::connect::Pipelined;
use super::error::READ_ONLY;
use super::statement::{Parameter, Prepared};
use crate::domain::{Error, Result};
use crate::worker;
use connection::Connection;
use lane::Lane;

pub(super) use binary::{Binary, BinaryRow};
pub(super) use connection::Bound;
pub(super) use failure::Failure;
pub(super) use target::Target;

/// The lanes of one database. Each belongs to a worker, its first to the one with its number.
#[derive(Debug)]
pub(super) struct Pipeline {
    target: Target,
    lanes: Vec<Lane>,
    acquire_timeout: Duration,
    /// How many statements have been sent, shared with the pool.
    statements: Arc<AtomicU64>,
}

/// There is no connection, and none could be made in time.
#[derive(Debug, thiserror::Error)]
#[error("no pipelined connection to PostgreSQL")]
struct NoConnection;

impl Pipeline {
    /// Prepares for connections, which are made when they are needed.
    pub(super) fn new(to: Pipelined, statements: Arc<AtomicU64>) -> Self {
        let lanes = (0..to.connections.max(1)).map(|_| Lane::default());
        Self {
            target: to.target,
            lanes: lanes.collect(),
            acquire_timeout: to.acquire_timeout,
            statements,
        }
    }

    /// Makes a connection, to see whether it can be. A server that is away at the moment may be
    /// back in the next.
    pub(super) async fn try_out(&self) -> Result<(), Failure> {
        match self.target.connect().await {
            Err(failure) if !failure.is_passing() => Err(failure),
            // It is not kept: whoever serves makes one that their own thread looks after.
            _ => Ok(()),
        }
    }

    /// How many workers have connections of their own.
    fn owners(&self) -> usize {
        self.lanes.len().min(worker::count())
    }

    /// The number of the connection that belongs to whoever asks: nobody has to wake a worker for
    /// what comes there. Who is no worker has none, and takes one that is idle.
    pub(super) fn own_place(&self) -> usize {
        match worker::current() {
            Some(number) => number % self.owners(),
            None => self.idle_place().unwrap_or_default(),
        }
    }

    /// The number of the connection for a statement that takes the server some time: of one's own
    /// the one with the least to do, unless only another's has nothing to do.
    pub(super) fn free_place(&self) -> usize {
        let own = (self.own_place()..self.lanes.len()).step_by(self.owners());
        let own = own.min_by_key(|place| self.lanes[*place].under_way());
        match own {
            Some(own) if self.lanes[own].is_idle() => own,
            own => self.idle_place().or(own).unwrap_or_default(),
        }
    }

    /// The number of a connection that is open and idle. A connection stays with the thread that opened
    /// it, so each worker opens its own. A thread that is no worker opens one only if no open one is
    /// idle: the last, which is used least.
    fn idle_place(&self) -> Option<usize> {
        let mut lanes = self.lanes.iter();
        let made = lanes.position(|lane| lane.is_idle() && lane.connection().is_some());
        if worker::current().is_some() {
            return made;
        }
        made.or_else(|| self.lanes.iter().rposition(Lane::is_idle))
    }

    /// The rows of a statement.
    pub(super) async fn all<T>(
        &self,
        statement: &Prepared<T>,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>> {
        self.all_at(self.free_place(), statement, parameters).await
    }

    /// The rows of a statement, by the connection at a place.
    pub(super) async fn all_at<T>(
        &self,
        place: usize,
        statement: &Prepared<T>,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>> {
        let lane = self.lane(place)?;
        let _busy = lane.occupy();
        let connection = self.connection(lane).await?;
        let bound = Bound {
            statement,
            parameters,
        };
        self.statements.fetch_add(1, Ordering::Relaxed);
        let begun = begun();
        let mut answer = connection.all(&bound).await;
        if is_outdated(&answer) {
            connection.forget(statement.place);
            answer = Box::pin(connection.all(&bound)).await;
        }
        trace(&statement.text, begun, answer.is_err());
        close_if_read_only(&connection, &answer);
        Ok(answer?)
    }

    /// The rows of a statement that changes something after another has taken a lock, in one
    /// transaction. If that fails, nothing is changed; but if the connection is lost meanwhile,
    /// nobody knows.
    ///
    /// It is to be called by somebody who waits for what comes of it: if they give up, the
    /// transaction may be carried out all the same.
    pub(super) async fn all_locked<T>(
        &self,
        lock: Bound<'_, ()>,
        bound: Bound<'_, T>,
    ) -> Result<Vec<T>> {
        let lane = self.lane(self.free_place())?;
        let _busy = lane.occupy();
        let connection = self.connection(lane).await?;
        self.statements.fetch_add(2, Ordering::Relaxed);
        let begun = begun();
        let mut answer = connection.all_locked(&lock, &bound).await;
        if is_outdated(&answer) {
            connection.forget(lock.statement.place);
            connection.forget(bound.statement.place);
            answer = Box::pin(connection.all_locked(&lock, &bound)).await;
        }
        trace(&bound.statement.text, begun, answer.is_err());
        close_if_read_only(&connection, &answer);
        Ok(answer?)
    }

    fn lane(&self, place: usize) -> Result<&Lane> {
        let lane = self.lanes.get(place);
        lane.ok_or_else(|| Error::Unavailable(Arc::new(NoConnection)))
    }

    async fn connection(&self, lane: &Lane) -> Result<Arc<Connection>> {
        match lane.connection() {
            Some(connection) => Ok(connection),
            None => Box::pin(self.connect(lane)).await,
        }
    }

    /// Makes a connection, or waits for whoever is making it.
    async fn connect(&self, lane: &Lane) -> Result<Arc<Connection>> {
        let connected = timeout(self.acquire_timeout, async {
            loop {
                match lane.connect(&self.target).await {
                    Ok(Some(connection)) => return Ok(connection),
                    Ok(None) => return Err(Error::Unavailable(Arc::new(NoConnection))),
                    Err(failure) if failure.is_passing() => lane::pause().await,
                    Err(failure) => return Err(failure.into()),
                }
            }
        });
        connected
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable(Arc::new(NoConnection))))
    }

    /// Closes all connections when what is under way on them is answered.
    pub(super) async fn close(&self) {
        for lane in &self.lanes {
            lane.close().await;
        }
    }
}

/// Whether what a connection has prepared is no longer valid: the tables have changed, or the
/// server has dropped it. Nothing has been carried out then.
fn is_outdated<T>(answer: &Result<T, Failure>) -> bool {
    const FEATURE_NOT_SUPPORTED: &str = "0A000";
    const INVALID_SQL_STATEMENT_NAME: &str = "26000";
    let code = answer.as_ref().err().and_then(Failure::code);
    code.is_some_and(|code| matches!(code, FEATURE_NOT_SUPPORTED | INVALID_SQL_STATEMENT_NAME))
}

/// Closes a connection to a read-only server. A new connection may reach another server.
fn close_if_read_only<T>(connection: &Connection, answer: &Result<T, Failure>) {
    if answer.as_ref().err().and_then(Failure::code) == Some(READ_ONLY) {
        connection.close();
    }
}

/// When a statement begins, if it is to be traced.
fn begun() -> Option<Instant> {
    tracing::enabled!(tracing::Level::TRACE).then(Instant::now)
}

fn trace(text: &str, begun: Option<Instant>, failed: bool) {
    if let Some(begun) = begun {
        tracing::trace!(
            db.statement = %text,
            db.elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            db.failed = failed,
            "statement"
        );
    }
}
