//! One connection, and the one after it when it is lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::connection::Connection;
use super::failure::Failure;
use super::target::Target;

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
            .filter(|connection| !connection.is_closed())
            .cloned()
    }

    /// The connection, made if there is none; `None` when the lane is closed.
    pub(super) async fn connect(
        &self,
        target: &Target,
    ) -> Result<Option<Arc<Connection>>, Failure> {
        let _alone = self.connecting.lock().await;
        if self.is_closed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(connection) = self.connection() {
            return Ok(Some(connection));
        }
        let connection = Arc::new(target.connect().await?);
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
        let driver = connection.driver();
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
