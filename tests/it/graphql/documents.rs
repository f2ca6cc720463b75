//! Documents that are kept: asked again, they are answered as they were the first time.

use serde_json::{Value, json};

use super::{ada, assert_variable_outcomes, outcome};
use crate::harness::{Engine, Gateway};

/// A gateway with the user `ada` that keeps no document, and her token.
async fn forgetful() -> (Gateway, String) {
    let gateway = Gateway::with(Engine::Sqlite, |config| {
        config.graphql.document_cache_bytes = 0;
    })
    .await;
    let ada = gateway.database.add_user("ada").await;
    let token = gateway.user_token(ada, &[]).await;
    (gateway, token)
}

/// Documents, each with sets of variables of which some fit and some do not.
fn cases() -> Vec<(&'static str, Vec<Value>)> {
    let x = |value: Value| json!({ "x": value });
    vec![
        ("{ viewer { user { name } } }", vec![json!({}), x(json!(1))]),
        ("{ nothing }", vec![json!({})]),
        ("{ a b", vec![json!({})]),
        ("{ __schema { queryType { name } } }", vec![json!({})]),
        (
            "query ($x: ID!) { user(id: $x) { id } }",
            vec![x(json!(1)), x(json!(true)), json!({}), x(json!("nobody"))],
        ),
        (
            "query ($x: ID) { user(id: $x) { id } }",
            vec![x(json!(1)), json!({}), x(Value::Null)],
        ),
        (
            "query ($x: ID = 1) { user(id: $x) { id } }",
            vec![json!({}), x(Value::Null), x(json!(1)), x(json!([]))],
        ),
        (
            "query ($x: ID = null) { user(id: $x) { id } }",
            vec![x(json!(1)), json!({}), x(Value::Null)],
        ),
        (
            "query ($x: [ID!]) { users(filter: {ids: $x}) { nodes { id } } }",
            vec![x(json!([1])), x(json!([null])), x(json!(1)), x(json!([]))],
        ),
        (
            "query ($x: ID!) { users(filter: {ids: [true, $x]}) { nodes { id } } }",
            vec![x(json!(1)), x(json!("a"))],
        ),
        (
            "query ($x: ID) { users(filter: {ids: [1, $x]}) { nodes { id } } }",
            vec![x(json!(1)), json!({}), x(Value::Null)],
        ),
        (
            "query ($x: [ID!]) { users(filter: {ids: $x, nothing: 1}) { nodes { id } } }",
            vec![x(json!([1])), json!({})],
        ),
        (
            "query ($x: Boolean) { users(filter: {ids: [1], authenticators: {none: $x}}) { nodes { id } } }",
            vec![x(json!(true)), json!({}), x(Value::Null), x(json!("true"))],
        ),
        (
            "query ($x: UserFilter!) { users(filter: $x) { nodes { id } } }",
            vec![
                x(json!({ "ids": [1] })),
                x(json!({ "ids": [1], "nothing": 1 })),
                x(json!({ "ids": [1], "authenticators": { "none": null } })),
                x(json!({ "ids": [1], "authenticators": { "anyOf": ["NOTHING"] } })),
                x(json!(1)),
            ],
        ),
        (
            "query ($x: Boolean = true) { user(id: 1) { id name @skip(if: $x) } }",
            vec![json!({}), x(json!(false)), x(Value::Null)],
        ),
        (
            "query ($x: Boolean!) { user(id: 1) { id name @include(if: $x) } }",
            vec![x(json!(true)), x(json!(false)), x(json!(1))],
        ),
        (
            "query ($x: String) { users(filter: {ids: [1]}, first: $x) { nodes { id } } }",
            vec![json!({}), x(json!("1")), json!({}), x(Value::Null)],
        ),
        (
            "query ($x: Int) { users(filter: {ids: [1]}, first: $x) { nodes { id } } }",
            vec![
                x(json!(1)),
                x(json!(0)),
                x(json!(501)),
                x(json!(4_294_967_296_i64)),
                json!({}),
            ],
        ),
        (
            "query ($x: String!) { __type(name: $x) { name } }",
            vec![x(json!("User")), x(json!("Nothing")), x(json!(1))],
        ),
        (
            "query ($x: Boolean) { __type(name: \"User\") { fields(includeDeprecated: $x) { name } } }",
            vec![x(json!(true)), json!({}), x(Value::Null)],
        ),
        (
            "query ($x: ID!) { ...F } fragment F on Query { user(id: $x) { ... on Node { id } } }",
            vec![x(json!(1)), x(json!("\0")), x(Value::Null)],
        ),
        (
            "mutation ($x: SetUserOptionInput!) { setUserOption(input: $x) { changed } }",
            vec![
                x(json!({ "userId": 1, "key": "a", "value": { "b": [1, null] } })),
                x(json!({ "userId": 1, "key": "a" })),
                x(json!({ "userId": 1, "key": "a", "value": 1, "scope": {} })),
            ],
        ),
        (
            "mutation ($x: JSON) { setUserOption(input: {userId: 1, key: \"b\", value: $x}) { changed } }",
            vec![x(json!(1)), x(Value::Null), json!({})],
        ),
    ]
}

