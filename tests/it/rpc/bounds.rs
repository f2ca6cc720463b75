//! How much may be asked for, and what of it is said in the log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use user_gateway::domain::UserId;

use super::{Control, SECRET, path, sign};
use crate::harness::Raw;

#[tokio::test]
async fn a_list_has_so_many_items_and_no_more() {
    let control = Control::with(|server| server.limits.max_list_length = 3).await;
    let [fits, too_long] = [json!([1, 2, 3]), json!([1, 2, 3, 4])];
    for (method, args) in [
        (
            "user/get_many",
            (|ids| json!({ "filter": { "user_ids": ids } })) as fn(Value) -> Value,
        ),
        (
            "user/get_existing_usernames",
            |names| json!({ "usernames": names }),
        ),
        (
            "user_option/delete_options",
            |ids| json!({ "option_ids": ids }),
        ),
        (
            "user_option/get_many",
            |ids| json!({ "filter": { "user_ids": [1], "keys": ids } }),
        ),
        ("user_gateway/get_roles", |ids| json!({ "user_ids": ids })),
    ] {
        let answer = control.call_as_gateway(method, args(fits.clone())).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        control
            .call_as_gateway(method, args(too_long.clone()))
            .await
            .is_invalid();
    }
    // The value of an option is no list of the call's.
    control.db.add_user("ada").await;
    let args = json!({ "user_id": 1, "key": "list", "value": [1, 2, 3, 4] });
    assert_eq!(
        control.value("user_option/set_option", args).await,
        json!(null)
    );
}

#[tokio::test]
async fn a_page_has_so_many_rows_and_no_more() {
    let control = Control::with(|server| server.limits.max_list_length = 3).await;
    let page = |size: u32| {
        json!({
            "filter": {},
            "order": { "field": "id", "direction": "ascending" },
            "page": { "after": null, "before": null, "end": "first", "size": size },
            "viewer": "all",
        })
    };
    let method = "user_gateway/page_users";
    assert_eq!(control.call_as_gateway(method, page(3)).await.status, 200);
    let answer = control.call_as_gateway(method, page(4)).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["invalid_code"], "TOO_LONG");
    assert_eq!(answer.json()["argument"], json!(["page", "size"]));
}

#[tokio::test]
async fn a_body_is_so_large_and_no_larger() {
    let control = Control::with(|server| server.limits.max_body_bytes = 100).await;
    let body = |size: usize| {
        let call = r#"{"args":{"email":"","user_id":1}}"#;
        format!("{call}{}", " ".repeat(size - call.len()))
    };
    let answer = control.signed("user/verify_user_email", &body(100)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = control.signed("user/verify_user_email", &body(101)).await;
    assert_eq!(answer.status, 413, "{}", answer.text());

    // One that does not say beforehand how large it is.
    let body = body(101);
    let path = path("user/verify_user_email");
    let signature = sign(SECRET, &path, &body);
    let raw = Raw::open(&control.origin).await;
    raw.send(&format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Rpcsignature \
         {signature}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ))
    .await;
    assert_eq!(raw.answer().await.status, 413);
}

/// The head of a call that is signed so, and whose body of `length` bytes does not come; a blank line
/// is still missing.
fn head(signature: &str, length: usize) -> String {
    let path = path("user/flush_nonce");
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Rpcsignature \
         {signature}\r\ncontent-length: {length}\r\n"
    )
}

/// What has the form of a signature.
fn wrong_signature() -> String {
    format!("rpc0:{}", "0".repeat(64))
}

/// The head of a call whose body does not come.
fn endless() -> String {
    head(&wrong_signature(), 10)
}

#[tokio::test]
async fn as_many_calls_are_worked_on_as_may_be() {
    let control = Control::with(|server| server.limits.max_concurrent_calls = 1).await;
    let UserId(ada) = control.db.add_user("ada").await;
    // An open transaction blocks every other writer.
    let in_the_way = control.db.connection().begin_alone().await.unwrap();
    let args = json!({ "user_id": ada });
    let calls = (0..3).map(|_| control.call("user/flush_nonce", args.clone()));
    let mut calls: FuturesUnordered<_> = calls.collect();
    for _ in 0..2 {
        let refused = calls.next().await.unwrap();
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert_eq!(refused.header("retry-after"), "1");
    }
    in_the_way.rollback().await.unwrap();
    let served = calls.next().await.unwrap();
    assert_eq!(served.status, 200, "{}", served.text());
}

