//! Trusted documents: where there are such, no others are answered.

use std::fs;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{CREATE, NEW, OLD, Open, persisted, sha256};
use crate::harness::{Answer, Socket};

const WHO: &str = "query Who($id: ID!) { user(id: $id) { username } }";
const TWO: &str = "query A { viewer { __typename } } query B { __typename }";
const ABOUT: &str = "subscription About($id: ID!) { userChanged(id: $id) { name } }";
const RENAME: &str = "mutation Rename($name: String!) {
    updateUser(input: { userId: 1, name: $name }) { errors { code } }
}";
const SCHEMA: &str = "{ __schema { queryType { name } } }";

/// A gateway that trusts these documents alone.
async fn trusting(documents: Value) -> Open {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), documents.to_string()).unwrap();
    // The file is read at start and not needed afterwards.
    Open::with(|config| config.trusted_documents = Some(file.path().to_owned())).await
}

async fn usual() -> Open {
    // Ids as the tools write them: an MD5, a SHA-1, and a name that somebody has thought of.
    trusting(json!({
        "0123456789abcdef0123456789abcdef": WHO,
        "0123456789abcdef0123456789abcdef01234567": TWO,
        "create": CREATE,
        "create-again": CREATE,
        "about": ABOUT,
        "rename": RENAME,
    }))
    .await
}

/// A request that names a document by the id that Relay would give it.
fn who() -> Value {
    json!({ "documentId": "0123456789abcdef0123456789abcdef", "variables": { "id": 1 } })
}

fn admin() -> Value {
    json!({ "data": { "user": { "username": "admin" } } })
}

#[tokio::test]
async fn a_trusted_document_is_answered_by_its_id_its_hash_and_its_text() {
    let open = usual().await;
    let variables = json!({ "id": 1 });
    let id = "0123456789abcdef0123456789abcdef";
    let (hash, prefixed) = (sha256(WHO), format!("sha256:{}", sha256(WHO)));
    let bodies = [
        json!({ "query": WHO }),
        json!({ "documentId": id }),
        json!({ "documentId": hash }),
        json!({ "documentId": prefixed }),
        json!({ "extensions": persisted(id) }),
        json!({ "extensions": persisted(&hash) }),
        json!({ "query": WHO, "documentId": id }),
        json!({ "query": WHO, "extensions": persisted(&hash) }),
    ];
    for mut body in bodies {
        body["variables"] = variables.clone();
        for _ in 0..2 {
            let answer = open.ask(NEW, &body).await;
            assert_eq!(answer.json(), admin(), "{body}");
            assert_eq!(answer.status, 200, "{body}");
        }
    }
    let b = json!({ "documentId": sha256(TWO), "operationName": "B" });
    let answer = open.ask(NEW, &b).await.json();
    assert_eq!(answer, json!({ "data": { "__typename": "Query" } }));
    let neither = json!({ "documentId": sha256(TWO) });
    let refusal = open.ask(NEW, &neither).await;
    refusal.refuses(400, "OPERATION_RESOLUTION_FAILURE");
}

#[tokio::test]
async fn any_other_document_is_refused_and_nothing_is_executed() {
    let open = trusting(json!({ "who": WHO })).await;
    for body in [
        json!({ "query": CREATE }),
        json!({ "query": "{ __typename }" }),
        json!({ "query": format!("{WHO} ") }),
        json!({ "query": "{ this does not parse" }),
        json!({ "query": "" }),
        json!({ "query": SCHEMA }),
        json!({ "documentId": "nobody" }),
        json!({ "documentId": "" }),
        json!({ "documentId": sha256(CREATE) }),
        json!({ "query": CREATE, "documentId": "who" }),
        json!({ "query": CREATE, "extensions": persisted(&sha256(CREATE)) }),
        json!({ "extensions": persisted(&sha256(CREATE)) }),
    ] {
        for (accept, status) in [(NEW, 400), (OLD, 200)] {
            let answer = open.ask(accept, &body).await;
            answer.refuses(status, "DOCUMENT_NOT_TRUSTED");
            assert!(answer.text().contains("--trusted-documents"), "{body}");
        }
    }
    assert_eq!(open.others().await, 0);
    // What was refused has not become known.
    let again = json!({ "extensions": persisted(&sha256(CREATE)) });
    open.ask(NEW, &again)
        .await
        .refuses(400, "DOCUMENT_NOT_TRUSTED");
}

