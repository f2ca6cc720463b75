//! Whether changes can be stored: a disk may be full, a file or a server read-only.
//!
//! `user_gateway_storage_failures_total` counts the changes, and the trials of readiness, that
//! failed for such a reason; `user_gateway_storage_failing` is 1 from the first of them until
//! something is stored again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{counter, gauge};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use tokio::sync::Mutex;

use super::Database;
use super::dialect::Dialect;
use super::error::is_storage_failure;
use super::outbox::due_at_once;
use crate::domain::{Error, Result};

/// What is known of the storage from the changes that were made.
#[derive(Debug, Default)]
pub(super) struct Storage {
    is_failing: AtomicBool,
    /// Held by whoever tries to store something.
    trial: Mutex<()>,
}

/// The last change could not be stored, and whether another could is being tried out.
#[derive(Debug, thiserror::Error)]
#[error("changes cannot be stored")]
struct Failing;

impl Database {
    /// Whether the database answers and, if a change could not be stored, whether one can be again.
    pub async fn ready(&self) -> Result<()> {
        self.ping().await?;
        if !self.inner.storage.is_failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Ok(_alone) = self.inner.storage.trial.try_lock() else {
            return Err(Error::Unavailable(Arc::new(Failing)));
        };
        self.change(|database| async move { database.try_to_store().await })
            .await
    }

    /// Takes note of a change that failed.
    pub(super) fn note_failure(&self, error: &Error) {
        if !is_storage_failure(error) {
            return;
        }
        counter!("user_gateway_storage_failures_total").increment(1);
        if !self.inner.storage.is_failing.swap(true, Ordering::Relaxed) {
            gauge!("user_gateway_storage_failing").set(1.0);
            let cause = error.causes().unwrap_or_default();
            tracing::error!(%cause, "changes cannot be stored");
        }
    }

    /// Takes note of a change that was stored.
    pub(super) fn note_stored(&self) {
        let is_failing = &self.inner.storage.is_failing;
        if is_failing.load(Ordering::Relaxed) && is_failing.swap(false, Ordering::Relaxed) {
            gauge!("user_gateway_storage_failing").set(0.0);
            tracing::info!("changes can be stored again");
        }
    }

    /// Writes something that changes nothing.
    async fn try_to_store(&self) -> Result<()> {
        let tx = self.begin().await?;
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
