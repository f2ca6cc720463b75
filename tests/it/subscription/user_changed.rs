//! `userChanged`.

use serde_json::{Value, json};
use user_gateway::domain::{Change, Event};

use super::{ADA, BOB, Directory};
use crate::harness::{Engine, Socket};

on_each_engine! {
    a_change_is_told_with_the_user_as_they_are_then
    what_belongs_to_the_user_changes_the_user
    every_event_is_read_anew
    who_does_not_exist_and_who_cannot_be_seen_look_alike
    it_completes_when_the_user_can_be_seen_no_more
    it_completes_when_the_user_exists_no_more
}

const ABOUT_ADA: &str = "subscription { userChanged(id: 1) { id name } }";

fn named(name: &str) -> Value {
    json!({ "data": { "userChanged": { "id": "User:1", "name": name } } })
}

/// Ada, who waits for changes of herself and has heard of some.
async fn waiting(directory: &Directory) -> Socket {
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    ada.subscribe("1", ABOUT_ADA).await;
    ada.first_event("1", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    settle(directory, &mut ada, "settled").await;
    ada
}

/// Reads events until none can be left but of changes that are yet to come.
async fn settle(directory: &Directory, socket: &mut Socket, name: &str) {
    directory.rename(ADA, name).await;
    while socket.event("1").await != named(name) {}
}

async fn a_change_is_told_with_the_user_as_they_are_then(engine: Engine) {
    let directory = Directory::start(engine).await;
    let mut ada = waiting(&directory).await;
    // Neither a change of somebody else nor one that changes nothing is told.
    directory.rename(BOB, "Bob").await;
    directory.rename(ADA, "Ada Lovelace").await;
    assert_eq!(ada.event("1").await, named("Ada Lovelace"));
    directory.rename(ADA, "Countess of Lovelace").await;
    assert_eq!(ada.event("1").await, named("Countess of Lovelace"));
}

async fn what_belongs_to_the_user_changes_the_user(engine: Engine) {
    let directory = Directory::start(engine).await;
    let mut ada = waiting(&directory).await;
    directory.set_option(ADA, "theme", "dark").await;
    assert_eq!(ada.event("1").await, named("settled"));
}

async fn every_event_is_read_anew(engine: Engine) {
    let directory = Directory::start(engine).await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let query = "subscription ($id: ID!) { ...F }
        fragment F on Subscription { changed: userChanged(id: $id) {
            ...on User { theme: option(key: \"theme\") } organizations { slug } } }";
    let payload = json!({ "query": query, "variables": { "id": "User:1" } });
    ada.subscribe_with("1", &payload).await;
    ada.first_event("1", async |n| directory.set_option(ADA, "theme", n).await)
        .await;
    let database = &directory.gateway.database;
    for (id, theme) in [(1, "dark"), (2, "light"), (3, "dark")] {
        let organization = database.add_organization(id, "us", Some(0)).await;
        database.join(ADA, organization).await;
        directory.set_option(ADA, "theme", theme).await;
        let event = loop {
            let event = ada.event("1").await;
            if event["data"]["changed"]["theme"] == theme {
                break event;
            }
        };
        let organizations = event["data"]["changed"]["organizations"].as_array();
        assert_eq!(organizations.unwrap().len(), usize::try_from(id).unwrap());
    }
}

async fn who_does_not_exist_and_who_cannot_be_seen_look_alike(engine: Engine) {
    let directory = Directory::start(engine).await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let mut refusals = Vec::new();
    for id in [2, 99] {
        let query = format!("subscription {{ userChanged(id: {id}) {{ id }} }}");
        ada.subscribe("1", &query).await;
        refusals.push(ada.refusal("1").await);
    }
    assert_eq!(refusals[0][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(refusals[0], refusals[1]);
}

async fn it_completes_when_the_user_can_be_seen_no_more(engine: Engine) {
    let directory = Directory::start(engine).await;
    let database = &directory.gateway.database;
    let organization = database.add_organization(1, "us", Some(0)).await;
    database.join(ADA, organization).await;
    database.join(BOB, organization).await;
    let mut bob = Socket::signed_in(&directory.gateway.origin, &directory.bob).await;
    bob.subscribe("1", "subscription { userChanged(id: 1) { id name email } }")
        .await;
    let event = bob
        .first_event("1", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    // What is private stays so.
    assert_eq!(event["data"]["userChanged"]["email"], Value::Null);
    assert_eq!(event["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(event["errors"][0]["path"], json!(["userChanged", "email"]));

    database
        .execute("DELETE FROM sentry_organizationmembermapping WHERE user_id = 2")
        .await;
    directory.rename(ADA, "not for Bob").await;
    loop {
        let message = bob.next().await;
        if message["type"] == "complete" {
            assert_eq!(message, json!({ "type": "complete", "id": "1" }));
            break;
        }
        assert_ne!(
            message["payload"]["data"]["userChanged"]["name"],
            "not for Bob"
        );
    }
}

async fn it_completes_when_the_user_exists_no_more(engine: Engine) {
    let directory = Directory::start(engine).await;
    let mut admin = Socket::signed_in(&directory.gateway.origin, &directory.admin).await;
    admin
        .subscribe("1", "subscription { userChanged(id: 2) { id } }")
        .await;
    admin
        .first_event("1", async |n| directory.rename(BOB, &n.to_string()).await)
        .await;
    let database = &directory.gateway.database;
    for sql in [
        "DELETE FROM sentry_apitoken WHERE user_id = 2",
        "DELETE FROM sentry_useremail WHERE user_id = 2",
        "DELETE FROM auth_user WHERE id = 2",
    ] {
        database.execute(sql).await;
    }
    let event = Event::Changed(Change { user_id: BOB });
    database.announcer.announce(&event);
    while admin.next().await["type"] != "complete" {}
}

#[tokio::test]
async fn what_may_have_been_missed_is_looked_for() {
    let directory = Directory::start(Engine::Sqlite).await;
    let mut ada = waiting(&directory).await;
    let database = &directory.gateway.database;
    database
        .execute("UPDATE auth_user SET first_name = 'behind its back' WHERE id = 1")
        .await;
    database.announcer.announce(&Event::Missed);
    assert_eq!(ada.event("1").await, named("behind its back"));
}

#[tokio::test]
async fn an_operation_that_is_no_good_is_refused_before_it_waits() {
    let directory = Directory::start(Engine::Sqlite).await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    for (query, code) in [
        (
            "subscription { userChanged(id: 1) { id }",
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            "subscription { userChanged { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { userChanged(id: 1) { nothing } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription { a: userChanged(id: 1) { id } b: userChanged(id: 1) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { ...A ...B } fragment A on Subscription { userChanged(id: 1) { id } }
             fragment B on Subscription { userOptionChanged(userId: 1) { key } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { userChanged(id: 1) @include(if: true) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { ...on Subscription @skip(if: true) { userChanged(id: 1) { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { userChanged(id: \"Organization:1\") { id } }",
            "BAD_USER_INPUT",
        ),
        (
            "subscription ($id: ID!) { userChanged(id: $id) { id } }",
            "BAD_USER_INPUT",
        ),
        (
            "subscription { userChanged(id: 1) { organizations { members(first: 500) { nodes {
                organizations { members(first: 500) { nodes { username } } } } } } } }",
            "COST_LIMIT_EXCEEDED",
        ),
        (
            "query A { __typename } query B { __typename }",
            "OPERATION_RESOLUTION_FAILURE",
        ),
    ] {
        ada.subscribe("1", query).await;
        let refusal = ada.refusal("1").await;
        assert_eq!(refusal[0]["extensions"]["code"], code, "{query}\n{refusal}");
        assert!(refusal[0].get("path").is_none(), "{refusal}");
    }
}

#[tokio::test]
async fn a_field_asked_for_twice_is_one_field() {
    let directory = Directory::start(Engine::Sqlite).await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let query = "subscription { userChanged(id: 1) { name } ...F }
        fragment F on Subscription { userChanged(id: 1) { id } }";
    ada.subscribe("1", query).await;
    let event = ada
        .first_event("1", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    assert_eq!(event["data"]["userChanged"]["id"], "User:1");
    assert!(event["data"]["userChanged"]["name"].is_string(), "{event}");
}

#[tokio::test]
async fn an_event_that_is_too_long_is_told_as_an_error_and_the_next_is_told_too() {
    let directory = Directory::with(Engine::Sqlite, |config| {
        config.limits.response_bytes = 20_000;
    })
    .await;
    for key in ["a", "b", "c", "d", "e"] {
        directory.set_option(ADA, key, "x".repeat(998)).await;
    }
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let values = "a: value b: value c: value d: value e: value";
    let query = format!("subscription {{ userChanged(id: 1) {{ options {{ {values} }} }} }}");
    ada.subscribe("1", &query).await;
    let first = ada
        .first_event("1", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    directory.rename(ADA, "Ada").await;
    for event in [first, ada.event("1").await] {
        assert_eq!(event["data"], Value::Null);
        let code = &event["errors"][0]["extensions"]["code"];
        assert_eq!(code, "RESPONSE_LIMIT_EXCEEDED", "{event}");
    }
    // Each event may be as long as that, whatever others were.
    let query = query.replace("c: value d: value e: value", "");
    let mut another = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    another.subscribe("2", &query).await;
    let first = another
        .first_event("2", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    directory.rename(ADA, "Lovelace").await;
    for event in [first, another.event("2").await] {
        assert!(event.get("errors").is_none(), "{event}");
    }
}
