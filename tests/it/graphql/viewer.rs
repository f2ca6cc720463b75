//! `viewer`.

use std::fmt::Write as _;

use serde_json::json;
use user_gateway::domain::UserId;

use super::{ada, assert_outcomes, service};
use crate::harness::Engine;

on_each_engine! {
    a_user_reads_who_they_are
    a_service_has_a_name_and_no_user
    capabilities_are_what_scopes_and_standing_amount_to
    the_viewer_takes_no_arguments
}

async fn a_user_reads_who_they_are(engine: Engine) {
    let (gateway, _) = ada(engine).await;
    let id = UserId(1);
    let token = gateway.user_token(id, &["user:read", "org:read"]).await;
    let answer = gateway
        .ask(
            &token,
            "{ viewer { user { id username } service scopes capabilities } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "viewer": {
            "user": { "id": "User:1", "username": "ada" },
            "service": null,
            "scopes": ["org:read", "user:read"],
            "capabilities": ["READ_COLLEAGUES", "READ_ORGANIZATIONS"],
        } } })
    );
}

async fn a_service_has_a_name_and_no_user(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let answer = gateway
        .ask(
            &token,
            "{ viewer { user { id } service scopes capabilities } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "viewer": {
            "user": null,
            "service": "tests",
            "scopes": ["org:read", "user:admin", "user:read", "user:write"],
            "capabilities": [
                "READ_EVERYBODY", "READ_PRIVATE_FIELDS", "READ_ORGANIZATIONS", "CHANGE_EVERYBODY",
            ],
        } } })
    );
}

async fn capabilities_are_what_scopes_and_standing_amount_to(engine: Engine) {
    let (gateway, _) = ada(engine).await;
    let database = &gateway.database;
    let [staff, superuser] = database.add_users(["sam", "sue"]).await;
    let set = |column, id| format!("UPDATE auth_user SET {column} = true WHERE id = {id}");
    database.execute(&set("is_staff", staff)).await;
    database.execute(&set("is_superuser", superuser)).await;
    let ada = UserId(1);
    let mut told = String::new();
    for (name, id) in [("user", ada), ("staff", staff), ("superuser", superuser)] {
        for scopes in [
            &["none"][..],
            &["user:read"],
            &["user:admin"],
            &["user:write"],
            &["org:read"],
            &["member:read"],
            &["member:write"],
            &["member:admin"],
            &[],
        ] {
            let token = gateway.user_token(id, scopes).await;
            let answer = gateway.ask(&token, "{ viewer { capabilities } }").await;
            let found = answer["data"]["viewer"]["capabilities"].as_array().unwrap();
            let found: Vec<_> = found.iter().map(|c| c.as_str().unwrap()).collect();
            let scope = scopes.first().unwrap_or(&"all");
            writeln!(told, "{name} {scope}: {}", found.join(" ")).unwrap();
        }
    }
    insta::allow_duplicates! {
        insta::assert_snapshot!(told, @"
    user none: 
    user user:read: READ_COLLEAGUES
    user user:admin: 
    user user:write: CHANGE_SELF
    user org:read: READ_ORGANIZATIONS
    user member:read: READ_COLLEAGUES
    user member:write: READ_COLLEAGUES CHANGE_SELF
    user member:admin: READ_COLLEAGUES CHANGE_SELF
    user all: READ_COLLEAGUES READ_ORGANIZATIONS CHANGE_SELF
    staff none: 
    staff user:read: READ_COLLEAGUES READ_EVERYBODY
    staff user:admin: READ_PRIVATE_FIELDS
    staff user:write: CHANGE_SELF
    staff org:read: READ_ORGANIZATIONS
    staff member:read: READ_COLLEAGUES READ_EVERYBODY
    staff member:write: READ_COLLEAGUES READ_EVERYBODY CHANGE_SELF
    staff member:admin: READ_COLLEAGUES READ_EVERYBODY READ_PRIVATE_FIELDS CHANGE_SELF
    staff all: READ_COLLEAGUES READ_EVERYBODY READ_PRIVATE_FIELDS READ_ORGANIZATIONS CHANGE_SELF
    superuser none: 
    superuser user:read: READ_COLLEAGUES READ_EVERYBODY
    superuser user:admin: READ_PRIVATE_FIELDS
    superuser user:write: CHANGE_SELF CHANGE_EVERYBODY
    superuser org:read: READ_ORGANIZATIONS
    superuser member:read: READ_COLLEAGUES READ_EVERYBODY
    superuser member:write: READ_COLLEAGUES READ_EVERYBODY CHANGE_SELF CHANGE_EVERYBODY
    superuser member:admin: READ_COLLEAGUES READ_EVERYBODY READ_PRIVATE_FIELDS CHANGE_SELF CHANGE_EVERYBODY
    superuser all: READ_COLLEAGUES READ_EVERYBODY READ_PRIVATE_FIELDS READ_ORGANIZATIONS CHANGE_SELF CHANGE_EVERYBODY
    ");
    }
}

async fn the_viewer_takes_no_arguments(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let cases = [
        ("{ viewer(id: 1) { scopes } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer { token } }", "GRAPHQL_VALIDATION_FAILED"),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
}
