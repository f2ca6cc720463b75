//! The user option service of a database with copies of all options of a user in front of it.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::record::{Part, Record};
use super::super::source::Source;
use super::super::user_option::is_wanted;
use super::LocalCache;
use crate::domain::{
    Result, SetOption, SetOptionResult, UserId, UserOption, UserOptionFilter, UserOptionId,
};
use crate::service::UserOptionService;

/// [`UserOptionService`] answered from copies where options are asked for by user.
#[derive(Debug)]
pub(super) struct LocalUserOptionService {
    cache: LocalCache,
    inner: Arc<dyn UserOptionService>,
}

impl LocalUserOptionService {
    pub(super) fn new(cache: LocalCache, source: &Source) -> Self {
        Self {
            cache,
            inner: Arc::clone(&source.user_options),
        }
    }

    async fn options(
        &self,
        user_ids: &[UserId],
        is_wanted: impl Fn(&UserOption) -> bool + Send,
    ) -> Result<Vec<UserOption>> {
        let mut options = Vec::new();
        for (_, record) in self.cache.get_each(Part::Options, user_ids).await {
            if let Record::Options(all) = record? {
                options.extend(all.iter().filter(|option| is_wanted(option)).cloned());
            }
        }
        Ok(options)
    }
}

#[async_trait]
impl UserOptionService for LocalUserOptionService {
    async fn get_many(&self, filter: &UserOptionFilter) -> Result<Vec<UserOption>> {
        self.options(&filter.user_ids, |option| is_wanted(filter, option))
            .await
    }

    async fn get_all(&self, user_ids: &[UserId]) -> Result<Vec<UserOption>> {
        self.options(user_ids, |_| true).await
    }

    async fn get_many_by_id(&self, ids: &[UserOptionId]) -> Result<Vec<UserOption>> {
        self.inner.get_many_by_id(ids).await
    }

    async fn set_option(&self, option: &SetOption) -> Result<SetOptionResult> {
        self.inner.set_option(option).await
    }

    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        self.inner.delete_options(ids).await
    }
}
