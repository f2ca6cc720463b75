//! Connections, after Relay's specification, with `nodes` as a short way to the rows.

use std::sync::Arc;

use macros::object;

use super::User;
use crate::auth::{OrganizationMembers, VisibleMember};
use crate::domain::{OrderField, OrganizationId, Page, Result, UserPageQuery};
use crate::graphql::budget::SEARCH;
use crate::graphql::context::RequestContext;
use crate::graphql::cursor;
use crate::graphql::error::FieldResult;
use crate::graphql::loader::{Load, MemberCounts};
use crate::graphql::scalar::DateTime;

#[derive(Debug, Clone)]
pub(in super::super) struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

/// Where a page stands in its list.
#[object]
impl PageInfo {
    /// Whether rows follow this page.
    fn has_next_page(&self) -> bool {
        self.has_next_page
    }

    /// Whether rows stand before this page.
    fn has_previous_page(&self) -> bool {
        self.has_previous_page
    }

    /// The cursor of the first row, to ask for rows `before` it.
    fn start_cursor(&self) -> Option<&str> {
        self.start_cursor.as_deref()
    }

    /// The cursor of the last row, to ask for rows `after` it.
    fn end_cursor(&self) -> Option<&str> {
        self.end_cursor.as_deref()
    }
}

impl PageInfo {
    fn new<T>(page: &Page<T>, cursor: impl Fn(&T) -> Result<String>) -> FieldResult<Self> {
        Ok(Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(&cursor).transpose()?,
            end_cursor: page.rows.last().map(&cursor).transpose()?,
        })
    }
}

/// A count as GraphQL's 32-bit `Int`; a directory that outgrows it counts as full.
fn count(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[derive(Debug)]
pub(in super::super) struct UserConnection {
    pub(in super::super) query: UserPageQuery,
    pub(in super::super) page: Arc<Page<User>>,
}

impl UserConnection {
    fn order(&self) -> OrderField {
        self.query.order.field
    }
}

/// A page of users.
#[object]
impl UserConnection {
    /// The users with their cursors.
    fn edges(&self) -> FieldResult<Vec<UserEdge>> {
        let edge = |user: &User| {
            Ok(UserEdge {
                cursor: cursor::of_user(&user.0, self.order())?,
                node: user.clone(),
            })
        };
        self.page.rows.iter().map(edge).collect()
    }

    /// The users.
    fn nodes(&self) -> &[User] {
        &self.page.rows
    }

    /// Where the page stands in the list.
    fn page_info(&self) -> FieldResult<PageInfo> {
        PageInfo::new(&self.page, |user| cursor::of_user(&user.0, self.order()))
    }

    /// How many users the whole list has. They are counted only if this is selected.
    #[search]
    async fn total_count(&self, request: &RequestContext) -> FieldResult<i32> {
        request.budget.spend(SEARCH).await;
        Ok(count(request.services.users().count(&self.query).await?))
    }
}

#[derive(Debug)]
pub(in super::super) struct UserEdge {
    cursor: String,
    node: User,
}

/// A user in a page.
#[object]
impl UserEdge {
    /// The place of the user in the list.
    fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The user.
    fn node(&self) -> &User {
        &self.node
    }
}

#[derive(Debug)]
pub(in super::super) struct OrganizationMemberConnection {
    pub(super) organization: OrganizationId,
    pub(super) page: OrganizationMembers,
}

fn member_cursor(member: &VisibleMember) -> Result<String> {
    cursor::of_user(&member.user, OrderField::Id)
}

/// A page of the members of an organization.
#[object]
impl OrganizationMemberConnection {
    /// The members with their cursors and their roles.
    fn edges(&self) -> FieldResult<Vec<OrganizationMemberEdge>> {
        let edge = |member: &VisibleMember| {
            Ok(OrganizationMemberEdge {
                cursor: member_cursor(member)?,
                node: User(member.user.clone()),
                role: member.role.clone(),
                date_added: DateTime(member.date_added),
            })
        };
        self.page.rows.iter().map(edge).collect()
    }

    /// The members.
    fn nodes(&self) -> Vec<User> {
        self.page
            .rows
            .iter()
            .map(|member| User(member.user.clone()))
            .collect()
    }

    /// Where the page stands in the list.
    fn page_info(&self) -> FieldResult<PageInfo> {
        PageInfo::new(&self.page, member_cursor)
    }

    /// How many members the organization has. They are counted only if this is selected.
    #[search]
    fn total_count(&self) -> FieldResult<Load<MemberCounts, i32>> {
        let count = |found: Option<u64>| Ok(count(found.unwrap_or_default()));
        Ok(Load::new(self.organization, count))
    }
}

#[derive(Debug)]
pub(in super::super) struct OrganizationMemberEdge {
    cursor: String,
    node: User,
    role: String,
    date_added: DateTime,
}

/// A member in a page.
#[object]
impl OrganizationMemberEdge {
    /// The place of the member in the list.
    fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The member.
    fn node(&self) -> &User {
        &self.node
    }

    /// What the member may do there, such as `owner` or `member`.
    fn role(&self) -> &str {
        &self.role
    }

    /// When the member was added.
    fn date_added(&self) -> DateTime {
        self.date_added
    }
}
