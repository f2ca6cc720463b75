//! Creating users, and finding those who are there.

use serde_json::{Value, json};

use super::Control;
use super::read::{incomplete, with};
use crate::harness::at;

/// The account row of somebody new.
fn new(id: i64, username: &str, name: &str, email: &str) -> Value {
    let display_name = [name, email, username]
        .into_iter()
        .find(|text| !text.is_empty());
    let label = [email, username].into_iter().find(|text| !text.is_empty());
    json!({
        "id": id,
        "pk": id,
        "name": name,
        "email": email,
        "username": username,
        "actor_id": null,
        "display_name": display_name,
        "label": label,
        "is_superuser": false,
        "is_authenticated": true,
        "is_anonymous": false,
        "is_active": true,
        "is_staff": false,
        "is_unclaimed": false,
        "last_active": "2026-03-04T05:06:07Z",
        "is_sentry_app": false,
        "password_usable": false,
        "is_password_expired": false,
        "session_nonce": null,
    })
}

async fn control() -> Control {
    let control = Control::start().await;
    control.db.clock.set(at("2026-03-04T05:06:07Z"));
    control
}

const METHOD: &str = "user/get_or_create_by_email";

#[tokio::test]
async fn whoever_is_not_there_is_created() {
    let control = control().await;
    let email = "John.Doe@Example.com";
    let args = json!({ "email": email, "ident": null, "referrer": null });
    let first = control.value(METHOD, args.clone()).await;
    let username = first["user"]["username"].as_str().unwrap();
    assert!(
        username.starts_with("johndoe-") && username.len() == 40,
        "{username}"
    );
    let user = incomplete(new(1, username, email, email), &[]);
    assert_eq!(first, json!({ "user": user, "created": true }));
    let again = control.value(METHOD, args).await;
    assert_eq!(again, json!({ "user": user, "created": false }));
    let signups = control.db.heard.take_signups();
    assert_eq!(signups.len(), 1);
    assert_eq!(signups[0].referrer, "unknown");
}

#[tokio::test]
async fn sentry_may_create_users_with_any_address() {
    let control = control().await;
    for (email, slug) in [
        ("no-address", "no-address-"),
        (" a b@c ", "a-b-"),
        ("x@@y", "x-"),
    ] {
        let created = control.value(METHOD, json!({ "email": email })).await;
        assert_eq!(created["created"], true, "{email}");
        assert_eq!(created["user"]["email"], email);
        let username = created["user"]["username"].as_str().unwrap();
        assert!(username.starts_with(slug), "{username}");
    }
    control
        .call(METHOD, json!({ "email": "x".repeat(201) }))
        .await
        .is_invalid();
    let answer = control
        .call_as_gateway(METHOD, json!({ "email": "no-address" }))
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["argument"], json!(["email"]));
    assert_eq!(answer.json()["invalid_code"], "INVALID_FORMAT");
}

#[tokio::test]
async fn a_gateways_call_made_again_answers_as_it_did() {
    let control = control().await;
    let key = "0123456789abcdef0123456789abcdef";
    let email = "ada@example.com";
    let attempt = async |key: &str| {
        let meta = json!({ "user_gateway": { "version": 1, "idempotency_key": key } });
        let body = json!({ "meta": meta, "args": { "email": email } }).to_string();
        let answer = control.signed(METHOD, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let username = format!("ada-{key}");
    let more = json!({ "date_joined": "2026-03-04T05:06:07Z", "flags": 1, "avatar_url": null });
    let user = incomplete(with(new(1, &username, email, email), more), &[]);
    let expected = json!({
        "meta": { "user_gateway": { "version": 1 } },
        "value": { "user": user, "created": true },
    });
    assert_eq!(attempt(key).await, expected);
    assert_eq!(attempt(key).await, expected);
    let other = attempt("00000000000000000000000000000000").await;
    assert_eq!(other["value"], json!({ "user": user, "created": false }));
    assert_eq!(control.db.heard.take_signups().len(), 1);
}

#[tokio::test]
async fn an_identity_picks_one_of_several() {
    let control = control().await;
    let db = &control.db;
    for _ in 0..2 {
        db.execute("UPDATE auth_user SET username = 'first'").await;
        db.add_user("ada").await;
    }
    let organization = db.add_organization(7, "us", Some(0)).await;
    let provider = db.add_provider(organization).await;
    db.add_identity(user_gateway::domain::UserId(2), provider, "ident")
        .await;
    for (ident, id) in [(json!(null), 1), (json!("ident"), 2), (json!("IDENT"), 1)] {
        let args = json!({ "email": "ada@example.com", "ident": ident });
        assert_eq!(
            control.value("user/get_user_by_email", args.clone()).await["id"],
            id
        );
        assert_eq!(control.value(METHOD, args).await["user"]["id"], id);
    }
}

#[tokio::test]
async fn a_user_is_created_once_by_username() {
    let control = control().await;
    let method = "user/create_by_username_and_email";
    let args = json!({ "email": "ada@example.com", "username": "countess" });
    let expected = incomplete(new(1, "countess", "", "ada@example.com"), &[]);
    assert_eq!(control.value(method, args.clone()).await, expected);
    control.call(method, args).await.is_invalid();
    assert_eq!(control.db.count("auth_user").await, 1);
    assert_eq!(
        control
            .db
            .count("sentry_useremail WHERE NOT is_verified")
            .await,
        1
    );
    assert!(control.db.heard.take_signups().is_empty());
}

#[tokio::test]
async fn escaped_letters_are_those_letters() {
    let control = control().await;
    let body = r#"{"meta":{},"args":{"email":"\u044e\u043b\u0438\u044f@example.com"}}"#;
    let answer = control.signed(METHOD, body).await;
    assert_eq!(answer.json()["value"]["user"]["email"], "юлия@example.com");
}
