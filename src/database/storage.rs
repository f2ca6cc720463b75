//! Whether changes can be stored: a disk may be full, a file or a server read-only.
//!
//! `user_gateway_storage_failures_total` counts changes, writes of the relay and readiness probes that
//! failed for such a reason. `user_gateway_storage_failing` is 1 from the first failure until something
//! is stored and nothing has failed for two seconds, since a nearly full database stores some changes
//! only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::Database;
use super::dialect::Dialect;
use super::error::is_storage_failure;
use super::outbox::due_at_once;
use crate::domain::{Error, Result};

/// For this long after a failure a stored change does not end the failing state.
const FAILURE_WINDOW: Duration = Duration::from_secs(2);

/// How long a successful ping is valid. Readiness is asked for without authentication.
const PING_VALID_FOR: Duration = Duration::from_millis(250);

/// The state of the storage, from the outcome of changes.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Whether a change has failed and none was stored since. The only field read for a stored change.
    is_failing: AtomicBool,
    /// When a change last failed.
    failed: Mutex<Option<Instant>>,
    /// When the last ping succeeded. Held during a ping.
    last_ping: tokio::sync::Mutex<Option<Instant>>,
    /// Held during a probe write.
    trial: tokio::sync::Mutex<()>,
}

impl Storage {
    fn failed(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn has_failed_recently(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < FAILURE_WINDOW)
    }
}

/// A change failed recently, or a probe write is under way.
#[derive(Debug, thiserror::Error)]
#[error("changes cannot be stored")]
struct Failing;

impl Database {
    /// Whether the database answers and, after a failed change, whether changes can be stored again.
    /// Pings it at most four times a second, and once at a time.
    pub async fn ready(&self) -> Result<()> {
        self.ping_if_due().await?;
        let storage = &self.inner.storage;
        if !storage.is_failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let failing = || Error::Unavailable(Arc::new(Failing));
        if storage.has_failed_recently() {
            return Err(failing());
        }
        let _alone = storage.trial.try_lock().map_err(|_| failing())?;
        self.change(|database| async move { database.try_to_store().await })
            .await
    }

    async fn ping_if_due(&self) -> Result<()> {
        let mut last_ping = self.inner.storage.last_ping.lock().await;
        if last_ping.is_none_or(|last_ping| last_ping.elapsed() >= PING_VALID_FOR) {
            self.ping().await?;
            *last_ping = Some(Instant::now());
        }
        Ok(())
    }

    /// Runs `work`, which stores something, and records its error.
    pub(super) async fn noting_failure<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        work.await.inspect_err(|error| self.note_failure(error))
    }

    /// Records an error.
    fn note_failure(&self, error: &Error) {
        if !is_storage_failure(error) {
            return;
        }
        counter!("user_gateway_storage_failures_total").increment(1);
        self.inner.storage.failed();
        if !self.inner.storage.is_failing.swap(true, Ordering::Relaxed) {
            gauge!("user_gateway_storage_failing").set(1.0);
            let cause = error.causes().unwrap_or_default();
            tracing::error!(%cause, "changes cannot be stored");
        }
    }

    /// Records that a change was stored.
    pub(super) fn note_stored(&self) {
        let storage = &self.inner.storage;
        if storage.is_failing.load(Ordering::Relaxed)
            && !storage.has_failed_recently()
            && storage.is_failing.swap(false, Ordering::Relaxed)
        {
            gauge!("user_gateway_storage_failing").set(0.0);
            tracing::info!("changes can be stored again");
        }
    }

    /// A probe write that changes nothing.
    async fn try_to_store(&self) -> Result<()> {
        let tx = self.begin_with(None).await?;
        match self.dialect() {
            // SQLite needs space at commit. `user_version` is free for applications; the probe rewrites its
            // current value.
            Dialect::Sqlite => {
                let dialect = self.dialect().backend();
                let version = Statement::from_string(dialect, "PRAGMA user_version");
                let row = tx.query_one_raw(version).await?;
                let row = row.ok_or_else(|| DbErr::RecordNotFound("user_version".to_owned()))?;
                let version: i32 = row.try_get_by_index(0)?;
                tx.execute_unprepared(&format!("PRAGMA user_version = {version}"))
                    .await?;
                tx.commit().await?;
            }
            // PostgreSQL needs space at insert.
            Dialect::Postgres => {
                let schedule = [self.clock().now(), due_at_once()];
                let regions = std::iter::once("user-gateway");
                if let Some(row) = self.dialect().insert_outbox(&[0], regions, schedule, "") {
                    tx.query_all_raw(row).await?;
                }
                tx.rollback().await;
            }
        }
        self.note_stored();
        Ok(())
    }
}
