//! The outbox as a relay claims it.
//!
//! A claim is written into Sentry's two columns: `scheduled_from` is the moment at which it ends,
//! `scheduled_for` lies the next delay behind it. The difference of the two is the delay of the
//! last attempt, as in Sentry's own drain; a claim that was broken off comes due by itself; and a
//! new row, which is always due, does not hide that its shard is claimed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use entity::control_outbox::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LockBehavior, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect,
};

use super::super::Database;
use super::super::dialect::Waiting;
use super::super::transaction::Transaction;
use super::{due_at_once, ours};
use crate::domain::{Error, Result, UserId};
use crate::outbox::{
    CLAIM_HORIZON, Claim, LEASE, OutboxStore, RegionDepth, ShardDepth, Which, next_delay,
};

/// How many rows to look at for each shard that is wanted: a user may have several.
const ROWS_PER_SHARD: usize = 4;

#[derive(Debug, FromQueryResult)]
struct Row {
    id: i64,
    shard_identifier: i64,
    scheduled_from: DateTime<Utc>,
    scheduled_for: DateTime<Utc>,
}

#[derive(Debug, FromQueryResult)]
struct DepthRow {
    region_name: String,
    user: i64,
    rows: i64,
    oldest: DateTime<Utc>,
    next: DateTime<Utc>,
}

#[async_trait]
impl OutboxStore for Database {
    async fn claim(
        &self,
        region: &str,
        which: Which,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<Claim>> {
        let until = match which {
            Which::Due => now,
            // Nothing is put off for so long, not even by clocks that differ.
            Which::Any => now + TimeDelta::days(36_500),
        };
        let rows = u32::try_from(limit.saturating_mul(ROWS_PER_SHARD)).unwrap_or(u32::MAX);
        let waiting = Waiting {
            region,
            until,
            now,
            horizon: now + CLAIM_HORIZON,
            rows,
        };
        // Mostly there is nothing, and to see that takes no transaction and no lock.
        let look = self.dialect().waiting(&Waiting { rows: 1, ..waiting });
        if self.reader().query_one_raw(look).await?.is_none() {
            return Ok(Vec::new());
        }
        let claimable = self.dialect().claimable(&waiting);
        let claiming = async {
            // The claim skips locked rows.
            let tx = self.begin_with(None).await?;
            let mut users: Vec<i64> = Vec::with_capacity(limit);
            for row in tx.query_all_raw(claimable).await? {
                let user = row.try_get_by_index(0)?;
                if users.len() < limit && !users.contains(&user) {
                    users.push(user);
                }
            }
            let claims = self.take(&tx, region, &users, now).await?;
            tx.commit().await?;
            Ok::<_, Error>(claims)
        };
        self.noting_failure(Box::pin(claiming)).await
    }

    async fn delivered(&self, claims: &[Claim]) -> Result<()> {
        let rows = claims.iter().flat_map(|claim| &claim.rows).copied();
        let delete = Entity::delete_many()
            .filter(ours())
            .filter(self.dialect().any_id(Column::Id, rows));
        let deleting = async { Ok::<_, Error>(delete.exec(&self.inner.writer).await?) };
        self.noting_failure(Box::pin(deleting)).await?;
        Ok(())
    }

    async fn failed(&self, claims: &[Claim], now: DateTime<Utc>) -> Result<()> {
        let mut alike: BTreeMap<_, Vec<i64>> = BTreeMap::new();
        for claim in claims {
            let rows = alike.entry((claim.until, claim.delay)).or_default();
            rows.extend(&claim.rows);
        }
        let now = now.trunc_subsecs(6);
        for ((until, delay), rows) in alike {
            let update = Entity::update_many()
                .set(ActiveModel {
                    scheduled_from: Set(now),
                    scheduled_for: Set(now + delay),
                    ..ActiveModel::default()
                })
                .filter(ours())
                .filter(self.dialect().any_id(Column::Id, rows))
                .filter(Column::ScheduledFrom.eq(until));
            let updating = async { Ok::<_, Error>(update.exec(&self.inner.writer).await?) };
            self.noting_failure(Box::pin(updating)).await?;
        }
        Ok(())
    }

    async fn make_due(&self, region: Option<&str>, now: DateTime<Utc>) -> Result<u64> {
        let mut update = Entity::update_many()
            .set(ActiveModel {
                scheduled_for: Set(due_at_once()),
                ..ActiveModel::default()
            })
            .filter(ours())
            .filter(Column::ScheduledFor.gt(now))
            .filter(
                Condition::any()
                    .add(Column::ScheduledFrom.lte(now))
                    .add(Column::ScheduledFrom.gt(now + CLAIM_HORIZON)),
            );
        if let Some(region) = region {
            update = update.filter(Column::RegionName.eq(region));
        }
        let updating = update.exec(&self.inner.writer);
        let updating = async { Ok::<_, Error>(updating.await?.rows_affected) };
        self.noting_failure(Box::pin(updating)).await
    }

    async fn depth(&self) -> Result<Vec<RegionDepth>> {
        let rows = Entity::find()
            .select_only()
            .column(Column::RegionName)
            .expr_as(Expr::col(Column::ShardIdentifier).count_distinct(), "user")
            .expr_as(Column::Id.count(), "rows")
            .expr_as(Column::DateAdded.min(), "oldest")
            .expr_as(self.next_due(), "next")
            .filter(ours())
            .group_by(Column::RegionName)
            .order_by_asc(Column::RegionName)
            .into_model::<DepthRow>()
            .all(self.reader())
            .await?;
        let depth = rows.into_iter().map(|row| RegionDepth {
            region: row.region_name,
            rows: row.rows,
            users: row.user,
            oldest: row.oldest,
            next: row.next,
        });
        Ok(depth.collect())
    }

    async fn shards(&self, limit: u64) -> Result<Vec<ShardDepth>> {
        let rows = Entity::find()
            .select_only()
            .column(Column::RegionName)
            .column_as(Column::ShardIdentifier, "user")
            .expr_as(Column::Id.count(), "rows")
            .expr_as(Column::DateAdded.min(), "oldest")
            .expr_as(self.next_due(), "next")
            .filter(ours())
            .group_by(Column::RegionName)
            .group_by(Column::ShardIdentifier)
            .order_by_asc(self.next_due())
            .order_by_asc(Column::Id.min())
            .limit(limit)
            .into_model::<DepthRow>()
            .all(self.reader())
            .await?;
        let shards = rows.into_iter().map(|row| ShardDepth {
            region: row.region_name,
            user_id: UserId(row.user),
            rows: row.rows,
            oldest: row.oldest,
            next: row.next,
        });
        Ok(shards.collect())
    }
}

impl Database {
    /// When the first of several rows is due.
    fn next_due(&self) -> Expr {
        let horizon = self.clock().now() + CLAIM_HORIZON;
        let due = Expr::case(Column::ScheduledFrom.gt(horizon), Expr::val(due_at_once()))
            .finally(Expr::col(Column::ScheduledFor));
        Func::min(due).into()
    }

