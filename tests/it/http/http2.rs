//! HTTP/2: the limits on connections hold for each stream, and behaviour is the same as over HTTP/1.

use std::time::Duration;

use h2::{Reason, RecvStream};
use reqwest::Method;
use sea_orm::TransactionTrait as _;
use serde_json::json;
use tokio::time::timeout;

use super::{CREATE, NEW, Open};
use crate::harness::{Answer, Http2, PATIENCE, PAUSE, Scratch, eventually};

/// A short timeout, for tests that wait for it.
const SHORT: Duration = Duration::from_millis(50);

const JSON: (&str, &str) = ("content-type", "application/json");

/// An answer of some hundred kilobytes.
const LARGE: &str = "{ __schema { types { name description fields { name description type { name } \
                     args { name description } } } } }";

const SUBSCRIPTION: &str = "subscription { userChanged(id: 1) { name } }";

impl Open {
    /// The `Authorization` header.
    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// A large answer over a connection, of which nothing has been read.
    async fn begin_large(&self, connection: &Http2) -> RecvStream {
        let authorization = self.authorization();
        let headers = [JSON, ("authorization", &*authorization)];
        let body = json!({ "query": LARGE }).to_string();
        let answer = connection.answer("POST", "/graphql", &headers, &body).await;
        assert_eq!(answer.status(), 200);
        answer.into_body()
    }

