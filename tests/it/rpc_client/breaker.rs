//! A peer that keeps failing is left alone for a while.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use user_gateway::domain::{Clock, Code};
use user_gateway::rpc::client::RpcClient;

use super::{Act, StandIn, Write, client_with, config, look};
use crate::harness::MockClock;

async fn fail(client: &RpcClient, times: usize) {
    for _ in 0..times {
        client.call(&Write {}).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_peer_that_keeps_failing_is_left_alone_until_it_may_have_recovered() {
    let clock = Arc::new(MockClock::default());
    let peer = StandIn::start([Act::status(503)]).await;
    let client = client_with(&peer.url, config(), Arc::clone(&clock) as Arc<dyn Clock>);
    fail(&client, 5).await;
    assert_eq!(peer.asked().len(), 5);

    // Now it is not even asked, however well it is.
    peer.change(Act::sentry(&json!(7)));
    let error = client.call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(peer.asked().len(), 5);

    clock.set(clock.now() + TimeDelta::seconds(6));
    assert_eq!(client.call(&look()).await.unwrap(), Some(json!(7)));
    assert_eq!(client.call(&look()).await.unwrap(), Some(json!(7)));
}

#[tokio::test]
async fn while_it_is_tried_out_everybody_else_fails_at_once() {
    let clock = Arc::new(MockClock::default());
    let peer = StandIn::start([Act::Drop]).await;
    let client = client_with(&peer.url, config(), Arc::clone(&clock) as Arc<dyn Clock>);
    fail(&client, 5).await;
    clock.set(clock.now() + TimeDelta::seconds(6));

    peer.change(Act::Hang);
    let trying = tokio::spawn({
        let client = client.clone();
        async move { client.call(&look()).await }
    });
    crate::harness::eventually("the peer is tried out", async || peer.asked().len() == 6).await;
    let error = client.call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(peer.asked().len(), 6);

    // Whoever tried gives up, and the next one tries instead.
    trying.abort();
    let _ = trying.await;
    peer.change(Act::sentry(&json!(7)));
    assert_eq!(client.call(&look()).await.unwrap(), Some(json!(7)));
}

#[tokio::test]
async fn a_call_that_the_peer_understands_and_refuses_is_no_failure_of_the_peer() {
    let peer = StandIn::start([Act::status(400)]).await;
    let client = client_with(&peer.url, config(), Arc::new(MockClock::default()));
    fail(&client, 10).await;
    assert_eq!(peer.asked().len(), 10);
}

#[tokio::test]
async fn repetitions_count_and_stop_when_it_opens() {
    let peer = StandIn::start([Act::Half]).await;
    let mut config = config();
    config.retries = 100;
    let client = client_with(&peer.url, config, Arc::new(MockClock::default()));
    let error = client.call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(peer.asked().len(), 5);
}
