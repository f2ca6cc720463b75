//! The rows that carry a change to whoever keeps copies of users, and the word to other processes.
//!
//! A row is written in the transaction of its change, so neither is ever lost without the other.
//! The rows have Sentry's form: one per region, category `USER_UPDATE`, shard and object both the
//! user, no payload; pending changes of one user coalesce into one delivery. No row of another
//! form is ever read or touched.

mod clock;
mod listen;
mod removal;
mod store;
mod watch;

use chrono::{DateTime, TimeZone, Utc};
use entity::control_outbox::{Column, Entity};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::Database;
use super::transaction::Transaction;
use crate::domain::{Change, Event, Result, UserId};

pub use clock::ServerClock;
pub(super) use removal::Removal;

/// Sentry's scope of a user's changes.
pub(super) const USER_SCOPE: i32 = 1;
/// Sentry's category of a change of a user.
pub(super) const USER_UPDATE: i32 = 0;

/// The most users of one statement, and of one notification, whose payload PostgreSQL bounds.
const USERS_PER_STATEMENT: usize = 300;

/// Which regions get rows, and who takes the rows of each away. Every change writes one row for
/// each region, whether or not its user belongs to an organization there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxPolicy {
    /// Regions that this very process is. They are told at the commit, and their rows are deleted
    /// then.
    pub local: Vec<String>,
    /// Regions that are other processes. Their rows are left for a relay.
    pub remote: Vec<String>,
    /// Regions whose rows are left for a Sentry that drains the same table.
    pub foreign: Vec<String>,
}

impl OutboxPolicy {
    /// All regions that get rows.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        let regions = [&self.local, &self.remote, &self.foreign];
        regions.into_iter().flatten().map(String::as_str)
    }
}

/// Writes the rows of `changes` in their transaction, and has other processes notified when it
/// commits. The highest id among the rows of each statement, with its users.
pub(super) async fn record(
    database: &Database,
    tx: &Transaction,
    changes: &[Change],
) -> Result<Vec<Recorded>> {
    let now = database.clock().now();
    let mut recorded = Vec::new();
    for changes in changes.chunks(USERS_PER_STATEMENT) {
        let users: Vec<i64> = changes.iter().map(|change| change.user_id.0).collect();
        let payload = listen::payload(&database.inner.origin, &users);
        let statement = database.dialect().insert_outbox(
            &users,
            database.inner.outbox.regions(),
            [now, due_at_once()],
            &payload,
        );
        let Some(statement) = statement else {
            continue;
        };
        let rows = tx.query_all_raw(statement).await?;
        let ids = rows
            .iter()
            .map(|row| row.try_get_by_index::<Option<i64>>(0));
        let ids = ids.collect::<std::result::Result<Vec<_>, _>>()?;
        let up_to = ids.into_iter().flatten().max();
        recorded.extend(up_to.map(|up_to| Recorded { users, up_to }));
    }
    Ok(recorded)
}

/// Rows that were written.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) users: Vec<i64>,
    pub(super) up_to: i64,
}

/// What a statement that makes a change and writes its rows itself has to be told: the regions, the
/// moments of the rows, and who notifies others.
pub(super) struct Note<'a> {
    pub(super) regions: Vec<&'a str>,
    pub(super) schedule: [DateTime<Utc>; 2],
    pub(super) origin: &'a str,
}

impl<'a> Note<'a> {
    pub(super) fn of(database: &'a Database) -> Self {
        Self {
            regions: database.inner.outbox.regions().collect(),
            schedule: [database.clock().now(), due_at_once()],
            origin: &database.inner.origin,
        }
    }
}

/// Deletes the rows of changes that the local regions know of, and older ones of the same users,
/// which they cover.
pub(super) async fn delivered(database: &Database, recorded: Recorded) -> Result<()> {
    let local = &database.inner.outbox.local;
    if local.is_empty() {
        return Ok(());
    }
    if let Some(changes) = &database.inner.changes {
        let removal = &database.lookups().removal;
        return removal.remove(database, changes, recorded).await;
    }
    let delete = Entity::delete_many()
        .filter(ours())
        .filter(Column::RegionName.is_in(local))
        .filter(
            database
                .dialect()
                .any_id(Column::ShardIdentifier, recorded.users),
        )
        .filter(Column::Id.lte(recorded.up_to));
    Box::pin(delete.exec(&database.inner.writer)).await?;
    Ok(())
}

impl Database {
    /// Delivers to the local regions what an earlier process has committed and not delivered; a
    /// process that was killed between the two leaves such rows.
    pub async fn deliver_pending(&self) -> Result<u64> {
        let local = &self.inner.outbox.local;
        if local.is_empty() {
            return Ok(0);
        }
        let pending: Vec<(i64, i64)> = Entity::find()
            .select_only()
            .column(Column::ShardIdentifier)
            .column_as(Column::Id.max(), "up_to")
            .filter(ours())
            .filter(Column::RegionName.is_in(local))
            .group_by(Column::ShardIdentifier)
            .into_tuple()
            .all(self.reader())
            .await?;
        let count = pending.len() as u64;
        for (user_id, up_to) in pending {
            let change = Change {
                user_id: UserId(user_id),
            };
            self.announce(&Event::Changed(change));
            let users = vec![user_id];
            delivered(self, Recorded { users, up_to }).await?;
        }
        Ok(count)
    }
}

/// The rows of changes of users.
fn ours() -> Condition {
    Condition::all()
        .add(Column::ShardScope.eq(USER_SCOPE))
        .add(Column::Category.eq(USER_UPDATE))
}

/// The moment by which Sentry marks a row as due at once.
pub(super) fn due_at_once() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2016, 8, 1, 0, 0, 0)
        .single()
        .unwrap_or_default()
}