#[tokio::test]
async fn a_document_is_answered_alike_whether_it_is_kept_or_not() {
    let (keeping, her_token) = ada(Engine::Sqlite).await;
    let (forgetful, other_token) = forgetful().await;
    for (query, mut sets) in cases() {
        // In both orders, so that what is good is asked after what is bad, and the reverse.
        let reversed: Vec<_> = sets.iter().rev().cloned().collect();
        sets.extend(reversed);
        for variables in sets {
            let answer = keeping.ask_with(&her_token, query, variables.clone()).await;
            let expected = forgetful
                .ask_with(&other_token, query, variables.clone())
                .await;
            assert_eq!(answer, expected, "{query} {variables}");
        }
    }
}

#[tokio::test]
async fn what_depends_on_values_is_looked_at_each_time() {
    let (gateway, token) = ada(Engine::Sqlite).await;
    let x = |value: Value| json!({ "x": value });
    let refused = "GRAPHQL_VALIDATION_FAILED";
    for (query, good, bad) in [
        (
            "query ($x: ID = null) { user(id: $x) { id } }",
            x(json!(1)),
            vec![(json!({}), refused), (x(Value::Null), refused)],
        ),
        (
            "query ($x: Boolean = true) { user(id: 1) { id name @skip(if: $x) } }",
            json!({}),
            vec![(x(Value::Null), refused), (x(json!(1)), "BAD_USER_INPUT")],
        ),
        (
            "query ($x: Boolean) { users(filter: {ids: [1], authenticators: {none: $x}}) { nodes { id } } }",
            x(json!(true)),
            vec![(json!({}), refused), (x(Value::Null), refused)],
        ),
        (
            "query ($x: ID!) { user(id: $x) { id } }",
            x(json!(1)),
            vec![(json!({}), "BAD_USER_INPUT")],
        ),
        (
            "query ($x: String) { users(filter: {ids: [1]}, first: $x) { nodes { id } } }",
            json!({}),
            vec![(x(json!("1")), refused)],
        ),
    ] {
        let mut cases = vec![(good.clone(), "executed: ")];
        cases.extend(bad);
        cases.push((good, "executed: "));
        assert_variable_outcomes(&gateway, &token, query, &cases).await;
    }
}

#[tokio::test]
async fn a_literal_beside_a_variable_is_looked_at_with_it() {
    let (gateway, token) = ada(Engine::Sqlite).await;
    let query = "query ($x: ID!) { users(filter: {ids: [true, $x]}) { nodes { id } } }";
    let refused = (json!({ "x": 1 }), "GRAPHQL_VALIDATION_FAILED");
    assert_variable_outcomes(&gateway, &token, query, &[refused.clone(), refused]).await;
}

#[tokio::test]
async fn each_operation_of_a_document_is_validated_by_itself() {
    let (gateway, token) = ada(Engine::Sqlite).await;
    let query = "query A { user(id: 1) { name } } \
                 query B($x: ID = null) { user(id: $x) { id } } \
                 mutation C { setUserOption(input: {userId: 1, key: \"a\", value: 1}) { changed } }";
    for _ in 0..2 {
        for (name, variables, expected) in [
            ("A", json!({}), "executed: "),
            ("B", json!({}), "GRAPHQL_VALIDATION_FAILED"),
            ("B", json!({ "x": 1 }), "executed: "),
            ("B", json!({ "x": null }), "GRAPHQL_VALIDATION_FAILED"),
            ("C", json!({}), "executed: "),
            ("D", json!({}), "OPERATION_RESOLUTION_FAILURE"),
        ] {
            let body = json!({ "query": query, "operationName": name, "variables": variables });
            let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
            assert_eq!(outcome(&answer), expected, "{name} {variables}\n{answer:#}");
        }
    }
}
