//! `getOrCreateUserByEmail`.

use serde_json::{Value, json};

use super::{assert_outcomes, contents, payload_errors, service};
use crate::harness::Engine;

on_each_engine! {
    a_new_address_makes_a_user_and_a_known_one_finds_them
    an_identity_picks_one_of_several_accounts
    an_account_that_may_not_be_used_is_not_found
    an_address_that_is_none_is_told_to_the_form
    texts_that_are_too_long_are_told_to_the_form
    a_document_that_does_not_fit_changes_nothing
    of_many_calls_at_once_one_creates
}

const ASK: &str = "mutation ($input: GetOrCreateUserByEmailInput!) {
    getOrCreateUserByEmail(input: $input) {
        created user { username email } errors { code message path } } }";

async fn a_new_address_makes_a_user_and_a_known_one_finds_them(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let query = r#"mutation { getOrCreateUserByEmail(input: {email: "John.Doe+x@Example.com", referrer: "mail"}) {
        created errors { code }
        user { id name email displayName isActive isUnclaimed isStaff isSuperuser dateJoined
            emails { email isVerified } flags { newsletterConsentPrompt } } } }"#;
    let first = gateway.ask(&token, query).await;
    assert_eq!(
        first,
        json!({ "data": { "getOrCreateUserByEmail": {
            "created": true, "errors": [],
            "user": {
                "id": "User:1", "name": "John.Doe+x@Example.com", "email": "John.Doe+x@Example.com",
                "displayName": "John.Doe+x@Example.com", "isActive": true, "isUnclaimed": false,
                "isStaff": false, "isSuperuser": false, "dateJoined": "2026-01-01T12:00:00Z",
                "emails": [{ "email": "John.Doe+x@Example.com", "isVerified": false }],
                "flags": { "newsletterConsentPrompt": true },
            },
        } } })
    );
    let heard = gateway.database.heard.take_signups();
    assert_eq!(heard.len(), 1);
    let before = contents(&gateway.database).await;
    let again = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "email": "JOHN.DOE+X@example.COM" } }),
        )
        .await;
    let payload = &again["data"]["getOrCreateUserByEmail"];
    assert_eq!(payload["created"], false);
    assert_eq!(payload["user"]["email"], "John.Doe+x@Example.com");
    assert!(
        payload["user"]["username"]
            .as_str()
            .unwrap()
            .starts_with("johndoex-")
    );
    assert_eq!(contents(&gateway.database).await, before);
    assert!(gateway.database.heard.take_signups().is_empty());
}

async fn an_identity_picks_one_of_several_accounts(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let database = &gateway.database;
    let [_, bob] = database.add_users(["ada", "bob"]).await;
    database
        .execute("UPDATE auth_user SET email = 'both@example.com'")
        .await;
    let organization = database.add_organization(7, "us", Some(0)).await;
    let provider = database.add_provider(organization).await;
    database.add_identity(bob, provider, "bob-at-okta").await;
    for (ident, expected) in [
        (json!("bob-at-okta"), "bob"),
        (json!("else"), "ada"),
        (Value::Null, "ada"),
    ] {
        let input = json!({ "input": { "email": "both@example.com", "ident": ident } });
        let answer = gateway.ask_with(&token, ASK, input).await;
        let payload = &answer["data"]["getOrCreateUserByEmail"];
        assert_eq!(payload["user"]["username"], expected, "{answer}");
        assert_eq!(payload["created"], false);
    }
}

async fn an_account_that_may_not_be_used_is_not_found(engine: Engine) {
    let (gateway, token) = service(engine).await;
    gateway.database.add_user("ada").await;
    gateway
        .database
        .execute("UPDATE auth_user SET is_active = false")
        .await;
    let input = json!({ "input": { "email": "ada@example.com" } });
    let answer = gateway.ask_with(&token, ASK, input).await;
    assert_eq!(
        answer["data"]["getOrCreateUserByEmail"]["created"], true,
        "{answer}"
    );
    assert_eq!(gateway.database.count("auth_user").await, 2);
}

