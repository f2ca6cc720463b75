//! What processes on one PostgreSQL tell each other.
//!
//! Every transaction that changes users has PostgreSQL notify all who listen when it commits, so a
//! change is never told of that was not made, and none is made that is not told of. Who listens
//! announces the changes of others to its own process. SQLite has no such channel: a process there
//! learns of its own changes only.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{sleep, timeout};

use super::super::Database;
use super::super::dialect::{CHANNEL, Dialect};
use crate::domain::{Change, Event, UserId};

/// How long nothing may be heard before the connection has to prove that it lives: one that broke
/// without a word would be silent for ever.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a connection may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
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

/// The users of a payload that somebody else has sent. Words that are no ids are passed over.
fn changes<'a>(payload: &'a str, own: &str) -> impl Iterator<Item = Change> + 'a {
    let mut words = payload.split(' ');
    let is_own = words.next() == Some(own);
    let ids = words.filter_map(move |word| word.parse().ok().filter(|_| !is_own));
    ids.map(|id| Change {
        user_id: UserId(id),
    })
}

impl Database {
    /// Announces what other processes on this database change, until it is dropped. It begins with
    /// [`Event::Missed`], and says so again whenever it has connected anew. On SQLite it ends at
    /// once.
    ///
    /// It keeps one connection besides those of the pool. A proxy that hands out connections for
    /// single transactions, as `PgBouncer` does in its transaction mode, keeps notifications back:
    /// the database has to be reached past it.
    pub async fn listen(&self) {
        if self.dialect() == Dialect::Sqlite {
            return;
        }
        let mut is_deaf = false;
        loop {
            let Err(error) = self.hear(&mut is_deaf).await else {
                continue;
            };
            if !std::mem::replace(&mut is_deaf, true) {
                tracing::warn!(%error, "cannot hear of the changes of other processes");
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    /// Listens on one connection, until it is lost.
    async fn hear(&self, was_deaf: &mut bool) -> Result<(), sqlx::Error> {
        let pool = self.inner.reader.get_postgres_connection_pool();
        let options = pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        // From here on nothing is lost; of what was before, nobody can tell.
        self.announce(&Event::Missed);
        if std::mem::take(was_deaf) {
            tracing::info!("changes of other processes are heard again");
        }
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    for change in changes(notification.payload(), &self.inner.origin) {
                        self.announce(&Event::Changed(change));
                    }
                }
                Ok(Ok(None)) => return Err(sqlx::Error::PoolTimedOut),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let question = sqlx::query("SELECT 1").execute(&mut listener);
                    timeout(PATIENCE, question)
                        .await
                        .map_err(|_| sqlx::Error::PoolTimedOut)??;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_the_users_to_everybody_but_its_origin() {
        let users: Vec<i64> = (0..300).map(|n| i64::MAX - n).collect();
        let text = payload("somebody", &users);
        // PostgreSQL takes fewer than 8,000 bytes.
        assert!(text.len() < 8_000);
        let heard: Vec<i64> = changes(&text, "me").map(|c| c.user_id.0).collect();
        assert_eq!(heard, users);
        assert_eq!(changes(&text, "somebody").count(), 0);
        assert_eq!(changes("else what 7", "me").count(), 1);
        assert_eq!(changes("", "me").count(), 0);
    }
}