    /// An event stream that is not read, as soon as there is a place for it.
    async fn begin_events(&self, connection: &Http2) -> RecvStream {
        let authorization = self.authorization();
        let headers = for_events(&authorization);
        let body = json!({ "query": SUBSCRIPTION }).to_string();
        loop {
            let answer = connection.answer("POST", "/graphql", &headers, &body).await;
            if answer.status() == 200 {
                return answer.into_body();
            }
            assert_eq!(answer.status(), 503);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Reads an answer until the gateway gives it up, allowing as much as was read again if `is_slow`,
/// a while later; how much came.
async fn until_given_up(mut body: RecvStream, is_slow: bool) -> usize {
    let mut read = 0;
    loop {
        match timeout(PATIENCE, body.data()).await.unwrap() {
            Some(Ok(data)) => {
                read += data.len();
                if is_slow {
                    tokio::time::sleep(SHORT / 10).await;
                    // The stream may have been reset meanwhile.
                    let _ = body.flow_control().release_capacity(data.len());
                }
            }
            Some(Err(error)) => {
                assert_eq!(error.reason(), Some(Reason::CANCEL), "{error}");
                return read;
            }
            None => panic!("the answer has come whole"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_take_is_given_up() {
    let open = Open::with(|config| config.server.response_timeout = SHORT).await;
    for (window, is_slow) in [(0, false), (1, false), (1_000, false), (16, true)] {
        let connection = Http2::open(&open.gateway.origin, window).await;
        let mut bodies = Vec::new();
        for _ in 0..3 {
            bodies.push(open.begin_large(&connection).await);
        }
        for body in bodies {
            let read = until_given_up(body, is_slow).await;
            assert!(is_slow || read <= window as usize, "{read} of {window}");
        }
        // Other streams are not affected.
        let health = connection.answer("GET", "/healthz", &[], "").await;
        assert_eq!(health.status(), 200);
    }
}

#[tokio::test]
async fn the_oldest_answer_is_given_up_if_too_much_is_not_taken() {
    let length = Open::start().await.query(LARGE).await.body.len();
    let open = Open::with(|config| config.limits.response_memory = 4 * length - 1).await;
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let mut oldest = Vec::new();
    for _ in 0..2 {
        oldest.push(open.begin_large(&connection).await);
    }
    // On whatever connection they are.
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(open.begin_large(&connection).await);
    }
    for body in oldest {
        assert!(until_given_up(body, false).await <= 1_000);
    }
    for body in others {
        assert_eq!(read_whole(body).await.len(), length);
    }
}

#[tokio::test]
async fn an_answer_is_complete_for_any_window_size() {
    let open = Open::start().await;
    let whole = open.query(LARGE).await;
    let open = open.over_http2();
    let same = open.query(LARGE).await;
    assert!(whole.body.len() > 20_000, "{}", whole.body.len());
    assert!(same.body == whole.body);
    assert_eq!(
        same.header("content-length"),
        whole.header("content-length")
    );

    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let body = open.begin_large(&connection).await;
    assert!(read_whole(body).await == whole.body);
}

/// Reads an answer to its end.
async fn read_whole(mut body: RecvStream) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(data) = timeout(PATIENCE, body.data()).await.unwrap() {
        let data = data.unwrap();
        read.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    read
}

#[tokio::test]
async fn a_connection_without_requests_is_ended() {
    let open = Open::with(|config| {
        config.server.header_timeout = SHORT;
        config.subscriptions.idle_timeout = SHORT;
    })
    .await;
    for requests in [0, 1, 3] {
        let connection = Http2::open(&open.gateway.origin, 1_000).await;
        for _ in 0..requests {
            let health = connection.answer("GET", "/healthz", &[], "").await;
            assert_eq!(health.status(), 200);
        }
        connection.ended().await;
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_events_is_not_idle() {
    let open = Open::with(|config| {
        config.server.header_timeout = SHORT;
        config.server.response_timeout = SHORT;
        config.subscriptions.idle_timeout = SHORT * 4;
    })
    .await
    .over_http2();
    let request = open.post().header("accept", "text/event-stream");
    let mut events = request
        .json(&json!({ "query": SUBSCRIPTION }))
        .send()
        .await
        .unwrap();
    assert_eq!(events.headers()["cache-control"], "no-store");
    tokio::time::sleep(SHORT * 8).await;
    let change =
        "mutation { updateUser(input: { userId: \"1\", name: \"Ada\" }) { errors { code } } }";
    assert_eq!(open.query(change).await.status, 200);
    let mut told = String::new();
    while !told.contains("Ada") {
        let chunk = timeout(PATIENCE, events.chunk()).await.unwrap().unwrap();
        told += std::str::from_utf8(&chunk.unwrap()).unwrap();
    }
}

#[tokio::test]
async fn an_event_that_its_client_does_not_take_is_given_up() {
    let open = Open::with(|config| config.subscriptions.idle_timeout = SHORT).await;
    let connection = Http2::open(&open.gateway.origin, 0).await;
    let authorization = open.authorization();
    let headers = for_events(&authorization);
    let body = json!({ "query": "{ __typename }" }).to_string();
    let answer = connection.answer("POST", "/graphql", &headers, &body).await;
    until_given_up(answer.into_body(), false).await;
}

/// The headers of a request that is answered by events.
fn for_events(authorization: &str) -> [(&str, &str); 3] {
    [
        JSON,
        ("authorization", authorization),
        ("accept", "text/event-stream"),
    ]
}

#[tokio::test]
async fn event_streams_that_are_not_read_release_their_place() {
    let open = Open::with(|config| {
        config.subscriptions.idle_timeout = SHORT * 4;
        config.subscriptions.connections = 1;
    })
    .await;
    // The window is closed from the start, or filled by the first keep-alive.
    for window in [0, 1] {
        let connection = Http2::open(&open.gateway.origin, window).await;
        let events = timeout(PATIENCE, open.begin_events(&connection)).await;
        until_given_up(events.expect("there is no place"), false).await;
    }
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let events = timeout(PATIENCE, open.begin_events(&connection)).await;
    drop(events.expect("there is no place"));
}

#[tokio::test]
async fn event_streams_without_credentials_take_no_place_of_others() {
    let open = Open::with(|config| {
        config.graphql.anonymous_introspection = true;
        config.subscriptions.connections = 1;
        config.subscriptions.pending = 2;
    })
    .await;
    let connection = Http2::open(&open.gateway.origin, 0).await;
    let anonymous = [JSON, ("accept", "text/event-stream")];
    let schema = json!({ "query": "{ __schema { queryType { name } } }" }).to_string();
    let mut unread = Vec::new();
    for _ in 0..5 {
        let answer = connection
            .answer("POST", "/graphql", &anonymous, &schema)
            .await;
        assert_eq!(answer.status(), 200);
        unread.push(answer);
    }
    let authorization = open.authorization();
    let headers = for_events(&authorization);
    let body = json!({ "query": SUBSCRIPTION }).to_string();
    let answer = connection.answer("POST", "/graphql", &headers, &body).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_head_far_beyond_the_bound_ends_its_connection_and_no_other() {
    let open = Open::start().await;
    let healthy = Http2::open(&open.gateway.origin, 1_000).await;
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let value = "x".repeat(200_000);
    let headers = [("x-large", &*value)];
    if let Ok(answer) = connection.try_send("GET", "/healthz", &headers, "").await {
        let answer = timeout(PATIENCE, answer).await.unwrap();
        assert!(answer.is_err(), "{answer:?}");
    }
    connection.ended().await;
    let answer = healthy.answer("GET", "/healthz", &[], "").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_head_has_a_bound() {
    let open = Open::start().await;
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    for (length, status) in [(20_000, 200), (60_000, 431), (20_000, 200)] {
        let value = "x".repeat(length);
        let headers = [("x-large", &*value)];
        let answer = connection.answer("GET", "/healthz", &headers, "").await;
        assert_eq!(answer.status(), status, "{length}");
    }
}

#[tokio::test]
async fn streams_have_a_bound() {
    let open = Open::with(|config| config.server.max_http2_streams = 2).await;
    let connection = Http2::open(&open.gateway.origin, 0).await;
    // Those two are held by what their client does not take; a third has to wait for them.
    let held = [
        open.begin_large(&connection).await,
        open.begin_large(&connection).await,
    ];
    let mut third = connection.send("GET", "/healthz", &[], "").await;
    assert!(timeout(SHORT * 2, &mut third).await.is_err());
    drop(held);
    let answer = timeout(PATIENCE, third).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn streams_that_are_taken_back_again_and_again_hold_no_places() {
    let open = Open::with(|config| config.server.max_concurrent_requests = 4).await;
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let authorization = open.authorization();
    let headers = [JSON, ("authorization", &*authorization)];
    let body = json!({ "query": "{ __typename }" }).to_string();
    for _ in 0..200 {
        let sent = connection.try_send("POST", "/graphql", &headers, &body);
        let Ok(request) = sent.await else {
            break;
        };
        // It is on its way when it is taken back.
        tokio::task::yield_now().await;
        drop(request);
    }
    // Whether that was too many at once or not, nothing of it is left over.
    let healthy = Http2::open(&open.gateway.origin, 1_000).await;
    eventually("there are places again", async || {
        let answer = healthy.answer("POST", "/graphql", &headers, &body).await;
        answer.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_request_ends_when_its_client_takes_it_back() {
    let open = Open::with(|config| config.server.max_concurrent_requests = 1).await;
    let writer = open.gateway.database.connection().writer();
    let in_the_way = writer.begin().await.unwrap();
    let connection = Http2::open(&open.gateway.origin, 1_000).await;
    let authorization = open.authorization();
    let headers = [JSON, ("authorization", &*authorization)];
    let body = json!({ "query": CREATE }).to_string();
    let requests = open.occupy(async || connection.send("POST", "/graphql", &headers, &body).await);
    drop(requests.await);
    eventually("its place is free", async || {
        open.query("{ __typename }").await.status == 200
    })
    .await;
    in_the_way.rollback().await.unwrap();
}

#[tokio::test]
async fn refusals_are_the_same_as_over_http1() {
    let open = Open::with(|config| config.server.max_body_bytes = 1_000).await;
    let mut answers = Vec::new();
    let mut open = Some(open);
    for is_http2 in [false, true] {
        let this = open.take().unwrap();
        let this = if is_http2 { this.over_http2() } else { this };
        let url = format!("{}/graphql", this.gateway.origin);
        let client = &this.gateway.client;
        let query = json!({ "query": "{ __typename }" });
        let large = json!({ "query": "{ __typename }", "x": "x".repeat(2_000) });
        let long = format!("{{ __typename }} #{}", "x".repeat(17_000));
        let requests = [
            this.post().json(&query),
            this.post().json(&large),
            this.post().json(&json!({ "query": "{ nothing }" })),
            this.post().json(&json!({ "query": "{" })),
            this.post().json(&json!([])),
            this.post().body("{}"),
            this.post().header("accept", "text/html").json(&query),
            client.put(&url).json(&query),
            client.request(Method::OPTIONS, &url),
            client.post(&url).json(&query),
            client
                .post(&url)
                .bearer_auth("nobody-knows-this")
                .json(&query),
            this.get(&[("query", &long)]),
            this.get(&[("query", CREATE)]),
            this.post()
                .header("origin", "https://example.com")
                .json(&query),
            this.gateway.get("/nothing"),
            this.gateway.get("/readyz"),
        ];
        let mut these = Vec::new();
        for request in requests {
            let answer = Answer::to(request).await;
            assert_eq!(answer.header("cache-control"), "no-store");
            these.push((
                answer.status,
                answer.header("content-type"),
                answer.header("www-authenticate"),
                answer.text(),
            ));
        }
        answers.push(these);
        open = Some(this);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_batch_and_a_change_work_as_over_http1() {
    let open = Open::start().await.over_http2();
    let one = json!({ "query": "{ __typename }" });
    let answer = open.ask(NEW, &json!([one, one])).await;
    assert_eq!(answer.json().as_array().map(Vec::len), Some(2));
    let answer = open.query(CREATE).await;
    assert_eq!(
        answer.json()["data"]["getOrCreateUserByEmail"]["created"],
        true
    );
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_those_that_do_not_read() {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "5"]);
    let token = scratch.token("sqlite://user-gateway.db?mode=rwc", &["--user", "1"]);
    let arguments = [
        "serve",
        "--response-timeout",
        "100ms",
        "--shutdown-timeout",
        "1h",
    ];
    let mut gateway = scratch.start(&arguments);
    let idle = Http2::open(&gateway.origin, 1_000).await;
    let silent = Http2::open(&gateway.origin, 1_000).await;
    assert_eq!(
        silent.answer("GET", "/healthz", &[], "").await.status(),
        200
    );
    let deaf = Http2::open(&gateway.origin, 0).await;
    let authorization = format!("Bearer {token}");
    let headers = [JSON, ("authorization", &*authorization)];
    let body = json!({ "query": LARGE }).to_string();
    let _unread = deaf.answer("POST", "/graphql", &headers, &body).await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
    idle.ended().await;
    silent.ended().await;
}
