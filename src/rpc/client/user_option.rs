//! The user option service, asked of another silo.

use async_trait::async_trait;

use super::super::wire::gateway::{
    DeleteUserOptions, GetAllUserOptions, GetUserOptionsById, SetUserOption,
};
use super::super::wire::user_option::{DeleteOptions, GetMany, SetOption as SetSentryOption};
use super::batch::{BATCH, gather};
use super::transport::RpcClient;
use crate::domain::{
    Error, OptionScopeFilter, Result, SetOption, SetOptionResult, StoredValue, UserId, UserOption,
    UserOptionFilter, UserOptionId, newest,
};
use crate::service::UserOptionService;

/// [`UserOptionService`] answered by another silo.
///
/// A silo of Sentry's tells options of a known scope alone. It does not say whether setting one
/// changed anything, for which the option is looked at before; nor which of the options to be
/// deleted existed, so that all of them count as deleted.
#[derive(Debug, Clone)]
pub struct RemoteUserOptionService {
    client: RpcClient,
}

impl RemoteUserOptionService {
    /// The options of the silo that `client` asks.
    #[must_use]
    pub const fn new(client: RpcClient) -> Self {
        Self { client }
    }

    /// The option that `option` would change.
    async fn current(&self, option: &SetOption) -> Result<Option<UserOption>> {
        let filter = UserOptionFilter {
            user_ids: vec![option.user_id],
            keys: Some(vec![option.key.as_str().to_owned()]),
            scope: OptionScopeFilter::Exactly(option.scope),
        };
        Ok(self.get_many(&filter).await?.pop())
    }
}

#[async_trait]
impl UserOptionService for RemoteUserOptionService {
    async fn get_many(&self, filter: &UserOptionFilter) -> Result<Vec<UserOption>> {
        let mut options = Vec::new();
        for part in filter.user_ids.chunks(BATCH) {
            let filter = UserOptionFilter {
                user_ids: part.to_vec(),
                ..filter.clone()
            };
            let filter = (&filter).into();
            options.extend(self.client.call(&GetMany { filter }).await?);
        }
        let options = options.into_iter().map(UserOption::from);
        Ok(newest(options.collect()))
    }

    async fn get_all(&self, user_ids: &[UserId]) -> Result<Vec<UserOption>> {
        let call = |user_ids| GetAllUserOptions { user_ids };
        let what = "reading options of every scope at once (name projects or an organization)";
        gather(&self.client, user_ids, what, call).await.map(newest)
    }

    async fn get_many_by_id(&self, ids: &[UserOptionId]) -> Result<Vec<UserOption>> {
        let call = |option_ids| GetUserOptionsById { option_ids };
        let what = "looking up an option by id";
        let mut options = gather(&self.client, ids, what, call).await?;
        options.sort_by_key(|option| option.id);
        options.dedup_by_key(|option| option.id);
        Ok(options)
    }

    async fn set_option(&self, option: &SetOption) -> Result<SetOptionResult> {
        let key = option.key.as_str().to_owned();
        let call = SetUserOption {
            user_id: option.user_id,
            value: option.value.to_value(),
            key: key.clone(),
            project_id: option.scope.project_id,
            organization_id: option.scope.organization_id,
        };
        if let Some(result) = self.client.ask_gateway(&call).await? {
            return Ok(result);
        }
        let value = StoredValue::Json(option.value.clone());
        let before = self.current(option).await?;
        if let Some(before) = before.filter(|before| before.value == value) {
            return Ok(SetOptionResult {
                option: before,
                changed: false,
            });
        }
        let call = SetSentryOption {
            user_id: option.user_id,
            value: option.value.to_value(),
            key,
            project_id: option.scope.project_id,
            organization_id: option.scope.organization_id,
        };
        self.client.call(&call).await?;
        let after = self.current(option).await?;
        let option = after.ok_or_else(|| {
            Error::Conflict("the option was set, and deleted in the meantime; try again".to_owned())
        })?;
        Ok(SetOptionResult {
            option,
            changed: true,
        })
    }

    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        let mut deleted = Vec::new();
        for part in ids.chunks(BATCH) {
            let option_ids = part.to_vec();
            let call = DeleteUserOptions { option_ids };
            if let Some(answer) = self.client.ask_gateway(&call).await? {
                deleted.extend(answer);
                continue;
            }
            let option_ids = call.option_ids.clone();
            self.client.call(&DeleteOptions { option_ids }).await?;
            deleted.extend(call.option_ids);
        }
        deleted.sort_unstable();
        deleted.dedup();
        Ok(deleted)
    }
}
