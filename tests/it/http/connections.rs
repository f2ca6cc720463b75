//! Limits on connections: number, age, and size of heads.

use std::time::Duration;

use sea_orm::TransactionTrait as _;
use serde_json::json;
use tokio::time::Instant;
use user_gateway::config::Config;

use super::{CREATE, Open};
use crate::harness::{Answer, Http2, PATIENCE, Raw, Scratch, Socket, eventually};

/// A short timeout, for tests that wait for it.
const SHORT: Duration = Duration::from_millis(50);

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

impl Open {
    /// A connection whose client has been authenticated, and which stays open.
    async fn authenticated(&self) -> Raw {
        let raw = Raw::open(&self.gateway.origin).await;
        let head = self.head("GET", "").replace("connection: close\r\n", "");
        raw.send(&head.replace("/graphql", "/graphql?query={__typename}"))
            .await;
        assert!(raw.next(1_000).await.starts_with(b"HTTP/1.1 200 OK"));
        raw
    }
}

/// A connection that was answered and stays open.
async fn kept(origin: &str) -> Raw {
    let raw = Raw::open(origin).await;
    raw.send(HEALTH).await;
    raw.begins().await;
    raw
}

/// The answer on a connection that may be refused.
async fn ask(origin: &str) -> Option<Answer> {
    let raw = Raw::open(origin).await;
    let head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    raw.try_send(head).await.ok()?;
    let bytes = raw.rest().await;
    (!bytes.is_empty()).then(|| Answer::parse(&bytes))
}

