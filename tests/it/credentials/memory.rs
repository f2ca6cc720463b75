//! What is remembered, and when it is forgotten.

use std::sync::Arc;

use tokio::task::JoinSet;
use user_gateway::domain::{Change, Event, UserId};

use super::{Remembering, jwt};
use crate::harness::{at, eventually};

/// Until when the tokens of the provider are good.
const END: &str = "2026-01-01T13:00:00Z";

#[tokio::test]
async fn a_bearer_is_looked_for_once() {
    let it = Remembering::new();
    let jwt = jwt(1, END);
    for _ in 0..3 {
        assert_eq!(it.find("token-1").await, Some(1));
        assert_eq!(it.find(&jwt).await, Some(1));
    }
    assert_eq!(it.tokens.take_calls(), 2);
}

#[tokio::test]
async fn a_bearer_is_remembered_for_ten_seconds() {
    let it = Remembering::new();
    for token in ["token-1", &jwt(1, END)] {
        it.clock.set(at("2026-01-01T12:00:00Z"));
        it.find(token).await;
        it.clock.set(at("2026-01-01T12:00:09Z"));
        it.find(token).await;
        assert_eq!(it.tokens.take_calls(), 1, "{token}");
        it.clock.set(at("2026-01-01T12:00:10Z"));
        it.find(token).await;
        assert_eq!(it.tokens.take_calls(), 1, "{token}");
    }
}

#[tokio::test]
async fn another_token_of_a_known_user_adds_nothing_to_the_ten_seconds() {
    let it = Remembering::new();
    it.find(&jwt(1, END)).await;
    it.clock.set(at("2026-01-01T12:00:09Z"));
    let another = jwt(1, "2026-01-01T14:00:00Z");
    it.find(&another).await;
    assert_eq!(it.tokens.take_calls(), 1);
    it.clock.set(at("2026-01-01T12:00:10Z"));
    it.find(&another).await;
    assert_eq!(it.tokens.take_calls(), 1);
}

#[tokio::test]
async fn a_token_is_not_remembered_beyond_its_end() {
    let it = Remembering::new();
    let end = at("2026-01-01T12:00:03Z");
    it.tokens
        .state()
        .tokens
        .get_mut("token-1")
        .unwrap()
        .expires_at = Some(end);
    // The clock of a provider may be a minute off.
    let jwt = jwt(2, "2026-01-01T11:59:03Z");
    it.find("token-1").await;
    it.find(&jwt).await;
    it.clock.set(at("2026-01-01T12:00:02Z"));
    it.tokens.take_calls();
    assert_eq!(it.find("token-1").await, Some(1));
    assert_eq!(it.find(&jwt).await, Some(2));
    assert_eq!(it.tokens.take_calls(), 0);
    it.clock.set(end);
    assert_eq!(it.find("token-1").await, None);
    assert_eq!(it.find(&jwt).await, None);
}

#[tokio::test]
async fn unknown_tokens_and_failures_are_not_remembered() {
    let it = Remembering::new();
    it.tokens.state().fails = true;
    assert!(it.ask("token-1").await.is_err());
    it.tokens.state().fails = false;
    assert_eq!(it.find("token-1").await, Some(1));
    assert_eq!(it.find("token-3").await, None);
    assert_eq!(it.find("token-3").await, None);
    assert_eq!(it.tokens.take_calls(), 4);
}

#[tokio::test]
async fn a_token_is_known_by_all_of_its_header_alone() {
    let it = Remembering::new();
    it.find("token-1").await;
    for text in [
        "token-1",
        "Bearer token-",
        "Bearer token-11",
        "Basic token-1",
    ] {
        assert!(
            it.authentication.authenticate(Some(text)).await.is_err(),
            "{text}"
        );
    }
    let caller = it
        .authentication
        .authenticate(Some("bearer  token-1"))
        .await;
    assert_eq!(caller.unwrap().user_id(), Some(UserId(1)));
}

