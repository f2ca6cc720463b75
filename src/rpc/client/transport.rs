//! One call: written, signed, sent, tried again where that is safe, and its answer read.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::super::call::Call;
use super::super::signature::Secrets;
use super::super::wire::gateway::GetRoles;
use super::super::wire::{self, Meta};
use super::breaker::Breaker;
use super::fault::{Failure, Fault};
use super::meter::Meter;
use super::peer::{Peer, Watch};
use super::refusal;
use crate::config::RpcConfig;
use crate::domain::{Clock, Error, IdempotencyKey, Result};
use crate::telemetry::current_request;
use crate::worker;

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long a connection is kept that nobody uses; servers close theirs soon after.
const IDLE: Duration = Duration::from_secs(5);
/// About how long to wait before the first repetition; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest wait before a repetition.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whom to call, and as whom.
#[derive(Debug, Clone)]
pub struct RpcPeer {
    /// The name of the other silo, for logs and metrics.
    pub name: String,
    /// Where it is, such as `http://control:8000`, without a slash at the end.
    pub url: String,
    /// The name of the region that calls, or of the silo's mode where there is none.
    pub from: String,
}

/// A client of one other silo. Clones share connections, breaker and what is known of the peer.
#[derive(Clone)]
pub struct RpcClient {
    inner: Arc<Inner>,
}

struct Inner {
    /// For threads that are not workers.
    http: Client,
    /// One for each worker, created when it is first used. A connection is driven by the thread that opened
    /// it, so other threads would have to wait while that one is busy.
    workers: Box<[OnceLock<Client>]>,
    name: Arc<str>,
    url: String,
    user_agent: HeaderValue,
    secrets: Secrets,
    config: RpcConfig,
    breaker: Breaker,
    watch: Watch,
}

/// What a call has brought, and what kind of silo has said it.
#[derive(Debug)]
pub(super) struct Answer<V> {
    pub(super) value: V,
    pub(super) peer: Peer,
}

impl RpcClient {
    /// A client of `peer`. No connection is made yet. A name that cannot stand in a header, or a
    /// system that offers no connections, is an error.
    pub fn new(
        peer: RpcPeer,
        secrets: Secrets,
        config: RpcConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        // Another part of the process may have chosen before; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = http(&config).map_err(Error::internal)?;
        let workers = (0..worker::count()).map(|_| OnceLock::new()).collect();
        let user_agent = format!("sentry-rpc/from-{}", peer.from);
        let user_agent = HeaderValue::from_bytes(user_agent.as_bytes()).map_err(Error::internal)?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                workers,
                name: peer.name.into(),
                url: peer.url,
                user_agent,
                secrets,
                config,
                breaker: Breaker::new(Arc::clone(&clock)),
                watch: Watch::new(clock),
            }),
        })
    }

    /// What kind of silo the peer is, as far as its answers have told.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.inner.watch.peer()
    }

    /// Makes a call and returns its result. It takes no longer than the call's timeout; one that
    /// may be repeated is tried again within that time when the peer is busy or its answer is lost.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Value> {
        Ok(self.ask(call).await?.value)
    }

    /// As [`RpcClient::call`], and says who answered.
    pub(super) async fn ask<C: Call>(&self, call: &C) -> Result<Answer<C::Value>> {
        let answer = self.attempt(call, None).await;
        answer.map_err(|failure| self.explain(failure))
    }

    /// As [`RpcClient::ask`]; every attempt carries `key`, by which a gateway knows that they are
    /// one call.
    pub(super) async fn ask_once<C: Call>(
        &self,
        call: &C,
        key: IdempotencyKey,
    ) -> Result<Answer<C::Value>> {
        let answer = self.attempt(call, Some(key)).await;
        answer.map_err(|failure| self.explain(failure))
    }

    /// Makes a call that gateways alone answer; `None` if the peer is none.
    pub(super) async fn ask_gateway<C: Call>(&self, call: &C) -> Result<Option<C::Value>> {
        if !self.inner.watch.may_be_gateway() {
            return Ok(None);
        }
        match self.attempt(call, None).await {
            Ok(answer) => Ok((answer.peer == Peer::Gateway).then_some(answer.value)),
            Err(failure) if matches!(failure.fault, Fault::NoSuchMethod) => {
                self.inner.watch.lacks_method();
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Whether the peer is a gateway. It is asked if that is not known, or not for certain any
    /// more.
    pub(super) async fn is_gateway(&self) -> Result<bool> {
        match self.peer() {
            Peer::Gateway => Ok(true),
            Peer::Unknown | Peer::Sentry => {
                let user_ids = Vec::new();
                let answer = self.ask_gateway(&GetRoles { user_ids }).await?;
                Ok(answer.is_some())
            }
        }
    }

    /// The error of a failed call.
    fn explain(&self, failure: Failure) -> Error {
        match failure.fault {
            Fault::NoSuchMethod if self.peer() == Peer::Sentry => {
                not_offered(&format!("the method {}", failure.method))
            }
            Fault::NotUnderstood => {
                // A gateway says what is wrong. Perhaps it is none any more.
                self.inner.watch.doubt();
                failure.into()
            }
            _ => failure.into(),
        }
    }

    async fn attempt<C: Call>(
        &self,
        call: &C,
        key: Option<IdempotencyKey>,
    ) -> Result<Answer<C::Value>, Failure> {
        let inner = &*self.inner;
        let method = format!("{}.{}", C::SERVICE, C::METHOD);
        let meter = Meter::start(&inner.name, &method);
        let deadline = Instant::now() + inner.timeout(&method);
        let result = async {
            let request = inner.request(call, key)?;
            let retries = if C::REPEATABLE {
                inner.config.retries
            } else {
                0
            };
            let pauses = ExponentialBuilder::new()
                .with_min_delay(FIRST_PAUSE)
                .with_max_delay(LONGEST_PAUSE)
                .with_max_times(usize::try_from(retries).unwrap_or(usize::MAX))
                .with_jitter();
            (|| inner.send_once(&request, deadline))
                .retry(pauses)
                .when(Fault::is_passing)
                .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < deadline))
                .notify(|_, _| meter.retried())
                .await
        }
        .await;
        meter.finish(result.as_ref().map(|_| ()), inner.breaker.is_open());
        match result {
            Ok(answer) => {
                inner.watch.answered(answer.peer);
                Ok(answer)
            }
            Err(fault) => Err(Failure {
                peer: Arc::clone(&inner.name),
                method,
                fault,
            }),
        }
    }
}

