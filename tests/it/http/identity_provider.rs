//! Tokens of an identity provider, checked against the keys that it publishes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use chrono::TimeDelta;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use user_gateway::config::IdentityProviderConfig;
use user_gateway::domain::Clock as _;

use crate::harness::{Account, Engine, Gateway, TestDatabase, at, key_set, sign};

/// A provider with a key of its own.
struct Provider {
    published: Arc<Published>,
    url: String,
}

#[derive(Default)]
struct Published {
    keys: Mutex<Option<JwkSet>>,
    fetches: AtomicUsize,
}

impl Provider {
    async fn start() -> Self {
        async fn keys(State(published): State<Arc<Published>>) -> Result<String, StatusCode> {
            published.fetches.fetch_add(1, Ordering::Relaxed);
            let keys = published.keys.lock().unwrap().clone();
            let keys = keys.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
            Ok(serde_json::to_string(&keys).unwrap())
        }
        let published = Arc::new(Published::default());
        let router = axum::Router::new()
            .route("/jwks", get(keys))
            .with_state(Arc::clone(&published));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { published, url }
    }

    fn publish(&self, seeds: &[u8]) {
        *self.published.keys.lock().unwrap() = Some(key_set(seeds));
    }

    fn fetches(&self) -> usize {
        self.published.fetches.load(Ordering::Relaxed)
    }
}

