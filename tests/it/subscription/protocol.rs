//! The WebSocket: who is let in, what may be said, and how it ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use user_gateway::auth::{
    NewToken, NewTokenOwner, Scopes, TOKEN_LIFE, TokenKind, TokenStore, TokenText,
};
use user_gateway::config::Config;

use super::{ADA, Directory};
use crate::harness::{
    Answer, Engine, PATIENCE, PROTOCOL, Process, Scratch, Socket, at, eventually,
};

const ABOUT_ADA: &str = "subscription { userChanged(id: 1) { name } }";
const WHO: &str = "{ viewer { user { username } } }";

async fn directory() -> Directory {
    Directory::start(Engine::Sqlite).await
}

async fn with(adjust: impl FnOnce(&mut Config)) -> Directory {
    Directory::with(Engine::Sqlite, adjust).await
}

async fn ada(directory: &Directory) -> Socket {
    Socket::signed_in(&directory.gateway.origin, &directory.ada).await
}

/// Why a connection is closed on which this is said after nothing else.
async fn closed_after(directory: &Directory, message: Value) -> (u16, String) {
    let mut socket = Socket::open(&directory.gateway.origin).await;
    socket.send(&message).await;
    socket.closed().await
}

#[tokio::test]
async fn credentials_come_with_the_first_message_or_with_the_upgrade() {
    let directory = directory().await;
    let (origin, token) = (&directory.gateway.origin, &directory.ada);
    let bearer = format!("Bearer {token}");
    for payload in [
        json!({ "Authorization": bearer }),
        json!({ "authorization": bearer }),
        json!({ "token": token }),
    ] {
        let mut socket = Socket::open(origin).await;
        socket.init(payload).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        socket.subscribe("1", WHO).await;
        assert_eq!(
            socket.event("1").await["data"]["viewer"]["user"]["username"],
            "ada"
        );
    }
    let headers = [PROTOCOL, ("authorization", &*bearer)];
    let mut socket = Socket::open_with(origin, &headers).await.unwrap();
    socket.send(&json!({ "type": "connection_init" })).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
}

#[tokio::test]
async fn who_has_no_credentials_or_worthless_ones_is_sent_away() {
    let directory = directory().await;
    for payload in [
        json!(null),
        json!({}),
        json!({ "token": "wrong" }),
        json!({ "Authorization": directory.ada }),
    ] {
        let message = json!({ "type": "connection_init", "payload": payload });
        let (code, reason) = closed_after(&directory, message).await;
        assert_eq!(code, 4401, "{payload}: {reason}");
        assert!(reason.starts_with("UNAUTHENTICATED: "), "{reason}");
    }
    for payload in [json!("token"), json!({ "token": 7 })] {
        let message = json!({ "type": "connection_init", "payload": payload });
        assert_eq!(closed_after(&directory, message).await.0, 4400);
    }
}

