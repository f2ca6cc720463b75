//! `serve`: how it starts, and how it ends.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use super::{FILE, SET_OPTION, rows, seeded};
use crate::harness::{Answer, Process, Raw, Scratch, eventually, look_into};

#[tokio::test]
async fn serve_makes_its_database_and_finds_it_again() {
    let scratch = Scratch::new();
    let mut gateway = scratch.start(&["serve"]);
    assert_eq!(
        gateway.said("graphiql"),
        format!("{}/graphiql", gateway.origin)
    );
    assert!(scratch.files().contains(&"user-gateway.db".to_owned()));
    let ready = Answer::to(gateway.get("/readyz")).await;
    assert_eq!(ready.status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0));

    scratch.must(&["seed", "--users", "20"]);
    let token = scratch.token(FILE, &["--user", "1"]);
    let set = json!({ "input": { "userId": "1", "key": "theme", "value": "dark" } });
    let ask = "{ user(id: 1) { option(key: \"theme\") } }";
    for round in 0..2 {
        let mut gateway = scratch.start(&["serve"]);
        if round == 0 {
            let data = gateway.data(&token, SET_OPTION, set.clone()).await;
            assert_eq!(data["setUserOption"]["changed"], true);
        }
        let data = gateway.data(&token, ask, json!({})).await;
        assert_eq!(data, json!({ "user": { "option": "dark" } }));
        gateway.signal("TERM");
        assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
    }
}

/// A request whose body is still to come, taken on by the gateway.
async fn in_flight(gateway: &Process, token: &str, body: &str) -> Raw {
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    Raw::asked_for_the_body(&gateway.origin, &head).await
}

async fn listens(gateway: &Process) -> bool {
    let address = gateway.origin.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.is_ok()
}

#[tokio::test]
async fn sigterm_finishes_a_request_in_flight_and_takes_no_other() {
    let (scratch, token) = seeded();
    let mut gateway = scratch.start(&["serve"]);
    let variables = json!({ "input": { "userId": "1", "key": "late", "value": 1 } });
    let body = json!({ "query": SET_OPTION, "variables": variables }).to_string();
    let (half, rest) = body.split_at(body.len() / 2);
    let slow = in_flight(&gateway, &token, &body).await;
    slow.send(half).await;

    gateway.signal("TERM");
    eventually("the gateway has stopped listening", async || {
        !listens(&gateway).await
    })
    .await;
    slow.send(rest).await;
    let answer = slow.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"]["setUserOption"]["changed"], true);
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());

    let database = look_into(&format!(
        "sqlite://{}/user-gateway.db",
        scratch.path().display()
    ))
    .await;
    let kept = rows(
        &database,
        "SELECT key FROM sentry_useroption WHERE key = 'late'",
    )
    .await;
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn a_request_that_never_ends_is_not_waited_for_for_ever() {
    let (scratch, token) = seeded();
    let mut gateway = scratch.start(&["serve", "--shutdown-timeout", "100ms"]);
    let _slow = in_flight(&gateway, &token, "{}").await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
    assert!(gateway.log().contains("gave up"), "{}", gateway.log());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_not_waited_for_for_ever() {
    let (scratch, token) = seeded();
    let arguments = [
        "serve",
        "--response-timeout",
        "50ms",
        "--shutdown-timeout",
        "1h",
        "--max-cost",
        "1000000",
        "--max-aliases",
        "1000",
    ];
    let mut gateway = scratch.start(&arguments);
    // No socket holds so much.
    let schema = (0..20).map(|n| {
        let about = "types { description fields { description args { description } } }";
        format!("a{n}: __schema {{ {about} }}")
    });
    let query = format!("{{ {} }}", schema.collect::<Vec<_>>().join(" "));
    let batch = vec![json!({ "query": query }); 10];
    let body = serde_json::Value::from(batch).to_string();
    let deaf = Raw::open(&gateway.origin).await;
    deaf.send(&format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    deaf.begins().await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
}

#[tokio::test]
async fn sigint_ends_a_gateway_with_idle_connections_at_once() {
    let (scratch, token) = seeded();
    let mut gateway = scratch.start(&["serve", "--shutdown-timeout", "1h"]);
    // The client keeps its connection, and another has not said a word.
    gateway.data(&token, "{ __typename }", json!({})).await;
    let _silent = Raw::open(&gateway.origin).await;
    gateway.signal("INT");
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
}

#[tokio::test]
async fn a_process_with_blocked_threads_exits_in_time() {
    let scratch = Scratch::new();
    let arguments = [
        "serve",
        "--workers",
        "1",
        "--log",
        "user_gateway=debug",
        "--shutdown-timeout",
        "100ms",
    ];
    let (mut gateway, _unread) = scratch.start_unread(&arguments);
    // The log is not read, so the pipe fills up and the worker blocks on writing.
    let moment = Duration::from_secs(2);
    eventually("the thread that serves is stuck", async || {
        let request = gateway.get("/healthz").timeout(moment);
        request.send().await.is_err()
    })
    .await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(1));
}

#[tokio::test]
async fn a_process_that_is_asked_twice_to_stop_waits_for_nothing() {
    let (scratch, token) = seeded();
    let mut gateway = scratch.start(&["serve", "--shutdown-timeout", "1h"]);
    let _slow = in_flight(&gateway, &token, "{}").await;
    gateway.signal("TERM");
    eventually("the gateway has stopped listening", async || {
        !listens(&gateway).await
    })
    .await;
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(1), "{}", gateway.log());
}

