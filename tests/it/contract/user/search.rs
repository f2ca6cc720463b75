//! Searches find the same users whether a text is rare or common, and whether those who hold it come
//! first in the list or last.

use user_gateway::domain::{
    Direction, OrderField, OrganizationId, UserFilter, UserId, UserPageQuery, Viewer,
};

use super::page::{all, first, order, walked};
use crate::harness::TestDatabase;

/// More users than a search reads one by one.
const CROWD: i64 = 25_000;

/// Which users hold a text, by id.
type Holds = fn(i64) -> bool;

/// What users hold.
const TEXTS: [(&str, Holds); 7] = [
    ("crowd", |_| true),
    ("TWENTIETH", |id| id % 20 == 0),
    ("newcomer", |id| id > 23_000),
    ("hundredth", |id| id % 100 == 0),
    ("user12345", |id| id == 12_345),
    ("@away.example", |id| id % 50 == 7),
    ("nobody", |_| false),
];

async fn crowd(db: &TestDatabase) {
    db.execute(&format!(
        "WITH RECURSIVE crowd (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM crowd WHERE n < {CROWD}) \
         INSERT INTO auth_user (id, password, username, first_name, email, is_staff, is_active, \
             is_superuser, is_managed, is_password_expired, flags, date_joined) \
         SELECT n, 'x', 'user' || n, 'Crowd' \
             || CASE WHEN n % 20 = 0 THEN ' twentieth' ELSE '' END \
             || CASE WHEN n % 100 = 0 THEN ' hundredth' ELSE '' END \
             || CASE WHEN n > 23000 THEN ' newcomer' ELSE '' END, \
             '', false, true, false, false, false, 0, CURRENT_TIMESTAMP FROM crowd"
    ))
    .await;
    db.execute(
        "INSERT INTO sentry_useremail (user_id, email, validation_hash, date_hash_added, is_verified) \
         SELECT id, 'one@away.example', '', CURRENT_TIMESTAMP, true FROM auth_user WHERE id % 50 = 7 \
         UNION ALL \
         SELECT id, 'two@away.example', '', CURRENT_TIMESTAMP, true FROM auth_user WHERE id % 50 = 7",
    )
    .await;
}

fn search(text: &str) -> UserFilter {
    UserFilter {
        query: Some(text.to_owned()),
        ..UserFilter::default()
    }
}

fn holders(holds: Holds) -> Vec<UserId> {
    (1..=CROWD).filter(|id| holds(*id)).map(UserId).collect()
}

database_contract! {
    async fn a_search_finds_all_who_hold_a_text(db: &TestDatabase) {
        crowd(db).await;
        for (text, holds) in TEXTS {
            let mut expected = holders(holds);
            for direction in [Direction::Ascending, Direction::Descending] {
                let order = order(OrderField::Id, direction);
                let query = UserPageQuery { filter: search(text), order, ..all(first(1)) };
                assert_eq!(walked(db, &query, 200).await, expected, "{text}");
                expected.reverse();
            }
        }
    }

    async fn a_search_minds_the_rest_of_the_filter(db: &TestDatabase) {
        crowd(db).await;
        db.execute("UPDATE auth_user SET is_active = false WHERE id % 3 = 0").await;
        let organization: OrganizationId = db.add_organization(7, "us", Some(0)).await;
        db.execute(
            "INSERT INTO sentry_organizationmembermapping (organization_id, date_added, role, \
                 user_id, invite_status) \
             SELECT 7, CURRENT_TIMESTAMP, 'member', id, 0 FROM auth_user WHERE id > 22000",
        )
        .await;
        let ids: Vec<UserId> = (5_000..6_000).chain(24_000..24_010).map(UserId).collect();
        let is_active = Some(true);
        for (text, holds) in TEXTS {
            let order = order(OrderField::Username, Direction::Ascending);
            let found = async |filter, viewer| {
                let query = UserPageQuery { filter, order, viewer, ..all(first(1)) };
                let mut found = walked(db, &query, 150).await;
                found.sort_unstable();
                found
            };
            let holders = holders(holds);
            let expected = |keeps: &dyn Fn(i64) -> bool| -> Vec<UserId> {
                holders.iter().copied().filter(|id| keeps(id.0)).collect()
            };
            let active = UserFilter { is_active, ..search(text) };
            assert_eq!(found(active, Viewer::All).await, expected(&|id| id % 3 > 0), "{text}");
            let named = UserFilter { is_active, user_ids: Some(ids.clone()), ..search(text) };
            let among = |id| ids.contains(&UserId(id)) && id % 3 > 0;
            assert_eq!(found(named, Viewer::All).await, expected(&among), "{text}");
            let members = UserFilter { organization_id: Some(organization), ..search(text) };
            let joined = expected(&|id| id > 22_000);
            assert_eq!(found(members.clone(), Viewer::All).await, joined, "{text}");
            // Addresses of others are not searched for members.
            let me = 24_007;
            let visible = |id| id > 22_000 && (text != "@away.example" || id == me);
            let viewer = Viewer::Member(UserId(me));
            assert_eq!(found(search(text), viewer).await, expected(&visible), "{text}");
            let whole = db.users().get_many_ids(&members).await.unwrap();
            assert_eq!(whole, joined, "{text}");
        }
    }
}
