//! The methods of Sentry's `user_option` service.

use serde_json::Value;

use super::calls;
use super::filter::UserOptionFilterArgs;
use super::model::RpcUser;
use super::part::RpcUserOption;
use super::user::AuthenticationContext;
use crate::domain::{OrganizationId, ProjectId, UserId, UserOptionId};

calls! { "user_option":
    /// The options of a filter.
    GetMany = "get_many", repeatable: true -> Vec<RpcUserOption> {
        /// Which options.
        filter: UserOptionFilterArgs,
    }

    /// Always fails: Sentry has no form for this.
    SerializeMany = "serialize_many", repeatable: true -> Vec<Value> {
        /// Which options.
        filter: UserOptionFilterArgs,
        /// For whom.
        #[serde(default)]
        as_user: Option<Box<RpcUser>>,
        /// For whom if `as_user` does not say.
        #[serde(default)]
        auth_context: Option<AuthenticationContext>,
    }

    /// Sets an option.
    SetOption = "set_option", repeatable: true -> () {
        /// Whose.
        user_id: UserId,
        /// To what; null is a value.
        value: Value,
        /// What.
        key: String,
        /// For this project.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// For this organization.
        #[serde(default)]
        organization_id: Option<OrganizationId>,
    }

    /// Deletes the options with these ids.
    DeleteOptions = "delete_options", repeatable: true -> () {
        /// The ids; unknown ones count for nothing.
        option_ids: Vec<UserOptionId>,
    }
}
