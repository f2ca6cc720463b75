//! Requests that are too large, too slow or too many.

use std::time::Duration;

use reqwest::RequestBuilder;
use sea_orm::TransactionTrait as _;
use serde_json::json;

use super::{CREATE, NEW, Open};
use crate::harness::{Answer, PATIENCE, Raw, eventually};

/// A body of exactly this many bytes, mostly blanks.
fn body_of(length: usize) -> String {
    let body = json!({ "query": "{ __typename }" }).to_string();
    format!("{body}{}", " ".repeat(length - body.len()))
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_bound_and_no_larger() {
    let open = Open::with(|config| config.server.max_body_bytes = 1_000).await;
    for (length, status) in [(1_000, 200), (1_001, 413), (100_000, 413)] {
        let request = open
            .post()
            .header("content-type", "application/json")
            .body(body_of(length));
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{length}: {}", answer.text());
        if status == 413 {
            answer.refuses(413, "PAYLOAD_TOO_LARGE");
            assert!(answer.text().contains("1000"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn the_json_values_of_a_body_are_limited() {
    let open = Open::start().await;
    let one = |count: usize| {
        let query = "{ __typename }";
        json!({ "query": query, "variables": { "unused": vec![1; count] } })
    };
    for (body, is_refused) in [
        (one(90_000), false),
        (one(110_000), true),
        (json!([one(45_000), one(45_000)]), false),
        (json!([one(55_000), one(55_000)]), true),
        (
            json!({ "query": "{ __typename }", "x": "[1,".repeat(110_000) }),
            false,
        ),
    ] {
        let answer = Answer::to(open.post().json(&body)).await;
        if is_refused {
            answer.refuses(413, "PAYLOAD_TOO_LARGE");
            assert!(answer.text().contains("100000"), "{}", answer.text());
        } else {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_client_still_sending_a_large_body_gets_to_read_why_it_is_refused() {
    let open = Open::start().await;
    let body = body_of(8 * 1024 * 1024);
    for _ in 0..8 {
        let json = |request: RequestBuilder| {
            let request = request.header("content-type", "application/json");
            Answer::to(request.body(body.clone()))
        };
        let answer = json(open.post()).await;
        answer.refuses(413, "PAYLOAD_TOO_LARGE");
        assert_eq!(answer.header("connection"), "close");
        let answer = json(open.gateway.graphql().bearer_auth("nobody-knows-this")).await;
        answer.refuses(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_client_that_goes_on_sending_when_it_is_refused_is_left_in_the_end() {
    let open = Open::start().await;
    let raw = Raw::open(&open.gateway.origin).await;
    let head = "content-type: application/json\r\ncontent-length: 1000000000\r\n";
    raw.send(&open.head("POST", head)).await;
    let part = "x".repeat(1_000);
    for _ in 0..3_000 {
        raw.send(&part).await;
    }
    raw.answer().await.refuses(413, "PAYLOAD_TOO_LARGE");
    eventually("nobody takes any more", async || {
        raw.try_send(&part).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let open = Open::with(|config| config.server.max_body_bytes = 1_000).await;
    let raw = Raw::open(&open.gateway.origin).await;
    let head = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let chunk = "x".repeat(600);
    raw.send(&format!(
        "{}258\r\n{chunk}\r\n258\r\n{chunk}\r\n",
        open.head("POST", head)
    ))
    .await;
    raw.answer().await.refuses(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_request_target_has_a_bound() {
    let open = Open::start().await;
    let query = |length: usize| format!("{{ __typename }} #{}", "x".repeat(length));
    let answer = Answer::to(open.get(&[("query", &query(8_000))])).await;
    assert_eq!(answer.status, 200);
    for length in [17_000, 30_000] {
        Answer::to(open.get(&[("query", &query(length))]))
            .await
            .refuses(414, "URI_TOO_LONG");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let open = Open::with(|config| {
        config.server.request_timeout = Duration::from_millis(50);
    })
    .await;
    for sent in ["", "{\"query\":"] {
        let raw = Raw::open(&open.gateway.origin).await;
        let head = "content-type: application/json\r\ncontent-length: 100\r\n";
        raw.send(&format!("{}{sent}", open.head("POST", head)))
            .await;
        raw.answer().await.refuses(408, "TIMEOUT");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let open = Open::with(|config| {
        config.server.request_timeout = Duration::from_millis(300);
    })
    .await;
    // A writer in the way holds up every other writer.
    let writer = open.gateway.database.connection().writer();
    let in_the_way = writer.begin().await.unwrap();
    let answer = open.query(CREATE).await;
    answer.refuses(504, "TIMEOUT");
    in_the_way.rollback().await.unwrap();
    // What was given up is not done behind the client's back.
    let answer = open.ask(NEW, &json!({ "query": CREATE })).await;
    assert_eq!(
        answer.json()["data"]["getOrCreateUserByEmail"]["created"],
        true
    );
}

#[tokio::test]
async fn a_body_whose_transfer_breaks_is_not_called_too_large() {
    let open = Open::start().await;
    let raw = Raw::open(&open.gateway.origin).await;
    let head = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    raw.send(&format!("{}nonsense\r\n", open.head("POST", head)))
        .await;
    raw.answer().await.refuses(400, "BAD_REQUEST");
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_head_is_closed() {
    let open = Open::with(|config| {
        config.server.header_timeout = Duration::from_millis(50);
    })
    .await;
    for sent in ["", "P", "POST /graphql HTTP/1.1\r\nhost: local", "PRI * "] {
        let raw = Raw::open(&open.gateway.origin).await;
        raw.send(sent).await;
        let closed = tokio::time::timeout(PATIENCE, raw.rest()).await;
        assert!(closed.is_ok(), "after `{sent}` the connection stays open");
    }
}

/// How long a head may take where a test waits for that, and in which a busy machine delivers one.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_connection_that_says_nothing_more_is_closed() {
    let open = Open::with(|config| config.server.header_timeout = SHORT).await;
    for sent in ["", "P", "POST /graphql HTTP/1.1\r\nhost: local"] {
        let raw = Raw::open(&open.gateway.origin).await;
        raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        raw.begins().await;
        raw.send(sent).await;
        assert!(raw.rest().await.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_is_not_waited_for() {
    let open = Open::with(|config| config.server.header_timeout = SHORT).await;
    let raw = Raw::open(&open.gateway.origin).await;
    raw.send("POST /graphql HTTP/1.1\r\nx-slow: ").await;
    eventually("nobody takes any more", async || {
        raw.try_send("x").await.is_err()
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_head() {
    let open = Open::with(|config| config.server.header_timeout = SHORT).await;
    let writer = open.gateway.database.connection().writer();
    let in_the_way = writer.begin().await.unwrap();
    let raw = Raw::open(&open.gateway.origin).await;
    let body = json!({ "query": CREATE }).to_string();
    let length = body.len();
    let head = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    raw.send(&format!("{}{body}", open.head("POST", &head)))
        .await;
    // A connection that came later and said nothing has used up that time.
    Raw::open(&open.gateway.origin).await.rest().await;
    in_the_way.rollback().await.unwrap();
    let answer = raw.answer().await.json();
    assert_eq!(answer["data"]["getOrCreateUserByEmail"]["created"], true);
}
