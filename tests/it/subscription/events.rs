//! Server-sent events.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;
use user_gateway::config::Config;

use super::{ADA, Directory};
use crate::harness::{Answer, Engine, PATIENCE, Raw, Scratch};

const ABOUT_ADA: &str = "subscription { userChanged(id: 1) { name } }";
const STREAM: &str = "text/event-stream";

/// A response that goes on.
struct Stream {
    response: Response,
    read: String,
}

impl Stream {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], STREAM);
        assert!(response.headers().get("content-encoding").is_none());
        Self {
            response,
            read: String::new(),
        }
    }

    /// The name and the data of the next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let event = event.to_owned();
                let rest = rest.to_owned();
                self.read = rest;
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                    lines.map(str::trim).collect::<String>()
                };
                // A comment keeps the connection alive and is no event.
                if event.lines().all(|line| line.starts_with(':')) {
                    continue;
                }
                return Some((field("event:"), field("data:")));
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.unwrap();
            self.read += std::str::from_utf8(&chunk.unwrap()?).unwrap();
        }
    }

    /// The answer of the next event.
    async fn answer(&mut self) -> Value {
        let (name, data) = self.next().await.unwrap();
        assert_eq!(name, "next");
        serde_json::from_str(&data).unwrap()
    }

    async fn ends_completely(&mut self) {
        let complete = ("complete".to_owned(), String::new());
        assert_eq!(self.next().await, Some(complete));
        assert_eq!(self.next().await, None);
    }
}

fn post(directory: &Directory, accept: &str, query: &str) -> RequestBuilder {
    let request = directory.gateway.graphql().bearer_auth(&directory.ada);
    request
        .header("accept", accept)
        .json(&json!({ "query": query }))
}

async fn with(adjust: impl FnOnce(&mut Config)) -> Directory {
    Directory::with(Engine::Sqlite, adjust).await
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let directory = with(|_| {}).await;
    let post = post(&directory, STREAM, ABOUT_ADA).header("accept-encoding", "gzip, br");
    let get = directory
        .gateway
        .get("/graphql")
        .query(&[("query", ABOUT_ADA)])
        .bearer_auth(&directory.ada)
        .header("accept", STREAM);
    for request in [post, get] {
        // The response begins when the subscription has.
        let mut stream = Stream::open(request).await;
        for name in ["Ada", "Ada Lovelace"] {
            directory.rename(ADA, name).await;
            let answer = json!({ "data": { "userChanged": { "name": name } } });
            assert_eq!(stream.answer().await, answer);
        }
    }
}

#[tokio::test]
async fn events_may_be_further_apart_than_the_head_of_a_request_may_take() {
    let timeout = Duration::from_millis(300);
    let directory = with(|config| config.server.header_timeout = timeout).await;
    let mut stream = Stream::open(post(&directory, STREAM, ABOUT_ADA)).await;
    // A connection that came later and said nothing has used up that time.
    Raw::open(&directory.gateway.origin).await.rest().await;
    directory.rename(ADA, "Ada").await;
    let answer = json!({ "data": { "userChanged": { "name": "Ada" } } });
    assert_eq!(stream.answer().await, answer);
}

#[tokio::test]
async fn a_subscription_that_is_refused_says_so_and_completes() {
    let directory = with(|_| {}).await;
    for (query, code) in [
        ("subscription { userChanged(id: 2) { name } }", "NOT_FOUND"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
    ] {
        let mut stream = Stream::open(post(&directory, STREAM, query)).await;
        let answer = stream.answer().await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{answer}");
        assert!(answer.get("data").is_none(), "{answer}");
        stream.ends_completely().await;
    }
}

#[tokio::test]
async fn a_query_is_a_stream_of_one_event_if_the_client_takes_nothing_else() {
    let directory = with(|_| {}).await;
    let query = "{ user(id: 1) { username } }";
    let mut stream = Stream::open(post(&directory, STREAM, query)).await;
    let answer = json!({ "data": { "user": { "username": "ada" } } });
    assert_eq!(stream.answer().await, answer);
    stream.ends_completely().await;

    let either = "application/json, text/event-stream";
    let plain = Answer::to(post(&directory, either, query)).await;
    assert_eq!(plain.json(), answer);
    let mut stream = Stream::open(post(&directory, either, ABOUT_ADA)).await;
    directory.rename(ADA, "Ada").await;
    assert_eq!(stream.answer().await["data"]["userChanged"]["name"], "Ada");
}

#[tokio::test]
async fn a_subscription_that_could_not_be_answered_is_refused() {
    let directory = with(|_| {}).await;
    for accept in [
        "application/json",
        "*/*",
        "application/graphql-response+json",
    ] {
        let answer = Answer::to(post(&directory, accept, ABOUT_ADA)).await;
        answer.refuses(406, "NOT_ACCEPTABLE");
        assert!(answer.text().contains(STREAM), "{}", answer.text());
    }
    let batch = json!([{ "query": ABOUT_ADA }, { "query": "{ user(id: 1) { username } }" }]);
    let answers = directory.gateway.post(&directory.ada, &batch).await;
    let answers: Value = answers.json().await.unwrap();
    assert_eq!(
        answers[0]["errors"][0]["extensions"]["code"],
        "NOT_ACCEPTABLE"
    );
    assert_eq!(answers[1]["data"]["user"]["username"], "ada");
    let request = directory.gateway.graphql().bearer_auth(&directory.ada);
    let answer = Answer::to(request.header("accept", STREAM).json(&batch)).await;
    answer.refuses(406, "NOT_ACCEPTABLE");
}

#[tokio::test]
async fn who_has_no_credentials_gets_no_stream() {
    let directory = with(|_| {}).await;
    let request = directory.gateway.graphql().header("accept", STREAM);
    let answer = Answer::to(request.json(&json!({ "query": ABOUT_ADA }))).await;
    answer.refuses(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn credentials_that_end_end_the_stream() {
    let directory = with(|_| {}).await;
    let mut stream = Stream::open(post(&directory, STREAM, ABOUT_ADA)).await;
    let database = &directory.gateway.database;
    database
        .execute("DELETE FROM sentry_apitoken WHERE user_id = 1")
        .await;
    directory.rename(ADA, "for nobody's eyes").await;
    let answer = stream.answer().await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    stream.ends_completely().await;
}

#[tokio::test]
async fn streams_count_as_connections() {
    let directory = with(|config| config.subscriptions.connections = 1).await;
    let _stream = Stream::open(post(&directory, STREAM, ABOUT_ADA)).await;
    let answer = Answer::to(post(&directory, STREAM, ABOUT_ADA)).await;
    answer.refuses(503, "OVERLOADED");
}

#[tokio::test]
async fn sigterm_ends_a_stream_that_is_not_complete() {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20"]);
    let token = scratch.token("sqlite://user-gateway.db?mode=rwc", &["--user", "1"]);
    let mut gateway = scratch.start(&["serve", "--shutdown-timeout", "1h"]);
    let request = gateway.graphql().bearer_auth(&token);
    let request = request.header("accept", STREAM);
    let request = request.json(&json!({ "query": ABOUT_ADA }));
    let mut stream = Stream::open(request).await;
    gateway.signal("TERM");
    assert_eq!(stream.next().await, None);
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
}
