//! What Prometheus reads.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::TransactionTrait as _;
use tokio::task::JoinSet;
use user_gateway::domain::Error;

use super::Open;
use crate::harness::{Answer, Engine, Gateway, Raw, eventually};

/// The number behind a line of the metrics that begins so.
fn sample(metrics: &str, start: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.starts_with(start))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let open = Open::start().await;
    let counted = async |start: &str| {
        let page = Answer::to(open.gateway.get("/metrics")).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/plain"));
        sample(&page.text(), start).unwrap_or_default()
    };
    // Other tests in this process are counted with ours.
    let refused = "user_gateway_http_requests_total{route=\"/graphql\",status=\"405\"}";
    let before = counted(refused).await;
    let request = open
        .gateway
        .client
        .put(format!("{}/graphql", open.gateway.origin));
    assert_eq!(Answer::to(request).await.status, 405);
    assert!(counted(refused).await > before);

    let unknown = "user_gateway_http_requests_total{route=\"none\",status=\"404\"}";
    let before = counted(unknown).await;
    let made_up = open.gateway.get("/made-up-by-somebody-7411");
    assert_eq!(Answer::to(made_up).await.status, 404);
    assert!(counted(unknown).await > before);
    let page = Answer::to(open.gateway.get("/metrics")).await;
    assert!(!page.text().contains("made-up-by-somebody"));
    let took = "user_gateway_http_request_duration_seconds_bucket{route=\"/graphql\",le=\"+Inf\"}";
    assert!(sample(&page.text(), took).is_some_and(|count| count >= 1.0));
}

#[tokio::test]
async fn bodies_that_are_refused_are_counted_by_reason() {
    let open = Open::with(|config| {
        config.server.max_body_bytes = 1_000;
        config.server.body_timeout = Duration::from_millis(50);
    })
    .await;
    let json = "content-type: application/json\r\n";
    let chunked = format!("{json}transfer-encoding: chunked\r\n");
    for (reason, fields, status) in [
        ("too_large", format!("{json}content-length: 1001\r\n"), 413),
        ("late", format!("{json}content-length: 100\r\n"), 408),
        ("unreadable", chunked, 400),
    ] {
        let counted = async || {
            let page = Answer::to(open.gateway.get("/metrics")).await.text();
            let name = format!("user_gateway_bodies_refused_total{{reason=\"{reason}\"}}");
            sample(&page, &name).unwrap_or_default()
        };
        let before = counted().await;
        let raw = Raw::open(&open.gateway.origin).await;
        let sent = if reason == "unreadable" {
            "nonsense\r\n"
        } else {
            ""
        };
        raw.send(&format!("{}{sent}", open.head("POST", &fields)))
            .await;
        assert_eq!(raw.answer().await.status, status, "{reason}");
        assert!(counted().await > before, "{reason}");
    }
}

#[tokio::test]
async fn changes_beyond_those_that_may_run_are_refused_and_counted() {
    const MAY_RUN: usize = 2_048;
    const BEYOND: usize = 20;
    let open = Open::start().await;
    let database = &open.gateway.database;
    let ada = database.add_user("ada").await;
    let counted = async || {
        let page = Answer::to(open.gateway.get("/metrics")).await.text();
        let name = "user_gateway_changes_refused_total{reason=\"running\"}";
        sample(&page, name).unwrap_or_default()
    };
    let before = counted().await;
    let in_the_way = database.connection().writer().begin().await.unwrap();
    let users = database.database().services().users;
    let mut changes: JoinSet<_> = (0..MAY_RUN + BEYOND)
        .map(|_| {
            let users = Arc::clone(&users);
            async move { users.flush_nonce(ada).await }
        })
        .collect();
    for _ in 0..BEYOND {
        let refused = changes.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
    assert!(counted().await - before >= 20.0);
    // Those that have not begun are not made any more.
    changes.shutdown().await;
    in_the_way.rollback().await.unwrap();
    eventually("changes are made again", async || {
        users.flush_nonce(ada).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let gateway = Gateway::with(Engine::Sqlite, |config| config.server.metrics = false).await;
    assert_eq!(Answer::to(gateway.get("/metrics")).await.status, 404);
}
