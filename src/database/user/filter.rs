//! A filter as a condition: the one place where it becomes SQL.
//!
//! Conditions on what belongs to a user are subqueries, never joins, so that a user appears once
//! however many addresses match.
//!
//! The keys in a filter decide where a statement starts ([`Start`]). The users with these keys are
//! fetched by id first, and all other conditions are checked for each of them. The cost is then
//! proportional to the keys, in any order of the list. A planner that is free to choose would scan the
//! directory where it expects matches soon.

use entity::{authenticator, organization_member_mapping, user, user_email};
use sea_orm::sea_query::{
    Asterisk, Cond, Condition, Expr, ExprTrait, IntoColumnRef, Query, SelectStatement,
    SubQueryStatement,
};
use sea_orm::{QueryFilter, QuerySelect, Select};

use super::super::Database;
use super::super::organization::is_joined;
use super::search::Search;
use crate::domain::{
    AuthenticatorFilter, Error, Invalid, OrganizationId, Result, UserFilter, UserId, Viewer,
};

/// A limit without effect. It keeps the planner from merging a subquery into the outer statement.
const ALL: u64 = i64::MAX.unsigned_abs();

/// The set of users with which a statement starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The viewer, who can see no other user; no user, if the viewer is none.
    Viewer(Option<UserId>),
    /// The ids in the filter.
    Ids,
    /// The usernames in it.
    Usernames,
    /// The addresses in it.
    Emails,
    /// The members of its organization.
    Members,
    /// Those members, if they are more than this number.
    ManyMembers(u64),
    /// Consecutive users of a list that the statement has fetched already.
    Next,
    /// All users: the filter has no keys.
    All,
}

impl Start {
    /// The start with the fewest users.
    pub(super) const fn of(filter: &UserFilter, viewer: Viewer) -> Self {
        let is_private = filter.emails.is_some()
            || filter.email_verified.is_some()
            || filter.authenticators.is_some();
        match viewer {
            Viewer::Alone(me) => return Self::Viewer(Some(me)),
            Viewer::Member(me) if is_private => return Self::Viewer(Some(me)),
            Viewer::Public(me) if is_private => return Self::Viewer(me),
            Viewer::All | Viewer::Public(_) | Viewer::Member(_) => {}
        }
        if filter.user_ids.is_some() {
            Self::Ids
        } else if filter.usernames.is_some() {
            Self::Usernames
        } else if filter.emails.is_some() {
            Self::Emails
        } else if filter.organization_id.is_some() {
            Self::Members
        } else {
            Self::All
        }
    }

    /// Whether there are so few users that each can be searched for a text.
    pub(super) const fn is_narrow(self) -> bool {
        !matches!(self, Self::ManyMembers(_) | Self::All)
    }

    /// The condition on `auth_user` for the users of this start.
    fn named(self, database: &Database, filter: &UserFilter) -> Option<Expr> {
        let dialect = database.dialect();
        let id = (user::Entity, user::Column::Id);
        match self {
            Self::Viewer(me) => Some(me.map_or_else(|| Expr::val(false), is)),
            Self::Ids => {
                let ids = filter.user_ids.iter().flatten().map(|id| id.0);
                Some(dialect.any_listed_id(id, ids))
            }
            Self::Usernames => {
                let column = (user::Entity, user::Column::Username);
                let names = filter.usernames.iter().flatten().map(String::as_str);
                Some(dialect.any_listed_text(column, names))
            }
            Self::Emails => {
                let owners = addresses(database, filter).column(EMAIL_OWNER).take();
                Some(dialect.any_selected_id(id, owners))
            }
            Self::Members | Self::ManyMembers(_) => {
                let members = members(filter.organization_id?).column(MEMBER).take();
                Some(dialect.any_selected_id(id, members))
            }
            Self::Next | Self::All => None,
        }
    }

