//! Pages of users.
//!
//! Sentry has no pages. Where its methods tell who stands in a list, the list is fetched whole and
//! the page cut from it; a list that nothing bounds is not offered then, nor is an order that only
//! the database knows.

use std::collections::BTreeSet;

use super::super::super::wire::gateway::{CountUsers, PageUsers};
use super::super::batch::contradicts_itself;
use super::super::organization::colleagues;
use super::super::transport::{RpcClient, not_offered};
use super::{find, sentry};
use crate::domain::{
    Anchor, Direction, OrderField, OrderValue, Page, PageEnd, PageRequest, Result, UserFilter,
    UserId, UserOrder, UserPageQuery, UserProfile, Viewer,
};

pub(super) async fn page(client: &RpcClient, query: &UserPageQuery) -> Result<Page<UserProfile>> {
    if contradicts_itself(&query.filter) {
        return Ok(Page::from_overfull(Vec::new(), &query.page));
    }
    let call = PageUsers {
        filter: (&query.filter).into(),
        order: query.order,
        page: query.page.clone(),
        viewer: query.viewer,
    };
    if let Some(page) = client.ask_gateway(&call).await? {
        return Ok(page);
    }
    match query.order.field {
        OrderField::Id => {
            let ids = list(client, &query.filter, query.viewer).await?;
            let page = cut(ids, |id| (OrderValue::Id, id.0), query.order, &query.page);
            let mut profiles = profiles(client, &page.rows).await?;
            if query.order.direction == Direction::Descending {
                profiles.reverse();
            }
            Ok(Page {
                rows: profiles,
                has_next: page.has_next,
                has_previous: page.has_previous,
            })
        }
        OrderField::DateJoined => {
            let ids = list(client, &query.filter, query.viewer).await?;
            let profiles = profiles(client, &ids).await?;
            let place =
                |profile: &UserProfile| (OrderValue::DateJoined(profile.date_joined), profile.id.0);
            Ok(cut(profiles, place, query.order, &query.page))
        }
        OrderField::Username => Err(not_offered(
            "the order by username (order by id or by the time of joining instead)",
        )),
    }
}

pub(super) async fn count(client: &RpcClient, query: &UserPageQuery) -> Result<u64> {
    if contradicts_itself(&query.filter) {
        return Ok(0);
    }
    let call = CountUsers {
        filter: (&query.filter).into(),
        viewer: query.viewer,
    };
    if let Some(count) = client.ask_gateway(&call).await? {
        return Ok(count);
    }
    let ids = list(client, &query.filter, query.viewer).await?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}

async fn profiles(client: &RpcClient, ids: &[UserId]) -> Result<Vec<UserProfile>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    find::profiles(client, &UserFilter::ids(ids)).await
}

/// Everybody in the list, by id.
async fn list(client: &RpcClient, filter: &UserFilter, viewer: Viewer) -> Result<Vec<UserId>> {
    let Some(filter) = narrowed(filter, viewer) else {
        return Ok(Vec::new());
    };
    if !filter.is_anchored() {
        return Err(not_offered(
            "a list of users that names no ids, addresses, usernames or organization (add one of \
             them to the filter)",
        ));
    }
    let mut ids = match private_of(viewer) {
        Privacy::Of(owner) if filter.query.is_some() => {
            let unsearched = UserFilter {
                query: None,
                ..filter.clone()
            };
            let mut users = find::users(client, &unsearched).await?;
            // Nobody has the id -1, so that no address is searched for somebody who is no user.
            let owner = Some(owner.unwrap_or(UserId(-1)));
            users.retain(|user| sentry::fits(&filter, owner, user));
            users.into_iter().map(|user| user.profile.id).collect()
        }
        _ => find::ids(client, &filter).await?,
    };
    if let Viewer::Member(me) = viewer {
        let seen = colleagues(client, me, &ids).await?;
        let seen: BTreeSet<UserId> = seen.into_iter().collect();
        ids.retain(|id| *id == me || seen.contains(id));
    }
    Ok(ids)
}

/// Whose private fields conditions may be about.
enum Privacy {
    /// Everybody's.
    None,
    /// One user's, or nobody's.
    Of(Option<UserId>),
}

const fn private_of(viewer: Viewer) -> Privacy {
    match viewer {
        Viewer::All => Privacy::None,
        Viewer::Public(me) => Privacy::Of(me),
        Viewer::Member(me) | Viewer::Alone(me) => Privacy::Of(Some(me)),
    }
}

