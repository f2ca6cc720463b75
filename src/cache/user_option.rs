//! The user option service with the cache in front of it.

use std::sync::Arc;

use async_trait::async_trait;

use super::record::{Part, Record};
use super::region::RegionCache;
use super::source::Source;
use crate::domain::{
    OptionScopeFilter, Result, SetOption, SetOptionResult, UserId, UserOption, UserOptionFilter,
    UserOptionId,
};
use crate::service::UserOptionService;

/// [`UserOptionService`] answered from copies of all options of a user.
#[derive(Debug)]
pub struct CachedUserOptionService {
    cache: RegionCache,
    inner: Arc<dyn UserOptionService>,
}

impl CachedUserOptionService {
    pub(super) fn new(cache: RegionCache, source: &Source) -> Self {
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
impl UserOptionService for CachedUserOptionService {
    async fn get_many(&self, filter: &UserOptionFilter) -> Result<Vec<UserOption>> {
        // A control silo of which no options are kept may be of the kind that cannot be asked for
        // those of all scopes at once.
        if !self.cache.keeps_options() {
            return self.inner.get_many(filter).await;
        }
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
        let change = self.cache.change(option.user_id);
        let result = self.inner.set_option(option).await;
        change.end().await;
        result
    }

    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        // Whose they are cannot be asked any more when they are gone; and there is a kind of control
        // silo that cannot be asked at all, of which nothing is kept.
        let options = if self.cache.keeps_options() {
            self.inner.get_many_by_id(ids).await?
        } else {
            Vec::new()
        };
        let mut owners: Vec<_> = options.iter().map(|option| option.user_id).collect();
        owners.sort_unstable();
        owners.dedup();
        let changes: Vec<_> = owners.into_iter().map(|id| self.cache.change(id)).collect();
        let result = self.inner.delete_options(ids).await;
        for change in changes {
            change.end().await;
        }
        result
    }
}

/// Whether a filter finds an option of one of its users.
pub(super) fn is_wanted(filter: &UserOptionFilter, option: &UserOption) -> bool {
    let has_key = filter.keys.as_ref();
    let has_key = has_key.is_none_or(|keys| keys.iter().any(|key| option.key == *key));
    has_key
        && match &filter.scope {
            OptionScopeFilter::Exactly(scope) => option.scope == *scope,
            OptionScopeFilter::Projects(ids) => {
                let project = option.scope.project_id;
                project.is_some_and(|id| ids.contains(&id))
            }
        }
}
