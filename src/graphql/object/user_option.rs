//! An option of a user.

use macros::object;

use super::{Organization, User};
use crate::domain::{self, Error, JsonText, Result, StoredValue, UserId};
use crate::graphql::context::RequestContext;
use crate::graphql::error::{FieldError, FieldResult};
use crate::graphql::id::{GlobalId, Id};
use crate::graphql::loader::{Load, Users};

#[derive(Debug, Clone)]
pub(in super::super) struct UserOption(pub(in super::super) domain::UserOption);

impl UserOption {
    /// The value, or why it cannot be read.
    pub(super) fn read(&self) -> Result<Option<&JsonText>> {
        match &self.0.value {
            StoredValue::Json(value) if value.is_null() => Ok(None),
            StoredValue::Json(value) => Ok(Some(value)),
            StoredValue::Unreadable => Err(Error::Unreadable(format!(
                "the stored value of the option `{}` has a form that cannot be read; it is left \
                 as it is",
                self.0.key
            ))),
        }
    }
}

/// A small value that a user has set, for everything, for a project or for an organization.
#[object]
impl UserOption {
    /// The globally unique id, such as `UserOption:1`.
    pub(in super::super) fn id(&self) -> Id {
        self.0.id.to_global()
    }

    /// Whose option it is.
    fn user(&self) -> FieldResult<Load<Users, User>> {
        Ok(user_of_option(self.0.user_id))
    }

    /// What it sets, such as `theme`.
    fn key(&self) -> &str {
        &self.0.key
    }

    /// To what. Null is a value too. A value in a form that cannot be read, as old installations
    /// may hold, is null with an error of the code `UNREADABLE_VALUE`.
    fn value(&self) -> FieldResult<Option<&JsonText>> {
        Ok(self.read()?)
    }

    /// The id of the project it applies to, if it applies to one.
    fn project(&self) -> Option<Id> {
        self.0.scope.project_id.map(|id| id.to_global())
    }

    /// The organization it applies to, if it applies to one and the caller may see it.
    async fn organization(&self, request: &RequestContext) -> FieldResult<Option<Organization>> {
        let Some(id) = self.0.scope.organization_id else {
            return Ok(None);
        };
        let found = request.loaders().organizations.load(id).await?;
        Ok(found.map(Organization::from))
    }
}

/// The user with this id, who has an option.
pub(super) fn user_of_option(id: UserId) -> Load<Users, User> {
    Load::new(id, |found| {
        found.transpose()?.map(User).ok_or_else(|| {
            FieldError(Error::NotFound(
                "the option's user has just been deleted".to_owned(),
            ))
        })
    })
}
