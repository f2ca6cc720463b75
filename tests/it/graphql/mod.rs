//! The graph as its clients meet it: each root field, who sees what, what it costs and what it
//! refuses.

use serde_json::Value;

use crate::harness::{Engine, Gateway, TestDatabase};

mod answer;
mod budget;
mod delete_user_options;
mod document_work;
mod documents;
mod executors;
mod existing_usernames;
mod get_or_create_user_by_email;
mod limits;
mod loading;
mod node;
mod nodes;
mod organization;
mod organizations;
mod schema;
mod set_user_option;
mod stretches;
mod update_user;
mod user;
mod user_options;
mod users;
mod verify_user_email;
mod viewer;
mod visibility;

/// A gateway with one user, `ada` with the id 1, and her token of every scope.
async fn ada(engine: Engine) -> (Gateway, String) {
    let gateway = Gateway::start(engine).await;
    let ada = gateway.database.add_user("ada").await;
    let token = gateway.user_token(ada, &[]).await;
    (gateway, token)
}

/// A gateway without users, and the token of a service with every scope it can need.
async fn service(engine: Engine) -> (Gateway, String) {
    let gateway = Gateway::start(engine).await;
    let scopes = ["user:read", "user:admin", "user:write", "org:read"];
    let token = gateway.service_token("tests", &scopes).await;
    (gateway, token)
}

/// So many aliases of a field.
fn aliases(count: usize, field: &str) -> String {
    let aliases: Vec<_> = (0..count).map(|i| format!("a{i}: {field}")).collect();
    aliases.join(" ")
}

/// The codes of an answer's errors, in order.
fn codes(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array();
    errors
        .into_iter()
        .flatten()
        .map(|error| error["extensions"]["code"].as_str().unwrap())
        .collect()
}

/// What became of a request that should fail, in short: whether it was executed, and the code and
/// the argument of each error.
fn outcome(answer: &Value) -> String {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let told = errors.iter().map(|error| {
        assert!(!error["message"].as_str().unwrap().is_empty());
        let code = error["extensions"]["code"].as_str().unwrap();
        let argument = error["extensions"]["argument"].as_array();
        argument.map_or_else(
            || code.to_owned(),
            |steps| {
                let steps: Vec<_> = steps.iter().map(|step| step.as_str().unwrap()).collect();
                format!("{code} at {}", steps.join("."))
            },
        )
    });
    let told = told.collect::<Vec<_>>().join(", ");
    if answer.get("data").is_some() {
        format!("executed: {told}")
    } else {
        told
    }
}

/// Asks each query and compares what became of it.
async fn assert_outcomes(gateway: &Gateway, token: &str, cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        let answer = gateway.ask(token, query).await;
        assert_eq!(outcome(&answer), *expected, "{query}\n{answer:#}");
    }
}

/// Asks one query with each set of variables and compares what became of it.
async fn assert_variable_outcomes(
    gateway: &Gateway,
    token: &str,
    query: &str,
    cases: &[(Value, &str)],
) {
    for (variables, expected) in cases {
        let answer = gateway.ask_with(token, query, variables.clone()).await;
        assert_eq!(outcome(&answer), *expected, "{variables}\n{answer:#}");
    }
}

/// Everything that a mutation could write, to compare before and after.
async fn contents(database: &TestDatabase) -> Vec<Value> {
    let mut all = Vec::new();
    for table in ["auth_user", "sentry_useremail", "sentry_useroption"] {
        all.extend(
            database
                .rows(&format!("SELECT * FROM {table} ORDER BY id"))
                .await,
        );
    }
    all
}

/// The payload's errors as `CODE at PATH`, their texts being there.
fn payload_errors(payload: &Value) -> Vec<String> {
    let errors = payload["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            assert!(!error["message"].as_str().unwrap().is_empty());
            let path = error["path"].as_array().unwrap().iter();
            let path: Vec<_> = path.map(|step| step.as_str().unwrap()).collect();
            format!("{} at {}", error["code"].as_str().unwrap(), path.join("."))
        })
        .collect()
}