/// Claims of a good token of the user `sub`, changed by `change`.
fn claims(sub: impl Into<Value>, change: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example",
        "aud": "user-gateway",
        "sub": sub.into(),
        "exp": at("2026-01-01T12:10:00Z").timestamp(),
        "scope": "user:read org:read",
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn gateway(database: TestDatabase, provider: &Provider, user_claim: &str) -> Gateway {
    let config = IdentityProviderConfig {
        jwks: provider.url.clone(),
        issuer: "https://id.example".to_owned(),
        audience: "user-gateway".to_owned(),
        user_claim: user_claim.to_owned(),
    };
    Gateway::over(database, |all| all.auth.identity_provider = Some(config)).await
}

const VIEWER: &str = "{ viewer { user { username } scopes } }";

#[tokio::test]
async fn a_good_token_is_its_users() {
    let provider = Provider::start().await;
    provider.publish(&[1]);
    let database = TestDatabase::open(Engine::Sqlite).await;
    let id = database.add_user("ada").await;
    let gateway = gateway(database, &provider, "sub").await;
    for sub in [
        json!(id.0),
        json!(id.to_string()),
        json!(format!("User:{id}")),
    ] {
        let answer = gateway
            .ask(&sign(1, &claims(sub, &json!({}))), VIEWER)
            .await;
        assert_eq!(
            answer,
            json!({ "data": { "viewer": {
                "user": { "username": "ada" }, "scopes": ["org:read", "user:read"],
            }}})
        );
    }
    assert_eq!(provider.fetches(), 1, "keys are fetched once");
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused() {
    let provider = Provider::start().await;
    provider.publish(&[1]);
    let database = TestDatabase::open(Engine::Sqlite).await;
    let id = database.add_user("ada").await.0;
    let inactive = Account {
        username: "gone",
        is_active: false,
        ..Account::default()
    };
    let gone = database.add(inactive).await.0;
    let gateway = gateway(database, &provider, "sub").await;
    let good = sign(1, &claims(id, &json!({})));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let mut forged = signature.as_bytes().to_vec();
    forged[0] = if forged[0] == b'A' { b'B' } else { b'A' };
    let forged = format!("{head}.{}", String::from_utf8(forged).unwrap());
    let header = Header {
        kid: Some("key-1".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let secret = EncodingKey::from_secret(b"public");
    let shared = encode(&header, &claims(id, &json!({})), &secret).unwrap();
    let expired = at("2026-01-01T11:58:00Z").timestamp();
    let later = at("2026-01-01T12:05:00Z").timestamp();
    for (token, why) in [
        (forged, "signature"),
        (shared, "algorithm"),
        (sign(2, &claims(id, &json!({}))), "unknown key"),
        (
            sign(1, &claims(id, &json!({ "iss": "https://other.example" }))),
            "another issuer",
        ),
        (
            sign(1, &claims(id, &json!({ "aud": "somebody-else" }))),
            "another audience",
        ),
        (sign(1, &claims(id, &json!({ "exp": expired }))), "expired"),
        (sign(1, &claims(id, &json!({ "exp": "soon" }))), "exp"),
        (
            sign(1, &claims(id, &json!({ "nbf": later }))),
            "not valid yet",
        ),
        (sign(1, &claims(999_999, &json!({}))), "no user"),
        (sign(1, &claims("ada", &json!({}))), "no user"),
        (sign(1, &claims(gone, &json!({}))), "inactive"),
        ("a.b.c".to_owned(), "JSON web token"),
        (format!("a.{}.c", "b".repeat(9_000)), "too long"),
    ] {
        let response = gateway.post(&token, &json!({ "query": VIEWER })).await;
        assert_eq!(response.status(), 401, "{why}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        let message = body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(why), "{message} should say: {why}");
    }
}

#[tokio::test]
async fn a_user_is_named_by_a_verified_address_that_nobody_shares() {
    let provider = Provider::start().await;
    provider.publish(&[1]);
    let database = TestDatabase::open(Engine::Sqlite).await;
    database.add_user("ada").await;
    for username in ["one", "two"] {
        let email = "shared@example.com";
        database
            .add(Account {
                username,
                email,
                ..Account::default()
            })
            .await;
    }
    let gateway = gateway(database, &provider, "email").await;
    let status = async |change: Value| {
        let token = sign(1, &claims("x", &change));
        gateway
            .post(&token, &json!({ "query": VIEWER }))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(
        status(json!({ "email": "ADA@example.com", "email_verified": true })).await,
        200
    );
    assert_eq!(
        status(json!({ "email": "ada@example.com", "email_verified": false })).await,
        401
    );
    assert_eq!(status(json!({ "email": "ada@example.com" })).await, 401);
    assert_eq!(
        status(json!({ "email": "shared@example.com", "email_verified": true })).await,
        401
    );
}

#[tokio::test]
async fn keys_that_are_rotated_are_fetched_but_not_at_every_request() {
    let provider = Provider::start().await;
    provider.publish(&[1]);
    let database = TestDatabase::open(Engine::Sqlite).await;
    let id = database.add_user("ada").await.0;
    let gateway = gateway(database, &provider, "sub").await;
    let status = async |seed| {
        let token = sign(seed, &claims(id, &json!({})));
        gateway
            .post(&token, &json!({ "query": VIEWER }))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(status(1).await, 200);
    provider.publish(&[2]);
    assert_eq!(status(2).await, 401);
    assert_eq!(status(2).await, 401);
    assert_eq!(
        provider.fetches(),
        1,
        "unknown keys do not make a request each"
    );
    let clock = &gateway.database.clock;
    clock.set(clock.now() + TimeDelta::seconds(31));
    assert_eq!(status(2).await, 200);
    assert_eq!(status(1).await, 401);
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn a_provider_that_is_gone_makes_the_gateway_unavailable_to_its_tokens_alone() {
    let provider = Provider::start().await;
    let database = TestDatabase::open(Engine::Sqlite).await;
    let id = database.add_user("ada").await;
    let gateway = gateway(database, &provider, "sub").await;
    let response = gateway
        .post(
            &sign(1, &claims(id.0, &json!({}))),
            &json!({ "query": VIEWER }),
        )
        .await;
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(!body.to_string().contains("jwks"), "{body}");
    let token = gateway.user_token(id, &[]).await;
    assert_eq!(
        gateway
            .post(&token, &json!({ "query": VIEWER }))
            .await
            .status(),
        200
    );
}
