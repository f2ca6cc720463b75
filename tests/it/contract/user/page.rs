//! Pages of users: every order, both ways, and for whose eyes.

use user_gateway::domain::{
    Anchor, AuthenticatorFilter, Direction, OrderField, OrderValue, OrganizationId, Page, PageEnd,
    PageRequest, UserFilter, UserId, UserOrder, UserPageQuery, UserProfile, Viewer,
};

use super::texts;
use crate::harness::{Account, TestDatabase};

const FIELDS: [OrderField; 3] = [OrderField::Id, OrderField::Username, OrderField::DateJoined];

pub(super) fn order(field: OrderField, direction: Direction) -> UserOrder {
    UserOrder { field, direction }
}

fn orders() -> impl Iterator<Item = UserOrder> {
    FIELDS.into_iter().flat_map(|field| {
        [Direction::Ascending, Direction::Descending].map(|direction| order(field, direction))
    })
}

/// The place of a user in a list of this order.
fn place(user: &UserProfile, field: OrderField) -> Anchor {
    let value = match field {
        OrderField::Id => OrderValue::Id,
        OrderField::Username => OrderValue::Username(user.username.to_string()),
        OrderField::DateJoined => OrderValue::DateJoined(user.date_joined),
    };
    Anchor {
        value,
        id: user.id.0,
    }
}

pub(super) fn first(size: u32) -> PageRequest {
    PageRequest {
        after: None,
        before: None,
        end: PageEnd::First,
        size,
    }
}

fn last(size: u32) -> PageRequest {
    PageRequest {
        end: PageEnd::Last,
        ..first(size)
    }
}

pub(super) fn all(page: PageRequest) -> UserPageQuery {
    UserPageQuery {
        filter: UserFilter::default(),
        order: UserOrder::default(),
        page,
        viewer: Viewer::All,
    }
}

async fn page(db: &TestDatabase, query: &UserPageQuery) -> Page<UserProfile> {
    db.users().page(query).await.unwrap()
}

fn ids(page: &Page<UserProfile>) -> Vec<UserId> {
    page.rows.iter().map(|user| user.id).collect()
}

/// Who is in the list, in its order; walked page by page from either end to the other, and
/// counted.
pub(super) async fn walked(db: &TestDatabase, query: &UserPageQuery, size: u32) -> Vec<UserId> {
    let field = query.order.field;
    let mut forwards = Vec::new();
    let mut request = first(size);
    loop {
        let asked = UserPageQuery {
            page: request,
            ..query.clone()
        };
        let found = page(db, &asked).await;
        assert_eq!(found.has_previous, asked.page.after.is_some());
        forwards.extend(ids(&found));
        if !found.has_next {
            break;
        }
        let end = found.rows.last().map(|user| place(user, field));
        request = PageRequest {
            after: end,
            ..first(size)
        };
    }
    let mut backwards = Vec::new();
    let mut request = last(size);
    loop {
        let asked = UserPageQuery {
            page: request,
            ..query.clone()
        };
        let found = page(db, &asked).await;
        assert_eq!(found.has_next, asked.page.before.is_some());
        backwards.extend(ids(&found).into_iter().rev());
        if !found.has_previous {
            break;
        }
        let start = found.rows.first().map(|user| place(user, field));
        request = PageRequest {
            before: start,
            ..last(size)
        };
    }
    backwards.reverse();
    assert_eq!(forwards, backwards, "{query:?}");
    assert_eq!(
        db.users().count(query).await.unwrap(),
        forwards.len() as u64
    );
    forwards
}

/// Users whose order differs by id, username and date, with equal dates among them.
async fn seven(db: &TestDatabase) -> Vec<UserProfile> {
    for (username, date_joined) in [
        ("m", "2025-05-01T00:00:00+00:00"),
        ("Z", "2025-03-01T00:00:00.000001+00:00"),
        ("b", "2025-03-01T00:00:00+00:00"),
        ("Юлия", "2025-03-01T00:00:00.100+00:00"),
        ("a", "2025-05-01T00:00:00+00:00"),
        ("é", "2025-05-01T00:00:00+00:00"),
        ("A", "2024-12-31T23:59:59.999999+00:00"),
    ] {
        db.add(Account {
            username,
            date_joined,
            ..Account::default()
        })
        .await;
    }
    page(db, &all(first(100))).await.rows
}