    /// One of `rows` belongs to the current user; `owner` is their column with its id.
    fn owns(self, mut rows: SelectStatement, owner: impl IntoColumnRef + Copy) -> Expr {
        match self {
            Self::All => user_id().in_subquery(rows.column(owner).take()),
            _ => one(rows, owner),
        }
    }

    /// None of `rows` belongs to the current user.
    fn lacks(self, mut rows: SelectStatement, owner: impl IntoColumnRef + Copy) -> Expr {
        match self {
            Self::All => {
                rows.expr(Expr::cust("1"))
                    .and_where(Expr::col(owner).eq(user_id()));
                Expr::not_exists(rows)
            }
            _ => one(rows, owner).is_null(),
        }
    }
}

/// The owner of an address.
const EMAIL_OWNER: (user_email::Entity, user_email::Column) =
    (user_email::Entity, user_email::Column::UserId);
/// The owner of a membership.
const MEMBER: (
    organization_member_mapping::Entity,
    organization_member_mapping::Column,
) = (
    organization_member_mapping::Entity,
    organization_member_mapping::Column::UserId,
);
/// The owner of a second factor.
const FACTOR_OWNER: (authenticator::Entity, authenticator::Column) =
    (authenticator::Entity, authenticator::Column::UserId);

/// Refuses a filter that would answer the whole directory.
pub(super) fn require_anchor(filter: &UserFilter) -> Result<()> {
    if filter.is_anchored() {
        return Ok(());
    }
    Err(Error::Invalid(Invalid::format(
        "a filter must name at least one of: user_ids, organization_id, emails, usernames",
        &["filter"],
    )))
}

/// Restricts `select` to the users that match `filter` and are visible to `viewer`.
pub(super) fn apply(
    database: &Database,
    mut select: Select<user::Entity>,
    filter: &UserFilter,
    viewer: Viewer,
    start: Start,
) -> Select<user::Entity> {
    if let Some(named) = start.named(database, filter) {
        let users = Query::select()
            .column(Asterisk)
            .from(user::Entity)
            .and_where(named)
            .limit(ALL)
            .take();
        // Takes the place of the table, so that conditions on its columns apply.
        QuerySelect::query(&mut select)
            .from_clear()
            .from_subquery(users, user::Entity);
    }
    select.filter(condition(database, filter, viewer, start))
}

/// As [`apply`], for a viewer with access to everything.
pub(super) fn unrestricted(
    database: &Database,
    select: Select<user::Entity>,
    filter: &UserFilter,
) -> Select<user::Entity> {
    let start = Start::of(filter, Viewer::All);
    apply(database, select, filter, Viewer::All, start)
}

/// The conditions of `filter` on the users with which a statement starts, visible to `viewer`.
pub(super) fn condition(
    database: &Database,
    filter: &UserFilter,
    viewer: Viewer,
    start: Start,
) -> Condition {
    let dialect = database.dialect();
    let mut all = Cond::all();

    if start != Start::Ids
        && let Some(ids) = &filter.user_ids
    {
        let column = (user::Entity, user::Column::Id);
        all = all.add(dialect.any_id(column, ids.iter().map(|id| id.0)));
    }
    if let Some(is_active) = filter.is_active {
        all = all.add(Expr::col((user::Entity, user::Column::IsActive)).eq(is_active));
    }
    if !matches!(start, Start::Members | Start::ManyMembers(_))
        && let Some(organization) = filter.organization_id
    {
        all = all.add(start.owns(members(organization), MEMBER));
    }
    if filter.without_organization {
        let memberships = Query::select()
            .from(organization_member_mapping::Entity)
            .take();
        all = all.add(start.lacks(memberships, MEMBER));
    }
    if start != Start::Usernames
        && let Some(usernames) = &filter.usernames
    {
        let column = (user::Entity, user::Column::Username);
        all = all.add(dialect.any_text(column, usernames.iter().map(String::as_str)));
    }
    if start != Start::Emails && (filter.emails.is_some() || filter.email_verified.is_some()) {
        all = all.add(start.owns(addresses(database, filter), EMAIL_OWNER));
    }
    if let Some(search) = Search::of(database, filter, viewer) {
        all = if start == Start::All {
            all.add(user_id().in_subquery(search.holders()))
        } else {
            all.add(search.is_held())
        };
    }
    if let Some(authenticators) = &filter.authenticators {
        let mut factors = Query::select().from(authenticator::Entity).take();
        all = all.add(match authenticators {
            AuthenticatorFilter::None => start.lacks(factors, FACTOR_OWNER),
            AuthenticatorFilter::AnyOf(kinds) => {
                let kinds = kinds.iter().map(|kind| i64::from(kind.stored()));
                let column = (authenticator::Entity, authenticator::Column::Kind);
                factors.and_where(dialect.any_id(column, kinds));
                start.owns(factors, FACTOR_OWNER)
            }
        });
    }
    all.add_option(visible_to(viewer, start))
}