#[tokio::test]
async fn what_is_remembered_is_written_nowhere() {
    let it = Remembering::new();
    it.find("token-1").await;
    let text = format!("{:?}", it.authentication);
    assert!(!text.contains("Bearer"), "{text}");
}

#[tokio::test]
async fn a_change_of_a_user_is_honoured_at_once() {
    let it = Remembering::new();
    let jwt = jwt(1, END);
    for token in ["token-1", "token-2", &jwt] {
        assert!(it.find(token).await.is_some());
    }
    it.close(1);
    it.tokens.take_calls();
    assert_eq!(it.find("token-1").await, None);
    assert_eq!(it.find(&jwt).await, None);
    assert_eq!(it.tokens.take_calls(), 2);
    assert_eq!(it.find("token-2").await, Some(2));
    assert_eq!(it.tokens.take_calls(), 0);
}

#[tokio::test]
async fn after_a_gap_everything_is_asked_anew() {
    let it = Remembering::new();
    it.find("token-1").await;
    it.tokens.take_calls();
    it.notice(&Event::Missed);
    it.find("token-1").await;
    assert_eq!(it.tokens.take_calls(), 1);
}

#[tokio::test]
async fn concurrent_look_ups_of_one_token_make_one_call() {
    let it = Arc::new(Remembering::new());
    it.tokens.is_open.send_replace(false);
    let mut look_ups = JoinSet::new();
    for _ in 0..1000 {
        let it = Arc::clone(&it);
        look_ups.spawn(async move { it.find("token-1").await });
    }
    eventually("the call is under way", async || {
        it.tokens.state().waiting == 1
    })
    .await;
    it.tokens.is_open.send_replace(true);
    assert!(look_ups.join_all().await.iter().all(Option::is_some));
    assert_eq!(it.tokens.take_calls(), 1);
}

#[tokio::test]
async fn a_look_up_from_before_a_change_is_neither_joined_nor_remembered() {
    let it = Arc::new(Remembering::new());
    it.tokens.is_open.send_replace(false);
    let ask = || {
        let it = Arc::clone(&it);
        tokio::spawn(async move { it.find("token-1").await })
    };
    let before = ask();
    eventually("the call is under way", async || {
        it.tokens.state().waiting == 1
    })
    .await;
    it.close(1);
    let after = ask();
    eventually("another call is under way", async || {
        it.tokens.state().waiting == 2
    })
    .await;
    it.tokens.is_open.send_replace(true);
    assert_eq!(before.await.unwrap(), Some(1));
    assert_eq!(after.await.unwrap(), None);
    assert_eq!(it.find("token-1").await, None);
}

#[tokio::test]
async fn who_was_known_is_known_for_longer_while_nobody_can_be_asked() {
    let it = Remembering::new();
    it.find("token-1").await;
    it.find("token-2").await;
    it.find(&jwt(1, END)).await;
    it.clock.set(at("2026-01-01T12:00:10Z"));
    it.tokens.state().tokens.remove("token-2");
    assert_eq!(it.find("token-2").await, None);

    it.tokens.state().is_away = true;
    it.clock.set(at("2026-01-01T12:04:59Z"));
    assert_eq!(it.find("token-1").await, Some(1));
    let another = jwt(1, "2026-01-01T14:00:00Z");
    assert_eq!(it.find(&another).await, Some(1), "its user is known");
    assert!(it.ask("token-2").await.is_err(), "it was revoked before");
    assert!(it.ask("token-3").await.is_err(), "it was never known");
    it.clock.set(at("2026-01-01T12:05:00Z"));
    assert!(it.ask("token-1").await.is_err());
    assert!(it.ask(&another).await.is_err());

    it.tokens.state().is_away = false;
    it.clock.set(at("2026-01-01T12:05:01Z"));
    assert_eq!(it.find("token-1").await, Some(1));
    let user_id = UserId(1);
    it.notice(&Event::Changed(Change { user_id }));
    it.tokens.state().is_away = true;
    assert!(
        it.ask("token-1").await.is_err(),
        "the account may be closed"
    );
}
