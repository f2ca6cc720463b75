//! What a call looks like on the wire.

use serde_json::json;
use user_gateway::domain::Secret;
use user_gateway::rpc::client::Peer;
use user_gateway::rpc::{Secrets, Signature};
use user_gateway::telemetry::{RequestTrace, metrics};

use super::{Act, SECRET, StandIn, client, look};

#[tokio::test]
async fn a_call_is_signed_over_the_very_bytes_that_are_sent() {
    let peer = StandIn::start([Act::sentry(&json!([1]))]).await;
    let value = client(&peer.url).call(&look()).await.unwrap();
    assert_eq!(value, Some(json!([1])));

    let [asked] = <[_; 1]>::try_from(peer.asked()).unwrap();
    assert_eq!(asked.path, "/api/0/internal/rpc/test/look/");
    let signature = asked.header("authorization").unwrap();
    let signature = signature.strip_prefix("Rpcsignature ").unwrap();
    let secrets = Secrets::new(vec![Secret::new(SECRET.to_owned())]).unwrap();
    let signature = Signature::parse(signature).unwrap();
    assert!(secrets.verify(&signature, &asked.path, &asked.body));
    assert_eq!(
        asked.json(),
        json!({"meta": {"user_gateway": {"version": 1}}, "args": {"text": "naïve"}})
    );
    assert_eq!(asked.header("user-agent"), Some("sentry-rpc/from-us"));
    assert_eq!(
        asked.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(asked.header("x-request-id"), None);
}

#[tokio::test]
async fn the_name_and_the_trace_of_a_request_travel_with_it() {
    let peer = StandIn::start([Act::sentry(&json!(null))]).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = RequestTrace {
        id: "some-request".into(),
        traceparent: Some(parent.into()),
        tracestate: Some("vendor=1".into()),
    };
    let client = client(&peer.url);
    trace.scope(client.call(&look())).await.unwrap();
    let asked = peer.asked();
    assert_eq!(asked[0].header("x-request-id"), Some("some-request"));
    assert_eq!(asked[0].header("traceparent"), Some(parent));
    assert_eq!(asked[0].header("tracestate"), Some("vendor=1"));
}

#[tokio::test]
async fn null_is_an_answer() {
    let peer = StandIn::start([Act::gateway(&json!(null))]).await;
    assert_eq!(client(&peer.url).call(&look()).await.unwrap(), None);
}

#[tokio::test]
async fn every_answer_tells_what_kind_of_silo_the_peer_is() {
    let peer = StandIn::start([Act::sentry(&json!(1))]).await;
    let client = client(&peer.url);
    assert_eq!(client.peer(), Peer::Unknown);
    client.call(&look()).await.unwrap();
    assert_eq!(client.peer(), Peer::Sentry);
    peer.change(Act::gateway(&json!(1)));
    client.call(&look()).await.unwrap();
    assert_eq!(client.peer(), Peer::Gateway);
    peer.change(Act::status(500));
    client.call(&look()).await.unwrap_err();
    assert_eq!(client.peer(), Peer::Gateway);
}

#[tokio::test]
async fn a_secret_is_in_no_debug_form() {
    let client = client("http://127.0.0.1:9");
    let printed = format!("{client:?} {client:#?}");
    assert!(
        printed.contains("control") && !printed.contains(SECRET),
        "{printed}"
    );
}

#[tokio::test]
async fn calls_are_counted_by_method_and_outcome() {
    let metrics = metrics();
    let peer = StandIn::start([Act::status(503), Act::sentry(&json!(1))]).await;
    client(&peer.url).call(&look()).await.unwrap();
    let text = metrics.render();
    for line in [
        r#"user_gateway_rpc_calls_total{peer="control",method="test.look",outcome="answered"}"#,
        r#"user_gateway_rpc_retries_total{peer="control",method="test.look"}"#,
        r#"user_gateway_rpc_duration_seconds_count{peer="control",method="test.look"}"#,
        r#"user_gateway_rpc_breaker_open{peer="control"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
