//! The time of the database server's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::time::sleep;

use super::super::Database;
use super::super::dialect::Dialect;
use crate::domain::{Clock, Result};

/// How often the clocks are compared.
const ADJUST_PAUSE: Duration = Duration::from_secs(10);
/// Larger differences are logged.
const NOTEWORTHY: TimeDelta = TimeDelta::seconds(5);

/// The clock of the database server, kept as its offset from the clock of this machine. All relays of a
/// PostgreSQL database use it to decide what is due. With SQLite all processes share one clock.
///
/// The offset is 0 until [`ServerClock::adjust`] has succeeded once. Clones share it.
#[derive(Debug, Clone)]
pub struct ServerClock {
    database: Database,
    /// How far the server's clock is ahead, in microseconds.
    ahead: Arc<AtomicI64>,
}

impl ServerClock {
    /// The clock of the server behind `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            ahead: Arc::default(),
        }
    }

    /// Measures the offset once. If that fails, it stays as it was.
    pub async fn adjust(&self) -> Result<()> {
        if self.database.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()");
        let asked = self.database.clock().now();
        let row = self.database.reader().query_one_raw(statement).await?;
        let answered = self.database.clock().now();
        let Some(row) = row else {
            return Ok(());
        };
        let server: DateTime<Utc> = row.try_get_by_index(0)?;
        let ahead = server - (asked + (answered - asked) / 2);
        let micros = ahead.num_microseconds().unwrap_or_default();
        let before = self.ahead.swap(micros, Ordering::Relaxed);
        if ahead.abs() >= NOTEWORTHY && TimeDelta::microseconds(before).abs() < NOTEWORTHY {
            tracing::warn!(
                seconds_ahead = ahead.num_seconds(),
                "the clock of the database server differs from that of this machine; deliveries use the \
                 former"
            );
        }
        Ok(())
    }

    /// Measures the offset every ten seconds, until it is dropped.
    pub async fn follow(&self) {
        loop {
            if let Err(error) = self.adjust().await {
                tracing::debug!(%error, "could not ask the database for the time");
            }
            sleep(ADJUST_PAUSE).await;
        }
    }
}

impl Clock for ServerClock {
    fn now(&self) -> DateTime<Utc> {
        let ahead = TimeDelta::microseconds(self.ahead.load(Ordering::Relaxed));
        self.database.clock().now() + ahead
    }
}
