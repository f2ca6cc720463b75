//! `--internal-listen`: an address for other silos and for monitoring.

use serde_json::json;

use super::seeded;
use crate::harness::{Answer, Process, Raw, SECRET, Scratch};
use crate::rpc::sign;

const CALL: &str = "/api/0/internal/rpc/user/get_many/";

/// The status of a path, on the address at `origin`.
async fn status(process: &Process, method: &str, origin: &str, path: &str) -> u16 {
    let method = method.parse().unwrap();
    let request = process.client.request(method, format!("{origin}{path}"));
    Answer::to(request).await.status
}

/// A control silo with an internal address, and that address.
fn start(scratch: &Scratch, arguments: &[&str]) -> (Process, String) {
    let always = [
        "serve",
        "--silo",
        "control",
        "--rpc-secret",
        SECRET,
        "--internal-listen",
        "127.0.0.1:0",
    ];
    let mut control = scratch.start(&[&always[..], arguments].concat());
    let internal = control.said("internal");
    (control, internal)
}

#[tokio::test]
async fn internal_routes_are_on_the_internal_address_only() {
    let (scratch, _) = seeded();
    let (control, internal) = start(&scratch, &[]);
    for (method, path, outside, inside) in [
        ("GET", "/healthz", 200, 200),
        ("GET", "/readyz", 404, 200),
        ("GET", "/metrics", 404, 200),
        ("POST", CALL, 404, 403),
        ("POST", "/graphql", 415, 404),
        ("GET", "/graphql?query={__typename}", 401, 404),
        ("GET", "/graphiql/", 200, 404),
        ("GET", "/nothing", 404, 404),
    ] {
        let answered = status(&control, method, &control.origin, path).await;
        assert_eq!(answered, outside, "{path} outside");
        let answered = status(&control, method, &internal, path).await;
        assert_eq!(answered, inside, "{path} inside");
    }
}

#[tokio::test]
async fn without_an_internal_address_all_is_on_one() {
    let (scratch, _) = seeded();
    let control = scratch.start(&["serve", "--silo", "control", "--rpc-secret", SECRET]);
    for (method, path, expected) in [
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("POST", CALL, 403),
    ] {
        let answered = status(&control, method, &control.origin, path).await;
        assert_eq!(answered, expected, "{path}");
    }
}

#[tokio::test]
async fn a_flood_of_clients_takes_nothing_from_other_silos() {
    let (scratch, token) = seeded();
    let (control, internal) = start(&scratch, &["--max-connections", "8"]);
    let mut flood = Vec::new();
    let request = format!(
        "GET /graphql?query={{__typename}} HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    for _ in 0..8 {
        let raw = Raw::open(&control.origin).await;
        raw.send(&request).await;
        raw.begins().await;
        flood.push(raw);
    }
    let one_more = Raw::open(&control.origin).await;
    one_more.answer().await.refuses(503, "OVERLOADED");
    assert_eq!(status(&control, "GET", &internal, "/readyz").await, 200);

    let elsewhere = Scratch::new();
    let region = elsewhere.start(&[
        "serve",
        "--silo",
        "region",
        "--region",
        "us",
        "--rpc-secret",
        SECRET,
        "--control-url",
        &internal,
    ]);
    let query = "{ user(id: 1) { id } }";
    let data = region.data(&token, query, json!({})).await;
    assert_eq!(data, json!({ "user": { "id": "User:1" } }));
}

#[tokio::test]
async fn idle_clients_take_no_connection_from_another_silo() {
    let (scratch, _) = seeded();
    let control = scratch.start(&[
        "serve",
        "--silo",
        "control",
        "--rpc-secret",
        SECRET,
        "--max-connections",
        "2",
    ]);
    let body = r#"{"meta":{},"args":{"filter":{"user_ids":[1]}}}"#;
    let call = format!(
        "POST {CALL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
         authorization: Rpcsignature {}\r\n\r\n{body}",
        body.len(),
        sign(SECRET, CALL, body)
    );
    let silo = Raw::open(&control.origin).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        silo.send(&call).await;
        let answer = silo.next(10_000).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        for _ in 0..5 {
            idle.push(Raw::open(&control.origin).await);
            // On a connection of its own: an idle one may be closed as it sends.
            let probe = Raw::open(&control.origin).await;
            probe
                .send("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .await;
            assert!(probe.rest().await.starts_with(b"HTTP/1.1 200 OK"));
        }
    }
}

#[tokio::test]
async fn a_gateway_that_is_stopped_leaves_both_addresses() {
    let (scratch, _) = seeded();
    let (mut control, internal) = start(&scratch, &["--shutdown-timeout", "1h"]);
    assert_eq!(status(&control, "GET", &internal, "/healthz").await, 200);
    let _silent = Raw::open(&internal).await;
    control.signal("TERM");
    assert_eq!(control.ended(), Some(0), "{}", control.log());
}
