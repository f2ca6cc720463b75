//! What can be found again by its global id.

use async_graphql::Interface;

use super::{Organization, User, UserOption};
use crate::domain::Error;
use crate::graphql::context::RequestContext;
use crate::graphql::error::FieldResult;
use crate::graphql::id::{Id, NodeId};
use crate::graphql::plan::plan_interface;

/// Something with an id that is unique across all types.
#[derive(Debug, Clone, Interface)]
#[graphql(field(name = "id", ty = "Id", desc = "The globally unique id."))]
pub(in super::super) enum Node {
    /// A user.
    User(User),
    /// An organization.
    Organization(Organization),
    /// An option of a user.
    UserOption(UserOption),
}

plan_interface!(Node, NodePlan {
    User(user: User),
    Organization(organization: Organization),
    UserOption(user_option: UserOption),
});

/// The node with this id, if it exists and the caller may see it. Nodes of a kind that the
/// caller may see none of are, like absent ones, null.
pub(in super::super) async fn find(
    request: &RequestContext,
    id: NodeId,
) -> FieldResult<Option<Node>> {
    let loaders = &request.loaders();
    let found = match id {
        NodeId::User(id) => {
            let found = loaders.user(id).await;
            found.map(|u| u.map(|u| Node::User(User(u))))
        }
        NodeId::Organization(id) => {
            let found = loaders.organizations.load(id).await;
            found.map(|o| o.map(|o| Node::Organization(o.into())))
        }
        NodeId::UserOption(id) => {
            let found = loaders.user_options.load(id).await;
            found.map(|o| o.map(|o| Node::UserOption(UserOption(o))))
        }
    };
    match found {
        Err(Error::Forbidden(_)) => Ok(None),
        found => Ok(found?),
    }
}
