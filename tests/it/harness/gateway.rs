//! A whole gateway on a free port, asked over a socket as clients ask.

use std::sync::{Arc, Mutex};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use user_gateway::app::App;
use user_gateway::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore, TokenText};
use user_gateway::config::Config;
use user_gateway::domain::{Clock, UserId};

use super::client::client;
use super::database::{Engine, TestDatabase};
use super::process::eventually;

/// A gateway over a fresh database.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// The database behind it.
    pub(crate) database: TestDatabase,
    /// Where it is, such as `http://127.0.0.1:40001`.
    pub(crate) origin: String,
    /// A client without any credentials.
    pub(crate) client: Client,
    /// The tasks of this gateway and of those beside it. They share connections to the database, which
    /// are lost with the worker that opened them, so all end together.
    serving: Mutex<Vec<JoinHandle<()>>>,
}

impl Gateway {
    /// Starts a gateway with the default configuration.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::with(engine, |_| {}).await
    }

    /// Starts a gateway with a configuration that a test adjusts.
    pub(crate) async fn with(engine: Engine, adjust: impl FnOnce(&mut Config)) -> Self {
        Self::over(TestDatabase::open(engine).await, adjust).await
    }

    /// Starts a gateway over a database that a test has prepared.
    pub(crate) async fn over(database: TestDatabase, adjust: impl FnOnce(&mut Config)) -> Self {
        let (origin, serving) = serve(&database, adjust).await;
        let client = client();
        Self {
            database,
            origin,
            client,
            serving: Mutex::new(vec![serving]),
        }
    }

    /// Starts another gateway over the same database, which ends with this one.
    pub(crate) async fn beside(&self, adjust: impl FnOnce(&mut Config)) -> Beside {
        let (origin, serving) = serve(&self.database, adjust).await;
        self.serving.lock().unwrap().push(serving);
        Beside {
            origin,
            client: self.client.clone(),
        }
    }

    /// A token of a user with these scopes; every scope, if none is named.
    pub(crate) async fn user_token(&self, id: UserId, scopes: &[&str]) -> String {
        let scopes = if scopes.is_empty() {
            Scopes::all()
        } else {
            Scopes::new(scopes.iter().copied())
        };
        self.token(TokenKind::User, NewTokenOwner::User(id), scopes)
            .await
    }

    /// A token of a service with these scopes.
    pub(crate) async fn service_token(&self, name: &str, scopes: &[&str]) -> String {
        let owner = NewTokenOwner::Service(name.to_owned());
        self.token(
            TokenKind::Service,
            owner,
            Scopes::new(scopes.iter().copied()),
        )
        .await
    }

    async fn token(&self, kind: TokenKind, owner: NewTokenOwner, scopes: Scopes) -> String {
        let text = TokenText::generate(kind);
        let token = NewToken {
            text: text.clone(),
            owner,
            scopes,
            expires_at: None,
        };
        self.database.database().create(&token).await.unwrap();
        text.expose().to_owned()
    }

    /// The whole answer to a document.
    pub(crate) async fn ask(&self, token: &str, query: &str) -> Value {
        self.ask_with(token, query, json!({})).await
    }

    /// The whole answer to a document with variables.
    pub(crate) async fn ask_with(&self, token: &str, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        self.post(token, &body).await.json().await.unwrap()
    }

    /// The response to a POST of `body`.
    pub(crate) async fn post(&self, token: &str, body: &Value) -> Response {
        self.graphql()
            .bearer_auth(token)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// A POST to `/graphql` that a test completes.
    pub(crate) fn graphql(&self) -> RequestBuilder {
        self.client.post(format!("{}/graphql", self.origin))
    }

    /// A GET of a path, which a test completes.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.origin))
    }

    /// How many statements the gateway has sent so far.
    pub(crate) fn statements(&self) -> u64 {
        self.database.database().statement_count()
    }
}

/// A second gateway over the database of a first.
#[derive(Debug)]
pub(crate) struct Beside {
    origin: String,
    client: Client,
}

impl Beside {
    /// The response to a POST of `body`.
    pub(crate) async fn post(&self, token: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}/graphql", self.origin));
        request.bearer_auth(token).json(body).send().await.unwrap()
    }
}

/// Serves a gateway over `database`; where, and as what task.
async fn serve(
    database: &TestDatabase,
    adjust: impl FnOnce(&mut Config),
) -> (String, JoinHandle<()>) {
    let mut config = Config::default();
    adjust(&mut config);
    let clock = Arc::clone(&database.clock) as Arc<dyn Clock>;
    let announcer = database.announcer.clone();
    let app = App::over(config, database.database().clone(), announcer, clock).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        app.serve(listener, std::future::pending()).await.unwrap();
    });
    // What it may have missed before it begins to hear of others it forgets once.
    eventually("it hears of changes", async || database.database().hears()).await;
    (origin, serving)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for serving in self.serving.get_mut().unwrap() {
            serving.abort();
        }
    }
}