#[test]
fn a_taken_port_is_said_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let scratch = Scratch::new();
        let said = scratch.must_fail(&[command, "--listen", &address]);
        assert!(said.contains(&address), "{said}");
        assert!(said.contains("--listen"), "{said}");
        assert_eq!(scratch.files(), [""; 0]);
        let arguments = [
            command,
            "--listen",
            "127.0.0.1:0",
            "--internal-listen",
            &address,
        ];
        let said = scratch.must_fail(&arguments);
        assert!(said.contains(&address), "{said}");
        assert!(said.contains("--internal-listen"), "{said}");
        assert_eq!(scratch.files(), [""; 0]);
    }
}

#[tokio::test]
async fn serve_prints_facts_to_standard_output_and_logs_to_standard_error() {
    let (scratch, token) = seeded();
    let mut gateway = scratch.start(&[
        "serve",
        "--log-format",
        "json",
        "--log",
        "user_gateway=debug",
    ]);
    gateway.said("graphiql");
    let email = json!({ "input": { "email": "somebody.new@example.com" } });
    let answer = gateway.answer(&token, super::GET_OR_CREATE, email).await;
    let id = answer.header("x-request-id");
    eventually("the request is logged", async || {
        gateway.log().contains(&id)
    })
    .await;
    let log = gateway.log();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string(), "{line}");
    }
    // Neither addresses nor tokens nor bodies belong into a log.
    assert!(!log.contains("somebody.new"), "{log}");
    assert!(!log.contains(&token), "{log}");
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0));
}

/// The value of a metric; nothing was counted if there is no such metric.
async fn metric(gateway: &Process, name: &str) -> u64 {
    let page = Answer::to(gateway.get("/metrics")).await.text();
    let name = format!("user_gateway_document_cache_{name} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&name));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn metrics_tell_of_documents_that_are_kept() {
    const HITS: &str = "hits_total";
    const MISSES: &str = "misses_total";
    let (scratch, token) = seeded();
    let gateway = scratch.start(&["serve", "--document-cache-bytes", "50000"]);
    let query = "query ($id: ID!) { user(id: $id) { name } }";
    for id in 1..=3 {
        gateway.data(&token, query, json!({ "id": id })).await;
    }
    assert_eq!(metric(&gateway, HITS).await, 2);
    assert_eq!(metric(&gateway, MISSES).await, 1);
    let bytes = metric(&gateway, "bytes").await;
    assert!((100..50_000).contains(&bytes), "{bytes}");

    for refused in [
        "{ nothing }",
        "{ nothing",
        "query ($id: ID!) { user(id: $id) }",
    ] {
        for _ in 0..2 {
            gateway.answer(&token, refused, json!({})).await;
        }
    }
    assert_eq!(metric(&gateway, HITS).await, 2);
    assert_eq!(metric(&gateway, MISSES).await, 7);
    assert_eq!(metric(&gateway, "bytes").await, bytes);
    assert_eq!(metric(&gateway, "evictions_total").await, 0);

    eventually("a document makes room", async || {
        for place in 0..50 {
            let query = format!("query N{place} {{ viewer {{ user {{ name }} }} }}");
            gateway.data(&token, &query, json!({})).await;
        }
        metric(&gateway, "evictions_total").await > 0
    })
    .await;
    eventually("what is kept has shrunk to its bound", async || {
        gateway.data(&token, query, json!({ "id": 1 })).await;
        metric(&gateway, "bytes").await <= 50_000
    })
    .await;
}