/// The addresses in a filter.
fn addresses(database: &Database, filter: &UserFilter) -> SelectStatement {
    use user_email::{Column as C, Entity};
    let mut addresses = Query::select().from(Entity).take();
    if let Some(emails) = &filter.emails {
        let emails = emails.iter().map(String::as_str);
        addresses.and_where(database.dialect().any_folded((Entity, C::Email), emails));
    }
    if let Some(is_verified) = filter.email_verified {
        addresses.and_where(Expr::col((Entity, C::IsVerified)).eq(is_verified));
    }
    addresses
}

/// The memberships in an organization that belong to an account.
fn members(organization: OrganizationId) -> SelectStatement {
    use organization_member_mapping::{Column as C, Entity};
    Query::select()
        .from(Entity)
        .and_where(Expr::col((Entity, C::OrganizationId)).eq(organization.0))
        .and_where(Expr::col(MEMBER).is_not_null())
        .take()
}

/// Which users of the start are visible to `viewer`.
fn visible_to(viewer: Viewer, start: Start) -> Option<Expr> {
    let Viewer::Member(me) = viewer else {
        // The statement starts with a viewer who can see no other user.
        return None;
    };
    let is_colleague = match start {
        // For many users it is cheaper to compute all visible ones once.
        Start::ManyMembers(_) | Start::All => user_id().in_subquery(colleagues(me.0)),
        _ => one(shared_memberships(me.0), MEMBER),
    };
    Some(is(me).or(is_colleague))
}

fn user_id() -> Expr {
    Expr::col((user::Entity, user::Column::Id))
}

fn is(me: UserId) -> Expr {
    user_id().eq(me.0)
}

/// True if one of `rows` belongs to the current user, else null. A scalar subquery is evaluated for that
/// user alone; for `EXISTS` and `IN` PostgreSQL might collect the owners of all rows.
pub(super) fn one(mut rows: SelectStatement, owner: impl IntoColumnRef) -> Expr {
    rows.expr(Expr::cust("TRUE"))
        .and_where(Expr::col(owner).eq(user_id()))
        .limit(1);
    Expr::from(SubQueryStatement::from(rows))
}

/// Who shares an organization with `me`.
pub(in super::super) fn colleagues(me: impl Into<Expr>) -> SelectStatement {
    shared_memberships(me).column(MEMBER).take()
}

/// The memberships of those who share an organization with `me`.
fn shared_memberships(me: impl Into<Expr>) -> SelectStatement {
    use organization_member_mapping::{Column as C, Entity};
    let mine = Query::select()
        .column((Entity, C::OrganizationId))
        .from(Entity)
        .and_where(Expr::col(MEMBER).eq(me.into()))
        .cond_where(is_joined())
        .take();
    Query::select()
        .from(Entity)
        .and_where(Expr::col((Entity, C::OrganizationId)).in_subquery(mine))
        .and_where(Expr::col(MEMBER).is_not_null())
        .cond_where(is_joined())
        .take()
}
