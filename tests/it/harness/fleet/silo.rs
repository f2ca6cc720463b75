//! One silo in this process, which a test stops and starts again, and a door before it that counts
//! the calls of other silos.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use user_gateway::app::App;
use user_gateway::config::Config;

use super::super::answer::Answer;
use super::super::client::client;

/// Where calls between silos arrive.
const RPC: &str = "/api/0/internal/rpc/";

/// One silo of a fleet.
#[derive(Debug)]
pub(crate) struct Silo {
    /// Where it is, such as `http://127.0.0.1:14001`.
    pub(crate) origin: String,
    /// How it is set up, for the next start.
    pub(crate) config: Config,
    client: Client,
    door: Arc<Door>,
    running: Option<Running>,
}

/// What ends a silo.
#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// What stands before a silo.
#[derive(Debug)]
struct Door {
    requests: AtomicUsize,
    calls: Mutex<Vec<String>>,
    passage: watch::Sender<Passage>,
}

/// What becomes of a call of another silo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    /// It is answered.
    Open,
    /// It is turned away.
    Closed,
    /// It waits.
    Held,
}

impl Silo {
    /// Starts a silo on a port that it keeps.
    pub(crate) async fn start(config: Config, port: u16) -> Self {
        let mut silo = Self {
            origin: format!("http://127.0.0.1:{port}"),
            config,
            client: client(),
            door: Arc::new(Door {
                requests: AtomicUsize::new(0),
                calls: Mutex::default(),
                passage: watch::Sender::new(Passage::Open),
            }),
            running: None,
        };
        silo.start_again().await;
        silo
    }

    /// Starts a silo that was stopped, on the port it had.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.running.is_none(), "{} is running", self.origin);
        let app = App::build(self.config.clone()).await.unwrap();
        let guard = Arc::clone(&self.door);
        let app = app.layered(|router| {
            router.layer(from_fn(move |request: Request, next: Next| {
                let door = Arc::clone(&guard);
                async move { door.pass(request, next).await }
            }))
        });
        let address = self.origin.strip_prefix("http://").unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            app.serve(listener, stopped).await.unwrap();
        });
        self.running = Some(Running { stop, serving });
    }

    /// Ends as a process does that is asked to: nobody listens on the port any more.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        // Connections that are kept for later are closed with those who hold them.
        self.client = client();
        drop(running.stop);
        running.serving.await.unwrap();
    }

    /// How many requests have arrived so far, whoever sent them.
    pub(crate) fn requests(&self) -> usize {
        self.door.requests.load(Ordering::SeqCst)
    }

    /// How many calls of other silos have arrived so far.
    pub(crate) fn calls(&self) -> usize {
        self.door.calls().len()
    }

    /// The calls of other silos since the first `count`, as `service/method`.
    pub(crate) fn calls_since(&self, count: usize) -> Vec<String> {
        self.door.calls()[count..].to_vec()
    }

    /// Turns away the calls of other silos from now on, as if it could not answer.
    pub(crate) fn close(&self) {
        self.door.passage.send_replace(Passage::Closed);
    }

    /// Lets the calls of other silos wait from now on.
    pub(crate) fn hold(&self) {
        self.door.passage.send_replace(Passage::Held);
    }

    /// Answers calls again, those that wait too.
    pub(crate) fn open(&self) {
        self.door.passage.send_replace(Passage::Open);
    }

    /// A POST to `/graphql` that a test completes.
    pub(crate) fn graphql(&self) -> RequestBuilder {
        self.client.post(format!("{}/graphql", self.origin))
    }

    /// A POST to any path, which a test completes.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.origin))
    }

    /// A GET of a path, which a test completes.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.origin))
    }

    /// The answer to a document.
    pub(crate) async fn answer(&self, token: &str, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        Answer::to(self.graphql().bearer_auth(token).json(&body)).await
    }

    /// The data of the answer to a document, which must have no errors.
    pub(crate) async fn data(&self, token: &str, query: &str, variables: Value) -> Value {
        let mut answer = self.answer(token, query, variables).await.json();
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }
}

impl Drop for Silo {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.serving.abort();
        }
    }
}

impl Door {
    fn calls(&self) -> MutexGuard<'_, Vec<String>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, request: Request, next: Next) -> Response {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if let Some(method) = request.uri().path().strip_prefix(RPC) {
            let method = method.trim_end_matches('/').to_owned();
            self.calls().push(method);
            let mut passage = self.passage.subscribe();
            let passage = *passage.wait_for(|p| *p != Passage::Held).await.unwrap();
            if passage == Passage::Closed {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        }
        next.run(request).await
    }
}
