//! `existingUsernames`.

use serde_json::json;
use user_gateway::domain::UserId;

use super::{ada, assert_outcomes, assert_variable_outcomes, codes, outcome};
use crate::harness::{Engine, Gateway};

on_each_engine! {
    names_come_in_the_order_asked_and_each_once
    names_are_compared_exactly
    what_is_no_list_of_names_is_refused
    the_list_is_bounded
    a_user_may_probe_so_many_names_in_a_minute
}

async fn names_come_in_the_order_asked_and_each_once(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway.database.add_users(["bob", "cyd"]).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ existingUsernames(usernames: ["cyd", "nobody", "ada", "cyd", "bob", "ada"])
                 none: existingUsernames(usernames: [])
                 one: existingUsernames(usernames: "bob") }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "existingUsernames": ["cyd", "ada", "bob"], "none": [], "one": ["bob"],
        } })
    );
}

async fn names_are_compared_exactly(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway.database.add_users(["Bob", "ä", "%", "'"]).await;
    let usernames = [
        "bob", "Bob", "ADA", "ada ", "", "a\u{308}", "ä", "%", "_", "'", "Bob\n",
    ];
    let query = "query ($names: [String!]!) { existingUsernames(usernames: $names) }";
    let answer = gateway
        .ask_with(&token, query, json!({ "names": usernames }))
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "existingUsernames": ["Bob", "ä", "%", "'"] } })
    );
}

async fn what_is_no_list_of_names_is_refused(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let cases = [
        ("{ existingUsernames }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ existingUsernames(usernames: null) }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ existingUsernames(usernames: [null]) }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ existingUsernames(usernames: [1]) }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ existingUsernames(usernames: [[\"a\"]]) }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            r#"{ existingUsernames(usernames: ["a", "\u0000"]) }"#,
            "BAD_USER_INPUT",
        ),
        (
            r#"{ existingUsernames(usernames: ["\ud83d"]) }"#,
            "GRAPHQL_PARSE_FAILED",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    let query = "query ($n: [String!]!) { existingUsernames(usernames: $n) }";
    let cases = [
        (json!({ "n": null }), "BAD_USER_INPUT"),
        (json!({ "n": ["a", null] }), "BAD_USER_INPUT"),
        (json!({ "n": ["a\0"] }), "BAD_USER_INPUT"),
        (json!({ "n": ["x".repeat(500_000)] }), "executed: "),
    ];
    assert_variable_outcomes(&gateway, &token, query, &cases).await;
}

async fn the_list_is_bounded(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let ask = async |count: usize| {
        let names: Vec<_> = (0..count).map(|i| format!("n{i}")).collect();
        let query = format!("{{ existingUsernames(usernames: {}) }}", json!(names));
        outcome(&gateway.ask(&token, &query).await)
    };
    assert_eq!(ask(1_000).await, "executed: ");
    assert_eq!(ask(1_001).await, "executed: BAD_USER_INPUT at usernames");
}

async fn a_user_may_probe_so_many_names_in_a_minute(engine: Engine) {
    let gateway = Gateway::with(engine, |config| config.limits.usernames_per_minute = 3).await;
    let [ada, bob, sam] = gateway.database.add_users(["ada", "bob", "sam"]).await;
    let set = format!("UPDATE auth_user SET is_staff = true WHERE id = {sam}");
    gateway.database.execute(&set).await;
    let ada = gateway.user_token(ada, &[]).await;
    let bob = gateway.user_token(bob, &[]).await;
    let three = r#"{ existingUsernames(usernames: ["ada", "x", "y"]) }"#;
    let one = r#"{ existingUsernames(usernames: ["ada"]) }"#;
    let four = r#"{ existingUsernames(usernames: ["a", "b", "c", "d"]) }"#;

    // More than fit into a minute never pass, and are told so.
    let answer = gateway.ask(&ada, four).await;
    assert_eq!(codes(&answer), ["RATE_LIMITED"]);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("fewer"), "{message}");

    assert_eq!(outcome(&gateway.ask(&ada, three).await), "executed: ");
    let answer = gateway.ask(&ada, one).await;
    assert_eq!(codes(&answer), ["RATE_LIMITED"]);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("try again in"), "{message}");

    // Aliases and another token of the same person do not help; other people are not concerned.
    let two = r#"{ a: existingUsernames(usernames: ["x", "y"]) b: existingUsernames(usernames: ["x", "y"]) }"#;
    assert_eq!(codes(&gateway.ask(&bob, two).await), ["RATE_LIMITED"]);
    let again = gateway.user_token(UserId(1), &[]).await;
    assert_eq!(codes(&gateway.ask(&again, one).await), ["RATE_LIMITED"]);

    // Staff and services are not limited; what a token does not allow, standing does not either.
    let service = gateway.service_token("tests", &["user:read"]).await;
    let staff = gateway.user_token(sam, &[]).await;
    for token in [service, staff] {
        assert_eq!(outcome(&gateway.ask(&token, four).await), "executed: ");
    }
    let narrow = gateway.user_token(sam, &["org:read"]).await;
    assert_eq!(codes(&gateway.ask(&narrow, four).await), ["RATE_LIMITED"]);
}
