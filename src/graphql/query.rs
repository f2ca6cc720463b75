//! What can be read.

use std::sync::Arc;

use async_graphql::ID;
use futures_util::future::try_join_all;
use macros::object;

use super::budget::{SEARCH, STATEMENT};
use super::context::RequestContext;
use super::cursor::PageArguments;
use super::error::FieldResult;
use super::id::{GlobalId, NodeId};
use super::input::{GivenFilter, OrganizationBy, UserOptionFilter, UserOrder, check_length};
use super::loader::{Load, MAX_USERS_PER_OPTIONS_CALL, Part, Size, Users};
use super::object::{
    Node, Organization, User, UserConnection, UserOption, Viewer, find, visibility,
};
use super::plan::paced;
use crate::auth::Detail;
use crate::domain::{
    OrderField, OrganizationId, UserId, UserOrder as DomainUserOrder, UserPageQuery, Viewer as Eyes,
};

/// The nodes that are looked up before the field may yield.
const NODES_PER_PART: usize = 30;

#[derive(Debug, Clone, Copy)]
pub(super) struct Query;

/// What can be read.
#[object]
impl Query {
    /// Who the credentials are, and what they may do.
    fn viewer(&self) -> Viewer {
        Viewer
    }

    /// The user with this id; null if there is none or the caller may not see them.
    fn user(
        &self,
        #[graphql(desc = "The id of a user, `User:1` or `1`.")] id: ID,
    ) -> FieldResult<Load<Users, Option<User>>> {
        let id = UserId::parse(&id, &["id"])?;
        Ok(Load::new(id, |found| Ok(found.transpose()?.map(User))))
    }

    /// Users, a page at a time. Staff and services with the scope `user:read` may list everybody;
    /// others must name ids, addresses, usernames or an organization in the filter, and see
    /// themselves and those who share an organization with them.
    #[expect(
        clippy::too_many_arguments,
        reason = "a connection's arguments are the specification's"
    )]
    #[search]
    async fn users(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Which users.", default)] filter: GivenFilter,
        #[graphql(desc = "In which order.", default)] order_by: UserOrder,
        #[graphql(desc = "The size of the page, counted from the start.")] first: Option<i32>,
        #[graphql(desc = "Users after this cursor.")] after: Option<String>,
        #[graphql(desc = "The size of the page, counted from the end.")] last: Option<i32>,
        #[graphql(desc = "Users before this cursor.")] before: Option<String>,
    ) -> FieldResult<UserConnection> {
        let order = DomainUserOrder::from(order_by);
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        let query = UserPageQuery {
            filter: filter.0.parse(&request.limits)?,
            order,
            page: page.parse(order.field, &request.limits)?,
            viewer: Eyes::All,
        };
        // Cursors of this order are made of a detail.
        let detail = match order.field {
            OrderField::DateJoined => Detail::Whole,
            OrderField::Id | OrderField::Username => request.details.users,
        };
        request.budget.spend(SEARCH).await;
        let page = request.services.users().page(&query, detail).await?;
        let page = Arc::new(page.map(User));
        request.loaders().know_users(Arc::clone(&page)).await;
        Ok(UserConnection { query, page })
    }

    /// Those of these usernames that belong to somebody, case-sensitively, in the order asked and
    /// each once. Users may ask about a limited number in a minute.
    async fn existing_usernames(
        &self,
        request: &RequestContext,
        #[graphql(desc = "The usernames to ask about.")] usernames: Vec<String>,
    ) -> FieldResult<Vec<String>> {
        check_length(usernames.len(), &request.limits, &["usernames"])?;
        request.budget.spend(STATEMENT).await;
        Ok(request
            .services
            .users()
            .get_existing_usernames(usernames)
            .await?)
    }

    /// The organizations of a user that the caller may see, by id; none for a user who does not
    /// exist or whom the caller may not see.
    async fn organizations(
        &self,
        request: &RequestContext,
        #[graphql(desc = "The id of a user, `User:1` or `1`.")] user_id: ID,
        #[graphql(
            desc = "Leave out organizations that are being deleted or moved.",
            default = false
        )]
        only_visible: bool,
    ) -> FieldResult<Part<Organization>> {
        let id = UserId::parse(&user_id, &["userId"])?;
        let ids = [id];
        let visible = request.services.users().get_visible_ids(&ids);
        let loaders = request.loaders();
        let wanted = (visibility(only_visible), request.details.organizations);
        let memberships = loaders.memberships.load((id, wanted));
        let (visible, memberships) = futures_util::try_join!(visible, memberships)?;
        let found = memberships.filter(|_| !visible.is_empty());
        Ok(found.unwrap_or_default())
    }

    /// The options of users, by user and id: those that apply to everything, unless the filter
    /// names another scope. Options are private.
    async fn user_options(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Which options.")] filter: UserOptionFilter,
    ) -> FieldResult<Vec<UserOption>> {
        let mut filter = filter.parse(&request.limits)?;
        let mut ids = std::mem::take(&mut filter.user_ids);
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::new();
        // The options of one call are charged before the next.
        for users in ids.chunks(MAX_USERS_PER_OPTIONS_CALL) {
            request.budget.spend(STATEMENT).await;
            filter.user_ids = users.to_vec();
            let options = request.services.user_options().get_many(&filter).await?;
            let bytes = options.iter().map(Size::bytes).sum();
            request.budget.found(options.len(), bytes);
            found.extend(options.into_iter().map(UserOption));
        }
        Ok(found)
    }

    /// Whatever has this id; null if there is nothing or the caller may not see it.
    async fn node(
        &self,
        request: &RequestContext,
        #[graphql(desc = "A global id, such as `User:1`.")] id: ID,
    ) -> FieldResult<Option<Node>> {
        find(request, NodeId::parse(&id, &["id"])?).await
    }

    /// Whatever has these ids, in the order asked, with null where `node` would be null.
    async fn nodes(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Global ids, such as `User:1`.")] ids: Vec<ID>,
    ) -> FieldResult<Vec<Option<Node>>> {
        check_length(ids.len(), &request.limits, &["ids"])?;
        let mut parsed = Vec::with_capacity(ids.len());
        for (i, id) in ids.iter().enumerate() {
            parsed.push(NodeId::parse(id, &["ids", &i.to_string()])?);
        }
        // In parts, as there may be many such fields, and each look-up is a future.
        let mut nodes = Vec::with_capacity(parsed.len());
        let parts = parsed.chunks(NODES_PER_PART).map(|part| {
            let part = part.iter().map(|id| find(request, *id));
            paced(try_join_all(part))
        });
        for part in try_join_all(parts).await? {
            nodes.extend(part);
        }
        Ok(nodes)
    }

    /// An organization; null if there is none or the caller may not see it.
    async fn organization(
        &self,
        request: &RequestContext,
        #[graphql(desc = "By which of its names.")] by: OrganizationBy,
    ) -> FieldResult<Option<Organization>> {
        let found = match by {
            OrganizationBy::Id(id) => {
                let id = OrganizationId::parse(&id, &["by", "id"])?;
                request.loaders().organizations.load(id).await?
            }
            OrganizationBy::Slug(slug) => {
                request.budget.spend(STATEMENT).await;
                request.services.organizations().get_by_slug(&slug).await?
            }
        };
        Ok(found.map(Organization::from))
    }
}
