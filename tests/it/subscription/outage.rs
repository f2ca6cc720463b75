//! Subscriptions during an outage of what they read, or while it is slow.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::time::timeout;
use user_gateway::auth::{AuthorizedServices, Caller, RateLimits, Scopes};
use user_gateway::config::Config;
use user_gateway::domain::{Change, Error, Event};
use user_gateway::graphql::{EventSlots, Graphql, GraphqlRequest, Renewal, ResponseStream};

use super::ADA;
use crate::harness::{Engine, PATIENCE, PostgresServer, Scratch, Socket, TestDatabase, eventually};

/// A graph over a database with Ada.
async fn graph() -> (TestDatabase, Graphql) {
    let database = TestDatabase::open(Engine::Sqlite).await;
    assert_eq!(database.add_user("ada").await, ADA);
    let config = Config::default();
    let graphql = Graphql::new(config.graphql, config.limits).unwrap();
    database.announcer.subscribe(graphql.listener());
    (database, graphql)
}

/// The services with access to everything.
fn services(database: &TestDatabase) -> AuthorizedServices {
    let caller = Caller::Service {
        name: "tests".to_owned(),
        scopes: Scopes::all(),
    };
    let limits = Arc::new(RateLimits::new(0));
    let services = Arc::new(database.database().services());
    AuthorizedServices::new(services, Arc::new(caller), limits)
}

/// Opens a subscription to Ada, on a connection of its own.
async fn subscribe(graphql: &Graphql, renew: Renewal) -> ResponseStream {
    let request = GraphqlRequest {
        query: Some("subscription { userChanged(id: 1) { name } }".to_owned()),
        ..GraphqlRequest::default()
    };
    let prepared = graphql.prepare(request).unwrap();
    let slots = EventSlots::default();
    let opened = graphql.subscribe(prepared, renew, PATIENCE, slots).await;
    opened.unwrap()
}

/// Hands the services out, but fails so often after the first time; and how often it was asked.
fn failing(
    database: &TestDatabase,
    failures: usize,
    error: fn() -> Error,
) -> (Renewal, Arc<AtomicUsize>) {
    let services = services(database);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let renew: Renewal = Arc::new(move || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let renewed = if (1..=failures).contains(&number) {
            Err(error())
        } else {
            Ok(services.clone())
        };
        Box::pin(async move { renewed })
    });
    (renew, asked)
}

fn away() -> Error {
    let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    Error::Unavailable(Arc::new(cause))
}

fn late() -> Error {
    let cause = std::io::Error::from(std::io::ErrorKind::TimedOut);
    Error::Timeout(Arc::new(cause))
}

fn change(database: &TestDatabase) {
    let event = Event::Changed(Change { user_id: ADA });
    database.announcer.announce(&event);
}

#[tokio::test]
async fn a_subscription_outlives_a_short_outage() {
    for error in [away as fn() -> Error, late] {
        let (database, graphql) = graph().await;
        let (renew, asked) = failing(&database, 3, error);
        let mut events = subscribe(&graphql, renew).await;
        change(&database);
        let event = timeout(PATIENCE, events.next()).await.unwrap();
        let event = serde_json::from_slice::<Value>(&event.unwrap().unwrap().into_json()).unwrap();
        let expected = json!({ "data": { "userChanged": { "name": "" } } });
        assert_eq!(event, expected);
        // One read at the start, three failed ones, and the one that succeeds.
        assert_eq!(asked.load(Ordering::Relaxed), 5);
    }
}

#[tokio::test]
async fn a_permanent_error_ends_a_subscription_at_once() {
    let (database, graphql) = graph().await;
    let fault = || Error::internal("a fault");
    let (renew, asked) = failing(&database, 1, fault);
    let mut events = subscribe(&graphql, renew).await;
    change(&database);
    let event = timeout(PATIENCE, events.next()).await.unwrap();
    let event = serde_json::from_slice::<Value>(&event.unwrap().unwrap().into_json()).unwrap();
    let code = &event["errors"][0]["extensions"]["code"];
    assert_eq!(code, "INTERNAL_SERVER_ERROR", "{event}");
    assert!(events.next().await.is_none());
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn subscriptions_that_take_long_do_not_delay_others() {
    let (database, graphql) = graph().await;
    let mut stuck = Vec::new();
    for _ in 0..32 {
        let services = services(&database);
        let asked = AtomicUsize::new(0);
        let renew: Renewal = Arc::new(move || {
            let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            let services = services.clone();
            Box::pin(async move {
                if !is_first {
                    pending::<()>().await;
                }
                Ok(services)
            })
        });
        let mut events = subscribe(&graphql, renew).await;
        stuck.push(tokio::spawn(async move { events.next().await.is_some() }));
    }
    change(&database);
    tokio::task::yield_now().await;
    let (renew, _) = failing(&database, 0, away);
    let mut events = subscribe(&graphql, renew).await;
    change(&database);
    let event = timeout(PATIENCE, events.next()).await;
    assert!(event.expect("it has to wait").unwrap().is_ok());
    for task in stuck {
        assert!(!task.is_finished());
        task.abort();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_subscription_survives_an_outage_and_receives_missed_changes() {
    const RENAME: &str = "mutation ($name: String) {
        updateUser(input: { userId: 1, name: $name }) { errors { code } } }";
    let mut server = PostgresServer::start();
    let url = server.url();
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20", "--database-url", &url]);
    let token = scratch.token(&url, &["--user", "1"]);
    let arguments = [
        "serve",
        "--database-url",
        &url,
        "--database-acquire-timeout",
        "500ms",
    ];
    let gateway = scratch.start(&arguments);
    let mut socket = Socket::signed_in(&gateway.origin, &token).await;
    let query = "subscription { userChanged(id: 1) { name } }";
    socket.subscribe("1", query).await;
    socket
        .first_event("1", async |n| {
            let name = json!({ "name": n.to_string() });
            gateway.data(&token, RENAME, name).await;
        })
        .await;
    server.stop();
    eventually("it is noticed", async || {
        gateway.log().contains("cannot hear of the changes")
    })
    .await;
    server.resume();
    eventually("it can be changed again", async || {
        let name = json!({ "name": "after the outage" });
        let answer = gateway.answer(&token, RENAME, name).await;
        answer.status == 200 && answer.code().is_empty()
    })
    .await;
    loop {
        let event = socket.event("1").await;
        assert!(event.get("errors").is_none(), "{event}");
        if event["data"]["userChanged"]["name"] == "after the outage" {
            break;
        }
    }
}
