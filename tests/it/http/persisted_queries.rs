//! Automatic persisted queries: a hash that stands for a document that was sent before.

use reqwest::Method;
use serde_json::{Value, json};

use super::{CREATE, NEW, OLD, Open, persisted, sha256};
use crate::harness::{Answer, Socket};

const WHO: &str = "query Who($id: ID!) { user(id: $id) { username } }";

/// A request that names a document and does not hold it.
fn by_hash(text: &str) -> Value {
    json!({ "extensions": persisted(&sha256(text)), "variables": { "id": 1 } })
}

/// A request that holds a document and its hash.
fn with_hash(text: &str) -> Value {
    let mut body = by_hash(text);
    body["query"] = json!(text);
    body
}

fn admin() -> Value {
    json!({ "data": { "user": { "username": "admin" } } })
}

fn assert_unknown(answer: &Value) {
    let code = json!({ "code": "PERSISTED_QUERY_NOT_FOUND" });
    let error = json!({ "message": "PersistedQueryNotFound", "extensions": code });
    assert_eq!(*answer, json!({ "errors": [error] }));
}

impl Open {
    /// The answer to a request that must be executed.
    async fn executed(&self, body: &Value) -> Value {
        let answer = self.ask(NEW, body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer.json()
    }

    /// Asserts that a hash alone names no document.
    async fn assert_unknown(&self, text: &str) {
        assert_unknown(&self.ask(NEW, &by_hash(text)).await.json());
    }
}

#[tokio::test]
async fn a_hash_stands_for_a_document_once_its_text_was_sent_with_it() {
    let open = Open::start().await;
    open.assert_unknown(WHO).await;
    assert_eq!(open.executed(&with_hash(WHO)).await, admin());
    for _ in 0..2 {
        assert_eq!(open.executed(&by_hash(WHO)).await, admin());
    }
    assert_eq!(open.executed(&with_hash(WHO)).await, admin());
    let mut loud = by_hash(WHO);
    loud["extensions"] = persisted(&sha256(WHO).to_uppercase());
    assert_eq!(open.executed(&loud).await, admin());
    // As it is looked at anew, what was given to it is not.
    let mut other = by_hash(WHO);
    other["variables"] = json!({ "id": true });
    open.ask(NEW, &other).await.refuses(400, "BAD_USER_INPUT");
}

#[tokio::test]
async fn a_document_that_was_known_by_its_text_gets_its_hash_too() {
    let open = Open::start().await;
    let plain = json!({ "query": WHO, "variables": { "id": 1 } });
    assert_eq!(open.executed(&plain).await, admin());
    open.assert_unknown(WHO).await;
    assert_eq!(open.executed(&with_hash(WHO)).await, admin());
    assert_eq!(open.executed(&by_hash(WHO)).await, admin());
    assert_eq!(open.executed(&plain).await, admin());
}

#[tokio::test]
async fn a_hash_may_come_by_get_in_a_batch_and_over_a_websocket() {
    let open = Open::start().await;
    open.executed(&with_hash(WHO)).await;
    let by = persisted(&sha256(WHO)).to_string();
    let parameters = [("extensions", by.as_str()), ("variables", r#"{"id": 1}"#)];
    let answer = Answer::to(open.get(&parameters)).await;
    assert_eq!((answer.status, answer.json()), (200, admin()));

    let id = format!("sha256:{}", sha256(WHO));
    let parameters = [("documentId", id.as_str()), ("variables", r#"{"id": 1}"#)];
    let answer = Answer::to(open.get(&parameters)).await;
    assert_eq!((answer.status, answer.json()), (200, admin()));

    let batch = json!([by_hash(WHO), by_hash("{ __typename }"), with_hash(WHO)]);
    let answers = open.executed(&batch).await;
    assert_eq!(answers[0], admin());
    assert_unknown(&answers[1]);
    assert_eq!(answers[2], admin());

    let mut socket = Socket::signed_in(&open.gateway.origin, &open.token).await;
    socket.subscribe_with("known", &by_hash(WHO)).await;
    assert_eq!(socket.event("known").await, admin());
    assert_eq!(socket.next().await["type"], "complete");
    let typename = "{ __typename }";
    socket.subscribe_with("new", &by_hash(typename)).await;
    let refusal = socket.refusal("new").await;
    assert_eq!(refusal[0]["message"], "PersistedQueryNotFound");
    socket.subscribe_with("new", &with_hash(typename)).await;
    assert_eq!(socket.event("new").await["data"]["__typename"], "Query");
    assert_eq!(socket.next().await["type"], "complete");
    open.executed(&by_hash(typename)).await;
}

#[tokio::test]
async fn a_document_may_be_made_known_by_get() {
    let open = Open::start().await;
    let by = persisted(&sha256(WHO)).to_string();
    let parameters = [
        ("query", WHO),
        ("extensions", by.as_str()),
        ("variables", r#"{"id": 1}"#),
    ];
    for parameters in [&parameters[1..], &parameters, &parameters[1..]] {
        let answer = Answer::to(open.get(parameters)).await;
        let is_executed = answer.json() == admin();
        let is_unknown = answer.code() == "PERSISTED_QUERY_NOT_FOUND";
        assert!(is_executed != is_unknown, "{}", answer.text());
    }
    assert_eq!(open.executed(&by_hash(WHO)).await, admin());
}

#[tokio::test]
async fn a_mutation_that_is_named_by_its_hash_is_still_not_run_by_get() {
    let open = Open::start().await;
    let by = persisted(&sha256(CREATE)).to_string();
    open.executed(&with_hash(CREATE)).await;
    assert_eq!(open.others().await, 1);
    let request = open.get(&[("extensions", by.as_str())]);
    Answer::to(request).await.refuses(405, "METHOD_NOT_ALLOWED");
    let answer = open.executed(&by_hash(CREATE)).await;
    assert_eq!(
        answer,
        json!({ "data": { "getOrCreateUserByEmail": { "created": false } } })
    );
}

#[tokio::test]
async fn a_hash_that_does_not_fit_the_text_is_refused_and_nothing_is_executed() {
    let open = Open::start().await;
    let code = "PERSISTED_QUERY_MISMATCH";
    open.executed(&with_hash(WHO)).await;
    for wrong in [
        sha256(WHO),
        sha256("{ __typename }"),
        String::new(),
        "1".repeat(64),
        "x".repeat(64),
    ] {
        let body = json!({ "query": CREATE, "extensions": persisted(&wrong) });
        open.ask(NEW, &body).await.refuses(400, code);
        open.ask(OLD, &body).await.refuses(200, code);
    }
    assert_eq!(open.others().await, 0);
    open.assert_unknown(CREATE).await;
    open.assert_unknown("{ __typename }").await;
    assert_eq!(open.executed(&by_hash(WHO)).await, admin());
}

#[tokio::test]
async fn a_document_that_is_not_valid_is_not_kept() {
    let open = Open::start().await;
    for (text, code) in [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ a b", "GRAPHQL_PARSE_FAILED"),
        (
            "query A { __typename } query B { __typename }",
            "OPERATION_RESOLUTION_FAILURE",
        ),
        (
            "query ($id: ID!) { user(id: $id) { nothing } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ] {
        open.ask(NEW, &with_hash(text)).await.refuses(400, code);
        open.assert_unknown(text).await;
    }
}

#[tokio::test]
async fn a_client_that_is_to_send_the_text_is_told_under_200_unless_it_knows_better() {
    let open = Open::start().await;
    for (accept, status) in [(NEW, 400), (OLD, 200), ("*/*", 200)] {
        let answer = open.ask(accept, &by_hash(WHO)).await;
        assert_eq!(answer.status, status, "{accept}");
        assert_unknown(&answer.json());
    }
    let unlike_any = json!({ "extensions": persisted("none") });
    assert_unknown(&open.ask(NEW, &unlike_any).await.json());
    let id = json!({ "documentId": "none" });
    assert_unknown(&open.ask(NEW, &id).await.json());
}

#[tokio::test]
async fn hashes_can_be_switched_off() {
    for open in [
        Open::with(|config| config.graphql.persisted_queries = false).await,
        Open::with(|config| config.graphql.document_cache_bytes = 0).await,
    ] {
        for _ in 0..2 {
            for (accept, status) in [(NEW, 400), ("*/*", 200)] {
                let answer = open.ask(accept, &by_hash(WHO)).await;
                answer.refuses(status, "PERSISTED_QUERY_NOT_SUPPORTED");
                let message = &answer.json()["errors"][0]["message"];
                assert_eq!(message, "PersistedQueryNotSupported");
            }
            assert_eq!(open.executed(&with_hash(WHO)).await, admin());
        }
    }
}

#[tokio::test]
async fn who_has_no_credentials_does_not_learn_which_hashes_are_known() {
    let open = Open::with(|config| config.graphql.anonymous_introspection = true).await;
    open.executed(&with_hash(WHO)).await;
    for text in [WHO, "{ __typename }"] {
        for body in [by_hash(text), json!({ "documentId": sha256(text) })] {
            let answer = Answer::to(open.gateway.graphql().json(&body)).await;
            answer.refuses(401, "UNAUTHENTICATED");
        }
    }
    let schema = "{ __schema { queryType { name } } }";
    for body in [with_hash(schema), by_hash(schema)] {
        let answer = Answer::to(open.gateway.graphql().json(&body)).await;
        assert_eq!(
            answer.json()["data"]["__schema"]["queryType"]["name"],
            "Query"
        );
    }
}

#[tokio::test]
async fn what_is_no_persisted_query_is_refused() {
    let open = Open::start().await;
    for value in [
        json!(1),
        json!("text"),
        json!([1, sha256(WHO)]),
        json!({}),
        json!({ "version": 1 }),
        json!({ "sha256Hash": sha256(WHO) }),
        json!({ "version": 2, "sha256Hash": sha256(WHO) }),
        json!({ "version": "1", "sha256Hash": sha256(WHO) }),
        json!({ "version": 1, "sha256Hash": 1 }),
        json!({ "version": 1, "sha256Hash": null }),
    ] {
        for mut body in [json!({}), json!({ "query": WHO, "variables": { "id": 1 } })] {
            body["extensions"] = json!({ "persistedQuery": value });
            open.ask(NEW, &body).await.refuses(400, "BAD_REQUEST");
        }
    }
    for body in [json!({ "documentId": 1 }), json!({ "extensions": [null] })] {
        open.ask(NEW, &body).await.refuses(400, "BAD_REQUEST");
    }
    // Nor is a list of the members an object.
    let request = open
        .gateway
        .client
        .request(Method::POST, format!("{}/graphql", open.gateway.origin));
    let list = json!([WHO, null, null, { "id": 1 }, null]);
    let answer = Answer::to(request.bearer_auth(&open.token).json(&list)).await;
    answer.refuses(400, "BAD_REQUEST");
    let absent = json!({
        "query": WHO, "variables": { "id": 1 }, "documentId": null,
        "extensions": { "persistedQuery": null, "other": [] },
    });
    assert_eq!(open.executed(&absent).await, admin());
}