/// A client with connections of its own.
fn http(config: &RpcConfig) -> reqwest::Result<Client> {
    Client::builder()
        .connect_timeout(config.timeout / 2)
        .pool_idle_timeout(IDLE)
        // A signature is valid for one path, so redirects are not followed.
        .redirect(Policy::none())
        .no_proxy()
        .build()
}

impl Inner {
    /// The client whose connections this thread drives.
    fn http(&self) -> &Client {
        let own = worker::current().and_then(|number| self.workers.get(number));
        own.map_or(&self.http, |own| {
            own.get_or_init(|| http(&self.config).unwrap_or_else(|_| self.http.clone()))
        })
    }

    fn timeout(&self, method: &str) -> Duration {
        let own = self.config.method_timeouts.get(method);
        own.copied().unwrap_or(self.config.timeout)
    }

    /// The signed request of a call, as part of the request that the current task works on.
    fn request<C: Call>(&self, call: &C, key: Option<IdempotencyKey>) -> Result<Request, Fault> {
        let request = wire::Request {
            meta: Meta::gateway(key),
            args: call,
        };
        let body = serde_json::to_vec(&request).map_err(Fault::Unwritable)?;
        let path = C::path();
        let signature = self.secrets.sign(&path, &body);
        let mut request = self
            .http()
            .post(format!("{}{path}", self.url))
            .header(AUTHORIZATION, format!("Rpcsignature {signature}"))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header("user-agent", &self.user_agent);
        if let Some(trace) = current_request() {
            request = request.header("x-request-id", &*trace.id);
            for (name, value) in [
                ("traceparent", trace.traceparent),
                ("tracestate", trace.tracestate),
            ] {
                if let Some(value) = value {
                    request = request.header(name, &*value);
                }
            }
        }
        let request = request.body(body).build();
        request.map_err(|error| Fault::Unmakeable(error.without_url()))
    }

    async fn send_once<V: DeserializeOwned>(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer<V>, Fault> {
        let permit = self.breaker.enter().ok_or(Fault::Open)?;
        // The body is in memory, and can be sent as often as need be.
        let request = request.try_clone().ok_or(Fault::TimedOut)?;
        let result = match timeout_at(deadline, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::TimedOut),
        };
        match &result {
            Err(fault) if fault.blames_peer() => {
                if permit.failed() {
                    tracing::warn!(peer = %self.name, "calls keep failing; they are not made now");
                }
            }
            _ => {
                if permit.succeeded() {
                    tracing::info!(peer = %self.name, "calls are answered again");
                }
            }
        }
        result
    }

    async fn exchange<V: DeserializeOwned>(&self, request: Request) -> Result<Answer<V>, Fault> {
        let response = self.http().execute(request).await.map_err(lost)?;
        let status = response.status().as_u16();
        match status {
            200 => {
                let body = read(response).await?;
                let answer: wire::Response<V> = parse(&body)?;
                let peer = match answer.meta.user_gateway {
                    Some(_) => Peer::Gateway,
                    None => Peer::Sentry,
                };
                let value = answer.value;
                Ok(Answer { value, peer })
            }
            422 => {
                let body = read(response).await?;
                Err(refusal::restore(&body).map_or(Fault::Status(422), Fault::Refused))
            }
            400 => Err(Fault::NotUnderstood),
            401 => Err(Fault::WrongSignature),
            403 => Err(Fault::NotAuthorized),
            404 => Err(Fault::NoSuchMethod),
            502 | 503 => Err(Fault::Busy),
            504 => Err(Fault::TimedOut),
            status => Err(Fault::Status(status)),
        }
    }
}

/// What is said of something that a peer of Sentry's does not offer.
pub(super) fn not_offered(what: &str) -> Error {
    Error::NotSupported(format!(
        "{what} is not offered here, since the control silo is one of Sentry's and does not have it"
    ))
}

/// Reads the whole body of an answer.
async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let announced = response.content_length().unwrap_or_default();
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > MAX_ANSWER_BYTES {
        return Err(Fault::TooLarge(MAX_ANSWER_BYTES));
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Fault::TooLarge(MAX_ANSWER_BYTES));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<V: DeserializeOwned>(body: &[u8]) -> Result<V, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Unreadable {
        bytes: body.len(),
        line: error.line(),
        column: error.column(),
    })
}

/// What a failure of the connection means. The address is left out, since it may hold a password.
fn lost(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    if error.is_connect() {
        Fault::Unreachable(error)
    } else {
        Fault::Lost(error)
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient")
            .field("peer", &self.inner.name)
            .field("kind", &self.peer())
            .finish_non_exhaustive()
    }
}
