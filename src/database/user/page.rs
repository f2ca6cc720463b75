//! Pages of users.

use entity::user;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order};
use sea_orm::{EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::Database;
use super::super::rows::{ProfileRow, select_profiles};
use super::filter;
use crate::domain::{
    Anchor, Direction, OrderField, OrderValue, Page, PageEnd, Result, UserPageQuery, UserProfile,
};

pub(super) async fn page(database: &Database, query: &UserPageQuery) -> Result<Page<UserProfile>> {
    let request = &query.page;
    // The last page of a list is the first page of the list the other way round.
    let ascending =
        (query.order.direction == Direction::Ascending) == (request.end == PageEnd::First);
    let list_ascending = query.order.direction == Direction::Ascending;
    let order = if ascending { Order::Asc } else { Order::Desc };
    let column = order_column(query.order.field);

    let mut select =
        select_profiles().filter(filter::condition(database, &query.filter, query.viewer));
    if let Some(after) = &request.after {
        select = select.filter(beyond(after, list_ascending));
    }
    if let Some(before) = &request.before {
        select = select.filter(beyond(before, !list_ascending));
    }
    select = select.order_by(column, order.clone());
    if query.order.field != OrderField::Id {
        select = select.order_by(user::Column::Id, order);
    }
    let rows = select
        .limit(u64::from(request.size) + 1)
        .into_model::<ProfileRow>()
        .all(database.reader())
        .await?;
    Ok(Page::from_overfull(rows, request).map(UserProfile::from))
}

pub(super) async fn count(database: &Database, query: &UserPageQuery) -> Result<u64> {
    let condition = filter::condition(database, &query.filter, query.viewer);
    Ok(user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(condition)
        .count(database.reader())
        .await?)
}

const fn order_column(field: OrderField) -> user::Column {
    match field {
        OrderField::Id => user::Column::Id,
        OrderField::Username => user::Column::Username,
        OrderField::DateJoined => user::Column::DateJoined,
    }
}

/// Rows on the far side of `anchor`, where larger values are farther if `larger`.
fn beyond(anchor: &Anchor, larger: bool) -> Cond {
    let past = |column: user::Column, value: Expr| {
        let column = Expr::col((user::Entity, column));
        if larger {
            column.gt(value)
        } else {
            column.lt(value)
        }
    };
    let id = past(user::Column::Id, Expr::val(anchor.id));
    let value = match &anchor.value {
        OrderValue::Id => return Cond::all().add(id),
        OrderValue::Username(name) => Expr::val(name.clone()),
        OrderValue::DateJoined(date) => Expr::val(*date),
    };
    let column = order_column(anchor.value.field());
    let equal = Expr::col((user::Entity, column)).eq(value.clone());
    Cond::any()
        .add(past(column, value))
        .add(Cond::all().add(equal).add(id))
}
