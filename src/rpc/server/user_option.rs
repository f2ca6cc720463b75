//! The methods of Sentry's `user_option` service.

use serde_json::Value;

use super::super::wire::RpcUserOption;
use super::super::wire::user_option::{DeleteOptions, GetMany, SerializeMany, SetOption};
use super::method::{Context, Method};
use crate::domain::{self, Error, OptionKey, OptionScope, Result};

impl Method for GetMany {
    async fn answer(self, context: &Context) -> Result<Vec<RpcUserOption>> {
        let filter = self.filter.try_into()?;
        let options = context.user_options()?.get_many(&filter).await?;
        let told = if context.is_gateway() {
            RpcUserOption::for_gateway
        } else {
            RpcUserOption::for_sentry
        };
        Ok(options.into_iter().map(told).collect())
    }
}

impl Method for SerializeMany {
    async fn answer(self, _: &Context) -> Result<Vec<Value>> {
        Err(Error::NotSupported(
            "options have no form of Sentry's REST API".to_owned(),
        ))
    }
}

impl Method for SetOption {
    async fn answer(self, context: &Context) -> Result<()> {
        let option = domain::SetOption {
            user_id: self.user_id,
            key: OptionKey::parse(&self.key, &["key"])?,
            value: self.value.into(),
            scope: OptionScope {
                project_id: self.project_id,
                organization_id: self.organization_id,
            },
        };
        context.user_options()?.set_option(&option).await?;
        Ok(())
    }
}

impl Method for DeleteOptions {
    async fn answer(self, context: &Context) -> Result<()> {
        let options = context.user_options()?;
        options.delete_options(&self.option_ids).await?;
        Ok(())
    }
}