#[tokio::test]
async fn a_trusted_text_under_the_name_of_another_is_refused() {
    let open = usual().await;
    for name in [
        json!({ "documentId": "0123456789abcdef0123456789abcdef" }),
        json!({ "documentId": "nobody" }),
        json!({ "extensions": persisted(&sha256(WHO)) }),
        json!({ "extensions": persisted("nobody") }),
    ] {
        let mut body = name;
        body["query"] = json!(CREATE);
        open.ask(NEW, &body)
            .await
            .refuses(400, "PERSISTED_QUERY_MISMATCH");
    }
    assert_eq!(open.others().await, 0);
    // A text may have two ids.
    for id in ["create", "create-again"] {
        let answer = open
            .ask(NEW, &json!({ "query": CREATE, "documentId": id }))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(open.others().await, 1);
}

#[tokio::test]
async fn an_id_may_come_by_get_and_in_a_batch() {
    let open = usual().await;
    let id = "0123456789abcdef0123456789abcdef";
    let variables = ("variables", r#"{"id": 1}"#);
    let by = persisted(id).to_string();
    for parameters in [
        [("documentId", id), variables],
        [("extensions", by.as_str()), variables],
        [("query", WHO), variables],
    ] {
        let answer = Answer::to(open.get(&parameters)).await;
        assert_eq!((answer.status, answer.json()), (200, admin()));
    }
    let refused = Answer::to(open.get(&[("query", SCHEMA)])).await;
    refused.refuses(400, "DOCUMENT_NOT_TRUSTED");
    let mutation = Answer::to(open.get(&[("documentId", "create")])).await;
    mutation.refuses(405, "METHOD_NOT_ALLOWED");

    let batch = json!([who(), { "query": SCHEMA }, { "query": WHO, "variables": { "id": 1 } }]);
    let answers = open.ask(NEW, &batch).await.json();
    assert_eq!(answers[0], admin());
    let code = &answers[1]["errors"][0]["extensions"]["code"];
    assert_eq!(code, "DOCUMENT_NOT_TRUSTED");
    assert_eq!(answers[2], admin());
}

#[tokio::test]
async fn a_websocket_answers_trusted_documents_alone() {
    let open = usual().await;
    let mut socket = Socket::signed_in(&open.gateway.origin, &open.token).await;
    socket.subscribe_with("who", &who()).await;
    assert_eq!(socket.event("who").await, admin());
    assert_eq!(socket.next().await["type"], "complete");
    socket
        .subscribe("other", "subscription { userChanged(id: 1) { id } }")
        .await;
    let refusal = socket.refusal("other").await;
    assert_eq!(refusal[0]["extensions"]["code"], "DOCUMENT_NOT_TRUSTED");
    let about = json!({ "documentId": "about", "variables": { "id": 1 } });
    socket.subscribe_with("about", &about).await;
    let rename = async |number| {
        let variables = json!({ "name": format!("Ada {number}") });
        let body = json!({ "documentId": "rename", "variables": variables });
        let answer = open.ask(NEW, &body).await;
        assert_eq!(answer.json()["data"]["updateUser"]["errors"], json!([]));
    };
    let event = socket.first_event("about", rename).await;
    let name = event["data"]["userChanged"]["name"].as_str().unwrap();
    assert!(name.starts_with("Ada "), "{event}");
}

#[tokio::test]
async fn the_schema_is_told_only_where_a_trusted_document_asks() {
    let open = trusting(json!({ "schema": SCHEMA })).await;
    let answer = open
        .ask(NEW, &json!({ "documentId": "schema" }))
        .await
        .json();
    assert_eq!(answer["data"]["__schema"]["queryType"]["name"], "Query");
    let other = json!({ "query": "{ __schema { types { name } } }" });
    open.ask(NEW, &other)
        .await
        .refuses(400, "DOCUMENT_NOT_TRUSTED");
}

#[tokio::test]
async fn who_has_no_credentials_does_not_learn_what_is_trusted() {
    let open = usual().await;
    for body in [
        who(),
        json!({ "query": SCHEMA }),
        json!({ "documentId": "nobody" }),
    ] {
        let answer = Answer::to(open.gateway.graphql().json(&body)).await;
        answer.refuses(401, "UNAUTHENTICATED");
    }
    let url = format!("{}/graphql", open.gateway.origin);
    let url = Url::parse_with_params(&url, [("documentId", "nobody")]).unwrap();
    let answer = Answer::to(open.gateway.client.get(url)).await;
    answer.refuses(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn trusted_documents_stay_however_little_room_there_is() {
    let file = NamedTempFile::new().unwrap();
    fs::write(
        file.path(),
        json!({ "who": WHO, "create": CREATE }).to_string(),
    )
    .unwrap();
    let open = Open::with(|config| {
        config.trusted_documents = Some(file.path().to_owned());
        config.graphql.document_cache_bytes = 0;
        config.graphql.persisted_queries = false;
    })
    .await;
    for _ in 0..3 {
        let by = json!({ "extensions": persisted("who"), "variables": { "id": 1 } });
        assert_eq!(open.ask(NEW, &by).await.json(), admin());
    }
}

#[tokio::test]
async fn values_of_a_trusted_document_are_looked_at_as_ever() {
    let literal = "query ($x: ID!) { users(filter: {ids: [true, $x]}) { nodes { id } } }";
    let deep = "query ($n: Int) { users(filter: {ids: [1]}, first: $n) { nodes { id } } }";
    let open = trusting(json!({ "literal": literal, "deep": deep, "who": WHO })).await;
    for (id, variables, code) in [
        ("literal", json!({ "x": 1 }), "GRAPHQL_VALIDATION_FAILED"),
        ("literal", json!({ "x": 1 }), "GRAPHQL_VALIDATION_FAILED"),
        ("deep", json!({ "n": "1" }), "BAD_USER_INPUT"),
        ("who", json!({}), "BAD_USER_INPUT"),
    ] {
        let body = json!({ "documentId": id, "variables": variables });
        open.ask(NEW, &body).await.refuses(400, code);
    }
    let good = json!({ "documentId": "deep", "variables": { "n": 1 } });
    let answer = open.ask(NEW, &good).await.json();
    assert_eq!(
        answer["data"]["users"]["nodes"],
        json!([{ "id": "User:1" }])
    );
}
