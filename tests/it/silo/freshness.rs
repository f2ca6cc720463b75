//! What is read where, and how soon, after a change.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{EVERYTHING, name_of, option_of, rename, set, with_ada};
use crate::harness::{Engine, Fleet, Plan, Scratch};

const CREATE: &str = "mutation Create($email: String!) {
    getOrCreateUserByEmail(input: { email: $email }) { created user { databaseId } }
}";

/// A fleet over an engine with two regions.
async fn fleet(engine: Engine) -> (Fleet, String) {
    let regions = [("us", 1), ("de", 1)];
    let plan = Plan {
        engine,
        regions: &regions,
        redis: None,
    };
    let fleet = Fleet::of(&plan, |_| {}).await;
    fleet.database.add_user("ada").await;
    let token = fleet.service_token(&EVERYTHING).await;
    (fleet, token)
}

async fn a_change_through_control_is_read_in_every_region(engine: Engine) {
    let (fleet, token) = fleet(engine).await;
    for round in 0..3 {
        // Every region holds a copy of what is about to change.
        for region in &fleet.regions {
            name_of(region, &token, 1).await;
            option_of(region, &token, 1, "theme").await;
        }
        let name = format!("Ada {round}");
        rename(&fleet.control, &token, 1, &name).await;
        set(&fleet.control, &token, 1, "theme", json!(round)).await;
        fleet.delivered().await;
        for region in &fleet.regions {
            assert_eq!(name_of(region, &token, 1).await, name);
            assert_eq!(option_of(region, &token, 1, "theme").await, round);
        }
    }
}

async fn a_change_through_a_region_is_read_there_at_once(engine: Engine) {
    let (fleet, token) = fleet(engine).await;
    for round in 0..3 {
        for region in &fleet.regions {
            name_of(region, &token, 1).await;
            option_of(region, &token, 1, "theme").await;
        }
        let [first, second] = &*fleet.regions else {
            unreachable!("the fleet has two regions")
        };
        let (writer, other) = if round % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let name = format!("Ada {round}");
        rename(writer, &token, 1, &name).await;
        assert_eq!(name_of(writer, &token, 1).await, name);
        set(writer, &token, 1, "theme", json!(round)).await;
        assert_eq!(option_of(writer, &token, 1, "theme").await, round);
        fleet.delivered().await;
        assert_eq!(name_of(other, &token, 1).await, name);
        assert_eq!(option_of(other, &token, 1, "theme").await, round);
    }
}

async fn a_user_who_was_absent_is_there_once_created(engine: Engine) {
    let (fleet, token) = fleet(engine).await;
    let [first, second] = &*fleet.regions else {
        unreachable!("the fleet has two regions")
    };
    for (silo, id) in [(&fleet.control, 2), (first, 3), (second, 4)] {
        for region in &fleet.regions {
            assert_eq!(name_of(region, &token, id).await, Value::Null);
            assert_eq!(option_of(region, &token, id, "theme").await, Value::Null);
        }
        let email = json!({ "email": format!("user-{id}@example.com") });
        let data = silo.data(&token, CREATE, email).await;
        let created = &data["getOrCreateUserByEmail"];
        assert_eq!(created["created"], true);
        assert_eq!(created["user"]["databaseId"], id.to_string());
        assert!(name_of(silo, &token, id).await.is_string());
        fleet.delivered().await;
        for region in &fleet.regions {
            assert!(name_of(region, &token, id).await.is_string(), "user {id}");
        }
    }
}

async fn everything_that_belongs_to_a_user_is_fresh(engine: Engine) {
    const ASK: &str = "{ user(id: 1) {
        username isActive avatar { url } emails { email isVerified } options { key value }
    } }";
    let (fleet, token) = fleet(engine).await;
    let database = &fleet.database;
    database
        .add_email(UserId(1), "second@example.com", false)
        .await;
    let changes = [
        "mutation { updateUser(input: { userId: 1, username: \"lovelace\" }) { user { id } } }",
        "mutation { updateUser(input: { userId: 1, avatarUrl: \"https://example.com/a.png\" }) { user { id } } }",
        "mutation { verifyUserEmail(input: { userId: 1, email: \"second@example.com\" }) { changed } }",
        "mutation { setUserOption(input: { userId: 1, key: \"k\", value: 1 }) { changed } }",
        "mutation { setUserOption(input: { userId: 1, key: \"k\", value: { a: [2] } }) { changed } }",
        "mutation { deleteUserOptions(input: { userId: 1, keys: [\"k\"] }) { deletedIds } }",
        "mutation { updateUser(input: { userId: 1, isActive: false }) { user { id } } }",
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut before = Vec::new();
        for region in &fleet.regions {
            before.push(region.data(&token, ASK, json!({})).await);
        }
        let writer = fleet.silos().nth(number % 3).unwrap();
        writer.data(&token, change, json!({})).await;
        let expected = fleet.control.data(&token, ASK, json!({})).await;
        assert_eq!(writer.data(&token, ASK, json!({})).await, expected);
        fleet.delivered().await;
        for (region, before) in fleet.regions.iter().zip(before) {
            assert_ne!(before, expected, "{change} changes nothing");
            let after = region.data(&token, ASK, json!({})).await;
            assert_eq!(after, expected, "{change}");
        }
    }
}

async fn a_token_that_is_revoked_on_the_command_line_is_refused_in_every_region(engine: Engine) {
    const ASK: &str = "{ viewer { scopes } }";
    let (fleet, of_service) = fleet(engine).await;
    let of_user = fleet.user_token(UserId(1)).await;
    for (token, id) in [(&of_user, "user:1"), (&of_service, "service:1")] {
        for region in &fleet.regions {
            region.data(token, ASK, json!({})).await;
        }
        // The command is not configured with the regions.
        let url = fleet.database.url();
        Scratch::new().must(&["token", "revoke", id, "--database-url", url]);
        fleet.delivered().await;
        for region in &fleet.regions {
            let answer = region.answer(token, ASK, json!({})).await;
            answer.refuses(401, "UNAUTHENTICATED");
        }
    }
}

on_each_engine! {
    a_token_that_is_revoked_on_the_command_line_is_refused_in_every_region
    a_change_through_control_is_read_in_every_region
    a_change_through_a_region_is_read_there_at_once
    a_user_who_was_absent_is_there_once_created
    everything_that_belongs_to_a_user_is_fresh
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing_in_a_region_either() {
    let (fleet, token) = with_ada(&["us"]).await;
    let ask = "{ viewer { scopes } }";
    fleet.regions[0].data(&token, ask, json!({})).await;
    fleet
        .database
        .execute("DELETE FROM user_gateway_servicetoken")
        .await;
    crate::harness::eventually("the token is refused", async || {
        let answer = fleet.regions[0].answer(&token, ask, json!({})).await;
        answer.status == 401
    })
    .await;
}
