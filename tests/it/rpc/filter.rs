//! Filters over the wire: which keys are there, what null means, what is taken for what.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::Control;

/// The methods that take a filter.
const METHODS: [&str; 4] = [
    "user/serialize_many",
    "user/get_many",
    "user/get_many_ids",
    "user/get_many_profiles",
];

/// A control silo with ada, grace and linus, whose ids are 1, 2 and 3: ada and the inactive grace
/// belong to organization 7, and linus has a second factor.
async fn directory() -> Control {
    let control = Control::start().await;
    let db = &control.db;
    let [ada, grace, linus] = db.add_users(["ada", "grace", "linus"]).await;
    assert_eq!([ada, grace, linus], [UserId(1), UserId(2), UserId(3)]);
    let organization = db.add_organization(7, "us", Some(0)).await;
    db.join(ada, organization).await;
    db.add_membership(organization, Some(grace), "member", Some(1))
        .await;
    db.add_membership(organization, None, "member", Some(1))
        .await;
    db.add_authenticator(linus, 1, "{}").await;
    db.add_authenticator(linus, 3, "{}").await;
    db.add_email(ada, "alt@example.com", false).await;
    db.execute("UPDATE auth_user SET is_active = false WHERE id = 2")
        .await;
    control
}

fn with_all(members: Value) -> Value {
    super::read::with(json!({ "user_ids": [1, 2, 3] }), members)
}

#[tokio::test]
async fn every_key_that_is_there_is_a_condition() {
    let control = directory().await;
    for (filter, expected) in [
        (json!({ "user_ids": [3, 1, 404, 1] }), vec![1, 3]),
        (json!({ "user_ids": [] }), vec![]),
        (json!({ "emails": [] }), vec![]),
        (json!({ "organization_id": 7 }), vec![1, 2]),
        (json!({ "organization_id": 7, "is_active": true }), vec![1]),
        (
            json!({ "emails": ["ALT@example.com", "ada@example.com"] }),
            vec![1],
        ),
        (
            json!({ "emails": ["alt@example.com"], "email_verified": true }),
            vec![],
        ),
        (
            json!({ "emails": ["alt@example.com"], "email_verified": false }),
            vec![1],
        ),
        (with_all(json!({ "is_active": false })), vec![2]),
        (with_all(json!({ "email_verified": false })), vec![1]),
        (with_all(json!({ "query": "ALT@" })), vec![1]),
        (with_all(json!({ "query": "" })), vec![1, 2, 3]),
        (with_all(json!({ "authenticator_types": [1, 3] })), vec![3]),
        (with_all(json!({ "authenticator_types": [] })), vec![]),
        (
            with_all(json!({ "authenticator_types": [99_999_999_999_i64] })),
            vec![],
        ),
    ] {
        assert_eq!(control.ids(filter.clone()).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_has_an_anchor() {
    let control = directory().await;
    for method in METHODS {
        for filter in [
            json!({}),
            json!({ "is_active": true }),
            json!({ "is_active": null }),
            json!({ "query": "x" }),
            json!({ "email_verified": true }),
            json!({ "authenticator_types": null }),
            // Keys that nobody knows vanish, and with them the anchor.
            json!({ "user_id": [1] }),
            // Sentry knows neither of these.
            json!({ "usernames": ["ada"] }),
            json!({ "query": "x", "query_usernames": true }),
        ] {
            control
                .call(method, json!({ "filter": filter }))
                .await
                .is_invalid();
        }
    }
}

#[tokio::test]
async fn null_means_what_it_means_to_sentry() {
    let control = directory().await;
    for method in METHODS {
        for filter in [
            json!({ "user_ids": null }),
            json!({ "emails": null }),
            with_all(json!({ "query": null })),
            with_all(json!({ "email_verified": null })),
            json!({ "user_ids": null, "is_active": null }),
        ] {
            control
                .call(method, json!({ "filter": filter }))
                .await
                .is_invalid();
        }
        let nobody = json!({ "filter": with_all(json!({ "is_active": null })) });
        assert_eq!(control.value(method, nobody).await, json!([]), "{method}");
    }
    assert_eq!(control.ids(json!({ "organization_id": null })).await, [3]);
    let none = with_all(json!({ "authenticator_types": null }));
    assert_eq!(control.ids(none).await, [1, 2]);
}

#[tokio::test]
async fn values_are_taken_for_what_pydantic_takes_them_for() {
    let control = directory().await;
    for (filter, expected) in [
        (
            json!({ "user_ids": ["1", 2.9, true, " 3 "] }),
            vec![1, 2, 3],
        ),
        (json!({ "organization_id": "7" }), vec![1, 2]),
        (with_all(json!({ "is_active": "yes" })), vec![1, 3]),
        (with_all(json!({ "is_active": "on" })), vec![1, 3]),
        (with_all(json!({ "is_active": 1 })), vec![1, 3]),
        (with_all(json!({ "is_active": "off" })), vec![2]),
        (with_all(json!({ "is_active": 0 })), vec![2]),
        (with_all(json!({ "authenticator_types": ["1"] })), vec![3]),
        (with_all(json!({ "query": 404 })), vec![]),
    ] {
        assert_eq!(control.ids(filter.clone()).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn sentrys_search_leaves_usernames_out() {
    let control = directory().await;
    control
        .db
        .execute("UPDATE auth_user SET username = 'needle' WHERE id = 3")
        .await;
    control
        .db
        .execute("UPDATE auth_user SET first_name = 'A Needle' WHERE id = 1")
        .await;
    let filter = with_all(json!({ "query": "NEEDLE" }));
    assert_eq!(control.ids(filter.clone()).await, [1]);
    let told = async |filter: Value| {
        control
            .told("user/get_many_ids", json!({ "filter": filter }))
            .await
    };
    assert_eq!(told(filter.clone()).await, json!([1]));
    let wide = super::read::with(filter, json!({ "query_usernames": true }));
    assert_eq!(told(wide.clone()).await, json!([1, 3]));
    assert_eq!(control.ids(wide).await, [1]);
}

#[tokio::test]
async fn gateways_ask_for_usernames_too() {
    let control = directory().await;
    let told = async |filter: Value| {
        control
            .told("user/get_many_ids", json!({ "filter": filter }))
            .await
    };
    assert_eq!(
        told(json!({ "usernames": ["grace", "LINUS"] })).await,
        json!([2])
    );
    assert_eq!(
        told(with_all(json!({ "usernames": ["linus"] }))).await,
        json!([3])
    );
    // What Sentry says of usernames is nothing: it has dropped the key.
    assert_eq!(
        control
            .ids(with_all(json!({ "usernames": ["linus"] })))
            .await,
        [1, 2, 3]
    );
    let answer = control
        .call_as_gateway("user/get_many", json!({ "filter": { "usernames": null } }))
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["argument"], json!(["filter", "usernames"]));
}
