//! What a region asks control for, and what it does not need to ask for.

use serde_json::{Value, json};

use super::{EVERYTHING, name_of, option_of, rename, with_ada};
use crate::harness::{Account, Answer, Fleet, eventually};

const USER: &str = "query($id: ID!) { user(id: $id) {
    id username displayName isActive avatar { type }
} }";

#[tokio::test]
async fn a_user_that_is_held_costs_no_call() {
    let (fleet, service) = with_ada(&["us"]).await;
    let root = Account {
        username: "root",
        is_superuser: true,
        ..Account::default()
    };
    let root = fleet.database.add(root).await;
    let superuser = fleet.user_token(root).await;
    let region = &fleet.regions[0];
    for token in [&service, &superuser] {
        let cold = region.data(token, USER, json!({ "id": 1 })).await;
        let before = fleet.control.calls();
        for _ in 0..20 {
            let warm = region.data(token, USER, json!({ "id": 1 })).await;
            assert_eq!(warm, cold);
        }
        assert_eq!(fleet.control.calls_since(before), [""; 0]);
    }
}

#[tokio::test]
async fn private_parts_and_options_that_are_held_cost_no_call_either() {
    const ASK: &str = "query($id: ID!) { user(id: $id) {
        email emails { email isVerified } hasTwoFactor options { key value }
        theme: option(key: \"theme\")
    } }";
    let (fleet, token) = with_ada(&["us"]).await;
    let region = &fleet.regions[0];
    let cold = region.data(&token, ASK, json!({ "id": 1 })).await;
    let before = fleet.control.calls();
    assert_eq!(region.data(&token, ASK, json!({ "id": 1 })).await, cold);
    assert_eq!(fleet.control.calls_since(before), [""; 0]);
}

#[tokio::test]
async fn fifty_users_that_are_held_cost_no_call_and_cold_ones_a_fixed_few() {
    const ASK: &str = "query($ids: [ID!]!) { nodes(ids: $ids) {
        id ... on User { username displayName options { key value } }
    } }";
    let (fleet, token) = with_ada(&["us"]).await;
    for number in 0..200 {
        fleet.database.add_user(&format!("user-{number}")).await;
    }
    let region = &fleet.regions[0];
    // The token is known from here on.
    region.data(&token, USER, json!({ "id": 1 })).await;
    let ids = |range: std::ops::Range<i64>| {
        let ids: Vec<_> = range.map(|id| format!("User:{id}")).collect();
        json!({ "ids": ids })
    };
    let mut costs = Vec::new();
    for (start, end) in [(2, 3), (10, 60)] {
        let before = fleet.control.calls();
        let cold = region.data(&token, ASK, ids(start..end)).await;
        costs.push(fleet.control.calls_since(before));
        assert_eq!(
            cold["nodes"].as_array().map(Vec::len),
            usize::try_from(end - start).ok()
        );
        let before = fleet.control.calls();
        assert_eq!(region.data(&token, ASK, ids(start..end)).await, cold);
        assert_eq!(fleet.control.calls_since(before), [""; 0]);
    }
    assert_eq!(costs[0], costs[1], "fifty users cost as many calls as one");
}

#[tokio::test]
async fn an_invalidation_costs_one_call_for_its_user_and_none_for_others() {
    let (fleet, token) = with_ada(&["us"]).await;
    fleet.database.add_user("bob").await;
    let region = &fleet.regions[0];
    for id in [1, 2] {
        name_of(region, &token, id).await;
    }
    let before = fleet.control.calls();
    rename(&fleet.control, &token, 1, "Augusta").await;
    fleet.delivered().await;
    for _ in 0..5 {
        assert_eq!(name_of(region, &token, 1).await, "Augusta");
        name_of(region, &token, 2).await;
    }
    assert_eq!(fleet.control.calls_since(before), ["user/get_many"]);
}

#[tokio::test]
async fn a_user_who_is_absent_is_not_asked_for_again_and_again() {
    let (fleet, token) = with_ada(&["us"]).await;
    let region = &fleet.regions[0];
    assert_eq!(name_of(region, &token, 99).await, Value::Null);
    let before = fleet.control.calls();
    assert_eq!(name_of(region, &token, 99).await, Value::Null);
    assert_eq!(option_of(region, &token, 99, "theme").await, Value::Null);
    assert_eq!(fleet.control.calls_since(before), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_want_the_same_cold_user_cost_one_call() {
    const CROWD: usize = 1_000;
    let (fleet, token) = with_ada(&["us"]).await;
    fleet.database.add_user("bob").await;
    let region = &fleet.regions[0];
    // The token is known from here on.
    name_of(region, &token, 2).await;
    let before = fleet.control.calls();
    let arrived = region.requests();
    fleet.control.hold();
    let asking: Vec<_> = (0..CROWD)
        .map(|_| {
            let body = json!({ "query": USER, "variables": { "id": 1 } });
            let request = region.graphql().bearer_auth(&token).json(&body);
            tokio::spawn(Answer::to(request))
        })
        .collect();
    eventually("all have asked", async || {
        region.requests() >= arrived + CROWD
    })
    .await;
    fleet.control.open();
    for answer in asking {
        let answer = answer.await.unwrap();
        assert_eq!(
            answer.json()["data"]["user"]["username"],
            "ada",
            "{}",
            answer.text()
        );
    }
    assert_eq!(fleet.control.calls_since(before), ["user/get_many"]);
}

#[tokio::test]
async fn what_a_region_does_not_hold_is_asked_for_by_whoever_wants_it() {
    let fleet = Fleet::start(&["us"]).await;
    let token = fleet.service_token(&EVERYTHING).await;
    let region = &fleet.regions[0];
    for query in [
        "{ users { totalCount } }",
        "{ existingUsernames(usernames: [\"ada\"]) }",
    ] {
        for _ in 0..2 {
            let before = fleet.control.calls();
            region.data(&token, query, json!({})).await;
            assert!(fleet.control.calls() > before, "{query}");
        }
    }
}
