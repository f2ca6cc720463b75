//! `nodes`.

use serde_json::{Value, json};

use super::{assert_outcomes, outcome, service};
use crate::harness::Engine;

on_each_engine! {
    nodes_come_in_the_order_asked_with_null_for_the_absent
    one_wrong_id_is_named_by_its_place
    the_list_is_bounded
}

async fn nodes_come_in_the_order_asked_with_null_for_the_absent(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let ada = gateway.database.add_user("ada").await;
    gateway.database.add_organization(7, "us", Some(0)).await;
    gateway
        .database
        .add_option(ada, (None, None), "theme", "1")
        .await;
    let answer = gateway
        .ask(
            &token,
            r#"{ nodes(ids: ["UserOption:1", "User:9", "User:1", "Organization:7", "User:1"]) {
                id ... on User { username } ... on Organization { slug } ... on UserOption { key } }
                none: nodes(ids: []) { id } one: nodes(ids: "User:1") { id } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "nodes": [
                { "id": "UserOption:1", "key": "theme" }, null,
                { "id": "User:1", "username": "ada" },
                { "id": "Organization:7", "slug": "org-7" },
                { "id": "User:1", "username": "ada" },
            ],
            "none": [],
            "one": [{ "id": "User:1" }],
        } })
    );
}

async fn one_wrong_id_is_named_by_its_place(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let cases = [
        (
            r#"{ nodes(ids: ["User:1", "1"]) { id } }"#,
            "executed: BAD_USER_INPUT at ids.1",
        ),
        (
            r#"{ nodes(ids: ["Project:1"]) { id } }"#,
            "executed: BAD_USER_INPUT at ids.0",
        ),
        ("{ nodes(ids: null) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ nodes(ids: [null]) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ nodes { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            r#"{ nodes(ids: ["User:1\u0000"]) { id } }"#,
            "BAD_USER_INPUT",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    let answer = gateway.ask(&token, r#"{ nodes(ids: ["1"]) { id } }"#).await;
    assert_eq!(answer["data"], Value::Null);
}

async fn the_list_is_bounded(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let ask = async |count: i64| {
        let ids: Vec<_> = (1..=count).map(|i| format!("User:{i}")).collect();
        let query = format!("{{ nodes(ids: {}) {{ id }} }}", json!(ids));
        let literal = outcome(&gateway.ask(&token, &query).await);
        let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let variable = outcome(&gateway.ask_with(&token, query, json!({ "ids": ids })).await);
        (literal, variable)
    };
    let fine = "executed: ".to_owned();
    assert_eq!(ask(1_000).await, (fine.clone(), fine));
    let refused = "executed: BAD_USER_INPUT at ids".to_owned();
    assert_eq!(ask(1_001).await, (refused, "BAD_USER_INPUT".to_owned()));
}
