//! `token`: made once, shown once, gone when revoked.

use serde_json::{Value, json};

use super::{FILE, rows, seeded};
use crate::harness::{Contents, Process, Scratch, TestDatabase, eventually, look_into};

const VIEWER: &str = "{ viewer { user { id } service scopes } }";

/// Every text of the tables that hold tokens.
async fn stored(scratch: &Scratch) -> String {
    let url = format!("sqlite://{}/user-gateway.db", scratch.path().display());
    let database = look_into(&url).await;
    let mut all = rows(&database, "SELECT * FROM sentry_apitoken").await;
    all.extend(rows(&database, "SELECT * FROM user_gateway_servicetoken").await);
    Value::from(all).to_string()
}

/// The id of the token with these last characters in the list.
fn id_of(scratch: &Scratch, token: &str) -> String {
    let list = scratch.must(&["token", "list"]);
    assert!(!list.contains(token), "{list}");
    let ending = &token[token.len() - 4..];
    let line = list
        .lines()
        .find(|line| line.split_whitespace().any(|word| word == ending))
        .unwrap_or_else(|| panic!("no {ending} in {list}"));
    line.split_whitespace().next().unwrap().to_owned()
}

/// Waits until a gateway has seen that another process has revoked a token.
async fn is_refused(gateway: &Process, token: &str) {
    eventually("the token is refused", async || {
        let answer = gateway.answer(token, VIEWER, json!({})).await;
        answer.status == 401 && answer.code() == "UNAUTHENTICATED"
    })
    .await;
}

#[tokio::test]
async fn a_token_of_a_user_is_printed_alone_kept_as_a_hash_and_ends_when_revoked() {
    let (scratch, _) = seeded();
    let made = scratch.run(&["token", "create", "--user", "7"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let token = made.stdout.strip_suffix('\n').unwrap();
    let random = token.strip_prefix("sntryu_").unwrap();
    assert_eq!(random.len(), 64);
    assert!(random.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    assert!(!made.stderr.contains(token));
    let kept = stored(&scratch).await;
    assert!(!kept.contains(random), "{kept}");

    let gateway = scratch.start(&["serve"]);
    let data = gateway.data(token, VIEWER, json!({})).await;
    assert_eq!(data["viewer"]["user"], json!({ "id": "User:7" }));

    let id = id_of(&scratch, token);
    assert!(id.starts_with("user:"), "{id}");
    let said = scratch.must(&["token", "revoke", &id]);
    assert_eq!(said.trim(), format!("revoked {id}"));
    is_refused(&gateway, token).await;
    let said = scratch.must_fail(&["token", "revoke", &id]);
    assert!(said.contains(&id) && said.contains("token list"), "{said}");
}

#[tokio::test]
async fn a_token_of_a_service_has_the_scopes_it_was_given() {
    let (scratch, _) = seeded();
    let whose = [
        "--service",
        "billing",
        "--scope",
        "user:read",
        "--scope",
        "org:read",
    ];
    let token = scratch.token(FILE, &whose);
    let random = token.strip_prefix("ugsvc_").unwrap();
    assert!(!stored(&scratch).await.contains(random));

    let gateway = scratch.start(&["serve"]);
    let data = gateway.data(&token, VIEWER, json!({})).await;
    assert_eq!(
        data["viewer"],
        json!({ "user": null, "service": "billing", "scopes": ["org:read", "user:read"] })
    );
    let list = scratch.must(&["token", "list"]);
    assert!(list.contains("service billing"), "{list}");
    assert!(list.contains("org:read,user:read"), "{list}");

    let said = scratch.must_fail(&[
        "token",
        "create",
        "--service",
        "billing",
        "--scope",
        "user:read",
    ]);
    assert!(said.contains("revoke"), "{said}");
    let id = id_of(&scratch, &token);
    assert_eq!(id.split(':').next(), Some("service"));
    scratch.must(&["token", "revoke", &id]);
    is_refused(&gateway, &token).await;
}

#[tokio::test]
async fn a_token_ends_when_it_was_told_to() {
    let (scratch, _) = seeded();
    let lasting = scratch.token(FILE, &["--user", "1", "--expires", "30d"]);
    let ended = scratch.token(FILE, &["--user", "1", "--expires", "1ns"]);
    let gateway = scratch.start(&["serve"]);
    gateway.data(&lasting, VIEWER, json!({})).await;
    let answer = gateway.answer(&ended, VIEWER, json!({})).await;
    answer.refuses(401, "UNAUTHENTICATED");
    assert!(answer.text().contains("expired"), "{}", answer.text());
}

#[test]
fn a_token_that_cannot_be_made_is_explained() {
    let (scratch, _) = seeded();
    for (whose, expected) in [
        (&["--user", "1000"][..], "1000"),
        (&["--user", "ada"], "--user"),
        (&["--service", "billing"], "--scope"),
        (
            &["--service", "billing", "--scope", "user:everything"],
            "user:read",
        ),
        (
            &["--user", "1", "--service", "billing"],
            "cannot be used with",
        ),
        (&[], "--user"),
        (&["--user", "1", "--expires", "soon"], "--expires"),
        (&["--user", "1", "--expires", "9999999999y"], "--expires"),
    ] {
        let arguments = [&["token", "create"], whose].concat();
        let finished = scratch.run(&arguments);
        assert_ne!(finished.status.code(), Some(0), "{whose:?}");
        assert_eq!(finished.stdout, "", "{whose:?}");
        assert!(
            finished.stderr.contains(expected),
            "{whose:?}: {}",
            finished.stderr
        );
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn on_a_sentry_database_a_service_token_goes_into_the_configuration() {
    for script in super::installation::FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        let scratch = Scratch::new();
        let create = [
            "token",
            "create",
            "--database-url",
            database.url(),
            "--service",
            "billing",
            "--scope",
            "user:read",
            "--scope",
            "org:read",
        ];
        // Whatever is logged, this has to be said.
        let made = scratch.run_with(&create, &[("USER_GATEWAY_LOG", "off")]);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        let token = made.stdout.strip_suffix('\n').unwrap();
        assert!(token.starts_with("ugsvc_"), "{made:?}");
        assert!(!made.stderr.contains(token), "{made:?}");
        let (_, configured) = made.stderr.split_once("--service-token ").unwrap();
        let configured = configured.split_whitespace().next().unwrap();

        let serve = ["serve", "--database-url", database.url()];
        let gateway = scratch.start(&[&serve[..], &["--service-token", configured]].concat());
        let data = gateway.data(token, VIEWER, json!({})).await;
        assert_eq!(
            data["viewer"],
            json!({ "user": null, "service": "billing", "scopes": ["org:read", "user:read"] })
        );
        drop(gateway);
        let gateway = scratch.start(&serve);
        let answer = gateway.answer(token, VIEWER, json!({})).await;
        answer.refuses(401, "UNAUTHENTICATED");

        // Tokens of users go into Sentry's own table.
        let token = scratch.token(database.url(), &["--user", "2"]);
        let data = gateway.data(&token, VIEWER, json!({})).await;
        assert_eq!(data["viewer"]["user"], json!({ "id": "User:2" }));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_service_token_that_is_not_stored_cannot_promise_to_end() {
    let database = TestDatabase::with(Contents::Script(super::installation::FORMS[0])).await;
    let finished = Scratch::new().run(&[
        "token",
        "create",
        "--database-url",
        database.url(),
        "--service",
        "billing",
        "--scope",
        "user:read",
        "--expires",
        "1d",
    ]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.contains("--expires"), "{finished:?}");
}
