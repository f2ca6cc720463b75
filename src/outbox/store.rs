//! The contract of the outbox's rows, as the relay and its operators see them.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{Result, UserId};

/// The shard of one user in one region, taken for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The user of whom the region is to be told.
    pub user_id: UserId,
    /// The rows that the delivery stands for. A row that is committed later is not among them,
    /// even if its id is lower.
    pub rows: Vec<i64>,
    /// Until when nobody else claims the shard.
    pub until: DateTime<Utc>,
    /// How long to wait after this attempt, should it fail.
    pub delay: TimeDelta,
}

/// Which shards a claim may take. Shards that are being delivered are never among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those with a row that is due.
    Due,
    /// Those with any row: what has been put off is tried nevertheless.
    Any,
}

/// What waits for a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionDepth {
    /// The region.
    pub region: String,
    /// How many rows wait.
    pub rows: i64,
    /// Of how many users.
    pub users: i64,
    /// When the oldest row was written.
    pub oldest: DateTime<Utc>,
    /// When the next shard is due; in the past if one is.
    pub next: DateTime<Utc>,
}

/// What waits of one user for a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardDepth {
    /// The region.
    pub region: String,
    /// The user.
    pub user_id: UserId,
    /// How many rows wait.
    pub rows: i64,
    /// When the oldest row was written.
    pub oldest: DateTime<Utc>,
    /// When the shard is due; in the past if it is.
    pub next: DateTime<Utc>,
}

/// The rows of changes of users. Rows of any other kind in the same table are neither read nor
/// touched.
#[async_trait]
pub trait OutboxStore: Debug + Send + Sync + 'static {
    /// Claims up to `limit` shards of `region`, those that have waited longest first, and puts off
    /// their rows to [`LEASE`](super::LEASE) after `now`. It may take fewer than there are; none
    /// means that there is nothing to take.
    async fn claim(
        &self,
        region: &str,
        which: Which,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Vec<Claim>>;

    /// Deletes the rows of claims whose region has been told.
    async fn delivered(&self, claims: &[Claim]) -> Result<()>;

    /// Puts off claims whose region could not be told, each by its delay from `now`. Claims that
    /// have ended and were taken by somebody else stay theirs.
    async fn failed(&self, claims: &[Claim], now: DateTime<Utc>) -> Result<()>;

    /// Makes everything due that was put off after a failure, of one region or of all; how many
    /// rows that were. What is being delivered stays as it is.
    async fn make_due(&self, region: Option<&str>, now: DateTime<Utc>) -> Result<u64>;

    /// What waits, by the names of the regions.
    async fn depth(&self) -> Result<Vec<RegionDepth>>;

    /// Up to `limit` shards that wait, those first that are due first.
    async fn shards(&self, limit: u64) -> Result<Vec<ShardDepth>>;
}
