//! `verifyUserEmail`.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{assert_outcomes, contents, outcome, payload_errors, service};
use crate::harness::Engine;

on_each_engine! {
    an_address_is_verified_once
    an_address_of_somebody_else_and_an_absent_one_change_nothing
    what_is_wrong_is_told_to_the_form
    a_document_that_does_not_fit_changes_nothing
}

const ASK: &str = "mutation ($input: VerifyUserEmailInput!) {
    verifyUserEmail(input: $input) { changed errors { code message path } } }";

async fn an_address_is_verified_once(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let ada = gateway.database.add_user("ada").await;
    gateway
        .database
        .add_email(ada, "Second@Example.com", false)
        .await;
    let query = r#"mutation { verifyUserEmail(input: {userId: "User:1", email: "second@EXAMPLE.com"}) {
        changed errors { code } } }"#;
    for changed in [true, false] {
        let answer = gateway.ask(&token, query).await;
        assert_eq!(
            answer,
            json!({ "data": { "verifyUserEmail": { "changed": changed, "errors": [] } } })
        );
    }
    assert_eq!(gateway.database.heard.take_changes(), [UserId(1)]);
    let answer = gateway
        .ask(&token, "{ user(id: 1) { emails { email isVerified } } }")
        .await;
    assert_eq!(
        answer["data"]["user"]["emails"][1],
        json!({ "email": "Second@Example.com", "isVerified": true })
    );
}

async fn an_address_of_somebody_else_and_an_absent_one_change_nothing(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let [_, bob] = gateway.database.add_users(["ada", "bob"]).await;
    gateway
        .database
        .add_email(bob, "new@example.com", false)
        .await;
    let before = contents(&gateway.database).await;
    for (id, email) in [
        ("1", "new@example.com"),
        ("2", "none@example.com"),
        ("99", "new@example.com"),
    ] {
        let answer = gateway
            .ask_with(
                &token,
                ASK,
                json!({ "input": { "userId": id, "email": email } }),
            )
            .await;
        assert_eq!(
            answer,
            json!({ "data": { "verifyUserEmail": { "changed": false, "errors": [] } } })
        );
    }
    assert_eq!(contents(&gateway.database).await, before);
    assert!(gateway.database.heard.take_changes().is_empty());
}

async fn what_is_wrong_is_told_to_the_form(engine: Engine) {
    let (gateway, token) = service(engine).await;
    for (id, email, expected) in [
        ("1", "", "INVALID_FORMAT at input.email"),
        ("1", "a@b", "INVALID_FORMAT at input.email"),
        ("1", " a@b.c", "INVALID_FORMAT at input.email"),
        (
            "1",
            &format!("a@{}.c", "b".repeat(500_000)),
            "TOO_LONG at input.email",
        ),
        ("Organization:1", "a@b.c", "INVALID_FORMAT at input.userId"),
        ("x", "a@b.c", "INVALID_FORMAT at input.userId"),
    ] {
        let answer = gateway
            .ask_with(
                &token,
                ASK,
                json!({ "input": { "userId": id, "email": email } }),
            )
            .await;
        assert!(answer.get("errors").is_none(), "{answer}");
        assert_eq!(
            payload_errors(&answer["data"]["verifyUserEmail"]),
            [expected]
        );
    }
}

async fn a_document_that_does_not_fit_changes_nothing(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let ada = gateway.database.add_user("ada").await;
    gateway
        .database
        .add_email(ada, "new@example.com", false)
        .await;
    let before = contents(&gateway.database).await;
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let cases = [
        (
            "mutation { verifyUserEmail(input: {userId: 1}) { changed } }",
            invalid,
        ),
        (
            "mutation { verifyUserEmail(input: {userId: 1, email: null}) { changed } }",
            invalid,
        ),
        (
            "mutation { verifyUserEmail(input: {userId: 1, email: [\"new@example.com\", \"b\"]}) { changed } }",
            invalid,
        ),
        (
            r#"mutation { verifyUserEmail(input: {userId: 1, email: "new@example.com\u0000"}) { changed } }"#,
            "BAD_USER_INPUT",
        ),
        (
            r#"mutation { verifyUserEmail(input: {userId: 1, email: "\udead"}) { changed } }"#,
            "GRAPHQL_PARSE_FAILED",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    for input in [
        json!({ "userId": 1, "email": "new@example.com\0" }),
        json!({ "userId": 1 }),
        Value::Null,
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(outcome(&answer), "BAD_USER_INPUT");
    }
    assert_eq!(contents(&gateway.database).await, before);
}