    /// Takes the shards of `users` that nobody holds. The look of a moment ago may have missed a
    /// claim that committed since; this one cannot, because the users are locked by now.
    async fn take(
        &self,
        tx: &Transaction,
        region: &str,
        users: &[i64],
        now: DateTime<Utc>,
    ) -> Result<Vec<Claim>> {
        let rows = Entity::find()
            .select_only()
            .columns([
                Column::Id,
                Column::ShardIdentifier,
                Column::ScheduledFrom,
                Column::ScheduledFor,
            ])
            .filter(ours())
            .filter(Column::RegionName.eq(region))
            .filter(
                self.dialect()
                    .any_id(Column::ShardIdentifier, users.iter().copied()),
            )
            .order_by_asc(Column::Id)
            // A Sentry that drains the same table holds its rows while it delivers them.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_model::<Row>()
            .all(tx)
            .await?;
        let mut shards: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
        for row in rows {
            shards.entry(row.shard_identifier).or_default().push(row);
        }
        // Whole microseconds: the end of a claim is compared with what PostgreSQL stored of it.
        let until = now.trunc_subsecs(6) + LEASE;
        let claims = users.iter().filter_map(|user| {
            let rows = shards.remove(user)?;
            let is_held = |row: &Row| {
                let ends_at = row.scheduled_from;
                ends_at > now && ends_at <= now + CLAIM_HORIZON && row.scheduled_for > now
            };
            if rows.iter().any(is_held) {
                return None;
            }
            let delays = rows
                .iter()
                .map(|row| row.scheduled_for - row.scheduled_from);
            Some(Claim {
                user_id: UserId(*user),
                delay: next_delay(delays.max()?),
                rows: rows.into_iter().map(|row| row.id).collect(),
                until,
            })
        });
        let claims: Vec<Claim> = claims.collect();
        let mut alike: BTreeMap<TimeDelta, Vec<i64>> = BTreeMap::new();
        for claim in &claims {
            alike.entry(claim.delay).or_default().extend(&claim.rows);
        }
        for (delay, rows) in alike {
            Entity::update_many()
                .set(ActiveModel {
                    scheduled_from: Set(until),
                    scheduled_for: Set(until + delay),
                    ..ActiveModel::default()
                })
                .filter(self.dialect().any_id(Column::Id, rows))
                .exec(tx)
                .await?;
        }
        Ok(claims)
    }
}
