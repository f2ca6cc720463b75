//! While a part of the fleet is gone, and after it has come back.

use std::time::Duration;

use serde_json::json;
use user_gateway::config::{Config, ServiceTokenConfig, SiloMode};

use super::{EVERYTHING, name_of, rename};
use crate::harness::{Answer, Fleet, Silo, eventually};

/// A token that every silo knows by itself, and its SHA-256.
const TOKEN: &str = "test";
const TOKEN_HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const NAME: &str = "query($id: ID!) { user(id: $id) { name } }";

/// Makes the token known, so that nobody has to ask control for it.
fn know_the_token(config: &mut Config) {
    config.auth.service_tokens = vec![ServiceTokenConfig {
        name: "fleet".to_owned(),
        hash: TOKEN_HASH.to_owned(),
        scopes: EVERYTHING.map(str::to_owned).to_vec(),
    }];
}

/// A fleet of these regions with the users 1 to 3.
async fn fleet(regions: &[&str], adjust: impl Fn(&mut Config)) -> Fleet {
    let fleet = Fleet::with(regions, |config| {
        know_the_token(config);
        adjust(config);
    })
    .await;
    fleet.database.add_users(["ada", "bob", "cyd"]).await;
    fleet
}

/// Asserts that a region answers a query with this code, and tells nothing of its inside.
async fn assert_fails(fleet: &Fleet, region: &Silo, id: i64, code: &str) {
    let answer = region.answer(TOKEN, NAME, json!({ "id": id })).await;
    assert_eq!(answer.code(), code, "{}", answer.text());
    assert_eq!(answer.json()["data"], json!({ "user": null }));
    let control = fleet.control.origin.rsplit(':').next().unwrap();
    for internal in [control, "rpc", "connect", "reqwest", "127.0.0.1", "503"] {
        let text = answer.text().to_lowercase();
        assert!(!text.contains(internal), "`{internal}` in {text}");
    }
    let ready = Answer::to(region.get("/readyz")).await;
    assert_eq!(ready.status, 200);
}

async fn recovers(region: &Silo, id: i64) {
    eventually("the region answers again", async || {
        let answer = region.answer(TOKEN, NAME, json!({ "id": id })).await;
        answer.json()["data"]["user"]["name"].is_string()
    })
    .await;
}

#[tokio::test]
async fn a_region_answers_what_it_holds_while_control_is_stopped() {
    let mut fleet = fleet(&["us"], |_| {}).await;
    let held = name_of(&fleet.regions[0], TOKEN, 1).await;
    fleet.control.stop().await;
    for _ in 0..10 {
        let region = &fleet.regions[0];
        assert_eq!(name_of(region, TOKEN, 1).await, held);
        assert_fails(&fleet, region, 2, "UNAVAILABLE").await;
    }
    fleet.control.start_again().await;
    recovers(&fleet.regions[0], 2).await;
}

