//! `node`.

use serde_json::json;

use super::{assert_outcomes, outcome, service};
use crate::harness::Engine;

on_each_engine! {
    a_node_of_each_type_is_found_again
    a_node_that_is_absent_is_null
    what_is_no_global_id_is_refused
}

async fn a_node_of_each_type_is_found_again(engine: Engine) {
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
            r#"{ a: node(id: "User:1") { __typename id ... on User { username } }
                 b: node(id: "Organization:7") { __typename id ... on Organization { slug } }
                 c: node(id: "UserOption:1") { __typename id ... on UserOption { key } } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "a": { "__typename": "User", "id": "User:1", "username": "ada" },
            "b": { "__typename": "Organization", "id": "Organization:7", "slug": "org-7" },
            "c": { "__typename": "UserOption", "id": "UserOption:1", "key": "theme" },
        } })
    );
}

async fn a_node_that_is_absent_is_null(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ a: node(id: "User:1") { id } b: node(id: "Organization:1") { id }
                 c: node(id: "UserOption:9223372036854775807") { id } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "a": null, "b": null, "c": null } })
    );
}

async fn what_is_no_global_id_is_refused(engine: Engine) {
    let (gateway, token) = service(engine).await;
    // A bare number could be anything's, and projects live elsewhere.
    for id in [
        "",
        "1",
        "User",
        "User:",
        "User:x",
        "user:1",
        "Project:1",
        "Query:1",
        "User:-1",
        "a:b:c",
        "😀:1",
    ] {
        let query = format!("{{ node(id: {}) {{ id }} }}", json!(id));
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(outcome(&answer), "executed: BAD_USER_INPUT at id", "{id}");
        assert_eq!(answer["data"], json!({ "node": null }));
    }
    let cases = [
        ("{ node { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ node(id: null) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ node(id: \"User:1\") { username } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ node(id: \"User:1\") { ... on UserEmail { email } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (r#"{ node(id: "User:1\u0000") { id } }"#, "BAD_USER_INPUT"),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
}
