//! Whether changes can be stored: a disk may be full, a file or a server read-only.
//!
//! `user_gateway_storage_failures_total` counts the changes, the writes of the relay and the trials
//! of readiness that failed for such a reason; `user_gateway_storage_failing` is 1 from the first of
//! them until something is stored and none has failed for two seconds: a database that is nearly
//! full stores some changes and refuses others.

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

/// How long after a change has failed nothing else is believed.
const FAILURE_WINDOW: Duration = Duration::from_secs(2);

/// How long it is believed that the database answers. Anybody may ask, as often as they like.
const BELIEVED: Duration = Duration::from_millis(250);

/// What is known of the storage from the changes that were made.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Whether a change has failed and none was stored since: all that a change looks at which is
    /// stored.
    is_failing: AtomicBool,
    /// When a change last failed.
    failed: Mutex<Option<Instant>>,
    /// When the database last answered. Held by whoever asks it.
    answered: tokio::sync::Mutex<Option<Instant>>,
    /// Held by whoever tries to store something.
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

/// A change could not be stored a moment ago, or whether another can be is being tried out.
#[derive(Debug, thiserror::Error)]
#[error("changes cannot be stored")]
struct Failing;

impl Database {
    /// Whether the database answers and, if a change could not be stored, whether one can be again.
    /// However often this is asked, the database is asked four times a second at most, and by one at
    /// a time.
    pub async fn ready(&self) -> Result<()> {
        self.answers().await?;
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

    async fn answers(&self) -> Result<()> {
        let mut answered = self.inner.storage.answered.lock().await;
        if answered.is_none_or(|answered| answered.elapsed() >= BELIEVED) {
            self.ping().await?;
            *answered = Some(Instant::now());
        }
        Ok(())
    }

    /// Does what stores something, and takes note of it if that fails.
    pub(super) async fn storing<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        work.await.inspect_err(|error| self.note_failure(error))
    }

    /// Takes note of a failure.
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

    /// Takes note of a change that was stored.
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

    /// Writes something that changes nothing.
    async fn try_to_store(&self) -> Result<()> {
        let tx = self.begin_with(None).await?;
        match self.dialect() {
            // SQLite needs room when it commits. The number is an application's own; here it is
            // written as it was.
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
            // PostgreSQL needs room when it inserts.
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