#[tokio::test]
async fn anybody_may_read_the_schema_where_that_is_allowed_and_nothing_else() {
    let directory = with(|config| config.graphql.anonymous_introspection = true).await;
    let mut socket = Socket::open(&directory.gateway.origin).await;
    socket.init(json!({})).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
    socket
        .subscribe("1", "{ __schema { subscriptionType { name } } }")
        .await;
    let answer = socket.event("1").await;
    assert_eq!(
        answer["data"]["__schema"]["subscriptionType"]["name"],
        "Subscription"
    );
    assert_eq!(socket.next().await["type"], "complete");
    for query in [WHO, ABOUT_ADA, "{ nonsense"] {
        socket.subscribe("1", query).await;
        let refusal = socket.refusal("1").await;
        assert_eq!(refusal[0]["extensions"]["code"], "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn an_operation_before_the_welcome_ends_the_connection() {
    let directory = directory().await;
    let message = json!({ "type": "subscribe", "id": "1", "payload": { "query": WHO } });
    let end = closed_after(&directory, message).await;
    assert_eq!(end, (4401, "Unauthorized".to_owned()));
}

#[tokio::test]
async fn who_does_not_introduce_themselves_in_time_is_sent_away() {
    let init_timeout = Duration::from_millis(50);
    let directory = with(|config| config.subscriptions.init_timeout = init_timeout).await;
    // A ping is no introduction.
    let end = closed_after(&directory, json!({ "type": "ping" })).await;
    assert_eq!(end, (4408, "Connection initialisation timeout".to_owned()));
}

#[tokio::test]
async fn a_second_introduction_ends_the_connection() {
    let directory = directory().await;
    let mut socket = ada(&directory).await;
    socket.init(json!({ "token": directory.ada })).await;
    let end = socket.closed().await;
    assert_eq!(end, (4429, "Too many initialisation requests".to_owned()));
}

#[tokio::test]
async fn two_operations_of_one_id_end_the_connection() {
    let directory = directory().await;
    let mut socket = ada(&directory).await;
    socket.subscribe("twice", ABOUT_ADA).await;
    socket.subscribe("twice", ABOUT_ADA).await;
    let end = socket.closed().await;
    assert_eq!(
        end,
        (4409, "Subscriber for twice already exists".to_owned())
    );
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection() {
    let directory = directory().await;
    for message in [
        Message::text("nonsense"),
        Message::text(r#"{"type": "start", "id": "1", "payload": {"query": "{ a }"}}"#),
        Message::text(r#"{"type": "subscribe", "id": "1", "payload": {"query": 1}}"#),
        Message::binary(r#"{"type": "ping"}"#),
    ] {
        let mut socket = ada(&directory).await;
        socket.send_raw(message.clone()).await;
        assert_eq!(socket.closed().await.0, 4400, "{message}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    let directory = with(|config| config.server.max_body_bytes = 1_000).await;
    let mut socket = ada(&directory).await;
    socket.send_raw(Message::text(" ".repeat(1_001))).await;
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 1009, "{reason}");
    assert!(reason.contains("1000 bytes"), "{reason}");
}

#[tokio::test]
async fn a_message_with_too_many_json_values_closes_the_connection() {
    let directory = directory().await;
    let mut socket = ada(&directory).await;
    let payload = json!({ "query": "{ __typename }", "variables": { "x": vec![1; 110_000] } });
    socket.subscribe_with("1", &payload).await;
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 4400, "{reason}");
    assert!(reason.contains("100000 JSON values"), "{reason}");
}

#[tokio::test]
async fn a_ping_is_answered_with_what_it_carries() {
    let directory = directory().await;
    let mut socket = Socket::open(&directory.gateway.origin).await;
    socket.send(&json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong" }));
    socket.init(json!({ "token": directory.ada })).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
    socket.send(&json!({ "type": "pong" })).await;
    socket
        .send(&json!({ "type": "ping", "payload": { "n": 1 } }))
        .await;
    let pong = json!({ "type": "pong", "payload": { "n": 1 } });
    assert_eq!(socket.next().await, pong);
}

#[tokio::test]
async fn queries_and_mutations_are_answered_once() {
    let directory = directory().await;
    let mut socket = ada(&directory).await;
    let mutation = "mutation ($name: String!) {
        updateUser(input: { userId: 1, name: $name }) { user { name } } }";
    let payload = json!({
        "query": format!("{} query Other {{ __typename }}", mutation.replace("mutation", "mutation Rename")),
        "variables": { "name": "Ada" },
        "operationName": Value::Null,
    });
    socket.subscribe_with("1", &payload).await;
    let refusal = socket.refusal("1").await;
    assert_eq!(
        refusal[0]["extensions"]["code"],
        "OPERATION_RESOLUTION_FAILURE"
    );

    let payload = json!({ "query": mutation, "variables": { "name": "Ada" } });
    socket.subscribe_with("1", &payload).await;
    let answer = json!({ "data": { "updateUser": { "user": { "name": "Ada" } } } });
    assert_eq!(socket.event("1").await, answer);
    assert_eq!(
        socket.next().await,
        json!({ "type": "complete", "id": "1" })
    );

    // An id may come again once its operation has ended.
    let partial = "{ viewer { user { name } } user(id: 1) { organizations { id } } a: node(id: \"x\") { id } }";
    socket.subscribe("1", partial).await;
    let answer = socket.event("1").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    assert_eq!(answer["data"]["viewer"]["user"]["name"], "Ada");
}

#[tokio::test]
async fn an_operation_takes_no_longer_than_a_request_may() {
    let directory = with(|config| {
        config.server.request_timeout = Duration::from_millis(300);
    })
    .await;
    let mut socket = ada(&directory).await;
    let connection = directory.gateway.database.connection();
    // Nobody else can write in the meantime.
    let in_the_way = connection.begin_alone().await.unwrap();
    let mutation = "mutation {
        setUserOption(input: { userId: 1, key: \"theme\", value: 1 }) { changed } }";
    socket.subscribe("1", mutation).await;
    let refusal = socket.refusal("1").await;
    assert_eq!(refusal[0]["extensions"]["code"], "TIMEOUT");
    in_the_way.rollback().await.unwrap();
}

#[tokio::test]
async fn operations_beyond_the_bound_are_refused_and_the_connection_lives_on() {
    let directory = with(|config| config.subscriptions.per_connection = 2).await;
    let mut socket = ada(&directory).await;
    for id in ["1", "2"] {
        socket.subscribe(id, ABOUT_ADA).await;
    }
    socket.subscribe("3", WHO).await;
    let refusal = socket.refusal("3").await;
    assert_eq!(
        refusal[0]["extensions"]["code"],
        "SUBSCRIPTION_LIMIT_EXCEEDED"
    );
    assert!(
        refusal[0]["message"].as_str().unwrap().contains('2'),
        "{refusal}"
    );
    socket.complete("1").await;
    socket.subscribe("3", WHO).await;
    assert_eq!(
        socket.event("3").await["data"]["viewer"]["user"]["username"],
        "ada"
    );
}

#[tokio::test]
async fn an_operation_that_the_client_has_completed_says_no_more() {
    let directory = directory().await;
    let mut socket = ada(&directory).await;
    socket.subscribe("1", ABOUT_ADA).await;
    socket
        .first_event("1", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    socket.complete("1").await;
    // Once this is answered the other has been completed too.
    socket.send(&json!({ "type": "ping" })).await;
    while socket.next().await["type"] != "pong" {}
    socket.subscribe("2", ABOUT_ADA).await;
    let event = socket
        .first_event("2", async |n| {
            directory.rename(ADA, &format!("again {n}")).await;
        })
        .await;
    assert!(
        event["data"]["userChanged"]["name"]
            .as_str()
            .unwrap()
            .starts_with("again")
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_are_refused_before_they_are_made() {
    let directory = with(|config| config.subscriptions.connections = 1).await;
    let origin = &directory.gateway.origin;
    let first = ada(&directory).await;
    let refusal = Socket::open_with(origin, &[PROTOCOL]).await.unwrap_err();
    refusal.refuses(503, "OVERLOADED");
    assert_eq!(refusal.header("retry-after"), "1");
    drop(first);
    eventually("there is room again", async || {
        Socket::open_with(origin, &[PROTOCOL]).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn another_subprotocol_is_refused() {
    let directory = directory().await;
    let origin = &directory.gateway.origin;
    let obsolete = ("sec-websocket-protocol", "graphql-ws");
    for headers in [&[][..], &[obsolete]] {
        let refusal = Socket::open_with(origin, headers).await.unwrap_err();
        refusal.refuses(400, "BAD_REQUEST");
    }
    let both = ("sec-websocket-protocol", "graphql-ws, graphql-transport-ws");
    assert!(Socket::open_with(origin, &[both]).await.is_ok());
}

#[tokio::test]
async fn pages_of_other_sites_cannot_connect() {
    let friend = "https://console.example.com";
    let directory = with(|config| config.server.cors_origins = vec![friend.to_owned()]).await;
    let origin = directory.gateway.origin.as_str();
    for stranger in [
        "https://evil.example",
        "null",
        "https://console.example.com:8443",
    ] {
        let headers = [PROTOCOL, ("origin", stranger)];
        let refusal = Socket::open_with(origin, &headers).await.unwrap_err();
        refusal.refuses(403, "CROSS_SITE_REQUEST");
    }
    for page in [friend, origin] {
        let headers = [PROTOCOL, ("origin", page)];
        assert!(Socket::open_with(origin, &headers).await.is_ok(), "{page}");
    }
}

#[tokio::test]
async fn a_client_of_whom_nothing_is_heard_is_given_up() {
    let idle_timeout = Duration::from_millis(50);
    let directory = with(|config| {
        config.subscriptions.idle_timeout = idle_timeout;
        config.subscriptions.connections = 1;
    })
    .await;
    // It never reads, so no ping of the gateway's is answered.
    let mut silent = ada(&directory).await;
    let origin = &directory.gateway.origin;
    eventually("there is room again", async || {
        Socket::open_with(origin, &[PROTOCOL]).await.is_ok()
    })
    .await;
    assert_eq!(silent.closed().await.0, 4408);
}

#[tokio::test]
async fn a_client_that_answers_pings_may_stay() {
    let idle_timeout = Duration::from_secs(1);
    let directory = with(|config| {
        config.subscriptions.idle_timeout = idle_timeout;
        config.subscriptions.connections = 2;
    })
    .await;
    let origin = &directory.gateway.origin;
    let _silent = ada(&directory).await;
    let mut patient = ada(&directory).await;
    patient.subscribe("1", ABOUT_ADA).await;
    let room = eventually("the silent one is given up", async || {
        Socket::open_with(origin, &[PROTOCOL]).await.is_ok()
    });
    tokio::select! {
        message = patient.next() => panic!("{message}"),
        () = room => {}
    }
    patient
        .first_event("1", async |n| {
            directory.rename(ADA, &n.to_string()).await;
        })
        .await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answers_is_dropped() {
    let (scratch, token) = seeded();
    let arguments = [
        "serve",
        "--idle-timeout",
        "1s",
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
    // No socket holds all that is asked for.
    let schema = "__schema { types { description fields { description } } }";
    let aliases = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let fields = aliases.map(|alias| format!("{alias}: {schema}"));
    let query = format!("{{ {} }}", fields.join(" "));
    for id in 0..100 {
        slow.subscribe(&id.to_string(), &query).await;
    }
    // It is there, and says so; it only does not listen.
    let end = Instant::now() + PATIENCE;
    while !gateway.log().contains("code=1013") {
        slow.say_if_there_is_room(&json!({ "type": "ping" })).await;
        assert!(
            Instant::now() < end,
            "it is never dropped: {}",
            gateway.log()
        );
    }
    assert_ne!(slow.drained().await, 100);
}

async fn token_until(directory: &Directory, end: &str) -> String {
    let text = TokenText::generate(TokenKind::User);
    let token = NewToken {
        text: text.clone(),
        owner: NewTokenOwner::User(ADA),
        scopes: Scopes::all(),
        expires_at: Some(at(end)),
    };
    let database = directory.gateway.database.database();
    database.create(&token).await.unwrap();
    text.expose().to_owned()
}

#[tokio::test]
async fn a_token_that_expires_ends_the_connection_at_the_next_event() {
    let directory = directory().await;
    let token = token_until(&directory, "2026-01-01T13:00:00Z").await;
    let mut socket = Socket::signed_in(&directory.gateway.origin, &token).await;
    socket.subscribe("1", ABOUT_ADA).await;
    socket
        .first_event("1", async |n| directory.rename(ADA, &n.to_string()).await)
        .await;
    directory
        .gateway
        .database
        .clock
        .set(at("2026-01-01T13:00:00Z"));
    directory.rename(ADA, "for nobody's eyes").await;
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 4403, "{reason}");
    assert!(reason.starts_with("UNAUTHENTICATED: "), "{reason}");
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_the_connection_though_nothing_happens() {
    let idle_timeout = Duration::from_millis(50);
    let directory = with(|config| config.subscriptions.idle_timeout = idle_timeout).await;
    let mut socket = ada(&directory).await;
    socket.subscribe("1", ABOUT_ADA).await;
    let database = &directory.gateway.database;
    // As somebody does who tells nobody.
    database
        .execute("DELETE FROM sentry_apitoken WHERE user_id = 1")
        .await;
    database.clock.advance(TOKEN_LIFE);
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 4403, "{reason}");
    assert!(reason.starts_with("UNAUTHENTICATED: "), "{reason}");
}

/// The value of a metric of a gateway; none if there is no such metric.
async fn metric(gateway: &Process, name: &str) -> Option<f64> {
    let page = Answer::to(gateway.get("/metrics")).await.text();
    let value = page.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().parse().ok()
}

#[tokio::test]
async fn metrics_tell_of_connections_subscriptions_and_events() {
    const CONNECTIONS: &str = "user_gateway_subscription_connections{transport=\"websocket\"}";
    let (scratch, token) = seeded();
    let gateway = scratch.start(&["serve"]);
    let mut socket = Socket::signed_in(&gateway.origin, &token).await;
    socket.subscribe("1", ABOUT_ADA).await;
    let rename = "mutation ($name: String) {
        updateUser(input: { userId: 1, name: $name }) { errors { code } } }";
    socket
        .first_event("1", async |n| {
            let name = json!({ "name": n.to_string() });
            gateway.data(&token, rename, name).await;
        })
        .await;
    assert_eq!(metric(&gateway, CONNECTIONS).await, Some(1.0));
    assert_eq!(
        metric(&gateway, "user_gateway_subscriptions").await,
        Some(1.0)
    );
    let events = metric(&gateway, "user_gateway_subscription_events_total").await;
    assert!(events.is_some_and(|events| events >= 1.0), "{events:?}");
    drop(socket);
    eventually("nothing is open", async || {
        metric(&gateway, CONNECTIONS).await == Some(0.0)
            && metric(&gateway, "user_gateway_subscriptions").await == Some(0.0)
    })
    .await;
}

#[tokio::test]
async fn sigterm_ends_connections_at_once_and_says_so() {
    let (scratch, token) = seeded();
    let mut gateway = scratch.start(&["serve", "--shutdown-timeout", "1h"]);
    let mut waiting = Socket::signed_in(&gateway.origin, &token).await;
    waiting.subscribe("1", ABOUT_ADA).await;
    let mut unknown = Socket::open(&gateway.origin).await;
    gateway.signal("TERM");
    for socket in [&mut waiting, &mut unknown] {
        assert_eq!(socket.closed().await.0, 1001);
    }
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
}

fn seeded() -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20"]);
    let token = scratch.token("sqlite://user-gateway.db?mode=rwc", &["--user", "1"]);
    (scratch, token)
}
