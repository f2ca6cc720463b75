//! Pages of users.

use std::sync::Arc;

use entity::user;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Value};
use sea_orm::{EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::Database;
use super::super::rows::Account;
use super::super::shared::Shared;
use super::super::statement::{Parameter, fetch, numbers};
use super::filter::Start;
use super::lookup::Lookups;
use super::{filter, search};
use crate::domain::{
    Anchor, Direction, OrderField, OrderValue, Page, PageEnd, Result, UserBrief, UserPageQuery,
    UserProfile,
};

/// An account as pages list it.
pub(super) trait Listed: Account {
    /// The look-up of those with given ids.
    fn by_id(lookups: &Lookups) -> &Arc<Shared<Self>>;
}

impl Listed for UserProfile {
    fn by_id(lookups: &Lookups) -> &Arc<Shared<Self>> {
        &lookups.profiles
    }
}

impl Listed for UserBrief {
    fn by_id(lookups: &Lookups) -> &Arc<Shared<Self>> {
        &lookups.briefs
    }
}

pub(super) async fn page<T: Listed>(database: &Database, query: &UserPageQuery) -> Result<Page<T>> {
    if let Some(ids) = query.looked_up() {
        let by_id = T::by_id(&database.lookups().users);
        let accounts = database.look_up(by_id, &numbers(ids)).await?;
        return Ok(cut(accounts, query));
    }
    let place = database.searches().admit(query.viewer).await?;
    let start = start(database, query).await?;
    if is_search(query, start) {
        return search::page(database, query, start, place).await;
    }
    list(database, query, start).await
}

/// Where the statement starts. Whether an organization has many members is read from their index.
async fn start(database: &Database, query: &UserPageQuery) -> Result<Start> {
    let mut start = Start::of(&query.filter, query.viewer);
    if let Some(organization) = query.filter.organization_id
        && start == Start::Members
    {
        let id = [Parameter::Id(organization.0)];
        for (number, more_members) in &database.lookups().users.more_members {
            if database.all(more_members, &id).await?.is_empty() {
                break;
            }
            start = Start::ManyMembers(*number);
        }
    }
    Ok(start)
}

/// Whether the query is a search among all or among many users.
const fn is_search(query: &UserPageQuery, start: Start) -> bool {
    match start {
        Start::All => query.filter.query.is_some(),
        start => !start.is_narrow(),
    }
}

/// A page of the list for any filter of a query.
pub(super) async fn list<T: Listed>(
    database: &Database,
    query: &UserPageQuery,
    start: Start,
) -> Result<Page<T>> {
    let select = filter::apply(database, T::select(), &query.filter, query.viewer, start);
    let select = ordered(between(select, query), query).limit(u64::from(query.page.size) + 1);
    let accounts = fetch(database.reader(), &select, T::read).await?;
    Ok(Page::from_overfull(accounts, &query.page))
}

/// The rows that lie between the places that a query names.
pub(super) fn between(
    mut select: Select<user::Entity>,
    query: &UserPageQuery,
) -> Select<user::Entity> {
    let rises = query.order.direction == Direction::Ascending;
    if let Some(after) = &query.page.after {
        select = select.filter(beyond(after, rises));
    }
    if let Some(before) = &query.page.before {
        select = select.filter(beyond(before, !rises));
    }
    select
}

/// The rows in the order in which a page takes them.
pub(super) fn ordered(
    mut select: Select<user::Entity>,
    query: &UserPageQuery,
) -> Select<user::Entity> {
    // The last page of a list is the first page of the list the other way round.
    let rises = query.order.direction == Direction::Ascending;
    let order = if rises == (query.page.end == PageEnd::First) {
        Order::Asc
    } else {
        Order::Desc
    };
    select = select.order_by(order_column(query.order.field), order.clone());
    if query.order.field != OrderField::Id {
        select = select.order_by(user::Column::Id, order);
    }
    select
}

/// The page of a query from all users of its list, which come by id.
fn cut<T: Account>(mut accounts: Vec<T>, query: &UserPageQuery) -> Page<T> {
    let request = &query.page;
    let rises = query.order.direction == Direction::Ascending;
    let id = |anchor: &Option<Anchor>| anchor.as_ref().map(|anchor| anchor.id);
    let mut bounds = (id(&request.after), id(&request.before));
    if !rises {
        bounds = (bounds.1, bounds.0);
    }
    let (above, below) = bounds;
    accounts.retain(|account| {
        above.is_none_or(|bound| account.id().0 > bound)
            && below.is_none_or(|bound| account.id().0 < bound)
            && query
                .filter
                .is_active
                .is_none_or(|is_active| account.is_active() == is_active)
    });
    if rises != (request.end == PageEnd::First) {
        accounts.reverse();
    }
    Page::from_overfull(accounts, request)
}

pub(super) async fn count(database: &Database, query: &UserPageQuery) -> Result<u64> {
    let place = database.searches().admit(query.viewer).await?;
    let start = start(database, query).await?;
    if is_search(query, start) {
        return search::count(database, query, start, place).await;
    }
    number(database, query, start).await
}

/// How many are on the list that the filter of a query makes, whatever it says.
pub(super) async fn number(
    database: &Database,
    query: &UserPageQuery,
    start: Start,
) -> Result<u64> {
    let ids = user::Entity::find().select_only().column(user::Column::Id);
    let select = filter::apply(database, ids, &query.filter, query.viewer, start);
    Ok(select.count(database.reader()).await?)
}

const fn order_column(field: OrderField) -> user::Column {
    match field {
        OrderField::Id => user::Column::Id,
        OrderField::Username => user::Column::Username,
        OrderField::DateJoined => user::Column::DateJoined,
    }
}

/// Rows on the far side of `anchor`, where larger values are farther if `larger`. Value and id are
/// compared as one, so that an index on the value leads to the place.
fn beyond(anchor: &Anchor, larger: bool) -> Expr {
    let id = Expr::col((user::Entity, user::Column::Id));
    let (place, bound) = match &anchor.value {
        OrderValue::Id => (id, Expr::val(anchor.id)),
        OrderValue::Username(name) => pair(user::Column::Username, name.as_str(), id, anchor.id),
        OrderValue::DateJoined(date) => pair(user::Column::DateJoined, *date, id, anchor.id),
    };
    if larger {
        place.gt(bound)
    } else {
        place.lt(bound)
    }
}

/// A column with the id beside it, and a value of each.
fn pair(column: user::Column, value: impl Into<Value>, id: Expr, id_value: i64) -> (Expr, Expr) {
    let column = Expr::col((user::Entity, column));
    let bound = [Expr::val(value), Expr::val(id_value)];
    (Expr::tuple([column, id]), Expr::tuple(bound))
}