#[tokio::test]
async fn a_body_behind_no_signature_is_not_waited_for() {
    let control = Control::start().await;
    for signature in ["x", "rpc0:00", "rpc1:00", &"0".repeat(64)] {
        let raw = Raw::open(&control.origin).await;
        raw.send(&format!("{}\r\n", head(signature, 1_000_000)))
            .await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 401, "{signature}");
        assert_eq!(answer.header("connection"), "close");
    }
}

#[tokio::test]
async fn bodies_that_do_not_come_keep_no_silo_out() {
    let control = Control::with(|server| server.limits.max_concurrent_calls = 1).await;
    control.db.add_user("ada").await;
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(Raw::asked_for_the_body(&control.origin, &endless()).await);
    }
    let args = json!({ "user_id": 1 });
    assert_eq!(control.call("user/flush_nonce", args).await.status, 200);
    // Whose turn would come is found out when they are there.
    held[0].send("0123456789").await;
    assert_eq!(held[0].answer().await.status, 401);
}

#[tokio::test]
async fn unfinished_bodies_have_a_bound_and_the_oldest_makes_room() {
    let control = Control::with(|server| server.limits.max_unfinished_body_bytes = 100_000).await;
    let old = Raw::asked_for_the_body(&control.origin, &endless()).await;
    let large = head(&wrong_signature(), 100_000);
    let large = Raw::asked_for_the_body(&control.origin, &large).await;
    large.send(&"x".repeat(99_500)).await;
    let evicted = old.answer().await;
    assert_eq!(evicted.status, 503, "{}", evicted.text());
    assert_eq!(evicted.header("retry-after"), "1");
    large.send(&"x".repeat(500)).await;
    assert_eq!(large.answer().await.status, 401);
}

#[tokio::test]
async fn a_body_has_so_much_time_and_no_more() {
    let control = Control::with(|server| {
        server.limits.body_timeout = Duration::from_millis(50);
    })
    .await;
    let raw = Raw::asked_for_the_body(&control.origin, &endless()).await;
    assert_eq!(raw.answer().await.status, 408);
}

#[tokio::test]
async fn a_call_takes_so_long_and_no_longer() {
    let control = Control::with(|server| server.limits.deadline = Duration::from_millis(1)).await;
    let raw = Raw::open(&control.origin).await;
    raw.send(&format!("{}\r\n", endless())).await;
    assert_eq!(raw.answer().await.status, 504);
}

/// A log that a test reads.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn the_log_holds_no_secret_and_nothing_of_anybody() {
    // With a single dispatcher in the process, whatever other tests reach first in threads without
    // one would be silent in this thread too.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let control = Control::start().await;
    let user = control.db.add_user("ada").await;
    control
        .db
        .add_authenticator(user, 1, r#"{"secret":"totp-seed"}"#)
        .await;
    control
        .db
        .execute("UPDATE auth_user SET session_nonce = 'nonce-of-ada'")
        .await;

    let told = control
        .value("user/get_many", json!({ "filter": { "user_ids": [user] } }))
        .await;
    assert!(told.to_string().contains("totp-seed"));
    let secret = json!({ "username": "ada", "email": "private@example.com" });
    control
        .call("user/create_by_username_and_email", secret)
        .await
        .is_invalid();
    control.db.execute("DROP TABLE sentry_useravatar").await;
    control
        .call("user/get_user_avatar", json!({ "user_id": user }))
        .await
        .is_invalid();
    control
        .send(
            "user/get_many",
            "{}",
            Some("Rpcsignature rpc0:wrong-signature"),
        )
        .await;
    control
        .send("user/get_many", "{}", Some("Bearer sntryu_somebodys-token"))
        .await;

    let text = log.text();
    assert!(
        text.contains("a call failed") && text.contains("sentry_useravatar"),
        "{text}"
    );
    assert!(text.contains("create_by_username_and_email"), "{text}");
    for secret in [
        SECRET,
        "totp-seed",
        "nonce-of-ada",
        "private@example.com",
        "wrong-signature",
        "sntryu_",
        "rpc0:",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(!format!("{control:?}").contains(SECRET));
}
