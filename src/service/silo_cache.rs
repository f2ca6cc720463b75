//! The contract of the copies that a silo keeps, as other silos clear them.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{Result, UserId};

/// Sentry's name of what `get_user` is cached under.
pub const GET_USER: &str = "user_service.get_user";
/// Sentry's name of what `get_many_by_id` is cached under.
pub const GET_MANY_BY_ID: &str = "user_service.get_many_by_id";

/// Sentry's logical key of what a function is cached under for a user.
#[must_use]
pub fn logical_key(base_key: &str, id: UserId) -> String {
    format!("{base_key}:{id}")
}

/// The user of a logical key of one of the functions above.
#[must_use]
pub fn user_of_key(key: &str) -> Option<UserId> {
    let (base_key, id) = key.split_once(':')?;
    let is_known = [GET_USER, GET_MANY_BY_ID].contains(&base_key);
    id.parse().ok().filter(|_| is_known).map(UserId)
}

/// The copies that a silo keeps.
#[async_trait]
pub trait SiloCache: Debug + Send + Sync + 'static {
    /// Makes what is cached under a logical key worthless, and returns the key's new version. Once
    /// this is `Ok`, nothing that was fetched before the call is served any more. A key under which
    /// nothing is cached has a version too.
    async fn clear_key(&self, key: &str) -> Result<i64>;
}
