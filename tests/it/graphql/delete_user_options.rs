//! `deleteUserOptions`.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{ada, assert_outcomes, contents, outcome, payload_errors};
use crate::harness::Engine;

on_each_engine! {
    options_of_one_scope_are_deleted_and_named
    what_is_not_there_is_passed_over
    a_value_that_cannot_be_read_can_be_deleted
    an_option_that_is_stored_twice_is_gone_for_good
    what_is_wrong_is_told_to_the_form_and_changes_nothing
    a_document_that_does_not_fit_changes_nothing
}

const ASK: &str = "mutation ($input: DeleteUserOptionsInput!) {
    deleteUserOptions(input: $input) { deletedIds errors { code message path } } }";

async fn options_of_one_scope_are_deleted_and_named(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let [ada, bob] = [UserId(1), database.add_user("bob").await];
    for (user, scope, key) in [
        (ada, (None, None), "a"),
        (ada, (None, None), "b"),
        (ada, (None, None), "c"),
        (ada, (Some(5), None), "a"),
        (ada, (None, Some(5)), "a"),
        (bob, (None, None), "a"),
    ] {
        database.add_option(user, scope, key, "1").await;
    }
    let query = r#"mutation { deleteUserOptions(input: {userId: "User:1", keys: ["c", "a", "z", "a"]}) {
        deletedIds errors { code } } }"#;
    let answer = gateway.ask(&token, query).await;
    assert_eq!(
        answer,
        json!({ "data": { "deleteUserOptions": {
            "deletedIds": ["UserOption:1", "UserOption:3"], "errors": [] } } })
    );
    assert_eq!(database.heard.take_changes(), [ada]);
    for (scope, expected) in [
        (json!({ "projectId": "5" }), "UserOption:4"),
        (
            json!({ "organizationId": "Organization:5" }),
            "UserOption:5",
        ),
    ] {
        let input = json!({ "userId": "1", "keys": "a", "scope": scope });
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(
            answer["data"]["deleteUserOptions"]["deletedIds"],
            json!([expected])
        );
    }
    assert_eq!(database.count("sentry_useroption").await, 2);
}

async fn what_is_not_there_is_passed_over(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    for keys in [json!(["a"]), json!([]), json!(["", "x".repeat(10_000)])] {
        let answer = gateway
            .ask_with(
                &token,
                ASK,
                json!({ "input": { "userId": 1, "keys": keys } }),
            )
            .await;
        assert_eq!(
            answer,
            json!({ "data": { "deleteUserOptions": { "deletedIds": [], "errors": [] } } })
        );
    }
    assert!(gateway.database.heard.take_changes().is_empty());
}

async fn a_value_that_cannot_be_read_can_be_deleted(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    database.add_option(UserId(1), (None, None), "k", "1").await;
    if engine == Engine::Postgres {
        database
            .execute("ALTER TABLE sentry_useroption ALTER COLUMN value TYPE text")
            .await;
    }
    database
        .execute("UPDATE sentry_useroption SET value = 'gAJY'")
        .await;
    let answer = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "userId": 1, "keys": ["k"] } }),
        )
        .await;
    assert_eq!(
        answer["data"]["deleteUserOptions"]["deletedIds"],
        json!(["UserOption:1"])
    );
}

/// Old installations may hold several rows for one global option, of which the newest counts.
async fn an_option_that_is_stored_twice_is_gone_for_good(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    database
        .execute("DROP INDEX user_gateway_useroption_global")
        .await;
    for value in ["1", "2", "3"] {
        database
            .add_option(UserId(1), (None, None), "k", value)
            .await;
    }
    let answer = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "userId": 1, "keys": ["k"] } }),
        )
        .await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let answer = gateway
        .ask(&token, r#"{ user(id: 1) { option(key: "k") } }"#)
        .await;
    assert_eq!(answer, json!({ "data": { "user": { "option": null } } }));
}

async fn what_is_wrong_is_told_to_the_form_and_changes_nothing(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway
        .database
        .add_option(UserId(1), (None, None), "k", "1")
        .await;
    let before = contents(&gateway.database).await;
    let many: Vec<_> = (0..1_001).map(|i| i.to_string()).collect();
    for (input, expected) in [
        (
            json!({ "userId": "x", "keys": ["k"] }),
            "INVALID_FORMAT at input.userId",
        ),
        (
            json!({ "userId": "UserOption:1", "keys": ["k"] }),
            "INVALID_FORMAT at input.userId",
        ),
        (
            json!({ "userId": "1", "keys": ["k"], "scope": { "global": false } }),
            "INVALID_FORMAT at input.scope.global",
        ),
        (
            json!({ "userId": "1", "keys": ["k"], "scope": { "organizationId": "" } }),
            "INVALID_FORMAT at input.scope.organizationId",
        ),
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(
            payload_errors(&answer["data"]["deleteUserOptions"]),
            [expected]
        );
        assert_eq!(answer["data"]["deleteUserOptions"]["deletedIds"], json!([]));
    }
    let literal = format!(
        "mutation {{ deleteUserOptions(input: {{userId: 1, keys: {}}}) {{ deletedIds errors {{ code message path }} }} }}",
        json!(many)
    );
    let answer = gateway.ask(&token, &literal).await;
    assert_eq!(
        payload_errors(&answer["data"]["deleteUserOptions"]),
        ["TOO_LONG at input.keys"]
    );
    assert_eq!(contents(&gateway.database).await, before);
}

async fn a_document_that_does_not_fit_changes_nothing(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway
        .database
        .add_option(UserId(1), (None, None), "k", "1")
        .await;
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let cases = [
        (
            "mutation { deleteUserOptions(input: {userId: 1}) { deletedIds } }",
            invalid,
        ),
        (
            "mutation { deleteUserOptions(input: {userId: 1, keys: null}) { deletedIds } }",
            invalid,
        ),
        (
            "mutation { deleteUserOptions(input: {userId: 1, keys: [null]}) { deletedIds } }",
            invalid,
        ),
        (
            "mutation { deleteUserOptions(input: {keys: [\"k\"]}) { deletedIds } }",
            invalid,
        ),
        (
            r#"mutation { deleteUserOptions(input: {userId: 1, keys: ["k"], scope: {global: true, projectId: 1}}) { deletedIds } }"#,
            invalid,
        ),
        (
            r#"mutation { deleteUserOptions(input: {userId: 1, keys: ["k", "\u0000"]}) { deletedIds } }"#,
            "BAD_USER_INPUT",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    for input in [
        json!({ "userId": 1, "keys": ["k", "\0"] }),
        json!({ "userId": 1, "keys": vec!["k"; 1_001] }),
        Value::Null,
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(outcome(&answer), "BAD_USER_INPUT");
    }
    assert_eq!(gateway.database.count("sentry_useroption").await, 1);
}
