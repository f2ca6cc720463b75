//! What the gateway says over a socket, whatever it is asked.

mod audit;
mod browser;
mod compression;
mod connections;
mod credentials;
mod csrf_and_cors;
mod graphiql;
mod graphql_over_http;
mod health;
mod http2;
mod identity_provider;
mod limits;
mod metrics;
mod overload;
mod panics;
mod persisted_queries;
mod refusals;
mod request_id;
mod trusted_documents;

use std::fmt::Write as _;
use std::sync::Mutex;

use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use user_gateway::config::Config;

use crate::harness::{Account, Answer, Engine, Gateway, client_over_http2, eventually};

/// A gateway, and the token of a superuser who may do everything.
#[derive(Debug)]
struct Open {
    gateway: Gateway,
    token: String,
}

impl Open {
    /// Sends requests until one runs in the only place that there is. One that arrives while a query is
    /// in that place is refused.
    async fn occupy<T>(&self, send: impl AsyncFn() -> T) -> Vec<T> {
        let requests = Mutex::new(Vec::new());
        eventually("a request is running", async || {
            let request = send().await;
            requests.lock().unwrap().push(request);
            self.query("{ __typename }").await.status == 503
        })
        .await;
        requests.into_inner().unwrap()
    }

    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let gateway = Gateway::with(Engine::Sqlite, adjust).await;
        let admin = gateway
            .database
            .add(Account {
                username: "admin",
                is_superuser: true,
                is_staff: true,
                ..Account::default()
            })
            .await;
        let token = gateway.user_token(admin, &[]).await;
        Self { gateway, token }
    }

    /// The same, asked over HTTP/2.
    fn over_http2(mut self) -> Self {
        self.gateway.client = client_over_http2();
        self
    }

    /// A POST with the token and nothing else.
    fn post(&self) -> RequestBuilder {
        self.gateway.graphql().bearer_auth(&self.token)
    }

    /// The answer to a body from a client that accepts this.
    async fn ask(&self, accept: &str, body: &Value) -> Answer {
        Answer::to(self.post().header("accept", accept).json(body)).await
    }

    /// The answer to a document from a client of today.
    async fn query(&self, query: &str) -> Answer {
        self.ask(NEW, &json!({ "query": query })).await
    }

    /// A GET with these parameters and the token.
    fn get(&self, parameters: &[(&str, &str)]) -> RequestBuilder {
        let url = format!("{}/graphql", self.gateway.origin);
        let url = Url::parse_with_params(&url, parameters).unwrap();
        self.gateway.client.get(url).bearer_auth(&self.token)
    }

    /// The head of a request with the token, for a connection of the test's own.
    fn head(&self, method: &str, rest: &str) -> String {
        let token = &self.token;
        format!(
            "{method} /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\n{rest}\r\n"
        )
    }

    /// How many users there are besides the one who asks.
    async fn others(&self) -> i64 {
        self.gateway.database.count("auth_user").await - 1
    }
}

const NEW: &str = "application/graphql-response+json";
const OLD: &str = "application/json";

/// A mutation that leaves a trace.
const CREATE: &str = r#"mutation Create {
    getOrCreateUserByEmail(input: { email: "new@example.com" }) { created }
}"#;

/// The SHA-256 of a text, in hexadecimal digits.
fn sha256(text: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(text) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The extensions of a request that names its document so.
fn persisted(name: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": name } })
}
