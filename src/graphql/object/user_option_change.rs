//! What has become of an option.

use macros::object;
use smol_str::SmolStr;

use super::user_option::user_of_option;
use super::{Organization, User, UserOption};
use crate::domain::{self, OptionScope, UserId};
use crate::graphql::context::RequestContext;
use crate::graphql::error::FieldResult;
use crate::graphql::id::{GlobalId, Id};
use crate::graphql::loader::{Load, Users};

#[derive(Debug, Clone)]
pub(in super::super) struct UserOptionChange {
    pub(in super::super) user_id: UserId,
    pub(in super::super) key: SmolStr,
    pub(in super::super) scope: OptionScope,
    /// The option as it is now; `None` if it was deleted.
    pub(in super::super) option: Option<domain::UserOption>,
}

/// An option that was set or deleted.
#[object]
impl UserOptionChange {
    /// Whose option it is or was.
    fn user(&self) -> FieldResult<Load<Users, User>> {
        Ok(user_of_option(self.user_id))
    }

    /// What it sets, such as `theme`.
    fn key(&self) -> &str {
        &self.key
    }

    /// The id of the project it applies to, if it applies to one.
    fn project(&self) -> Option<Id> {
        self.scope.project_id.map(|id| id.to_global())
    }

    /// The organization it applies to, if it applies to one and the caller may see it.
    async fn organization(&self, request: &RequestContext) -> FieldResult<Option<Organization>> {
        let Some(id) = self.scope.organization_id else {
            return Ok(None);
        };
        let found = request.loaders().organizations.load(id).await?;
        Ok(found.map(Organization::from))
    }

    /// Whether it was deleted.
    fn is_deleted(&self) -> bool {
        self.option.is_none()
    }

    /// The option as it is now; null if it was deleted.
    fn option(&self) -> Option<UserOption> {
        self.option.clone().map(UserOption)
    }
}