#[tokio::test]
async fn a_request_gets_what_is_held_beside_what_is_not() {
    let fleet = fleet(&["us"], |_| {}).await;
    let region = &fleet.regions[0];
    let held = name_of(region, TOKEN, 1).await;
    fleet.control.close();
    let query = "{ cold: user(id: 2) { name } held: user(id: 1) { name } }";
    let answer = region.answer(TOKEN, query, json!({})).await;
    let data = json!({ "cold": null, "held": { "name": held } });
    assert_eq!(answer.json()["data"], data, "{}", answer.text());
    assert_eq!(answer.code(), "UNAVAILABLE");
    assert_eq!(answer.json()["errors"][0]["path"], json!(["cold"]));
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_caller_who_was_known_is_known_while_control_is_away() {
    let fleet = fleet(&["us"], |_| {}).await;
    let token = fleet.service_token(&EVERYTHING).await;
    let region = &fleet.regions[0];
    let held = name_of(region, &token, 1).await;
    fleet.control.close();
    // For how long is for the cache's own tests, which set the clock.
    assert_eq!(name_of(region, &token, 1).await, held);
    let answer = region
        .answer("nobody-knows-this", NAME, json!({ "id": 1 }))
        .await;
    assert_eq!(answer.code(), "UNAVAILABLE", "{}", answer.text());
}

#[tokio::test]
async fn a_region_answers_what_it_holds_while_control_turns_it_away() {
    let fleet = fleet(&["us"], |_| {}).await;
    let region = &fleet.regions[0];
    let held = name_of(region, TOKEN, 1).await;
    fleet.control.close();
    for _ in 0..10 {
        assert_eq!(name_of(region, TOKEN, 1).await, held);
        assert_fails(&fleet, region, 2, "UNAVAILABLE").await;
    }
    fleet.control.open();
    recovers(region, 2).await;
}

#[tokio::test]
async fn a_change_fails_while_control_is_gone_and_is_not_made_later() {
    let fleet = fleet(&["us"], |_| {}).await;
    let region = &fleet.regions[0];
    fleet.control.close();
    let query = "mutation { updateUser(input: { userId: 1, name: \"Lost\" }) { user { name } } }";
    let answer = region.answer(TOKEN, query, json!({})).await;
    assert_eq!(answer.code(), "UNAVAILABLE", "{}", answer.text());
    fleet.control.open();
    recovers(region, 1).await;
    assert_eq!(name_of(region, TOKEN, 1).await, "");
}

#[tokio::test]
async fn a_control_that_is_slow_is_a_timeout() {
    let fleet = fleet(&["us"], |config| {
        if config.silo.mode == SiloMode::Region {
            config.rpc.timeout = Duration::from_millis(200);
        }
    })
    .await;
    let region = &fleet.regions[0];
    let held = name_of(region, TOKEN, 1).await;
    fleet.control.hold();
    assert_fails(&fleet, region, 2, "TIMEOUT").await;
    assert_eq!(name_of(region, TOKEN, 1).await, held);
    fleet.control.open();
    recovers(region, 2).await;
}

#[tokio::test]
async fn a_region_starts_without_control_and_works_once_it_is_there() {
    let mut fleet = fleet(&["us"], |_| {}).await;
    fleet.control.stop().await;
    fleet.regions[0].stop().await;
    fleet.regions[0].start_again().await;
    assert_fails(&fleet, &fleet.regions[0], 1, "UNAVAILABLE").await;
    fleet.control.start_again().await;
    recovers(&fleet.regions[0], 1).await;
}

#[tokio::test]
async fn a_region_that_cannot_be_told_catches_up_and_delays_no_other() {
    let fleet = fleet(&["us", "de"], |_| {}).await;
    let [us, de] = &*fleet.regions else {
        unreachable!("the fleet has two regions")
    };
    for id in 1..=3 {
        for region in [us, de] {
            name_of(region, TOKEN, id).await;
        }
    }
    us.close();
    for round in 0..3 {
        for id in 1..=3 {
            let name = format!("Name {round} of {id}");
            rename(&fleet.control, TOKEN, id, &name).await;
            fleet.delivered_to("de").await;
            assert_eq!(name_of(de, TOKEN, id).await, name);
            assert!(fleet.waiting_for("us").await > 0);
        }
    }
    us.open();
    fleet.delivered().await;
    for id in 1..=3 {
        assert_eq!(name_of(us, TOKEN, id).await, format!("Name 2 of {id}"));
    }
}

#[tokio::test]
async fn a_region_that_was_down_catches_up_when_it_returns() {
    let mut fleet = fleet(&["us", "de"], |_| {}).await;
    fleet.regions[0].stop().await;
    rename(&fleet.control, TOKEN, 1, "Augusta").await;
    fleet.delivered_to("de").await;
    assert_eq!(name_of(&fleet.regions[1], TOKEN, 1).await, "Augusta");
    assert!(fleet.waiting_for("us").await > 0);
    fleet.regions[0].start_again().await;
    fleet.delivered().await;
    assert_eq!(name_of(&fleet.regions[0], TOKEN, 1).await, "Augusta");
}

#[tokio::test]
async fn what_control_had_not_delivered_is_delivered_by_the_next() {
    let mut fleet = fleet(&["us"], |_| {}).await;
    name_of(&fleet.regions[0], TOKEN, 1).await;
    fleet.regions[0].close();
    rename(&fleet.control, TOKEN, 1, "Augusta").await;
    fleet.control.stop().await;
    assert!(fleet.waiting_for("us").await > 0);
    fleet.regions[0].open();
    fleet.control.start_again().await;
    fleet.delivered().await;
    assert_eq!(name_of(&fleet.regions[0], TOKEN, 1).await, "Augusta");
}
