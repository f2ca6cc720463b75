//! WebSockets whose clients send much and read nothing, or occupy places.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::Directory;
use crate::harness::{
    Answer, Engine, PATIENCE, PROTOCOL, Process, Raw, Scratch, Socket, eventually,
};

/// The most memory that a gateway may take, whatever it is sent.
const MAX_MEMORY: u64 = 256 * 1024 * 1024;

/// The size of a flood, unless the gateway closes it before.
const FLOOD: usize = 512 * 1024 * 1024;

const UPGRADE: &str = "GET /graphql HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n\
    connection: upgrade\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-protocol: graphql-transport-ws\r\n\r\n";

/// The first byte of a frame: its opcode, with the highest bit if it ends its message.
const TEXT: u8 = 0x81;
const FIRST_PART: u8 = 0x01;
const FURTHER_PART: u8 = 0x00;
const LAST_PART: u8 = 0x80;
const PING: u8 = 0x89;

/// A frame of a client, masked with zeros, which change nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()).unwrap() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 0x7e);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn seeded() -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20"]);
    let token = scratch.token("sqlite://user-gateway.db?mode=rwc", &["--user", "1"]);
    (scratch, token)
}

/// How many WebSockets a gateway has closed with a code.
async fn closed_with(gateway: &Process, code: u16) -> u64 {
    let page = Answer::to(gateway.get("/metrics")).await.text();
    let name = format!("user_gateway_websockets_closed_total{{code=\"{code}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&name));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Opens a WebSocket, sends `first` and then `again` over and over, reads nothing, and asserts that
/// the gateway closes it with `code` and does not fill its memory.
async fn flood(gateway: &Process, first: &[u8], again: &[u8], code: u16) {
    let before = closed_with(gateway, code).await;
    let raw = Raw::open(&gateway.origin).await;
    raw.send(UPGRADE).await;
    raw.try_send_bytes(first).await.unwrap();
    let many = again.repeat(1024 * 1024 / again.len());
    let mut most = 0;
    let mut is_ended = false;
    for _ in 0..FLOOD / many.len() {
        let sent = timeout(PATIENCE, raw.try_send_bytes(&many)).await;
        most = most.max(gateway.resident_bytes());
        if sent.expect("it is neither read nor closed").is_err() {
            is_ended = true;
            break;
        }
    }
    assert!(is_ended, "it is not closed, with {most} bytes of memory");
    eventually("it is closed", async || {
        closed_with(gateway, code).await > before
    })
    .await;
    most = most.max(gateway.resident_bytes());
    assert!(most < MAX_MEMORY, "{most} bytes of memory");
}

#[tokio::test]
async fn unauthenticated_floods_are_closed_after_few_bytes() {
    let (scratch, _) = seeded();
    let gateway = scratch.start(&["serve"]);
    let message = json!({ "type": "ping", "payload": { "x": "x".repeat(1_000) } });
    let message = message.to_string();
    for (first, again) in [
        (Vec::new(), frame(PING, &[0; 125])),
        (Vec::new(), frame(PING, &[])),
        (Vec::new(), frame(TEXT, message.as_bytes())),
        (frame(FIRST_PART, b"{"), frame(FURTHER_PART, b" ")),
        (Vec::new(), frame(TEXT, " ".repeat(60_000).as_bytes())),
    ] {
        flood(&gateway, &first, &again, 1008).await;
    }
}

#[tokio::test]
async fn clients_that_send_and_do_not_read_time_out() {
    let (scratch, token) = seeded();
    let gateway = scratch.start(&["serve", "--idle-timeout", "1s"]);
    let init = json!({ "type": "connection_init", "payload": { "token": token } }).to_string();
    let init = frame(TEXT, init.as_bytes());
    let message = json!({ "type": "ping", "payload": { "x": "x".repeat(1_000) } });
    let message = message.to_string();
    let refused = json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ x }" } });
    let refused = refused.to_string();
    for again in [
        frame(PING, &[0; 125]),
        frame(TEXT, message.as_bytes()),
        [
            frame(TEXT, refused.as_bytes()),
            frame(PING, &[0; 125]),
            frame(TEXT, br#"{"type":"complete","id":"1"}"#),
        ]
        .concat(),
    ] {
        flood(&gateway, &init, &again, 1013).await;
    }
}

#[tokio::test]
async fn a_message_of_any_number_of_parts_is_bounded() {
    let (scratch, token) = seeded();
    let gateway = scratch.start(&["serve"]);
    let init = json!({ "type": "connection_init", "payload": { "token": token } }).to_string();
    let first = [frame(TEXT, init.as_bytes()), frame(FIRST_PART, b"{")].concat();
    flood(&gateway, &first, &frame(FURTHER_PART, b" "), 1009).await;
}

#[tokio::test]
async fn incomplete_messages_are_evicted_beyond_their_limit() {
    let directory = Directory::with(Engine::Sqlite, |config| {
        config.server.max_unfinished_body_bytes = 100_000;
    })
    .await;
    let init = json!({ "type": "connection_init", "payload": { "token": directory.ada } });
    let init = init.to_string();
    let begin = async || {
        let raw = Raw::open(&directory.gateway.origin).await;
        raw.send(UPGRADE).await;
        raw.try_send_bytes(&frame(TEXT, init.as_bytes()))
            .await
            .unwrap();
        read_until(&raw, "connection_ack").await;
        let part = frame(FIRST_PART, " ".repeat(60_000).as_bytes());
        raw.try_send_bytes(&part).await.unwrap();
        raw
    };
    let old = begin().await;
    let new = begin().await;
    let answer = String::from_utf8_lossy(&old.rest().await).into_owned();
    assert!(answer.contains("send it again"), "{answer}");
    let rest = frame(LAST_PART, br#"{"type":"ping"}"#);
    new.try_send_bytes(&rest).await.unwrap();
    read_until(&new, "pong").await;
}

/// Reads until the text has come.
async fn read_until(raw: &Raw, text: &str) {
    let mut received = String::new();
    while !received.contains(text) {
        raw.begins().await;
        let part = raw.take(1_000).expect("the connection is open");
        received += &String::from_utf8_lossy(&part);
    }
}

#[tokio::test]
async fn an_unauthenticated_client_is_told_that_it_sent_too_much() {
    let directory = Directory::start(Engine::Sqlite).await;
    let mut socket = Socket::open(&directory.gateway.origin).await;
    for _ in 0..200 {
        socket.send_raw(Message::Ping(vec![0_u8; 125].into())).await;
    }
    assert_eq!(socket.closed().await.0, 1008);
    // An authenticated client may send more.
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    for _ in 0..200 {
        ada.send_raw(Message::Ping(vec![0_u8; 125].into())).await;
    }
    ada.send(&json!({ "type": "ping" })).await;
    assert_eq!(ada.next().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn unsent_answers_of_all_operations_are_bounded_together() {
    let (scratch, token) = seeded();
    let arguments = [
        "serve",
        "--max-unsent-bytes",
        "100000",
        "--log",
        "user_gateway=debug",
    ];
    let gateway = scratch.start(&arguments);
    let address = gateway.origin.strip_prefix("http://").unwrap();
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4_096).unwrap();
    let stream = small.connect(address.parse().unwrap()).await.unwrap();
    let mut slow = Socket::over(stream, &[PROTOCOL]).await.unwrap();
    slow.init(json!({ "token": token })).await;
    assert_eq!(slow.next().await["type"], "connection_ack");
    let schema = "__schema { types { description fields { description } } }";
    let aliases = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let fields = aliases.map(|alias| format!("{alias}: {schema}"));
    let query = format!("{{ {} }}", fields.join(" "));
    for id in 0..100 {
        let message = json!({
            "type": "subscribe", "id": id.to_string(), "payload": { "query": query },
        });
        slow.say_if_there_is_room(&message).await;
    }
    eventually("it is closed", async || {
        gateway.log().contains("bytes of answers wait to be sent")
    })
    .await;
    assert_eq!(closed_with(&gateway, 1013).await, 1);
    assert!(gateway.resident_bytes() < MAX_MEMORY);
}

#[tokio::test]
async fn an_answer_that_waits_alone_may_have_any_size() {
    let directory = Directory::with(Engine::Sqlite, |config| {
        config.subscriptions.unsent_bytes = 1;
    })
    .await;
    let mut ada = Socket::signed_in(&directory.gateway.origin, &directory.ada).await;
    ada.subscribe("1", "{ viewer { user { username } } }").await;
    let answer = ada.event("1").await;
    assert_eq!(answer["data"]["viewer"]["user"]["username"], "ada");
}

#[tokio::test]
async fn unauthenticated_websockets_evict_the_oldest_and_block_no_client() {
    let directory = Directory::with(Engine::Sqlite, |config| {
        config.subscriptions.connections = 1;
        config.subscriptions.pending = 3;
        config.subscriptions.init_timeout = Duration::from_hours(1);
    })
    .await;
    let origin = &directory.gateway.origin;
    let mut pending = Vec::new();
    for _ in 0..10 {
        pending.push(Socket::open(origin).await);
    }
    let _ada = Socket::signed_in(origin, &directory.ada).await;
    // Three of the others were pending together with Ada's WebSocket.
    for old in &mut pending[..8] {
        assert_eq!(old.closed().await.0, 1013);
    }
    // The last place was hers, so there is nothing to wait for any more.
    pending[9].init(json!({ "token": directory.bob })).await;
    assert_eq!(pending[9].closed().await.0, 1013);
    let refusal = Socket::open_with(origin, &[PROTOCOL]).await.unwrap_err();
    refusal.refuses(503, "OVERLOADED");
}

#[tokio::test]
async fn clients_that_may_only_read_the_schema_block_no_other_client() {
    let directory = Directory::with(Engine::Sqlite, |config| {
        config.graphql.anonymous_introspection = true;
        config.subscriptions.connections = 1;
        config.subscriptions.pending = 2;
    })
    .await;
    let origin = &directory.gateway.origin;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = Socket::open(origin).await;
        reader.init(json!({})).await;
        assert_eq!(reader.next().await["type"], "connection_ack");
        readers.push(reader);
    }
    let mut ada = Socket::signed_in(origin, &directory.ada).await;
    ada.subscribe("1", "{ viewer { user { username } } }").await;
    ada.event("1").await;
    assert_eq!(readers[0].closed().await.0, 1013);
}
