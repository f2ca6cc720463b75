//! What processes on one PostgreSQL tell each other.
//!
//! Every transaction that changes users has PostgreSQL notify all who listen when it commits, so a
//! change is never told of that was not made, and none is made that is not told of. Who listens
//! announces the changes of others to its own process.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use sea_orm::sqlx::{self, PgPool};
use tokio::select;
use tokio::time::{Instant, sleep, timeout};

use super::super::Database;
use super::super::dialect::CHANNEL;
use super::super::pool::DriverPool;
use crate::domain::{Change, Event, UserId};

/// How long nothing may be heard before the connection has to prove that it lives: one that broke
/// without a word would be silent for ever.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a connection may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long not to listen when something was heard. What comes meanwhile, among many changes that is
/// a dozen, is heard at once then; the process's own changes are among it.
const BREATH: Duration = Duration::from_millis(1);
/// How long to wait before the next attempt to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// What is sent of the changes of these users: who says it, and the ids.
pub(super) fn payload(origin: &str, users: &[i64]) -> String {
    let mut payload = origin.to_owned();
    for user in users {
        payload.push(' ');
        payload.push_str(&user.to_string());
    }
    payload
}

/// What a payload tells that somebody else has sent. Words that say nothing are passed over.
fn events<'a>(payload: &'a str, own: &str) -> impl Iterator<Item = Event> + 'a {
    let mut words = payload.split(' ');
    let is_own = words.next() == Some(own);
    let told = words.filter_map(|word| {
        let user_id = UserId(word.parse().ok()?);
        Some(Event::Changed(Change { user_id }))
    });
    told.filter(move |_| !is_own)
}

impl Database {
    /// Announces what other processes on this database change. It runs until it is dropped; from then on
    /// such changes are not received.
    ///
    /// It begins with [`Event::Missed`], announces [`Event::FeedLost`] when it is disconnected, and
    /// [`Event::Missed`] again when it is reconnected. On PostgreSQL it receives each change right after
    /// its commit, and detects a broken connection within ten seconds. On SQLite it detects within a
    /// quarter of a second that something has changed, and announces that as [`Event::Missed`], too. A
    /// database in memory has no other processes.
    ///
    /// On PostgreSQL it keeps one connection besides those of the pool. A proxy that hands out
    /// connections for single transactions, as `PgBouncer` does in its transaction mode, keeps
    /// notifications back: the database has to be reached past it.
    pub async fn listen(&self) {
        let _guard = FeedGuard(self);
        let pool = match &self.inner.writer.driver {
            DriverPool::Sqlite(writer) => return self.watch(writer).await,
            DriverPool::Postgres(pool) => pool,
        };
        let mut is_deaf = false;
        loop {
            let Err(error) = self.hear(pool, &mut is_deaf).await else {
                continue;
            };
            if !std::mem::replace(&mut is_deaf, true) {
                tracing::warn!(%error, "cannot hear of the changes of other processes");
            }
            self.is_deaf();
            sleep(RECONNECT_PAUSE).await;
        }
    }

    /// Whether the changes of other processes are heard of at the moment.
    #[must_use]
    pub fn hears(&self) -> bool {
        self.inner.hears.load(Ordering::Acquire)
    }

    /// From here on changes are heard of; of what was before, nobody can tell.
    pub(super) fn is_all_ears(&self) {
        // Whoever is told forgets, and only then may remember.
        self.announce(&Event::Missed);
        self.inner.hears.store(true, Ordering::Release);
    }

    /// From here on changes go unheard.
    pub(super) fn is_deaf(&self) {
        if self.inner.hears.swap(false, Ordering::AcqRel) {
            self.announce(&Event::FeedLost);
        }
    }

    /// Listens on one connection, until it is lost.
    async fn hear(&self, pool: &PgPool, was_deaf: &mut bool) -> Result<(), sqlx::Error> {
        let options = pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        in_time(listener.listen(CHANNEL)).await?;
        self.is_all_ears();
        if std::mem::take(was_deaf) {
            tracing::info!("changes of other processes are heard again");
        }
        let mut silence = pin!(sleep(SILENCE));
        loop {
            silence.as_mut().reset(Instant::now() + SILENCE);
            let heard = {
                // Pinned here, since it is large and would be moved about otherwise.
                let next = pin!(listener.try_recv());
                select! {
                    heard = next => Some(heard),
                    () = &mut silence => None,
                }
            };
            match heard {
                Some(Ok(Some(notification))) => {
                    self.pass_on(&notification);
                    while let Some(notification) = listener.next_buffered() {
                        self.pass_on(&notification);
                    }
                    sleep(BREATH).await;
                }
                Some(Ok(None)) => return Err(sqlx::Error::PoolTimedOut),
                Some(Err(error)) => return Err(error),
                None => {
                    in_time(sqlx::query("SELECT 1").execute(&mut listener)).await?;
                }
            }
        }
    }

    /// Announces what somebody else has changed.
    fn pass_on(&self, notification: &PgNotification) {
        let own = if self.inner.hears_itself.load(Ordering::Acquire) {
            ""
        } else {
            &self.inner.origin
        };
        for event in events(notification.payload(), own) {
            self.announce(&event);
        }
    }
}

/// The answer to a statement, for which the connection does not wait longer than it may.
async fn in_time<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(PATIENCE, answer)
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Marks the feed as lost when the listener ends, also by a panic or an abort.
struct FeedGuard<'a>(&'a Database);

impl Drop for FeedGuard<'_> {
    fn drop(&mut self) {
        self.0.is_deaf();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes<'a>(payload: &'a str, own: &str) -> impl Iterator<Item = i64> + 'a {
        events(payload, own).filter_map(|event| match event {
            Event::Changed(change) => Some(change.user_id.0),
            _ => None,
        })
    }

    #[test]
    fn a_payload_names_the_users_to_everybody_but_its_origin() {
        let users: Vec<i64> = (0..300).map(|n| i64::MAX - n).collect();
        let text = payload("somebody", &users);
        // PostgreSQL takes fewer than 8,000 bytes.
        assert!(text.len() < 8_000);
        let heard: Vec<i64> = changes(&text, "me").collect();
        assert_eq!(heard, users);
        assert_eq!(changes(&text, "somebody").count(), 0);
        assert_eq!(changes("else what 7", "me").count(), 1);
        assert_eq!(changes("", "me").count(), 0);
    }
}