async fn is_served(origin: &str) -> bool {
    ask(origin).await.is_some_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn a_request_over_http1_names_one_host() {
    let open = Open::start().await;
    for (hosts, version, status) in [
        ("host: localhost\r\n", "1.1", 200),
        ("", "1.1", 400),
        ("host: localhost\r\nhost: localhost\r\n", "1.1", 400),
        ("host: a\r\nx: y\r\nHost: b\r\n", "1.1", 400),
        ("host:\r\n", "1.1", 200),
        ("", "1.0", 200),
        ("host: localhost\r\n", "1.0", 200),
    ] {
        for path in ["/healthz", "/graphiql/"] {
            let raw = Raw::open(&open.gateway.origin).await;
            raw.send(&format!(
                "GET {path} HTTP/{version}\r\n{hosts}connection: close\r\n\r\n"
            ))
            .await;
            let answer = raw.answer().await;
            assert_eq!(answer.status, status, "{hosts:?} {path}");
        }
        let raw = Raw::open(&open.gateway.origin).await;
        let token = &open.token;
        raw.send(&format!(
            "GET /graphql?query={{__typename}} HTTP/{version}\r\n{hosts}connection: close\r\n\
             authorization: Bearer {token}\r\n\r\n"
        ))
        .await;
        let answer = raw.answer().await;
        if status == 400 {
            answer.refuses(400, "BAD_REQUEST");
        } else {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_head_has_a_bound() {
    let open = Open::start().await;
    let one = |length: usize| format!("x-large: {}\r\n", "x".repeat(length));
    let many = |count: usize| "x-small: x\r\n".repeat(count);
    for (fields, status) in [
        (one(20_000), 200),
        (one(200_000), 431),
        (many(50), 200),
        (many(20_000), 431),
        (one(1_000_000), 431),
    ] {
        let raw = Raw::open(&open.gateway.origin).await;
        // A client that sends more than is read may get the answer before it has sent everything.
        let head = open.head("GET", &fields).replace("/graphql", "/healthz");
        let _ = raw.try_send(&head).await;
        assert_eq!(raw.answer().await.status, status, "{}", fields.len());
    }
}

#[tokio::test]
async fn nothing_that_is_answered_may_be_stored() {
    let open = Open::start().await;
    let query = json!({ "query": "{ viewer { scopes } }" });
    let events = open.post().header("accept", "text/event-stream");
    let from_a_page = open.post().header("sec-fetch-site", "same-origin");
    let events_for_a_page = open.post().header("accept", "text/event-stream");
    let events_for_a_page = events_for_a_page.header("sec-fetch-site", "same-origin");
    for (request, status) in [
        (open.post().json(&query), 200),
        (from_a_page.json(&query), 200),
        (open.get(&[("query", "{ viewer { scopes } }")]), 200),
        (events.json(&query), 200),
        (events_for_a_page.json(&query), 200),
        (open.post().json(&json!({})), 400),
        (open.gateway.graphql().json(&query), 401),
        (open.gateway.get("/readyz"), 200),
        (open.gateway.get("/metrics"), 200),
        (open.gateway.get("/nothing"), 404),
    ] {
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let page = Answer::to(open.gateway.get("/graphiql/")).await;
    assert_eq!(page.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn more_connections_than_there_may_be_are_refused_until_some_have_ended() {
    let open = Open::with(|config| config.server.max_connections = 3).await;
    let origin = &open.gateway.origin;
    let mut first = Vec::new();
    for _ in 0..3 {
        first.push(open.authenticated().await);
    }
    for _ in 0..10 {
        let answer = Raw::open(origin).await.answer().await;
        answer.refuses(503, "OVERLOADED");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.header("connection"), "close");
    }
    // Those that have a place keep it.
    for raw in &first {
        raw.send(HEALTH).await;
    }
    first.pop();
    eventually("there is a place again", async || is_served(origin).await).await;
}

#[tokio::test]
async fn the_oldest_idle_connection_without_authentication_makes_room_for_a_new_one() {
    let open = Open::with(|config| {
        config.server.max_connections = 6;
        // Nothing else closes them.
        config.server.header_timeout = 2 * PATIENCE;
        config.subscriptions.idle_timeout = 2 * PATIENCE;
    })
    .await;
    let origin = &open.gateway.origin;
    let known = open.authenticated().await;
    let known_over_http2 = Http2::open(origin, 1_000).await;
    let authorization = format!("Bearer {}", open.token);
    let fields = [("authorization", &*authorization)];
    let health = async |connection: &Http2| {
        let health = connection.answer("GET", "/healthz", &[], "").await;
        assert_eq!(health.status(), 200);
    };
    let asked = known_over_http2.answer("GET", "/graphql?query={__typename}", &fields, "");
    assert_eq!(asked.await.status(), 200);
    let silent = Raw::open(origin).await;
    let unfinished = Raw::open(origin).await;
    unfinished.send("POST /graphql HTTP/1.1\r\nhost: ").await;
    let answered = kept(origin).await;
    let over_http2 = Http2::open(origin, 1_000).await;
    health(&over_http2).await;

    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(kept(origin).await);
    }
    assert!(silent.rest().await.is_empty());
    assert!(unfinished.rest().await.is_empty());
    assert_eq!(answered.answer().await.status, 200);
    over_http2.ended().await;
    // Those whose clients were authenticated stay, whatever they ask for.
    let page = Answer::to(open.gateway.get("/metrics")).await.text();
    let ended = "user_gateway_connections_ended_total{reason=\"evicted\"}";
    assert!(page.contains(ended), "{page}");
    for _ in 0..10 {
        assert!(is_served(origin).await);
        health(&known_over_http2).await;
    }
    known.send(HEALTH).await;
    assert!(known.next(1_000).await.starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_connection_on_which_a_request_is_answered_keeps_its_place() {
    let open = Open::with(|config| {
        config.server.max_connections = 2;
        config.graphql.anonymous_introspection = true;
    })
    .await;
    let origin = &open.gateway.origin;
    let body = json!({ "query": "{ __schema { queryType { name } } }" }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n",
        body.len()
    );
    let busy = Raw::asked_for_the_body(origin, &head).await;
    let mut new = Vec::new();
    for _ in 0..5 {
        assert!(is_served(origin).await);
        new.push(Raw::open(origin).await);
    }
    let other = Raw::asked_for_the_body(origin, &head).await;
    Raw::open(origin)
        .await
        .answer()
        .await
        .refuses(503, "OVERLOADED");
    for answered in [busy, other] {
        answered.send(&body).await;
        let answer = answered.next(1_000).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        // It is idle again, and the oldest.
        new.push(kept(origin).await);
        answered.rest().await;
    }
}

#[tokio::test]
async fn an_address_has_a_bound_of_its_own() {
    let open = Open::with(|config| config.server.max_connections_per_address = 2).await;
    let origin = &open.gateway.origin;
    let first = (kept(origin).await, kept(origin).await);
    let answer = Raw::open(origin).await.answer().await;
    answer.refuses(503, "OVERLOADED");
    drop(first);
    eventually("there is a place again", async || is_served(origin).await).await;
    let page = Answer::to(open.gateway.get("/metrics")).await.text();
    let refused = "user_gateway_connections_refused_total{listener=\"public\",\
                   reason=\"max_connections_per_address\"}";
    assert!(page.contains(refused), "{page}");
    let opened = "user_gateway_connections{listener=\"public\"}";
    assert!(page.contains(opened), "{page}");
}

#[tokio::test]
async fn a_websocket_keeps_the_place_of_its_connection_once_it_is_authenticated() {
    let open = Open::with(|config| config.server.max_connections = 1).await;
    let origin = &open.gateway.origin;
    let mut pending = Socket::open(origin).await;
    assert!(is_served(origin).await);
    assert_eq!(pending.drained().await, 0);
    let socket = Socket::signed_in(origin, &open.token).await;
    for _ in 0..10 {
        let answer = Raw::open(origin).await.answer().await;
        answer.refuses(503, "OVERLOADED");
    }
    drop(socket);
    eventually("there is a place again", async || is_served(origin).await).await;
}

#[tokio::test]
async fn a_connection_is_told_to_end_when_it_is_old() {
    let open = Open::with(|config| config.server.max_connection_age = SHORT).await;
    eventually("an answer says so", async || {
        let answer = Answer::to(open.gateway.get("/healthz")).await;
        answer.header("connection") == "close"
    })
    .await;
    // What begins anew is served.
    assert_eq!(open.query("{ __typename }").await.status, 200);
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let health = connection.answer("GET", "/healthz", &[], "").await;
    assert_eq!(health.status(), 200);
    connection.ended().await;
}

#[tokio::test]
async fn a_request_ends_when_its_client_leaves() {
    let open = Open::with(|config| config.server.max_concurrent_requests = 1).await;
    let writer = open.gateway.database.connection().writer();
    let in_the_way = writer.begin().await.unwrap();
    let body = json!({ "query": CREATE }).to_string();
    let length = body.len();
    let fields = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    for _ in 0..3 {
        let clients = open.occupy(async || {
            let client = Raw::open(&open.gateway.origin).await;
            let request = format!("{}{body}", open.head("POST", &fields));
            client.send(&request).await;
            client
        });
        drop(clients.await);
        eventually("its place is free", async || {
            open.query("{ __typename }").await.status == 200
        })
        .await;
    }
    in_the_way.rollback().await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_its_answer_too_slowly_is_disconnected() {
    let open = with_large_answers(|config| config.server.response_timeout = SHORT * 4).await;
    // An event stream before does not change the timeout of an answer.
    for is_after_events in [false, true] {
        let raw = Raw::open_small(&open.gateway.origin).await;
        if is_after_events {
            take_events(&open, &raw).await;
        }
        raw.send(&request_for_large(&open)).await;
        raw.begins().await;
        // Slowly, but more than the gateway buffers.
        let mut taken = Vec::new();
        let end = Instant::now() + PATIENCE;
        while let Some(part) = raw.take(20_000) {
            taken.extend(part);
            assert!(Instant::now() < end, "the connection is never closed");
            tokio::time::sleep(SHORT / 10).await;
        }
        let head = Answer::parse(&taken);
        assert_eq!(head.status, 200);
        let whole: usize = head.header("content-length").parse().unwrap();
        assert!(taken.len() < whole, "all {whole} bytes were taken");
    }
}

/// A gateway that answers [`request_for_large`].
async fn with_large_answers(adjust: impl FnOnce(&mut Config)) -> Open {
    Open::with(|config| {
        config.limits.aliases = 1_000;
        config.limits.cost = 1_000_000_000;
        config.limits.response_bytes = 1024 * 1024 * 1024;
        config.limits.response_memory = 1024 * 1024 * 1024;
        adjust(config);
    })
    .await
}

/// A request whose answer has more bytes than the system buffers.
fn request_for_large(open: &Open) -> String {
    let about = "types { name description fields { name description args { name description } } }";
    let fields = (0..20).map(|n| format!("a{n}: __schema {{ {about} }}"));
    let query = format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "));
    let body = serde_json::Value::from(vec![json!({ "query": query }); 10]).to_string();
    let length = body.len();
    let fields = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    format!("{}{body}", open.head("POST", &fields))
}

#[tokio::test]
async fn the_oldest_answer_is_aborted_if_too_much_is_not_received() {
    let open = with_large_answers(|_| {}).await;
    let begin = async |open: &Open| {
        let raw = Raw::open_small(&open.gateway.origin).await;
        raw.send(&request_for_large(open)).await;
        raw.begins().await;
        raw
    };
    let whole = begin(&open).await.rest().await.len();
    let open = with_large_answers(|config| config.limits.response_memory = whole * 3 / 2).await;
    let oldest = begin(&open).await;
    let other = begin(&open).await;
    assert!(oldest.rest().await.len() < whole);
    assert_eq!(other.rest().await.len(), whole);
}

/// Reads the events of an operation to their end, on a connection that stays open.
async fn take_events(open: &Open, raw: &Raw) {
    let body = json!({ "query": "{ __typename }" }).to_string();
    let length = body.len();
    let fields = format!(
        "content-type: application/json\r\naccept: text/event-stream\r\n\
         content-length: {length}\r\n"
    );
    let head = open.head("POST", &fields);
    let head = head.replace("connection: close\r\n", "");
    raw.send(&format!("{head}{body}")).await;
    let mut taken = Vec::new();
    while !taken.ends_with(b"\r\n0\r\n\r\n") {
        raw.begins().await;
        taken.extend(raw.take(1_000).expect("the connection is open"));
    }
}

#[tokio::test]
async fn a_pipelined_request_of_a_client_that_left_ends_at_the_request_timeout() {
    let open = Open::with(|config| {
        config.server.max_concurrent_requests = 1;
        config.server.request_timeout = Duration::from_secs(2);
    })
    .await;
    let writer = open.gateway.database.connection().writer();
    let in_the_way = writer.begin().await.unwrap();
    let body = json!({ "query": CREATE }).to_string();
    let length = body.len();
    let fields = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    let head = open.head("POST", &fields);
    let head = head.replace("connection: close\r\n", "");
    let clients = open.occupy(async || {
        let client = Raw::open(&open.gateway.origin).await;
        client.send(&format!("{head}{body}{HEALTH}")).await;
        client
    });
    drop(clients.await);
    eventually("its place is free", async || {
        open.query("{ __typename }").await.status == 200
    })
    .await;
    in_the_way.rollback().await.unwrap();
}

#[tokio::test]
async fn few_files_bound_the_connections_and_nothing_else() {
    let scratch = Scratch::new();
    let gateway = scratch.start_under(
        &["sh", "-c", "ulimit -n 200; exec \"$0\" \"$@\""],
        &["serve", "--header-timeout", "1h"],
    );
    let mut flood = Vec::new();
    for _ in 0..250 {
        let raw = Raw::open(&gateway.origin).await;
        let _ = raw.try_send("POST /graphql HTTP/1.1\r\nhost: ").await;
        flood.push(raw);
    }
    for path in ["/healthz", "/readyz"] {
        let answer = Answer::to(gateway.get(path)).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert!(flood[0].rest().await.is_empty());
    let log = gateway.log();
    assert!(!log.contains("cannot accept"), "{log}");
    assert!(log.contains("are closed for new ones"), "{log}");
}
