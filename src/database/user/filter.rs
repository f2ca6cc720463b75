//! A filter as a condition: the one place where it becomes SQL.
//!
//! Conditions on what belongs to a user are subqueries, never joins, so that a user appears once
//! however many addresses match.

use entity::{authenticator, organization_member_mapping, user, user_email};
use sea_orm::sea_query::{Cond, Condition, Expr, ExprTrait, Query, SelectStatement};

use super::super::Database;
use super::super::organization::is_joined;
use super::search::Search;
use crate::domain::{AuthenticatorFilter, Error, Invalid, Result, UserFilter, UserId, Viewer};

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

/// The condition that `filter` sets on `auth_user`, for the eyes of `viewer`.
pub(super) fn condition(database: &Database, filter: &UserFilter, viewer: Viewer) -> Condition {
    let dialect = database.dialect();
    let id = || Expr::col((user::Entity, user::Column::Id));
    let mut all = Cond::all();

    if let Some(ids) = &filter.user_ids {
        let column = (user::Entity, user::Column::Id);
        all = all.add(dialect.any_id(column, ids.iter().map(|id| id.0)));
    }
    if let Some(is_active) = filter.is_active {
        all = all.add(Expr::col((user::Entity, user::Column::IsActive)).eq(is_active));
    }
    if let Some(organization) = filter.organization_id {
        use organization_member_mapping::{Column as C, Entity};
        let members = select(C::UserId, Entity)
            .and_where(Expr::col(C::OrganizationId).eq(organization.0))
            .and_where(Expr::col(C::UserId).is_not_null())
            .take();
        all = all.add(id().in_subquery(members));
    }
    if filter.without_organization {
        use organization_member_mapping::{Column as C, Entity};
        let members = select(C::UserId, Entity)
            .and_where(Expr::col(C::UserId).is_not_null())
            .take();
        all = all.add(id().not_in_subquery(members));
    }
    if let Some(usernames) = &filter.usernames {
        let column = (user::Entity, user::Column::Username);
        all = all.add(dialect.any_text(column, usernames.iter().map(String::as_str)));
    }
    if filter.emails.is_some() || filter.email_verified.is_some() {
        use user_email::{Column as C, Entity};
        let mut owners = select(C::UserId, Entity);
        if let Some(emails) = &filter.emails {
            owners.and_where(dialect.any_folded(C::Email, emails.iter().map(String::as_str)));
        }
        if let Some(is_verified) = filter.email_verified {
            owners.and_where(Expr::col(C::IsVerified).eq(is_verified));
        }
        all = all
            .add(id().in_subquery(owners))
            .add_option(private_of(viewer));
    }
    if let Some(search) = Search::of(database, filter, viewer) {
        all = if is_short(filter) {
            all.add(search.is_held())
        } else {
            all.add(id().in_subquery(search.holders()))
        };
    }
    if let Some(authenticators) = &filter.authenticators {
        use authenticator::{Column as C, Entity};
        let mut owners = select(C::UserId, Entity);
        let condition = match authenticators {
            AuthenticatorFilter::None => id().not_in_subquery(owners),
            AuthenticatorFilter::AnyOf(kinds) => {
                let kinds = kinds.iter().map(|kind| i64::from(kind.stored()));
                owners.and_where(dialect.any_id(C::Kind, kinds));
                id().in_subquery(owners)
            }
        };
        all = all.add(condition).add_option(private_of(viewer));
    }
    all.add_option(visible_to(viewer))
}

/// Whether the list of a filter is likely to be shorter than what the indexes find for a text.
const fn is_short(filter: &UserFilter) -> bool {
    filter.user_ids.is_some()
        || filter.organization_id.is_some()
        || filter.emails.is_some()
        || filter.usernames.is_some()
}

/// Whose private fields `viewer` may set conditions on; `None` means everybody's.
fn private_of(viewer: Viewer) -> Option<Expr> {
    match viewer {
        Viewer::All => None,
        Viewer::Public(None) => Some(Expr::val(false)),
        Viewer::Public(Some(me)) | Viewer::Member(me) | Viewer::Alone(me) => Some(is(me)),
    }
}

fn visible_to(viewer: Viewer) -> Option<Expr> {
    match viewer {
        Viewer::All | Viewer::Public(_) => None,
        Viewer::Alone(me) => Some(is(me)),
        Viewer::Member(me) => Some(
            is(me).or(Expr::col((user::Entity, user::Column::Id)).in_subquery(colleagues(me.0))),
        ),
    }
}

fn is(me: UserId) -> Expr {
    Expr::col((user::Entity, user::Column::Id)).eq(me.0)
}

/// Who shares an organization with `me`.
pub(in super::super) fn colleagues(me: impl Into<Expr>) -> SelectStatement {
    use organization_member_mapping::{Column as C, Entity};
    let mine = select(C::OrganizationId, Entity)
        .and_where(Expr::col(C::UserId).eq(me.into()))
        .cond_where(is_joined())
        .take();
    select(C::UserId, Entity)
        .and_where(Expr::col(C::OrganizationId).in_subquery(mine))
        .and_where(Expr::col(C::UserId).is_not_null())
        .cond_where(is_joined())
        .take()
}

fn select(
    column: impl sea_orm::sea_query::IntoColumnRef,
    table: impl sea_orm::sea_query::IntoTableRef,
) -> SelectStatement {
    Query::select().column(column).from(table).take()
}
