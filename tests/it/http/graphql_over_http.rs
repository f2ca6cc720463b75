//! GraphQL over HTTP: which requests are well-formed, and what their answers look like.

use reqwest::Method;
use serde_json::{Value, json};

use super::{CREATE, NEW, OLD, Open};
use crate::harness::{Answer, Raw};

/// A document that is executed, and one that is refused before.
const GOOD: &str = "{ viewer { __typename } }";
const BAD: &str = "{ nobodyKnowsThisField }";

#[tokio::test]
async fn the_answer_is_of_the_type_the_client_likes_best() {
    let open = Open::start().await;
    for (accept, expected, status_of_bad) in [
        (NEW, NEW, 400),
        ("application/graphql-response+json; charset=utf-8", NEW, 400),
        ("Application/GraphQL-Response+JSON", NEW, 400),
        (
            "application/graphql-response+json, application/json",
            NEW,
            400,
        ),
        (
            "application/json, application/graphql-response+json",
            NEW,
            400,
        ),
        (
            "application/graphql-response+json;q=0.5, application/json;q=0.4",
            NEW,
            400,
        ),
        (
            "application/graphql-response+json;q=0.4, application/json;q=0.5",
            OLD,
            400,
        ),
        (
            "application/json;q=0.2, application/graphql-response+json;q=0.201",
            NEW,
            400,
        ),
        (
            "text/html, application/graphql-response+json;q=0.1",
            NEW,
            400,
        ),
        ("application/graphql-response+json;q=0, */*", OLD, 400),
        ("*/*", OLD, 400),
        ("application/*", OLD, 400),
        ("text/html, */*;q=0.1", OLD, 400),
        // Clients that accept this alone take any other status for no answer of GraphQL's.
        (OLD, OLD, 200),
        ("application/json; charset=utf-8", OLD, 200),
        ("application/json;q=0.3", OLD, 200),
        ("text/html, application/json", OLD, 200),
    ] {
        let good = open.ask(accept, &json!({ "query": GOOD })).await;
        assert_eq!(good.status, 200, "{accept}");
        assert_eq!(
            good.header("content-type"),
            format!("{expected}; charset=utf-8"),
            "{accept}"
        );
        assert!(good.header("vary").contains("accept"), "{accept}");
        assert_eq!(
            good.json(),
            json!({ "data": { "viewer": { "__typename": "Viewer" } } })
        );

        let bad = open.ask(accept, &json!({ "query": BAD })).await;
        bad.refuses(status_of_bad, "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(
            bad.header("content-type"),
            format!("{expected}; charset=utf-8"),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn several_accept_headers_are_one() {
    let open = Open::start().await;
    let request = open
        .post()
        .header("accept", "text/html")
        .header("accept", "application/json;q=0.1")
        .header("accept", NEW)
        .json(&json!({ "query": GOOD }));
    let answer = Answer::to(request).await;
    assert_eq!(
        answer.header("content-type"),
        format!("{NEW}; charset=utf-8")
    );
}

#[tokio::test]
async fn a_client_that_names_no_type_gets_json_with_the_new_statuses() {
    let open = Open::start().await;
    for (document, status) in [(GOOD, 200), (BAD, 400)] {
        let body = json!({ "query": document }).to_string();
        let head = format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        let raw = Raw::open(&open.gateway.origin).await;
        raw.send(&format!("{}{body}", open.head("POST", &head)))
            .await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
    }
}

#[tokio::test]
async fn a_client_that_accepts_neither_type_is_refused_and_nothing_is_executed() {
    let open = Open::start().await;
    for accept in [
        "text/html",
        "application/xml, text/*;q=0.5",
        "application/json;q=0",
        "*/*;q=0",
        "application/*;q=0, text/html",
        "application/graphql-response+json;q=0, application/json;q=0, */*",
    ] {
        open.ask(accept, &json!({ "query": CREATE }))
            .await
            .refuses(406, "NOT_ACCEPTABLE");
    }
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json_in_utf_8() {
    let open = Open::start().await;
    let body = json!({ "query": CREATE }).to_string();
    for content_type in [
        "text/plain",
        "text/plain;charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonp",
        "application/json+x",
        "text/json",
        "json",
        "",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=\"iso-8859-1\"",
    ] {
        let request = open.post().header("content-type", content_type);
        Answer::to(request.body(body.clone()))
            .await
            .refuses(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    Answer::to(open.post().body(body.clone()))
        .await
        .refuses(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(open.others().await, 0);

    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json ; foo=bar",
    ] {
        let request = open.post().header("content-type", content_type);
        let body = json!({ "query": GOOD }).to_string();
        let answer = Answer::to(request.body(body)).await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_whatever_the_client_accepts() {
    let open = Open::start().await;
    for body in [
        &b""[..],
        b" ",
        b"{",
        b"{ viewer { __typename } }",
        b"{\"query\": \"{ viewer { __typename } }\"",
        b"{\"query\": \"{ viewer { __typename } }\"} {}",
        b"query={viewer{__typename}}",
        b"{\"query\": \"\xff\"}",
        b"{\"query\": NaN}",
    ] {
        for accept in [NEW, OLD, "*/*"] {
            let request = open
                .post()
                .header("accept", accept)
                .header("content-type", "application/json")
                .body(body);
            let answer = Answer::to(request).await;
            answer.refuses(400, "BAD_REQUEST");
            // What Rust calls its errors tells a client nothing.
            assert!(!answer.text().contains("Error("), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_request_that_is_not_well_formed_is_refused_whatever_the_client_accepts() {
    let open = Open::start().await;
    for body in [
        json!(null),
        json!(true),
        json!(1),
        json!("{ viewer { __typename } }"),
        json!({}),
        json!([]),
        json!([GOOD]),
        json!([null]),
        json!([{ "query": GOOD }, 1]),
        json!({ "query": null }),
        json!({ "query": true }),
        json!({ "query": 1 }),
        json!({ "query": [GOOD] }),
        json!({ "query": { "kind": "Document" } }),
        json!({ "Query": GOOD }),
        json!({ "operationName": "Q" }),
        json!({ "query": GOOD, "operationName": 1 }),
        json!({ "query": GOOD, "operationName": false }),
        json!({ "query": GOOD, "operationName": ["Q"] }),
        json!({ "query": GOOD, "operationName": {} }),
        json!({ "query": GOOD, "variables": 1 }),
        json!({ "query": GOOD, "variables": true }),
        json!({ "query": GOOD, "variables": "{}" }),
        json!({ "query": GOOD, "variables": [] }),
        json!({ "query": GOOD, "extensions": 1 }),
        json!({ "query": GOOD, "extensions": "{}" }),
        json!({ "query": GOOD, "extensions": [] }),
        json!({ "query": GOOD, "extensions": false }),
    ] {
        for accept in [NEW, OLD, "*/*"] {
            open.ask(accept, &body).await.refuses(400, "BAD_REQUEST");
        }
    }
}

#[tokio::test]
async fn null_members_are_absent_and_unknown_ones_are_ignored() {
    let open = Open::start().await;
    for body in [
        json!({ "query": GOOD, "operationName": null, "variables": null, "extensions": null }),
        json!({ "query": GOOD, "variables": {}, "extensions": { "persistedQuery": null, "tracing": { "version": 1 } } }),
        json!({ "query": GOOD, "id": 1, "documentId": "x", "": [], "Variables": 1 }),
        json!({ "query": GOOD, "variables": { "nobodyDeclaresThis": 1 } }),
    ] {
        let answer = open.ask(NEW, &body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(
            answer.json(),
            json!({ "data": { "viewer": { "__typename": "Viewer" } } })
        );
    }
}

#[tokio::test]
async fn the_operation_to_run_must_be_clear() {
    let open = Open::start().await;
    let two = "query A { viewer { __typename } } query B { viewer { scopes } }";
    for body in [
        json!({ "query": two }),
        json!({ "query": two, "operationName": "C" }),
        json!({ "query": two, "operationName": "a" }),
        json!({ "query": two, "operationName": "" }),
        json!({ "query": "query A { viewer { __typename } }", "operationName": "B" }),
        json!({ "query": GOOD, "operationName": "A" }),
    ] {
        open.ask(NEW, &body)
            .await
            .refuses(400, "OPERATION_RESOLUTION_FAILURE");
        open.ask(OLD, &body)
            .await
            .refuses(200, "OPERATION_RESOLUTION_FAILURE");
    }
    let body = json!({ "query": two, "operationName": "A" });
    let answer = open.ask(NEW, &body).await;
    assert_eq!(
        answer.json(),
        json!({ "data": { "viewer": { "__typename": "Viewer" } } })
    );
}

#[tokio::test]
async fn a_document_or_variables_that_do_not_fit_are_refused_before_anything_is_executed() {
    let open = Open::start().await;
    let with = |query: &str, variables: Value| json!({ "query": query, "variables": variables });
    let create = "mutation($email: String!, $ident: String) {
        getOrCreateUserByEmail(input: { email: $email, ident: $ident }) { created }
    }";
    for (body, code) in [
        (with("", json!({})), "GRAPHQL_PARSE_FAILED"),
        (with("   ", json!({})), "GRAPHQL_PARSE_FAILED"),
        (with("{", json!({})), "GRAPHQL_PARSE_FAILED"),
        (with("{ viewer { } }", json!({})), "GRAPHQL_PARSE_FAILED"),
        (with("nonsense", json!({})), "GRAPHQL_PARSE_FAILED"),
        (with(BAD, json!({})), "GRAPHQL_VALIDATION_FAILED"),
        (with("{ viewer }", json!({})), "GRAPHQL_VALIDATION_FAILED"),
        (
            with("{ user { id } }", json!({})),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            with("mutation { createUser }", json!({})),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (with(create, json!({})), "BAD_USER_INPUT"),
        (with(create, json!({ "email": null })), "BAD_USER_INPUT"),
        (with(create, json!({ "email": 1 })), "BAD_USER_INPUT"),
        (with(create, json!({ "email": {} })), "BAD_USER_INPUT"),
        (
            with(create, json!({ "email": "new@example.com", "ident": 1 })),
            "BAD_USER_INPUT",
        ),
    ] {
        open.ask(NEW, &body).await.refuses(400, code);
        open.ask("*/*", &body).await.refuses(400, code);
        open.ask(OLD, &body).await.refuses(200, code);
    }
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn a_query_may_be_asked_by_get_with_all_four_parameters() {
    let open = Open::start().await;
    let query = "query A($id: ID!) { user(id: $id) { username } } query B { __typename }";
    let request = open.get(&[
        ("query", query),
        ("operationName", "A"),
        ("variables", r#"{"id": "User:1"}"#),
        ("extensions", r#"{"traced": true}"#),
    ]);
    let answer = Answer::to(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({ "data": { "user": { "username": "admin" } } })
    );
}

#[tokio::test]
async fn empty_parameters_are_absent_and_unknown_ones_are_ignored() {
    let open = Open::start().await;
    for parameters in [
        &[
            ("query", GOOD),
            ("operationName", ""),
            ("variables", ""),
            ("extensions", ""),
        ][..],
        &[("query", GOOD), ("variables", "null")],
        &[("query", GOOD), ("callback", "alert")],
    ] {
        let answer = Answer::to(open.get(parameters)).await;
        assert_eq!(answer.status, 200, "{parameters:?}");
        assert_eq!(
            answer.json(),
            json!({ "data": { "viewer": { "__typename": "Viewer" } } })
        );
    }
}

#[tokio::test]
async fn a_get_that_is_not_well_formed_is_refused() {
    let open = Open::start().await;
    for parameters in [
        &[][..],
        &[("query", "")],
        &[("operationName", "A")],
        &[("query", GOOD), ("variables", "{")],
        &[("query", GOOD), ("variables", "[]")],
        &[("query", GOOD), ("variables", "1")],
        &[("query", GOOD), ("extensions", "nonsense")],
        &[("query", GOOD), ("extensions", "\"text\"")],
    ] {
        let answer = Answer::to(open.get(parameters).header("accept", OLD)).await;
        answer.refuses(400, "BAD_REQUEST");
    }
    for (query, code) in [
        (BAD, "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
    ] {
        for (accept, status) in [(NEW, 400), (OLD, 200)] {
            let request = open.get(&[("query", query)]).header("accept", accept);
            Answer::to(request).await.refuses(status, code);
        }
    }
}

#[tokio::test]
async fn a_mutation_by_get_is_refused_and_not_executed() {
    let open = Open::start().await;
    let two = format!("query Read {{ __typename }} {CREATE}");
    for accept in [NEW, OLD, "*/*"] {
        for parameters in [
            &[("query", CREATE)][..],
            &[("query", two.as_str()), ("operationName", "Create")],
        ] {
            let answer = Answer::to(open.get(parameters).header("accept", accept)).await;
            answer.refuses(405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.header("allow"), "POST");
        }
    }
    assert_eq!(open.others().await, 0);

    let request = open.get(&[("query", &two), ("operationName", "Read")]);
    let answer = Answer::to(request).await;
    assert_eq!(answer.json(), json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn other_methods_are_refused_and_told_which_fit() {
    let open = Open::start().await;
    let url = format!("{}/graphql", open.gateway.origin);
    for method in ["PUT", "PATCH", "DELETE", "QUERY", "TRACE"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = open
            .gateway
            .client
            .request(method, &url)
            .bearer_auth(&open.token)
            .json(&json!({ "query": CREATE }));
        let answer = Answer::to(request).await;
        answer.refuses(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), "GET, POST");
    }
    let answer = Answer::to(open.gateway.client.head(&url).bearer_auth(&open.token)).await;
    assert_eq!(
        (answer.status, &*answer.header("allow")),
        (405, "GET, POST")
    );
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn once_execution_has_begun_the_status_is_200() {
    let open = Open::start().await;
    for accept in [NEW, OLD, "*/*"] {
        let query = r#"{ viewer { __typename } user(id: "nonsense") { id } }"#;
        let partial = open.ask(accept, &json!({ "query": query })).await;
        assert_eq!(partial.status, 200, "{}", partial.text());
        assert_eq!(
            partial.json()["data"],
            json!({ "viewer": { "__typename": "Viewer" }, "user": null })
        );
        assert_eq!(partial.code(), "BAD_USER_INPUT");

        let query = r#"{ organizations(userId: "nonsense") { id } }"#;
        let nothing = open.ask(accept, &json!({ "query": query })).await;
        assert_eq!(nothing.status, 200, "{}", nothing.text());
        assert_eq!(nothing.json()["data"], Value::Null);
        assert!(nothing.json().get("data").is_some(), "{}", nothing.text());
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_up_to_its_bound() {
    let open = Open::with(|config| config.limits.batch = 3).await;
    let body = json!([
        { "query": "{ __typename }" },
        { "query": BAD },
        { "query": GOOD },
    ]);
    let answer = open.ask(NEW, &body).await;
    assert_eq!(answer.status, 200);
    let answers = answer.json();
    assert_eq!(answers[0], json!({ "data": { "__typename": "Query" } }));
    assert_eq!(
        answers[1]["errors"][0]["extensions"]["code"],
        "GRAPHQL_VALIDATION_FAILED"
    );
    assert!(answers[1].get("data").is_none());
    assert_eq!(
        answers[2],
        json!({ "data": { "viewer": { "__typename": "Viewer" } } })
    );

    let body = Value::Array(vec![json!({ "query": CREATE }); 4]);
    let answer = open.ask(OLD, &body).await;
    answer.refuses(400, "BATCH_LIMIT_EXCEEDED");
    assert!(answer.text().contains('3'), "{}", answer.text());
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn the_draft_has_statuses_of_its_own_behind_a_switch() {
    let open = Open::with(|config| config.graphql.draft_statuses = true).await;
    let partial = r#"{ viewer { __typename } user(id: "nonsense") { id } }"#;
    let nothing = r#"{ organizations(userId: "nonsense") { id } }"#;
    let variables = "query($id: ID!) { user(id: $id) { id } }";
    for accept in [NEW, OLD, "*/*"] {
        for (query, status) in [
            ("{", 400),
            (BAD, 422),
            (variables, 422),
            (GOOD, 200),
            (partial, 294),
            (nothing, 200),
        ] {
            let answer = open.ask(accept, &json!({ "query": query })).await;
            assert_eq!(answer.status, status, "{query}: {}", answer.text());
        }
        let answer = open.ask(accept, &json!({})).await;
        answer.refuses(400, "BAD_REQUEST");
    }
}
