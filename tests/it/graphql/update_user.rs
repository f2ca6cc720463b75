//! `updateUser`.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{ada, assert_outcomes, contents, outcome, payload_errors};
use crate::harness::Engine;

on_each_engine! {
    a_user_changes_their_own_name_username_and_picture
    what_is_left_out_stays
    a_superuser_changes_everything_of_everybody
    a_username_of_somebody_else_is_taken
    what_is_wrong_is_told_to_the_form_and_changes_nothing
    a_document_that_does_not_fit_changes_nothing
}

const ASK: &str = "mutation ($input: UpdateUserInput!) {
    updateUser(input: $input) { user { username name isActive } errors { code message path } } }";

async fn a_user_changes_their_own_name_username_and_picture(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let answer = gateway
        .ask(
            &token,
            r#"mutation { updateUser(input: {userId: "User:1", name: "Ada 😀", username: "ada.l",
                avatarUrl: "https://a.example/a.png"}) {
                user { id username name displayName avatar { url } } errors { code } } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "updateUser": {
            "user": { "id": "User:1", "username": "ada.l", "name": "Ada 😀", "displayName": "Ada 😀",
                      "avatar": { "url": "https://a.example/a.png" } },
            "errors": [],
        } } })
    );
    assert_eq!(gateway.database.heard.take_changes(), [UserId(1)]);
    let answer = gateway
        .ask(
            &token,
            r#"mutation { updateUser(input: {userId: 1, name: "", avatarUrl: null}) {
            user { name displayName avatar { url } } } }"#,
        )
        .await;
    assert_eq!(
        answer["data"]["updateUser"]["user"],
        json!({ "name": "", "displayName": "ada@example.com", "avatar": { "url": null } })
    );
}

async fn what_is_left_out_stays(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway
        .database
        .execute("UPDATE auth_user SET avatar_url = 'https://a.example/a.png'")
        .await;
    let before = contents(&gateway.database).await;
    for input in [
        json!({ "userId": 1 }),
        json!({ "userId": 1, "name": null, "username": null }),
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(
            answer["data"]["updateUser"]["user"]["username"], "ada",
            "{answer}"
        );
    }
    assert_eq!(contents(&gateway.database).await, before);
    assert!(gateway.database.heard.take_changes().is_empty());
}

async fn a_superuser_changes_everything_of_everybody(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway.database.add_user("bob").await;
    gateway
        .database
        .execute("UPDATE auth_user SET is_superuser = true WHERE id = 1")
        .await;
    let input =
        json!({ "userId": "User:2", "name": "Robert", "username": "rob", "isActive": false });
    let answer = gateway
        .ask_with(&token, ASK, json!({ "input": input }))
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "updateUser": {
            "user": { "username": "rob", "name": "Robert", "isActive": false }, "errors": [] } } })
    );
    let answer = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "userId": "99", "name": "x" } }),
        )
        .await;
    assert_eq!(
        payload_errors(&answer["data"]["updateUser"]),
        ["NOT_FOUND at input.userId"]
    );
    let answer = gateway
        .ask_with(&token, ASK, json!({ "input": { "userId": "99" } }))
        .await;
    assert_eq!(
        payload_errors(&answer["data"]["updateUser"]),
        ["NOT_FOUND at input.userId"]
    );
}

async fn a_username_of_somebody_else_is_taken(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway.database.add_user("bob").await;
    let answer = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "userId": 1, "username": "bob" } }),
        )
        .await;
    assert_eq!(
        payload_errors(&answer["data"]["updateUser"]),
        ["TAKEN at input.username"]
    );
    assert_eq!(answer["data"]["updateUser"]["user"], Value::Null);
    // One's own is not, and names differ by case.
    for username in ["ada", "BOB"] {
        let answer = gateway
            .ask_with(
                &token,
                ASK,
                json!({ "input": { "userId": 1, "username": username } }),
            )
            .await;
        assert_eq!(
            answer["data"]["updateUser"]["user"]["username"], username,
            "{answer}"
        );
    }
}

async fn what_is_wrong_is_told_to_the_form_and_changes_nothing(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let before = contents(&gateway.database).await;
    let long = format!("https://a.example/{}", "x".repeat(103));
    for (field, value, expected) in [
        ("username", json!(""), "REQUIRED at input.username"),
        (
            "username",
            json!(" ada"),
            "INVALID_FORMAT at input.username",
        ),
        (
            "username",
            json!("a\u{7}"),
            "INVALID_FORMAT at input.username",
        ),
        (
            "username",
            json!("u".repeat(129)),
            "TOO_LONG at input.username",
        ),
        ("name", json!("n".repeat(201)), "TOO_LONG at input.name"),
        ("name", json!("a\nb"), "INVALID_FORMAT at input.name"),
        ("avatarUrl", json!(""), "INVALID_FORMAT at input.avatarUrl"),
        (
            "avatarUrl",
            json!("javascript:alert(1)"),
            "INVALID_FORMAT at input.avatarUrl",
        ),
        (
            "avatarUrl",
            json!("https://"),
            "INVALID_FORMAT at input.avatarUrl",
        ),
        (
            "avatarUrl",
            json!("https://a b"),
            "INVALID_FORMAT at input.avatarUrl",
        ),
        ("avatarUrl", json!(long), "TOO_LONG at input.avatarUrl"),
    ] {
        // What is right beside it is not written either.
        let mut input = json!({ "userId": 1, "name": "x", "avatarUrl": "https://a.example/b.png" });
        input[field] = value;
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert!(answer.get("errors").is_none(), "{answer}");
        assert_eq!(payload_errors(&answer["data"]["updateUser"]), [expected]);
    }
    for id in ["", "x", "Organization:1"] {
        let answer = gateway
            .ask_with(
                &token,
                ASK,
                json!({ "input": { "userId": id, "name": "x" } }),
            )
            .await;
        assert_eq!(
            payload_errors(&answer["data"]["updateUser"]),
            ["INVALID_FORMAT at input.userId"]
        );
    }
    assert_eq!(contents(&gateway.database).await, before);
    let input = json!({ "userId": 1, "username": "ü".repeat(128), "name": "n".repeat(200) });
    let answer = gateway
        .ask_with(&token, ASK, json!({ "input": input }))
        .await;
    assert_eq!(payload_errors(&answer["data"]["updateUser"]), [""; 0]);
}

async fn a_document_that_does_not_fit_changes_nothing(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let before = contents(&gateway.database).await;
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let cases = [
        (
            "mutation { updateUser(input: {name: \"x\"}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: null, name: \"x\"}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: 1, name: 1}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: 1, isActive: \"no\"}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: 1, avatarUrl: 1}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: 1, isSuperuser: true}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: 1, password: \"x\"}) { user { id } } }",
            invalid,
        ),
        (
            "mutation { updateUser(input: {userId: 1, name: \"x\"}) { user } }",
            invalid,
        ),
        (
            r#"mutation { updateUser(input: {userId: 1, name: "\u0000"}) { user { id } } }"#,
            "BAD_USER_INPUT",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    for input in [
        json!({ "userId": 1, "name": "\0" }),
        json!({ "userId": 1, "avatarUrl": "https://a\0" }),
        json!({ "name": "x" }),
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(outcome(&answer), "BAD_USER_INPUT");
    }
    assert_eq!(contents(&gateway.database).await, before);
}
