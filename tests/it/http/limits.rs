//! The limits on documents and answers hold over HTTP/2 as over HTTP/1.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{NEW, Open};

/// A body within each limit that [`open`] sets, or beyond one, and the code of the last error.
fn cases() -> Vec<(Value, &'static str)> {
    let query = |text: &str| json!({ "query": text });
    let set = r#"setUserOption(input: {userId: 1, key: "k", value: 1}) { __typename }"#;
    let search = "users(first: 1) { nodes { id } }";
    let same = |count: usize, text: &str| text.repeat(count);
    let nodes = |count: usize| {
        let ids = same(count, r#""User:1" "#);
        query(&format!(
            r#"{{ nodes(ids: [{ids}]) {{ ... on User {{ option(key: "long") }} }} }}"#
        ))
    };
    let pair = |one: &str, other: &str| json!([{ "query": one }, { "query": other }]);
    let values = |count: usize| json!({ "query": "{ __typename }", "x": vec![1; count] });
    vec![
        (query("{ __typename }"), ""),
        (query("{ viewer { user { emails { email } } } }"), ""),
        (
            query(
                "{ viewer { user { emails { __typename } organizations { flags { require2FA } } } } }",
            ),
            "DEPTH_LIMIT_EXCEEDED",
        ),
        (
            query(
                "{ __schema { types { possibleTypes { interfaces { possibleTypes { name } } } } } }",
            ),
            "DEPTH_LIMIT_EXCEEDED",
        ),
        (query(&format!("{{ {search} }}")), ""),
        (
            query(&format!("{{ a: {search} b: {search} }}")),
            "COST_LIMIT_EXCEEDED",
        ),
        (
            query("{ a: __typename b: __typename c: __typename }"),
            "ALIAS_LIMIT_EXCEEDED",
        ),
        (
            query("{ __typename @skip(if: false) @include(if: true) }"),
            "DIRECTIVE_LIMIT_EXCEEDED",
        ),
        (query(&format!("{{ {} }}", same(20, "__typename "))), ""),
        (
            query(&format!("{{ {} }}", same(21, "__typename "))),
            "SELECTION_LIMIT_EXCEEDED",
        ),
        (
            query(&format!("{{ __typename }}{}", same(1_000, " "))),
            "DOCUMENT_TOO_LARGE",
        ),
        (
            query(&format!(
                "{{ existingUsernames(usernames: [{}]) }}",
                same(100, "\"a\" ")
            )),
            "DOCUMENT_TOO_LARGE",
        ),
        (
            json!({ "query": "query A { __typename } query B { __typename } query C { __typename }",
                    "operationName": "A" }),
            "OPERATION_LIMIT_EXCEEDED",
        ),
        (query(&format!("mutation {{ {set} }}")), ""),
        (
            query(&format!("mutation {{ {set} a: {set} }}")),
            "MUTATION_FIELD_LIMIT_EXCEEDED",
        ),
        (query("{ no1 no2 no3 }"), "GRAPHQL_VALIDATION_FAILED"),
        (query("{ no1 no2 no3 no4 }"), "ERROR_LIMIT_EXCEEDED"),
        // These are stopped while they run.
        (nodes(2), ""),
        (nodes(3), "RESPONSE_LIMIT_EXCEEDED"),
        (query("{ __schema { types { name } } }"), ""),
        (
            query(
                "{ viewer { scopes } __schema { types { description fields { description } } } }",
            ),
            "RESPONSE_LIMIT_EXCEEDED",
        ),
        (pair("{ __typename }", "{ __typename }"), ""),
        (
            pair("{ a: __typename b: __typename }", "{ a: __typename }"),
            "ALIAS_LIMIT_EXCEEDED",
        ),
        (
            json!(vec![query("{ __typename }"); 3]),
            "BATCH_LIMIT_EXCEEDED",
        ),
        (values(90_000), ""),
        (values(110_000), "PAYLOAD_TOO_LARGE"),
        (
            json!({ "query": "{ __typename }", "x": "x".repeat(600_000) }),
            "PAYLOAD_TOO_LARGE",
        ),
    ]
}

/// A gateway with low limits, whose superuser has an option of four thousand bytes.
async fn open() -> Open {
    let open = Open::with(|config| {
        config.server.max_body_bytes = 500_000;
        let limits = &mut config.limits;
        limits.depth = 4;
        limits.cost = 2_000;
        limits.response_bytes = 10_000;
        limits.aliases = 2;
        limits.directives = 1;
        limits.document_bytes = 1_000;
        limits.tokens = 100;
        limits.selections = 20;
        limits.operations = 2;
        limits.mutation_fields = 1;
        limits.errors = 3;
        limits.batch = 2;
    })
    .await;
    let value = json!("x".repeat(4_000)).to_string();
    let database = &open.gateway.database;
    database
        .add_option(UserId(1), (None, None), "long", &value)
        .await;
    open
}

/// The status and the text of each answer.
async fn answers(open: &Open) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for (body, expected) in cases() {
        let answer = open.ask(NEW, &body).await;
        let told = answer.json();
        let last = told.as_array().map_or(Some(&told), |all| all.last());
        let errors = last.and_then(|last| last["errors"].as_array());
        let error = errors.and_then(|errors| errors.last());
        let code = error.and_then(|error| error["extensions"]["code"].as_str());
        let body = body.to_string();
        assert_eq!(code.unwrap_or_default(), expected, "{body:.200}");
        answers.push((answer.status, answer.text()));
    }
    answers
}

#[tokio::test]
async fn limits_are_the_same_over_http2() {
    let open = open().await;
    let over_http1 = answers(&open).await;
    assert_eq!(answers(&open.over_http2()).await, over_http1);
}
