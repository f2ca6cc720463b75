//! A panic ends only the request in which it happens.

use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::net::TcpListener;
use tower::service_fn;
use user_gateway::auth::{
    Authentication, NewToken, NewTokenOwner, RateLimits, Scopes, StoredToken, Subject, TokenKind,
    TokenOwner, TokenStore, TokenSummary, TokenText,
};
use user_gateway::config::Config;
use user_gateway::domain::{
    Result, SetOption, SetOptionResult, SystemClock, UserId, UserOption, UserOptionFilter,
    UserOptionId,
};
use user_gateway::graphql::Graphql;
use user_gateway::http::{Connections, HttpState, RequestLimits, Surface, surfaces};
use user_gateway::service::{Services, UserOptionService};

use crate::harness::{Answer, Engine, Socket, TestDatabase};

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

/// A service of options that panics.
#[derive(Debug)]
struct BrokenOptions;

#[async_trait]
impl UserOptionService for BrokenOptions {
    async fn get_many(&self, _: &UserOptionFilter) -> Result<Vec<UserOption>> {
        panic!("on purpose")
    }

    async fn get_all(&self, _: &[UserId]) -> Result<Vec<UserOption>> {
        panic!("on purpose")
    }

    async fn get_many_by_id(&self, _: &[UserOptionId]) -> Result<Vec<UserOption>> {
        panic!("on purpose")
    }

    async fn set_option(&self, _: &SetOption) -> Result<SetOptionResult> {
        panic!("on purpose")
    }

    async fn delete_options(&self, _: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        panic!("on purpose")
    }
}

/// A surface over these services and tokens, with a readiness that panics.
fn broken(services: Services, tokens: Arc<dyn TokenStore>) -> Surface {
    let config = Config::default();
    let clock = Arc::new(SystemClock);
    let state = HttpState {
        graphql: Graphql::new(config.graphql, config.limits).unwrap(),
        services: Arc::new(services),
        authentication: Authentication::new(tokens, Vec::new(), None, clock),
        rate_limits: Arc::new(RateLimits::new(0)),
        readiness: Arc::new(readiness),
        limits: RequestLimits::new(&config.server, &config.limits),
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
    let surface = broken(database.database().services(), Arc::new(Broken));
    let token = ("authorization", "Bearer unknown");
    let from_a_page = ("sec-fetch-site", "same-origin");
    // No later request waits for one that panicked.
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

/// Serves requests over a socket, and returns its origin.
async fn serve(surface: Surface) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let answers = service_fn(move |request: Request<Body>| {
        let answer = surface.answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let router = Router::new().fallback_service(answers);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    origin
}

#[tokio::test]
async fn a_panic_ends_its_operation_and_its_websocket_goes_on() {
    const OPTIONS: &str = "{ userOptions(filter: { userIds: [1] }) { id } }";
    let database = TestDatabase::open(Engine::Sqlite).await;
    let ada = database.add_user("ada").await;
    let text = TokenText::generate(TokenKind::User);
    let token = NewToken {
        text: text.clone(),
        owner: NewTokenOwner::User(ada),
        scopes: Scopes::all(),
        expires_at: None,
    };
    database.database().create(&token).await.unwrap();
    let services = Services {
        user_options: Arc::new(BrokenOptions),
        ..database.database().services()
    };
    let surface = broken(services, Arc::new(database.database().clone()));
    let origin = serve(surface.clone()).await;
    let mut socket = Socket::signed_in(&origin, text.expose()).await;
    // The same id can be used again.
    for _ in 0..3 {
        socket.subscribe("1", OPTIONS).await;
        let errors = socket.refusal("1").await;
        assert_eq!(errors[0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
        assert!(!errors.to_string().contains("on purpose"), "{errors}");
        socket.subscribe("2", "{ viewer { scopes } }").await;
        assert!(socket.event("2").await["data"]["viewer"].is_object());
        let complete = json!({ "type": "complete", "id": "2" });
        assert_eq!(socket.next().await, complete);
    }

    let authorization = format!("Bearer {}", text.expose());
    for accept in ["application/json", "text/event-stream"] {
        let request = Request::post("/graphql")
            .header("host", "localhost")
            .header("authorization", &authorization)
            .header("accept", accept)
            .header("content-type", "application/json")
            .body(Body::from(json!({ "query": OPTIONS }).to_string()));
        let answer = surface.answer(request.unwrap()).await;
        assert_eq!(answer.status(), 500, "{accept}");
    }
}
