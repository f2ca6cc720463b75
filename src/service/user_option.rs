//! The contract of the user option service.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Result, SetOption, SetOptionResult, UserId, UserOption, UserOptionFilter, UserOptionId,
};

/// The options of users, after Sentry's `user_option` service.
#[async_trait]
pub trait UserOptionService: Debug + Send + Sync + 'static {
    /// The options of a filter, by user and id. Where old data holds one global option several
    /// times, the newest counts.
    async fn get_many(&self, filter: &UserOptionFilter) -> Result<Vec<UserOption>>;

    /// Every option of these users, whatever its scope, by user and id; otherwise as
    /// [`UserOptionService::get_many`].
    async fn get_all(&self, user_ids: &[UserId]) -> Result<Vec<UserOption>>;

    /// The options with these ids, by id.
    async fn get_many_by_id(&self, ids: &[UserOptionId]) -> Result<Vec<UserOption>>;

    /// Sets an option. An equal value writes nothing; a stored value that cannot be read is not
    /// overwritten but an error.
    async fn set_option(&self, option: &SetOption) -> Result<SetOptionResult>;

    /// Deletes the options with these ids and returns the ids that existed.
    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>>;
}
