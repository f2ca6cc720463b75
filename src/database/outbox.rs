//! The rows that carry a change to whoever keeps copies of users.
//!
//! A row is written in the transaction of its change, so neither is ever lost without the other.
//! The rows have Sentry's form: one per region, category `USER_UPDATE`, shard and object both the
//! user, no payload; pending changes of one user coalesce into one delivery.

use chrono::{DateTime, TimeZone, Utc};
use entity::control_outbox;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QuerySelect,
};

use super::Database;
use crate::domain::{Change, Event, Result, UserId};

/// Sentry's scope of a user's changes.
const USER_SCOPE: i32 = 1;
/// Sentry's category of a change of a user.
const USER_UPDATE: i32 = 0;

/// Which regions get rows, and who takes the rows away.
#[derive(Debug, Clone)]
pub struct OutboxPolicy {
    /// The regions; a change writes one row for each.
    pub regions: Vec<String>,
    /// Whether this process delivers and deletes what it writes. Where a Sentry drains the same
    /// table, its rows and ours are left to it.
    pub deliver: bool,
}

/// Rows that were written and have to be deleted once delivered.
#[derive(Debug)]
pub(super) struct Recorded {
    user_id: UserId,
    regions: Vec<String>,
    up_to: i64,
}

/// Writes the rows of `change` in its transaction.
pub(super) async fn record(
    tx: &DatabaseTransaction,
    policy: &OutboxPolicy,
    change: Change,
    now: DateTime<Utc>,
) -> Result<Option<Recorded>> {
    if policy.regions.is_empty() {
        return Ok(None);
    }
    let rows = policy
        .regions
        .iter()
        .map(|region| control_outbox::ActiveModel {
            shard_scope: Set(USER_SCOPE),
            shard_identifier: Set(change.user_id.0),
            category: Set(USER_UPDATE),
            object_identifier: Set(change.user_id.0),
            scheduled_from: Set(now),
            scheduled_for: Set(due_at_once()),
            date_added: Set(now),
            region_name: Set(region.clone()),
            ..Default::default()
        });
    let inserted = control_outbox::Entity::insert_many(rows).exec(tx).await?;
    let recorded = inserted.last_insert_id.map(|up_to| Recorded {
        user_id: change.user_id,
        regions: policy.regions.clone(),
        up_to,
    });
    Ok(recorded.filter(|_| policy.deliver))
}

/// Deletes the rows of a delivered change, and older ones of the same user that it covers.
pub(super) async fn delivered(connection: &DatabaseConnection, recorded: Recorded) -> Result<()> {
    control_outbox::Entity::delete_many()
        .filter(control_outbox::Column::RegionName.is_in(recorded.regions))
        .filter(control_outbox::Column::ShardScope.eq(USER_SCOPE))
        .filter(control_outbox::Column::ShardIdentifier.eq(recorded.user_id.0))
        .filter(control_outbox::Column::Category.eq(USER_UPDATE))
        .filter(control_outbox::Column::ObjectIdentifier.eq(recorded.user_id.0))
        .filter(control_outbox::Column::Id.lte(recorded.up_to))
        .exec(connection)
        .await?;
    Ok(())
}

impl Database {
    /// Delivers what an earlier process has committed and not delivered; a process that was
    /// killed between the two leaves such rows.
    pub async fn deliver_pending(&self) -> Result<u64> {
        let policy = &self.inner.outbox;
        if !policy.deliver {
            return Ok(0);
        }
        let pending: Vec<(i64, i64)> = control_outbox::Entity::find()
            .select_only()
            .column(control_outbox::Column::ShardIdentifier)
            .column_as(control_outbox::Column::Id.max(), "up_to")
            .filter(control_outbox::Column::RegionName.is_in(policy.regions.clone()))
            .filter(control_outbox::Column::ShardScope.eq(USER_SCOPE))
            .filter(control_outbox::Column::Category.eq(USER_UPDATE))
            .group_by(control_outbox::Column::ShardIdentifier)
            .into_tuple()
            .all(self.reader())
            .await?;
        let count = pending.len() as u64;
        for (user_id, up_to) in pending {
            let user_id = UserId(user_id);
            self.announce(&Event::Changed(Change { user_id }));
            let regions = policy.regions.clone();
            delivered(
                &self.inner.writer,
                Recorded {
                    user_id,
                    regions,
                    up_to,
                },
            )
            .await?;
        }
        Ok(count)
    }
}

/// The moment by which Sentry marks a row as due at once.
fn due_at_once() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2016, 8, 1, 0, 0, 0)
        .single()
        .unwrap_or_default()
}
