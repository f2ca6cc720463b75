//! Faults of ours: a panic ends the request in which it happens, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::BoxFuture;
use serde_json::json;
use user_gateway::auth::{
    Authentication, NewToken, RateLimits, StoredToken, Subject, TokenKind, TokenOwner, TokenStore,
    TokenSummary, TokenText,
};
use user_gateway::config::Config;
use user_gateway::domain::{Result, SystemClock};
use user_gateway::graphql::Graphql;
use user_gateway::http::{Connections, HttpState, RequestLimits, Surface, surfaces};

use crate::harness::{Answer, Engine, TestDatabase};

/// A store of tokens that panics.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl TokenStore for Broken {
    async fn find(&self, _: &TokenText) -> Result<Option<StoredToken>> {
        panic!("on purpose")
    }

    async fn find_by_hash(&self, _: &str, _: TokenKind) -> Result<Option<StoredToken>> {
        panic!("on purpose")
    }

    async fn find_owner(&self, _: &Subject) -> Result<Option<TokenOwner>> {
        panic!("on purpose")
    }

    async fn create(&self, _: &NewToken) -> Result<()> {
        panic!("on purpose")
    }

    async fn list(&self) -> Result<Vec<TokenSummary>> {
        panic!("on purpose")
    }

    async fn revoke(&self, _: &str) -> Result<bool> {
        panic!("on purpose")
    }
}

fn readiness() -> BoxFuture<'static, Result<()>> {
    Box::pin(async { panic!("on purpose") })
}

/// What answers requests over a database in order, with a store of tokens and a readiness that
/// panic.
fn broken(database: &TestDatabase) -> Surface {
    let config = Config::default();
    let clock = Arc::new(SystemClock);
    let state = HttpState {
        graphql: Graphql::new(config.graphql, config.limits).unwrap(),
        services: Arc::new(database.database().services()),
        authentication: Authentication::new(Arc::new(Broken), Vec::new(), None, clock),
        rate_limits: Arc::new(RateLimits::new(0)),
        readiness: Arc::new(readiness),
        limits: RequestLimits::new(&config.server),
        connections: Connections::new(config.subscriptions, &config.server),
    };
    surfaces(state, None, &config.server).unwrap().public
}

async fn ask(surface: &Surface, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [("host", "localhost"), ("content-type", "application/json")]
        .iter()
        .chain(headers)
    {
        request = request.header(*name, *value);
    }
    let body = json!({ "query": "{ viewer { scopes } }" }).to_string();
    let answer = surface
        .answer(request.body(Body::from(body)).unwrap())
        .await;
    let (parts, body) = answer.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    }
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    let surface = broken(&database);
    let token = ("authorization", "Bearer nobody-knows-this");
    let from_a_page = ("sec-fetch-site", "same-origin");
    // Nobody waits for what an earlier one has left behind, either.
    for _ in 0..3 {
        for (method, path, headers) in [
            ("POST", "/graphql", &[token][..]),
            ("POST", "/graphql", &[token, from_a_page]),
            ("GET", "/readyz", &[]),
        ] {
            let answer = ask(&surface, method, path, headers).await;
            answer.refuses(500, "INTERNAL_SERVER_ERROR");
            assert!(!answer.text().contains("on purpose"), "{}", answer.text());
        }
        assert_eq!(ask(&surface, "GET", "/healthz", &[]).await.status, 200);
    }
}
