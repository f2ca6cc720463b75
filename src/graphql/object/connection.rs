//! Connections, after Relay's specification, with `nodes` as a short way to the rows.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};

use super::User;
use crate::auth::{OrganizationMembers, VisibleMember, VisibleUser};
use crate::domain::{OrderField, OrganizationId, Page, UserPageQuery};
use crate::graphql::context::request;
use crate::graphql::cursor;
use crate::graphql::error::FieldResult;
use crate::graphql::scalar::DateTime;

/// Where a page stands in its list.
#[derive(Debug, Clone, SimpleObject)]
pub(in super::super) struct PageInfo {
    /// Whether rows follow this page.
    has_next_page: bool,
    /// Whether rows stand before this page.
    has_previous_page: bool,
    /// The cursor of the first row, to ask for rows `before` it.
    start_cursor: Option<String>,
    /// The cursor of the last row, to ask for rows `after` it.
    end_cursor: Option<String>,
}

impl PageInfo {
    fn new<T>(page: &Page<T>, cursor: impl Fn(&T) -> String) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(&cursor),
            end_cursor: page.rows.last().map(&cursor),
        }
    }
}

/// A count as GraphQL's 32-bit `Int`; a directory that outgrows it counts as full.
fn count(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[derive(Debug)]
pub(in super::super) struct UserConnection {
    pub(in super::super) query: UserPageQuery,
    pub(in super::super) page: Page<Arc<VisibleUser>>,
}

impl UserConnection {
    fn order(&self) -> OrderField {
        self.query.order.field
    }
}

/// A page of users.
#[Object]
impl UserConnection {
    /// The users with their cursors.
    async fn edges(&self) -> Vec<UserEdge> {
        let edge = |user: &Arc<VisibleUser>| UserEdge {
            cursor: cursor::of_user(user, self.order()),
            node: User(Arc::clone(user)),
        };
        self.page.rows.iter().map(edge).collect()
    }

    /// The users.
    async fn nodes(&self) -> Vec<User> {
        self.page
            .rows
            .iter()
            .map(|user| User(Arc::clone(user)))
            .collect()
    }

    /// Where the page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.page, |user| cursor::of_user(user, self.order()))
    }

    /// How many users the whole list has. They are counted only if this is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> FieldResult<i32> {
        Ok(count(
            request(ctx)?.services.users.count(&self.query).await?,
        ))
    }
}

/// A user in a page.
#[derive(Debug, SimpleObject)]
pub(in super::super) struct UserEdge {
    /// The place of the user in the list.
    cursor: String,
    /// The user.
    node: User,
}

#[derive(Debug)]
pub(in super::super) struct OrganizationMemberConnection {
    pub(super) organization: OrganizationId,
    pub(super) page: OrganizationMembers,
}

fn member_cursor(member: &VisibleMember) -> String {
    cursor::of_user(&member.user, OrderField::Id)
}

/// A page of the members of an organization.
#[Object]
impl OrganizationMemberConnection {
    /// The members with their cursors and their roles.
    async fn edges(&self) -> Vec<OrganizationMemberEdge> {
        let edge = |member: &VisibleMember| OrganizationMemberEdge {
            cursor: member_cursor(member),
            node: User(Arc::clone(&member.user)),
            role: member.role.clone(),
            date_added: DateTime(member.date_added),
        };
        self.page.rows.iter().map(edge).collect()
    }

    /// The members.
    async fn nodes(&self) -> Vec<User> {
        self.page
            .rows
            .iter()
            .map(|member| User(Arc::clone(&member.user)))
            .collect()
    }

    /// Where the page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.page, member_cursor)
    }

    /// How many members the organization has. They are counted only if this is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> FieldResult<i32> {
        let found = request(ctx)?
            .loaders()
            .member_counts
            .load(self.organization)
            .await?;
        Ok(count(found.unwrap_or_default()))
    }
}

/// A member in a page.
#[derive(Debug, SimpleObject)]
pub(in super::super) struct OrganizationMemberEdge {
    /// The place of the member in the list.
    cursor: String,
    /// The member.
    node: User,
    /// What the member may do there, such as `owner` or `member`.
    role: String,
    /// When the member was added.
    date_added: DateTime,
}
