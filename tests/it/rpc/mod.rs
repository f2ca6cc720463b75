//! The calls of other silos, as they stand on the wire: bodies written by hand, answers compared
//! as a whole.

mod bounds;
mod caching;
mod change;
mod filter;
mod gateway;
mod organization;
mod provision;
mod read;
mod refusals;
mod region;
mod requests;
mod serialize;

mod user_option;

use std::fmt::Write as _;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use user_gateway::auth::TokenStore;
use user_gateway::domain::Secret;
use user_gateway::rpc::{RpcLimits, RpcServer, Secrets};
use user_gateway::service::SiloCache;

use crate::harness::{Answer, Engine, TestDatabase, client};

/// What the silos of these tests share.
const SECRET: &str = "a-long-value-that-is-hard-to-guess";

/// A control silo on a free port.
#[derive(Debug)]
struct Control {
    db: TestDatabase,
    /// Where it is, such as `http://127.0.0.1:40001`.
    origin: String,
    client: reqwest::Client,
    serving: JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The secrets with these texts.
fn secrets(texts: &[&str]) -> Secrets {
    let keys = texts.iter().map(|text| Secret::new((*text).to_owned()));
    Secrets::new(keys.collect()).unwrap()
}

/// A signature as Sentry makes it, without help of the code under test.
pub(crate) fn sign(secret: &str, path: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{path}:{body}").as_bytes());
    let mut signature = String::from("rpc0:");
    for byte in mac.finalize().into_bytes() {
        write!(signature, "{byte:02x}").unwrap();
    }
    signature
}

fn path(method: &str) -> String {
    format!("/api/0/internal/rpc/{method}/")
}

impl Control {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a control silo that a test adjusts.
    async fn with(adjust: impl FnOnce(&mut RpcServer)) -> Self {
        Self::over(TestDatabase::open(Engine::Sqlite).await, adjust).await
    }

    async fn over(db: TestDatabase, adjust: impl FnOnce(&mut RpcServer)) -> Self {
        let database = db.database();
        let mut server = RpcServer {
            secrets: secrets(&[SECRET]),
            services: Some(database.services()),
            tokens: Some(Arc::new(database.clone()) as Arc<dyn TokenStore>),
            region_caching: None,
            control_caching: Some(Arc::new(database.clone()) as Arc<dyn SiloCache>),
            limits: RpcLimits::default(),
        };
        adjust(&mut server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = server.router();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            db,
            origin,
            client: client(),
            serving,
        }
    }

    /// Sends a body to a method such as `user/get_many`, with this `Authorization`.
    async fn send(&self, method: &str, body: &str, authorization: Option<&str>) -> Answer {
        let url = format!("{}{}", self.origin, path(method));
        let mut request = self.client.post(url).body(body.to_owned());
        request = request.header("content-type", "application/json; charset=utf-8");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        Answer::to(request).await
    }

    /// Sends a signed body.
    async fn signed(&self, method: &str, body: &str) -> Answer {
        let signature = sign(SECRET, &path(method), body);
        let authorization = format!("Rpcsignature {signature}");
        self.send(method, body, Some(&authorization)).await
    }

    /// Calls a method as Sentry does.
    async fn call(&self, method: &str, args: Value) -> Answer {
        let body = json!({ "meta": {}, "args": args }).to_string();
        self.signed(method, &body).await
    }

    /// Calls a method as a gateway does.
    async fn call_as_gateway(&self, method: &str, args: Value) -> Answer {
        let meta = json!({ "user_gateway": { "version": 1 } });
        let body = json!({ "meta": meta, "args": args }).to_string();
        self.signed(method, &body).await
    }

    /// What a method answers Sentry with; it must.
    async fn value(&self, method: &str, args: Value) -> Value {
        let answer = self.call(method, args).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        let mut body = answer.json();
        let value = body["value"].take();
        assert_eq!(body, json!({ "meta": {}, "value": null }), "{method}");
        value
    }

    /// What a method answers a gateway with; it must.
    async fn told(&self, method: &str, args: Value) -> Value {
        let answer = self.call_as_gateway(method, args).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        let mut body = answer.json();
        let value = body["value"].take();
        let meta = json!({ "user_gateway": { "version": 1 } });
        assert_eq!(body, json!({ "meta": meta, "value": null }), "{method}");
        value
    }

    /// The ids that a filter finds.
    async fn ids(&self, filter: Value) -> Vec<i64> {
        let ids = self
            .value("user/get_many_ids", json!({ "filter": filter }))
            .await;
        serde_json::from_value(ids).unwrap()
    }
}

impl Answer {
    /// Asserts that the answer is what Sentry says to arguments that cannot be read.
    #[track_caller]
    fn is_malformed(&self) {
        assert_eq!(self.text(), r#"{"detail":"Malformed request."}"#);
        assert_eq!(self.status, 400);
    }

    /// Asserts that the answer is what Sentry says to whatever its methods fail on.
    #[track_caller]
    fn is_invalid(&self) {
        assert_eq!(self.text(), r#"["Invalid input."]"#);
        assert_eq!(self.status, 400);
    }
}
