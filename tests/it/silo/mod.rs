//! A control silo and its regions, as their clients meet them together: what is answered where,
//! what is fresh when, and what happens while a part of them is gone.

mod browser;
mod check;
mod crash;
mod freshness;
mod outage;
mod parity;
mod replica;
mod secret;
mod settings;
mod terminal;
mod warm;

use serde_json::{Value, json};

use crate::harness::{Fleet, Silo};

/// Every scope that a service can need.
const EVERYTHING: [&str; 4] = ["user:read", "user:admin", "user:write", "org:read"];

/// The name of a user, as one silo tells it.
async fn name_of(silo: &Silo, token: &str, id: i64) -> Value {
    let query = "query Name($id: ID!) { user(id: $id) { name } }";
    let data = silo.data(token, query, json!({ "id": id })).await;
    data["user"]["name"].clone()
}

/// Gives a user another name through one silo.
async fn rename(silo: &Silo, token: &str, id: i64, name: &str) {
    let query = "mutation Rename($input: UpdateUserInput!) {
        updateUser(input: $input) { user { name } errors { code } }
    }";
    let input = json!({ "input": { "userId": id, "name": name } });
    let data = silo.data(token, query, input).await;
    assert_eq!(data["updateUser"]["user"]["name"], name, "{data}");
}

/// Sets an option of a user through one silo.
async fn set(silo: &Silo, token: &str, id: i64, key: &str, value: Value) {
    let query = "mutation Set($input: SetUserOptionInput!) {
        setUserOption(input: $input) { changed errors { code } }
    }";
    let input = json!({ "input": { "userId": id, "key": key, "value": value } });
    let data = silo.data(token, query, input).await;
    assert_eq!(data["setUserOption"]["changed"], true, "{data}");
}

/// The value of an option of a user, as one silo tells it.
async fn option_of(silo: &Silo, token: &str, id: i64, key: &str) -> Value {
    let query = "query Option($id: ID!, $key: String!) { user(id: $id) { option(key: $key) } }";
    let variables = json!({ "id": id, "key": key });
    let data = silo.data(token, query, variables).await;
    data["user"]["option"].clone()
}

/// A fleet of these regions, with `ada` as user 1 and the token of a service with every scope.
async fn with_ada(regions: &[&str]) -> (Fleet, String) {
    let fleet = Fleet::start(regions).await;
    fleet.database.add_user("ada").await;
    let token = fleet.service_token(&EVERYTHING).await;
    (fleet, token)
}
