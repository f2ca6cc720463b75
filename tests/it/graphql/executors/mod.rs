//! Whether plans and the engine answer the same, to the byte: documents made up at random, asked
//! by every kind of caller of two gateways over one database, of which one has no plans.
//!
//! There are 2,000 documents; `USER_GATEWAY_DOCUMENTS` asks for another number, and
//! `USER_GATEWAY_DOCUMENTS_SEED` for those that begin with another seed.

mod document;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Response;
use serde_json::{Value, json};

use self::document::{Asked, Types, make};
use super::visibility::{callers, directory};
use crate::harness::{Beside, Engine, Gateway, variable};

/// The directory of the tests about visibility, with options whose values are odd.
async fn odd_directory() -> Gateway {
    let gateway = directory(Engine::Sqlite).await;
    let database = &gateway.database;
    for id in 1..=3 {
        let user = user_gateway::domain::UserId(id);
        for (key, value) in [
            ("broken", "gAJ9cQAu"),
            ("deep", r#"{"a":[1,2.5,{"b":null}],"ü\"":"\u0001"}"#),
            ("nothing", "null"),
        ] {
            database.add_option(user, (None, None), key, value).await;
        }
        database
            .add_option(user, (None, Some(1)), "theme", "1")
            .await;
        database
            .add_option(user, (Some(3), None), "theme", "2")
            .await;
        database
            .add_email(user, &format!("second{id}@example.com"), false)
            .await;
    }
    gateway
}

async fn told(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

/// Two gateways over one database, the first with plans and the second without.
async fn both(gateway: &Gateway) -> (Beside, Beside) {
    let with_plans = |plans: bool| {
        gateway.beside(move |config| {
            config.graphql.plans = plans;
            config.limits.usernames_per_minute = 0;
            // All that goes wrong is compared, and most documents have many aliases.
            config.limits.errors = 10_000;
            config.limits.aliases = 100;
        })
    };
    tokio::join!(with_plans(true), with_plans(false))
}

#[tokio::test]
async fn a_variable_has_its_value_wherever_it_stands() {
    let gateway = odd_directory().await;
    let (planned, engine) = both(&gateway).await;
    let scopes = &["user:read", "user:admin", "org:read"];
    let token = gateway.service_token("tests", scopes).await;
    for query in [
        "query($id: ID!) { user(id: $id) { id } }",
        "query($id: ID!) { a: user(id: $id) { id } b: user(id: $id) { username } }",
        "query($id: ID!) { user(id: $id) { id } ...F } fragment F on Query { node(id: $id) { id } }",
        "query($id: ID!) { user(id: $id) { id } ... { user(id: $id) { username } } }",
        "query($id: ID!) { user(id: $id) { id } users(filter: { ids: [$id, 2, $id] }) { nodes { id } } }",
        "query($id: ID!, $n: Int) { user(id: $id) { organizations { members(first: $n) { totalCount } } } }",
        "query($n: Int) { users(first: $n) { nodes { organizations { members(first: $n) { totalCount } } } } }",
        "query($ids: [ID!]) { users(filter: { ids: $ids }) { nodes { id } } }",
        "query($f: UserFilter) { a: users(filter: $f) { totalCount } b: users(filter: $f) { nodes { id } } }",
    ] {
        let variables = json!({ "id": "User:1", "n": 2, "ids": [3, 1], "f": { "ids": [1, 2] } });
        let body = json!({ "query": query, "variables": variables });
        // The second time the document and its plan are known.
        for _ in 0..2 {
            let (one, two) = tokio::join!(planned.post(&token, &body), engine.post(&token, &body));
            let (one, two) = (told(one).await, told(two).await);
            assert_eq!(one, two, "{query}");
            assert_eq!(one.0, 200, "{query}: {}", one.1);
            assert!(!one.1.contains("errors"), "{query}: {}", one.1);
        }
    }
}

#[tokio::test]
async fn objects_have_every_field_however_little_of_them_is_read() {
    let gateway = odd_directory().await;
    let (planned, engine) = both(&gateway).await;
    let scopes = &["user:read", "user:admin", "org:read"];
    let reader = gateway.service_token("reader", &scopes[..1]).await;
    let admin = gateway.service_token("admin", scopes).await;
    let types = Types::of(&std::fs::read_to_string("schema.graphql").unwrap());
    let of_users = [
        "users { nodes { username FIELD } }",
        "users(orderBy: { field: USERNAME }) { edges { cursor node { id FIELD } } }",
        "users(orderBy: { field: DATE_JOINED }) { nodes { FIELD } pageInfo { endCursor } }",
        "users(filter: { ids: [1, 2] }) { nodes { FIELD } }",
        "users(first: 5) { nodes { options { user { FIELD } } } }",
        "users(first: 5) { nodes { organizations { members(first: 3) { nodes { FIELD } } } } }",
        "users(filter: { ids: 1 }) { nodes { id } } user(id: 1) { FIELD }",
    ];
    let of_organizations = [
        "users(first: 5) { nodes { organizations { FIELD } } }",
        "organizations(userId: 1, onlyVisible: true) { slug FIELD }",
        "a: organizations(userId: 1) { id } b: organizations(userId: 1) { FIELD }",
        "organization(by: { id: 1 }) { FIELD }",
        "node(id: \"Organization:1\") { ... on Organization { FIELD } }",
    ];
    for (object, queries) in [("User", &of_users[..]), ("Organization", &of_organizations)] {
        for field in types.fields_of(object) {
            for query in queries {
                let query = format!("{{ {} }}", query.replace("FIELD", &field));
                let body = json!({ "query": query });
                for token in [&reader, &admin] {
                    let (one, two) =
                        tokio::join!(planned.post(token, &body), engine.post(token, &body));
                    let (one, two) = (told(one).await, told(two).await);
                    assert_eq!(one, two, "{query}");
                    assert_eq!(one.0, 200, "{query}: {}", one.1);
                    assert!(!one.1.contains("INTERNAL"), "{query}: {}", one.1);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_the_engine_answer_the_same() {
    let gateway = odd_directory().await;
    let (planned, engine) = both(&gateway).await;
    let callers = callers(&gateway).await;
    let types = Types::of(&std::fs::read_to_string("schema.graphql").unwrap());
    let first = variable("USER_GATEWAY_DOCUMENTS_SEED").unwrap_or(0);
    let (mut answered, mut with_errors) = (0, 0);
    let count = variable("USER_GATEWAY_DOCUMENTS").unwrap_or(2_000);
    for seed in first..first + count {
        let Asked { query, variables } = make(&types, seed);
        let mut random = StdRng::seed_from_u64(seed);
        let (caller, token) = &callers[random.random_range(0..callers.len())];
        let mut other = variables.clone();
        // The second time the document is known, and other parts of it may be wanted.
        for value in other.as_object_mut().unwrap().values_mut() {
            if let Value::Bool(value) = value {
                *value = random.random_range(0..2) == 0;
            }
        }
        for variables in [&variables, &other] {
            let body = json!({"query": query, "variables": variables, "operationName": "Q"});
            let (one, two) = tokio::join!(planned.post(token, &body), engine.post(token, &body));
            let (one, two) = (told(one).await, told(two).await);
            assert_eq!(
                one, two,
                "the seed {seed}, asked by {caller}:\n{query}\nwith {variables}"
            );
            let answer: Value = serde_json::from_str(&one.1).unwrap();
            let has_data = answer.get("data").is_some();
            answered += u64::from(has_data);
            with_errors += u64::from(has_data && answer.get("errors").is_some());
        }
    }
    // Most documents are good, and much goes wrong within them.
    assert!(answered > count, "{answered} of {count} were answered");
    assert!(
        with_errors > count / 4,
        "{with_errors} of {count} had errors"
    );
}
