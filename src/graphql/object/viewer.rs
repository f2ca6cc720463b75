//! The caller, as the graph sees them.

use async_graphql::Enum;
use macros::object;

use super::User;
use crate::auth::{Caller, Capability};
use crate::domain::Error;
use crate::graphql::context::RequestContext;
use crate::graphql::error::{FieldError, FieldResult};
use crate::graphql::plan::enum_outputs;

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Viewer;

/// Who the credentials are, and what they may do.
#[object]
impl Viewer {
    /// The user behind the credentials; null for a service.
    async fn user(&self, request: &RequestContext) -> FieldResult<Option<User>> {
        let Some(id) = request.services.caller().user_id() else {
            return Ok(None);
        };
        let found = request.loaders().user(id).await?;
        let user = found.ok_or_else(|| {
            FieldError(Error::NotFound(
                "the user of the credentials has just been deleted".to_owned(),
            ))
        })?;
        Ok(Some(User(user)))
    }

    /// The name of the service behind the credentials; null for a user.
    fn service(&self, request: &RequestContext) -> FieldResult<Option<String>> {
        Ok(match request.services.caller() {
            Caller::Service { name, .. } => Some(name.clone()),
            Caller::User(_) => None,
        })
    }

    /// The scopes of the credentials, sorted.
    fn scopes(&self, request: &RequestContext) -> FieldResult<Vec<String>> {
        Ok(request
            .services
            .caller()
            .scopes()
            .iter()
            .map(str::to_owned)
            .collect())
    }

    /// What the credentials allow. Users may always read their own data.
    fn capabilities(&self, request: &RequestContext) -> FieldResult<Vec<ViewerCapability>> {
        let caller = request.services.caller();
        let scoped = |capability| caller.scopes().allow(capability);
        let for_everybody = |capability| caller.may_for_everybody(capability);
        let is_user = caller.user_id().is_some();
        Ok([
            (
                ViewerCapability::ReadColleagues,
                is_user && scoped(Capability::ReadUsers),
            ),
            (
                ViewerCapability::ReadEverybody,
                for_everybody(Capability::ReadUsers),
            ),
            (
                ViewerCapability::ReadPrivateFields,
                for_everybody(Capability::ReadPrivate),
            ),
            (
                ViewerCapability::ReadOrganizations,
                scoped(Capability::ReadOrganizations),
            ),
            (
                ViewerCapability::ChangeSelf,
                is_user && scoped(Capability::Write),
            ),
            (
                ViewerCapability::ChangeEverybody,
                for_everybody(Capability::Write),
            ),
        ]
        .into_iter()
        .filter_map(|(capability, has)| has.then_some(capability))
        .collect())
    }
}

/// Something that credentials may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in super::super) enum ViewerCapability {
    /// Reading the public fields of those who share an organization.
    ReadColleagues,
    /// Reading the public fields of everybody, listing and searching them.
    ReadEverybody,
    /// Reading the private fields and the options of everybody.
    ReadPrivateFields,
    /// Reading organizations: one's own, or for staff and services all.
    ReadOrganizations,
    /// Changing one's own options, name and picture.
    ChangeSelf,
    /// Changing everybody, and creating users.
    ChangeEverybody,
}

enum_outputs!(ViewerCapability);
