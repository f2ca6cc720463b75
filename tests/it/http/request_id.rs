//! The name of each request, and the headers that every response has.

use std::collections::HashSet;

use serde_json::json;

use super::Open;
use crate::harness::{Answer, Raw};

#[tokio::test]
async fn a_safe_name_is_taken_over() {
    let open = Open::start().await;
    let longest = "a".repeat(64);
    for name in [
        "1",
        "a-b_c.D",
        "0195f3c2-8f7e-7c5a-9d3e-2b1a0f9e8d7c",
        &longest,
    ] {
        let answer = Answer::to(open.gateway.get("/healthz").header("x-request-id", name)).await;
        assert_eq!(answer.header("x-request-id"), name);
    }
}

#[tokio::test]
async fn an_unsafe_name_is_replaced() {
    let open = Open::start().await;
    let too_long = "a".repeat(65);
    let names: [&[u8]; 8] = [
        b"",
        b"a b",
        b"a\"b",
        b"a;b",
        b"<script>",
        b"\xc3\xa9",
        b"a/../b",
        too_long.as_bytes(),
    ];
    for name in names {
        let answer = Answer::to(open.gateway.get("/healthz").header("x-request-id", name)).await;
        let made = answer.header("x-request-id");
        assert_ne!(made.as_bytes(), name);
        assert_eq!(made.len(), 36, "{made}");
    }
}

#[tokio::test]
async fn every_request_without_a_name_gets_one_of_its_own() {
    let open = Open::start().await;
    let mut names = HashSet::new();
    for _ in 0..20 {
        let answer = open.query("{ __typename }").await;
        assert!(names.insert(answer.header("x-request-id")));
    }
}

#[tokio::test]
async fn every_response_has_a_name_and_is_not_guessed_at() {
    let open = Open::start().await;
    let wrong_type = open.post().body("x");
    let cross_site = open
        .post()
        .header("sec-fetch-site", "cross-site")
        .json(&json!({}));
    for (request, status) in [
        (open.gateway.get("/healthz"), 200),
        (open.gateway.get("/readyz"), 200),
        (open.gateway.get("/graphiql/"), 200),
        (open.gateway.get("/nothing"), 404),
        (open.gateway.get("/graphiql/nothing"), 404),
        (open.gateway.get("/graphql"), 401),
        (open.get(&[("query", "{ __typename }")]), 200),
        (wrong_type, 415),
        (cross_site, 403),
    ] {
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("x-request-id").len(), 36);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_path_that_leads_nowhere_says_where_to_go() {
    let open = Open::start().await;
    let answer = Answer::to(open.gateway.get("/api")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("/graphql"), "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
}

#[tokio::test]
async fn what_is_not_http_is_refused_without_harm() {
    let open = Open::start().await;
    for text in [
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let raw = Raw::open(&open.gateway.origin).await;
        raw.send(text).await;
        let answer = raw.rest().await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{text:?}: {answer}"
        );
    }
    assert_eq!(open.query("{ __typename }").await.status, 200);
}