async fn an_address_that_is_none_is_told_to_the_form(engine: Engine) {
    let (gateway, token) = service(engine).await;
    for email in [
        "", "a", "a@", "@b.c", " a@b.c", "a@b.c ", "a@b@c.d", "a b@c.d", "a@b.c\n", "a\t@b.c",
        "<a@b.c>",
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": { "email": email } }))
            .await;
        assert!(answer.get("errors").is_none(), "{email}: {answer}");
        let payload = &answer["data"]["getOrCreateUserByEmail"];
        assert_eq!(
            payload_errors(payload),
            ["INVALID_FORMAT at input.email"],
            "{email}"
        );
        assert_eq!(
            (&payload["user"], &payload["created"]),
            (&Value::Null, &json!(false))
        );
    }
    assert_eq!(gateway.database.count("auth_user").await, 0);
}

async fn texts_that_are_too_long_are_told_to_the_form(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let long = format!("a@{}.example", "b.".repeat(100));
    let longest = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(63));
    for (input, expected) in [
        (json!({ "email": long }), vec!["TOO_LONG at input.email"]),
        (
            json!({ "email": "x".repeat(500_000) }),
            vec!["TOO_LONG at input.email"],
        ),
        (
            json!({ "email": "a@b.example", "ident": "i".repeat(129) }),
            vec!["TOO_LONG at input.ident"],
        ),
        (
            json!({ "email": "a@b.example", "referrer": "r".repeat(129) }),
            vec!["TOO_LONG at input.referrer"],
        ),
        (
            json!({ "email": longest, "ident": "i".repeat(128), "referrer": "r".repeat(128) }),
            vec![],
        ),
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(
            payload_errors(&answer["data"]["getOrCreateUserByEmail"]),
            expected
        );
    }
    assert_eq!(gateway.database.count("auth_user").await, 1);
}

async fn a_document_that_does_not_fit_changes_nothing(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let field =
        |input: &str| format!("mutation {{ getOrCreateUserByEmail({input}) {{ created }} }}");
    let cases = [
        ("", "GRAPHQL_PARSE_FAILED"),
        ("input: null", "GRAPHQL_VALIDATION_FAILED"),
        ("input: {}", "GRAPHQL_VALIDATION_FAILED"),
        ("input: {email: null}", "GRAPHQL_VALIDATION_FAILED"),
        ("input: {email: 1}", "GRAPHQL_VALIDATION_FAILED"),
        (
            r#"input: {email: "a@b.c", admin: true}"#,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            r#"input: {email: "a@b.c", email: "d@e.f"}"#,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (r#"input: {email: "a@b.c\u0000"}"#, "BAD_USER_INPUT"),
        (
            r#"input: {email: "a@b.c", ident: "\u0000"}"#,
            "BAD_USER_INPUT",
        ),
        (
            r#"input: {email: "a@b.c", referrer: "\ud800"}"#,
            "GRAPHQL_PARSE_FAILED",
        ),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(input, expected)| (field(input), *expected))
        .collect();
    let cases: Vec<_> = cases
        .iter()
        .map(|(query, expected)| (query.as_str(), *expected))
        .collect();
    assert_outcomes(&gateway, &token, &cases).await;
    for input in [
        json!({ "email": "a@b.c\0" }),
        json!({ "email": "a@b.c", "ident": "\0" }),
        json!([]),
        Value::Null,
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(super::outcome(&answer), "BAD_USER_INPUT");
    }
    assert_eq!(gateway.database.count("auth_user").await, 0);
}

async fn of_many_calls_at_once_one_creates(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let calls = (0..8).map(|_| {
        gateway.ask_with(
            &token,
            ASK,
            json!({ "input": { "email": "new@example.com" } }),
        )
    });
    let answers = futures_util::future::join_all(calls).await;
    let created = answers
        .iter()
        .filter(|a| a["data"]["getOrCreateUserByEmail"]["created"] == true)
        .count();
    assert_eq!(created, 1, "{answers:?}");
    assert_eq!(gateway.database.count("auth_user").await, 1);
}
