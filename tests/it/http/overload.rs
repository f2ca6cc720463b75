//! More requests than can be worked on, and clients who take their time.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Open;
use crate::harness::{Answer, Raw, eventually};

/// How many requests are worked on at a time, and how many times as many come.
const PLACES: usize = 4;
const TIMES: usize = 10;

async fn open() -> Open {
    Open::with(|config| config.server.max_concurrent_requests = PLACES).await
}

/// Somebody who writes holds up every other writer until this is rolled back.
async fn in_the_way(open: &Open) -> DatabaseTransaction {
    let writer = open.gateway.database.connection().writer();
    writer.begin().await.unwrap()
}

/// A mutation that creates a user of its own.
fn create(number: usize) -> Value {
    let query = "mutation($email: String!) { getOrCreateUserByEmail(input: { email: $email }) \
                 { created } }";
    let email = format!("{number}@example.com");
    json!({ "query": query, "variables": { "email": email } })
}

/// Requests that are sent all at once.
fn send(open: &Open, requests: impl Iterator<Item = Value>) -> JoinSet<Answer> {
    requests
        .map(|body| Answer::to(open.post().json(&body)))
        .collect()
}

fn is_refused(answer: &Answer) {
    answer.refuses(503, "OVERLOADED");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn ten_times_as_many_as_can_be_worked_on_are_refused_and_the_rest_are_served() {
    overload(open().await).await;
}

#[tokio::test]
async fn ten_times_as_many_on_one_http2_connection_are_refused_and_the_rest_are_served() {
    overload(open().await.over_http2()).await;
}

async fn overload(open: Open) {
    for round in 0..3 {
        let in_the_way = in_the_way(&open).await;
        let first = round * PLACES * TIMES;
        let all = first..first + PLACES * TIMES;
        let mut answers = send(&open, all.map(create));
        // Those that are taken on are held up; all others are answered meanwhile.
        for _ in 0..PLACES * (TIMES - 1) {
            is_refused(&answers.join_next().await.unwrap().unwrap());
        }
        let health = Answer::to(open.gateway.get("/healthz")).await;
        assert_eq!(health.status, 200);
        in_the_way.rollback().await.unwrap();
        let served = answers.join_all().await;
        assert_eq!(served.len(), PLACES);
        for answer in served {
            assert_eq!(answer.status, 200, "{}", answer.text());
            let created = &answer.json()["data"]["getOrCreateUserByEmail"]["created"];
            assert_eq!(created, true, "{}", answer.text());
        }
        // As soon as they are answered as many can be served again.
        let nothing = json!({ "query": "{ __typename }" });
        let again = send(&open, std::iter::repeat_n(nothing, PLACES));
        for answer in again.join_all().await {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let users = i64::try_from((round + 1) * PLACES).unwrap();
        assert_eq!(open.others().await, users, "what is refused is not done");
    }
}

#[tokio::test]
async fn whoever_is_refused_is_neither_looked_up_nor_read() {
    let open = open().await;
    let in_the_way = in_the_way(&open).await;
    let mut held_up = send(&open, (0..=PLACES).map(create));
    // All places are taken when somebody gets none.
    is_refused(&held_up.join_next().await.unwrap().unwrap());
    let request = || open.gateway.graphql().bearer_auth("nobody-knows-this");
    let nothing = json!({ "query": "{ __typename }" });
    for _ in 0..PLACES * TIMES {
        // A token that nobody has would be answered 401 once it is looked up.
        is_refused(&Answer::to(request().json(&nothing)).await);
        let raw = Raw::open(&open.gateway.origin).await;
        let head = "content-type: application/json\r\ncontent-length: 1000\r\n";
        raw.send(&open.head("POST", head)).await;
        is_refused(&raw.answer().await);
    }
    in_the_way.rollback().await.unwrap();
    while let Some(answer) = held_up.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

#[tokio::test]
async fn clients_who_take_their_time_hold_no_places() {
    let open = open().await;
    let body = json!({ "query": "{ __typename }" }).to_string();
    let length = format!(
        "content-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    let head = open.head("POST", &length);
    let head = head.strip_suffix("\r\n").unwrap();
    let nothing = json!({ "query": "{ __typename }" });
    let mut slow = Vec::new();
    for _ in 0..PLACES {
        slow.push(Raw::asked_for_the_body(&open.gateway.origin, head).await);
    }
    eventually("all places are free again", async || {
        let prompt = send(&open, std::iter::repeat_n(nothing.clone(), PLACES));
        let answers = prompt.join_all().await;
        answers.iter().all(|answer| answer.status == 200)
    })
    .await;
    for raw in slow {
        raw.send(&body).await;
        assert_eq!(raw.answer().await.status, 200);
    }
}

/// The head of a request whose body has this many bytes, a blank line still missing.
fn head_of(open: &Open, length: usize) -> String {
    let length = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    let head = open.head("POST", &length);
    head.strip_suffix("\r\n").unwrap().to_owned()
}

#[tokio::test]
async fn the_oldest_of_too_many_unfinished_bodies_make_room() {
    let open = Open::with(|config| config.server.max_unfinished_body_bytes = 100_000).await;
    let origin = &open.gateway.origin;
    let mut old = Vec::new();
    for _ in 0..2 {
        old.push(Raw::asked_for_the_body(origin, &head_of(&open, 1_000)).await);
    }
    let query = json!({ "query": "{ __typename }" }).to_string();
    let body = format!("{query}{}", " ".repeat(100_000 - query.len()));
    let new = Raw::asked_for_the_body(origin, &head_of(&open, body.len())).await;
    new.send(&body).await;
    assert_eq!(new.answer().await.status, 200);
    for raw in old {
        is_refused(&raw.answer().await);
    }
}

#[tokio::test]
async fn a_body_that_comes_slowly_does_not_take_more_than_all_may() {
    let open = Open::with(|config| config.server.max_unfinished_body_bytes = 10_000).await;
    let origin = &open.gateway.origin;
    let slow = Raw::asked_for_the_body(origin, &head_of(&open, 20_000)).await;
    slow.send(&" ".repeat(15_000)).await;
    is_refused(&slow.answer().await);
    let nothing = json!({ "query": "{ __typename }" });
    assert_eq!(Answer::to(open.post().json(&nothing)).await.status, 200);
}

#[tokio::test]
async fn a_body_has_a_time_of_its_own() {
    let open = Open::with(|config| {
        config.server.body_timeout = Duration::from_millis(50);
    })
    .await;
    let slow = Raw::asked_for_the_body(&open.gateway.origin, &head_of(&open, 100)).await;
    slow.answer().await.refuses(408, "TIMEOUT");
}

#[tokio::test]
async fn callers_without_credentials_do_not_block_others() {
    let open = Open::with(|config| {
        config.graphql.anonymous_introspection = true;
        config.server.max_concurrent_requests = 16;
    })
    .await;
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 1000\r\n";
    let mut anonymous = Vec::new();
    for _ in 0..2 {
        anonymous.push(Raw::asked_for_the_body(&open.gateway.origin, head).await);
    }
    let schema = json!({ "query": "{ __schema { queryType { name } } }" });
    is_refused(&Answer::to(open.gateway.graphql().json(&schema)).await);
    for answer in send(&open, std::iter::repeat_n(schema, 8)).join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
