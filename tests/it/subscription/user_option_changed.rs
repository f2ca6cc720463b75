//! `userOptionChanged`.

use serde_json::{Value, json};
use user_gateway::domain::{Change, Event};

use super::{ADA, BOB, Directory};
use crate::harness::{Engine, Socket};

on_each_engine! {
    an_option_that_is_set_or_deleted_is_told
    changes_that_come_together_are_told_one_by_one
    options_are_private
}

const OPTIONS: &str = "subscription ($keys: [String!]) {
    userOptionChanged(userId: 1, keys: $keys) { key isDeleted option { value } }
}";

/// Ada, who waits for changes of her options with these keys, and has heard of some.
async fn waiting(directory: &Directory, keys: Value) -> Socket {
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let payload = json!({ "query": OPTIONS, "variables": { "keys": keys } });
    ada.subscribe_with("1", &payload).await;
    ada.first_event("1", async |n| directory.set_option(ADA, "probe", n).await)
        .await;
    // What is still to come of it comes before this.
    directory.set_option(ADA, "probe", "settled").await;
    while ada.event("1").await != set("probe", "settled") {}
    ada
}

fn told(change: &Value) -> Value {
    json!({ "data": { "userOptionChanged": change } })
}

fn set(key: &str, value: impl Into<Value>) -> Value {
    let value: Value = value.into();
    told(&json!({ "key": key, "isDeleted": false, "option": { "value": value } }))
}

fn deleted(key: &str) -> Value {
    told(&json!({ "key": key, "isDeleted": true, "option": null }))
}

async fn delete(directory: &Directory, keys: &[&str]) {
    let query = "mutation ($keys: [String!]!) {
        deleteUserOptions(input: { userId: 1, keys: $keys }) { errors { code } }
    }";
    directory.change(query, json!({ "keys": keys })).await;
}

async fn an_option_that_is_set_or_deleted_is_told(engine: Engine) {
    let directory = Directory::start(engine).await;
    directory.set_option(ADA, "theme", "light").await;
    let mut ada = waiting(&directory, Value::Null).await;
    directory.set_option(ADA, "theme", "dark").await;
    assert_eq!(ada.event("1").await, set("theme", "dark"));
    // Nothing that leaves the options as they are is told.
    directory.set_option(ADA, "theme", "dark").await;
    directory.rename(ADA, "Ada").await;
    directory.set_option(BOB, "theme", "light").await;
    delete(&directory, &["language"]).await;
    directory.set_option(ADA, "theme", Value::Null).await;
    assert_eq!(ada.event("1").await, set("theme", Value::Null));
    delete(&directory, &["theme"]).await;
    assert_eq!(ada.event("1").await, deleted("theme"));
}

async fn changes_that_come_together_are_told_one_by_one(engine: Engine) {
    let directory = Directory::start(engine).await;
    directory.set_option(ADA, "theme", "light").await;
    directory.set_option(ADA, "language", "en").await;
    let mut ada = waiting(&directory, Value::Null).await;
    let database = &directory.gateway.database;
    database
        .execute("DELETE FROM sentry_useroption WHERE key = 'theme'")
        .await;
    database
        .execute("DELETE FROM sentry_useroption WHERE key = 'language'")
        .await;
    database
        .add_option(ADA, (None, None), "language", "\"de\"")
        .await;
    database.add_option(ADA, (Some(7), None), "mail", "1").await;
    let event = Event::Changed(Change { user_id: ADA });
    database.announcer.announce(&event);
    database.announcer.announce(&event);
    assert_eq!(ada.event("1").await, deleted("theme"));
    assert_eq!(ada.event("1").await, set("language", "de"));
    assert_eq!(ada.event("1").await, set("mail", 1));
    directory.set_option(ADA, "theme", "dark").await;
    assert_eq!(ada.event("1").await, set("theme", "dark"));
}

async fn options_are_private(engine: Engine) {
    let directory = Directory::start(engine).await;
    let database = &directory.gateway.database;
    let organization = database.add_organization(1, "us", Some(0)).await;
    database.join(ADA, organization).await;
    database.join(BOB, organization).await;
    let mut bob = Socket::signed_in(&directory.gateway.origin, &directory.bob).await;
    // Whether a user whose options cannot be read exists makes no difference.
    for id in [1, 99] {
        let query = format!("subscription {{ userOptionChanged(userId: {id}) {{ key }} }}");
        bob.subscribe("1", &query).await;
        assert_eq!(bob.refusal("1").await[0]["extensions"]["code"], "FORBIDDEN");
    }
    let mut admin = Socket::signed_in(&directory.gateway.origin, &directory.admin).await;
    admin
        .subscribe(
            "1",
            "subscription { userOptionChanged(userId: 99) { key } }",
        )
        .await;
    assert_eq!(
        admin.refusal("1").await[0]["extensions"]["code"],
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn only_the_keys_that_are_named_are_told() {
    let directory = Directory::start(Engine::Sqlite).await;
    let mut ada = waiting(&directory, json!(["probe", "theme"])).await;
    directory.set_option(ADA, "language", "de").await;
    directory.set_option(ADA, "theme", "dark").await;
    assert_eq!(ada.event("1").await, set("theme", "dark"));
}

#[tokio::test]
async fn the_keys_are_bounded() {
    let directory = Directory::with(Engine::Sqlite, |config| config.limits.list_items = 2).await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let query = r#"subscription { userOptionChanged(userId: 1, keys: ["a", "b", "c"]) { key } }"#;
    ada.subscribe("1", query).await;
    let refusal = ada.refusal("1").await;
    assert_eq!(refusal[0]["extensions"]["code"], "BAD_USER_INPUT");
    assert_eq!(refusal[0]["extensions"]["argument"], json!(["keys"]));
}

#[tokio::test]
async fn a_change_says_what_the_option_applies_to() {
    let directory = Directory::start(Engine::Sqlite).await;
    let database = &directory.gateway.database;
    let organization = database.add_organization(5, "us", Some(0)).await;
    database.join(ADA, organization).await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    let query = "subscription { userOptionChanged(userId: 1) {
        user { username } key project organization { slug } option { id project } } }";
    ada.subscribe("1", query).await;
    ada.first_event("1", async |n| directory.set_option(ADA, "probe", n).await)
        .await;
    let scoped = "mutation ($scope: UserOptionScope!) {
        setUserOption(input: { userId: 1, key: \"mail\", value: 1, scope: $scope }) {
            errors { code } } }";
    for (scope, project, slug) in [
        (json!({ "projectId": "7" }), json!("Project:7"), Value::Null),
        (
            json!({ "organizationId": "5" }),
            Value::Null,
            json!({ "slug": "org-5" }),
        ),
    ] {
        directory.change(scoped, json!({ "scope": scope })).await;
        let event = loop {
            let event = ada.event("1").await;
            if event["data"]["userOptionChanged"]["key"] == "mail" {
                break event["data"]["userOptionChanged"].clone();
            }
        };
        assert_eq!(event["user"]["username"], "ada");
        assert_eq!(event["project"], project);
        assert_eq!(event["organization"], slug);
        assert_eq!(event["option"]["project"], project);
    }
}