contract! {
    async fn walking_a_list_either_way_finds_all_of_it_in_order(db: &TestDatabase) {
        let everybody = seven(db).await;
        for order in orders() {
            let mut expected = everybody.clone();
            match order.field {
                OrderField::Id => expected.sort_by_key(|user| user.id),
                OrderField::Username => expected.sort_by_key(|user| user.username.clone()),
                OrderField::DateJoined => expected.sort_by_key(|user| (user.date_joined, user.id)),
            }
            if order.direction == Direction::Descending {
                expected.reverse();
            }
            let expected: Vec<_> = expected.iter().map(|user| user.id).collect();
            for size in [1, 2, 3, 7, 8] {
                let query = UserPageQuery { order, ..all(first(size)) };
                assert_eq!(walked(db, &query, size).await, expected, "{order:?} by {size}");
            }
        }
    }

    async fn a_page_can_be_cut_from_between_two_places(db: &TestDatabase) {
        seven(db).await;
        for order in orders() {
            let list = page(db, &UserPageQuery { order, ..all(first(100)) }).await;
            let between = PageRequest {
                after: Some(place(&list.rows[0], order.field)),
                before: Some(place(&list.rows[6], order.field)),
                ..first(3)
            };
            let inner: Vec<_> = ids(&list)[1..6].to_vec();
            let query = UserPageQuery { order, ..all(between.clone()) };
            let found = page(db, &query).await;
            assert_eq!(ids(&found), inner[..3]);
            assert!(found.has_next && found.has_previous);
            let query =
                UserPageQuery { page: PageRequest { end: PageEnd::Last, ..between }, ..query };
            let found = page(db, &query).await;
            assert_eq!(ids(&found), inner[2..]);
            assert!(found.has_next && found.has_previous);
        }
    }

    async fn a_place_need_not_be_taken(db: &TestDatabase) {
        let everybody = seven(db).await;
        db.execute(&format!("DELETE FROM auth_user WHERE id = {}", everybody[2].id)).await;
        for order in orders() {
            let after = Some(place(&everybody[2], order.field));
            let rest = PageRequest { after, ..first(100) };
            let rest = ids(&page(db, &UserPageQuery { order, ..all(rest) }).await);
            let before = Some(place(&everybody[2], order.field));
            let start = PageRequest { before, ..last(100) };
            let mut whole = ids(&page(db, &UserPageQuery { order, ..all(start) }).await);
            whole.extend(rest);
            let list = page(db, &UserPageQuery { order, ..all(first(100)) }).await;
            assert_eq!(whole, ids(&list));
        }
    }

    async fn a_page_beyond_the_end_is_empty(db: &TestDatabase) {
        let found = page(db, &all(first(10))).await;
        assert!(found.rows.is_empty() && !found.has_next && !found.has_previous);
        let ada = db.add_user("ada").await;
        let after = Some(Anchor { value: OrderValue::Id, id: ada.0 });
        let found = page(db, &all(PageRequest { after, ..first(10) })).await;
        assert!(found.rows.is_empty() && !found.has_next && found.has_previous);
        let found = page(db, &all(first(0))).await;
        assert!(found.rows.is_empty() && found.has_next);
    }

    async fn a_filter_of_a_page_needs_no_anchor(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.execute(&format!("UPDATE auth_user SET is_active = false WHERE id = {grace}")).await;
        let query = |filter| UserPageQuery { filter, ..all(first(10)) };
        let inactive = UserFilter { is_active: Some(false), ..UserFilter::default() };
        assert_eq!(walked(db, &query(inactive), 1).await, [grace]);
        let search = UserFilter { query: Some("a@example".to_owned()), ..UserFilter::default() };
        assert_eq!(walked(db, &query(search), 1).await, [ada]);
        assert_eq!(walked(db, &query(UserFilter::default()), 1).await, [ada, grace]);
    }

    async fn members_see_those_who_share_an_organization(db: &TestDatabase) {
        let [me, colleague, invited, asking, stranger, old] =
            db.add_users(["me", "colleague", "invited", "asking", "stranger", "old"]).await;
        let ours = db.add_organization(7, "us", Some(0)).await;
        let theirs = db.add_organization(8, "us", Some(0)).await;
        for (organization, user, status) in [
            (ours, me, Some(0)),
            (ours, colleague, Some(0)),
            (ours, colleague, Some(0)),
            (ours, invited, Some(1)),
            (ours, asking, Some(2)),
            (ours, old, None),
            (theirs, stranger, Some(0)),
            // To be invited somewhere shows nobody there.
            (theirs, me, Some(2)),
        ] {
            db.add_membership(organization, Some(user), "member", status).await;
        }
        let everybody = [me, colleague, invited, asking, stranger, old];
        for (viewer, visible) in [
            (Viewer::All, everybody.to_vec()),
            (Viewer::Member(me), vec![me, colleague, old]),
            (Viewer::Member(asking), vec![asking]),
            (Viewer::Member(UserId(404)), vec![]),
            (Viewer::Alone(me), vec![me]),
        ] {
            let query = UserPageQuery { viewer, ..all(first(10)) };
            assert_eq!(walked(db, &query, 2).await, visible, "{viewer:?}");
            let filter = UserFilter::ids(&everybody);
            let query = UserPageQuery { filter, ..query };
            assert_eq!(walked(db, &query, 2).await, visible, "{viewer:?}");
        }
        let filter = UserFilter { organization_id: Some(theirs), ..UserFilter::default() };
        let query = UserPageQuery { filter, viewer: Viewer::Alone(stranger), ..all(first(10)) };
        assert_eq!(walked(db, &query, 2).await, [stranger]);
    }

    async fn conditions_on_private_fields_find_the_viewer_alone(db: &TestDatabase) {
        let [me, colleague] = db.add_users(["me", "colleague"]).await;
        let organization: OrganizationId = db.add_organization(7, "us", Some(0)).await;
        db.join(me, organization).await;
        db.join(colleague, organization).await;
        let none = UserFilter::default;
        let private = [
            UserFilter {
                emails: Some(texts(["me@example.com", "colleague@example.com"])), ..none()
            },
            UserFilter { email_verified: Some(true), ..none() },
            UserFilter { authenticators: Some(AuthenticatorFilter::None), ..none() },
            UserFilter { query: Some("@example.com".to_owned()), ..none() },
        ];
        for filter in private {
            for (viewer, visible) in [
                (Viewer::All, vec![me, colleague]),
                (Viewer::Member(me), vec![me]),
                (Viewer::Alone(me), vec![me]),
            ] {
                let query = UserPageQuery { filter: filter.clone(), viewer, ..all(first(10)) };
                assert_eq!(walked(db, &query, 1).await, visible, "{filter:?} for {viewer:?}");
            }
        }
        // Names are public among colleagues.
        let filter = UserFilter { query: Some("COLLEAGUE".to_owned()), ..none() };
        let query = UserPageQuery { filter, viewer: Viewer::Member(me), ..all(first(10)) };
        assert_eq!(walked(db, &query, 1).await, [colleague]);
        let query = UserPageQuery { viewer: Viewer::Alone(me), ..query };
        assert_eq!(walked(db, &query, 1).await, []);
    }
}
