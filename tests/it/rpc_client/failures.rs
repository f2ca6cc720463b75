//! What becomes of a call when the peer fails.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use user_gateway::domain::{Code, Error, SystemClock};

use super::{Act, SECRET, StandIn, Write, client, client_with, config, look};

/// An error and all its causes, as the log tells them.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Failures that pass, each in the way of a first attempt.
fn passing() -> [Act; 4] {
    [Act::status(503), Act::status(502), Act::Drop, Act::Half]
}

#[tokio::test]
async fn a_call_that_may_be_repeated_is_when_the_failure_passes() {
    for failure in passing() {
        let peer = StandIn::start([failure.clone(), failure.clone(), Act::sentry(&json!(7))]).await;
        let value = client(&peer.url).call(&look()).await;
        assert_eq!(value.unwrap(), Some(json!(7)), "{failure:?}");
        let asked = peer.asked();
        assert_eq!(asked.len(), 3, "{failure:?}");
        assert!(asked.iter().all(|again| again.body == asked[0].body));
    }
}

#[tokio::test]
async fn a_call_that_may_not_be_repeated_never_is() {
    for failure in passing() {
        let peer = StandIn::start([failure.clone(), Act::sentry(&json!(7))]).await;
        let error = client(&peer.url).call(&Write {}).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{failure:?}");
        assert_eq!(peer.asked().len(), 1, "{failure:?}");
    }
}

#[tokio::test]
async fn a_failure_that_does_not_pass_is_told_at_once() {
    for (status, code) in [
        (301, Code::InternalServerError),
        (400, Code::InternalServerError),
        (401, Code::InternalServerError),
        (403, Code::InternalServerError),
        (404, Code::InternalServerError),
        (422, Code::InternalServerError),
        (500, Code::InternalServerError),
        (504, Code::Timeout),
    ] {
        let peer = StandIn::start([Act::status(status), Act::sentry(&json!(7))]).await;
        let error = client(&peer.url).call(&look()).await.unwrap_err();
        assert_eq!(error.code(), code, "{status}");
        assert_eq!(peer.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn repetitions_end_when_there_have_been_enough() {
    let peer = StandIn::start([Act::status(503)]).await;
    let error = client(&peer.url).call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(peer.asked().len(), 4);
}

#[tokio::test]
async fn repetitions_end_when_the_time_is_over() {
    let peer = StandIn::start([Act::status(503)]).await;
    let mut config = config();
    config.retries = u32::MAX;
    // The first repetition would begin later.
    config.timeout = Duration::from_millis(20);
    let client = client_with(&peer.url, config, Arc::new(SystemClock));
    let error = client.call(&look()).await.unwrap_err();
    assert!([Code::Unavailable, Code::Timeout].contains(&error.code()));
    assert!(peer.asked().len() <= 1);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_timeout() {
    let peer = StandIn::start([Act::Hang]).await;
    let mut config = config();
    config.method_timeouts = [("test.look".to_owned(), Duration::from_millis(50))].into();
    let client = client_with(&peer.url, config, Arc::new(SystemClock));
    let error = client.call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::Timeout);
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(
        chain(&error).contains("there is no connection to it"),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error() {
    for body in [
        "",
        "hunter2@example.com",
        "[]",
        "{}",
        r#"{"meta":{}}"#,
        r#"{"meta":{},"value":}"#,
        r#"{"meta":"hunter2@example.com","value":1}"#,
    ] {
        let peer = StandIn::start([Act::Answer(200, body.to_owned())]).await;
        let error = client(&peer.url).call(&look()).await.unwrap_err();
        assert_eq!(error.code(), Code::InternalServerError, "{body}");
        let told = chain(&error);
        assert!(
            told.contains("cannot be read") && !told.contains("hunter2"),
            "{told}"
        );
        assert_eq!(peer.asked().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    const MANY: usize = 1024 * 1024 * 1024;
    for act in [Act::Announce(MANY), Act::Stream(MANY)] {
        let peer = StandIn::start([act]).await;
        let error = client(&peer.url).call(&look()).await.unwrap_err();
        assert_eq!(error.code(), Code::InternalServerError);
        let told = chain(&error);
        assert!(told.contains("more than 67108864 bytes"), "{told}");
    }
}

#[tokio::test]
async fn the_log_says_what_to_look_for_and_never_what_the_peer_has_said() {
    for (status, hint) in [
        (400, "does not understand the arguments"),
        (401, "the settings rpc-secret of both sides differ"),
        (403, "something on the way took the signature away"),
        (404, "it has no rpc-secret"),
        (418, "the status 418"),
        (422, "the status 422"),
        (500, "the status 500"),
        (502, "cannot reach it"),
        (503, "takes no more calls"),
        (504, "did not answer in time"),
    ] {
        let peer = StandIn::start([Act::status(status)]).await;
        let error = client(&peer.url).call(&Write {}).await.unwrap_err();
        let told = chain(&error);
        assert!(
            told.contains("the call test.write to control failed"),
            "{told}"
        );
        assert!(told.contains(hint), "{status}: {told}");
        let all = format!("{error} {error:?} {told}");
        for secret in ["hunter2", SECRET, "rpc0:"] {
            assert!(!all.contains(secret), "{status}: {all}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_a_gateway_is_the_error_it_was_there() {
    let body = json!({
        "detail": "the username `ada` is taken",
        "code": "BAD_USER_INPUT",
        "argument": ["username"],
        "invalid_code": "TAKEN",
    });
    let peer = StandIn::start([Act::Answer(422, body.to_string())]).await;
    let error = client(&peer.url).call(&Write {}).await.unwrap_err();
    assert_eq!(error.code(), Code::BadUserInput);
    assert_eq!(error.to_string(), "the username `ada` is taken");
    let Error::Invalid(invalid) = error else {
        panic!("{error:?}");
    };
    assert_eq!(invalid.path, ["username"]);
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let other = StandIn::start([Act::sentry(&json!(1))]).await;
    let peer = StandIn::start([Act::Redirect(other.url.clone())]).await;
    let error = client(&peer.url).call(&look()).await.unwrap_err();
    assert_eq!(error.code(), Code::InternalServerError);
    assert!(other.asked().is_empty());
}
