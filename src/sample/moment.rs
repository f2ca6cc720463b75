//! Points in time, all of them before one that is fixed.

use chrono::{DateTime, TimeDelta, Utc};

/// The present of the sample directory, 2026-01-01T00:00:00Z: nothing in it is later.
pub const EPOCH: DateTime<Utc> = match DateTime::from_timestamp(1_767_225_600, 0) {
    Some(epoch) => epoch,
    None => DateTime::<Utc>::UNIX_EPOCH,
};

/// The seconds of a day.
pub(super) const DAY: u64 = 86_400;

/// The moment that many seconds before [`EPOCH`].
pub(super) fn ago(seconds: u64) -> DateTime<Utc> {
    EPOCH - TimeDelta::seconds(seconds.cast_signed())
}