/// The filter with what `viewer` may ask for; `None` if that finds nobody.
fn narrowed(filter: &UserFilter, viewer: Viewer) -> Option<UserFilter> {
    let is_private = filter.emails.is_some()
        || filter.email_verified.is_some()
        || filter.authenticators.is_some();
    let only = match (viewer, private_of(viewer)) {
        (Viewer::Alone(me), _) => me,
        (_, Privacy::Of(owner)) if is_private => owner?,
        _ => return Some(filter.clone()),
    };
    let ids = filter.user_ids.as_ref();
    ids.is_none_or(|ids| ids.contains(&only))
        .then(|| UserFilter {
            user_ids: Some(vec![only]),
            ..filter.clone()
        })
}

/// Cuts a page from a whole list, whose rows stand where `place` says.
fn cut<T>(
    mut rows: Vec<T>,
    place: impl Fn(&T) -> (OrderValue, i64),
    order: UserOrder,
    request: &PageRequest,
) -> Page<T> {
    // A value of one kind compares with others of the kind alone, and a list has one kind.
    let key = |(value, id): (OrderValue, i64)| match value {
        OrderValue::DateJoined(time) => (Some(time), id),
        OrderValue::Id | OrderValue::Username(_) => (None, id),
    };
    let at = |anchor: &Anchor| key((anchor.value.clone(), anchor.id));
    let ascending = order.direction == Direction::Ascending;
    rows.sort_by_key(|row| key(place(row)));
    rows.retain(|row| {
        let here = key(place(row));
        let beyond = |anchor: &Anchor, larger: bool| {
            if larger {
                here > at(anchor)
            } else {
                here < at(anchor)
            }
        };
        let after = request.after.as_ref();
        let before = request.before.as_ref();
        after.is_none_or(|after| beyond(after, ascending))
            && before.is_none_or(|before| beyond(before, !ascending))
    });
    if ascending != (request.end == PageEnd::First) {
        rows.reverse();
    }
    Page::from_overfull(rows, request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(id: i64) -> Anchor {
        Anchor {
            value: OrderValue::Id,
            id,
        }
    }

    fn page(direction: Direction, request: &PageRequest) -> (Vec<i64>, bool, bool) {
        let order = UserOrder {
            field: OrderField::Id,
            direction,
        };
        let rows = vec![3, 1, 5, 2, 4];
        let page = cut(rows, |id| (OrderValue::Id, *id), order, request);
        (page.rows, page.has_previous, page.has_next)
    }

    fn request(after: Option<i64>, before: Option<i64>, end: PageEnd, size: u32) -> PageRequest {
        PageRequest {
            after: after.map(anchor),
            before: before.map(anchor),
            end,
            size,
        }
    }

    #[test]
    fn a_page_is_cut_from_either_end_in_the_order_of_the_list() {
        use Direction::{Ascending, Descending};
        use PageEnd::{First, Last};
        for (direction, asked, expected) in [
            (
                Ascending,
                request(None, None, First, 2),
                (vec![1, 2], false, true),
            ),
            (
                Ascending,
                request(Some(2), None, First, 2),
                (vec![3, 4], true, true),
            ),
            (
                Ascending,
                request(Some(4), None, First, 2),
                (vec![5], true, false),
            ),
            (
                Ascending,
                request(None, None, Last, 2),
                (vec![4, 5], true, false),
            ),
            (
                Ascending,
                request(None, Some(4), Last, 2),
                (vec![2, 3], true, true),
            ),
            (
                Ascending,
                request(Some(1), Some(5), First, 9),
                (vec![2, 3, 4], true, true),
            ),
            (
                Descending,
                request(None, None, First, 2),
                (vec![5, 4], false, true),
            ),
            (
                Descending,
                request(Some(4), None, First, 2),
                (vec![3, 2], true, true),
            ),
            (
                Descending,
                request(None, None, Last, 2),
                (vec![2, 1], true, false),
            ),
        ] {
            assert_eq!(page(direction, &asked), expected, "{direction:?} {asked:?}");
        }
    }

    #[test]
    fn conditions_on_private_fields_are_about_oneself() {
        let emails = UserFilter {
            emails: Some(vec![]),
            ..UserFilter::default()
        };
        let me = UserId(7);
        assert_eq!(narrowed(&emails, Viewer::All), Some(emails.clone()));
        assert_eq!(narrowed(&emails, Viewer::Public(None)), None);
        for viewer in [
            Viewer::Public(Some(me)),
            Viewer::Member(me),
            Viewer::Alone(me),
        ] {
            let narrowed = narrowed(&emails, viewer).unwrap();
            assert_eq!(narrowed.user_ids, Some(vec![me]));
        }
        let others = UserFilter {
            user_ids: Some(vec![UserId(8)]),
            ..emails
        };
        assert_eq!(narrowed(&others, Viewer::Member(me)), None);
        let named = UserFilter::ids(&[UserId(8)]);
        assert_eq!(narrowed(&named, Viewer::Member(me)), Some(named.clone()));
        assert_eq!(narrowed(&named, Viewer::Alone(me)), None);
    }
}
