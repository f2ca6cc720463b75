//! From the request to the method, in the order that the module says.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse, Response};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::signature::Signature;
use super::super::wire;
use super::super::wire::user::AuthenticationContext;
use super::RpcServer;
use super::dispatch::{Found, find};
use super::method::Context;
use super::refusal::{Refusal, SCHEME};
use crate::admission::{Bodies, BodyError, ConnectionTicket};
use crate::telemetry::LogLimit;

/// Counts refused calls, by `reason`.
const REFUSED: &str = "user_gateway_rpc_refused_total";

/// A server at work.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) server: Arc<RpcServer>,
    pub(super) capacity: Semaphore,
    /// The bodies of calls that are being read.
    pub(super) bodies: Bodies,
    /// Of refusals whose signature has not been verified.
    pub(super) log_limit: LogLimit,
}

/// Answers one call.
pub(super) async fn handle(
    State(serving): State<Arc<Serving>>,
    Path((service, method)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let signature = match signature(request.headers()) {
        Ok(signature) => signature,
        Err(refusal) => return refused(&serving, refusal, &service, &method),
    };
    let answer = answer(&serving, &signature, &service, &method, request);
    match timeout(serving.server.limits.deadline, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refused(&serving, refusal, &service, &method),
        Err(_) => refused(&serving, Refusal::Deadline, &service, &method),
    }
}

fn refused(serving: &Serving, refusal: Refusal, service: &str, method: &str) -> Response {
    let why = match &refusal {
        // Anybody can do this as often as they like; and a method says itself why it fails.
        Refusal::NotSigned
        | Refusal::NoSignature
        | Refusal::Late
        | Refusal::Invalid
        | Refusal::Failed(_) => None,
        Refusal::BadSignature => Some("it is signed with none of the shared secrets"),
        Refusal::Overloaded => Some("as many calls as may be are worked on already"),
        Refusal::Evicted => Some("too many bytes of unfinished bodies of calls"),
        Refusal::TooLarge => Some("its body is larger than allowed"),
        Refusal::Malformed => Some("it is malformed"),
        Refusal::Unknown => Some("nobody here answers it"),
        Refusal::Deadline => Some("it took longer than it may"),
    };
    let is_verified = matches!(
        refusal,
        Refusal::Overloaded | Refusal::Malformed | Refusal::Unknown
    );
    if let Some(why) = why
        && (is_verified || serving.log_limit.admits())
    {
        // The path has not been checked; it is written so that it cannot forge lines.
        tracing::warn!(
            rpc.service = service.escape_default().to_string(),
            rpc.method = method.escape_default().to_string(),
            "refused a call: {why}"
        );
    }
    metrics::counter!(REFUSED, "reason" => refusal.reason()).increment(1);
    refusal.into_response()
}

async fn answer(
    serving: &Serving,
    signature: &Signature,
    service: &str,
    method: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let server = &serving.server;
    let read = serving.bodies.read(body, server.limits.max_body_bytes);
    let body = read.await?;
    if !server.secrets.verify(signature, parts.uri.path(), &body) {
        return Err(Refusal::BadSignature);
    }
    ConnectionTicket::note_authenticated(&parts.extensions);
    let place = serving.capacity.try_acquire();
    let _place = place.map_err(|_| Refusal::Overloaded)?;
    let request = wire::Request::read(&body).map_err(|_| Refusal::Malformed)?;
    let is_gateway = request.meta.user_gateway.is_some();
    let found = find(server, service, method, is_gateway);
    let answer = match found {
        Found::Method(answer) => answer,
        Found::Local => return Err(Refusal::Invalid),
        Found::Nothing => return Err(Refusal::Unknown),
    };
    let args = request.args;
    if let Some(name) = too_long(&args, server.limits.max_list_length) {
        tracing::warn!(
            rpc.service = service,
            rpc.method = method,
            rpc.argument = name,
            "a list argument has more than {} items",
            server.limits.max_list_length
        );
        return Err(Refusal::Invalid);
    }
    check_context(&args)?;
    let context = Context {
        server: Arc::clone(server),
        extension: request.meta.user_gateway,
    };
    answer(context, Value::Object(args)).await
}

/// The signature in the `Authorization` header, not verified yet.
pub(super) fn signature(headers: &HeaderMap) -> Result<Signature, Refusal> {
    let value = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let parts = value.and_then(|value| value.trim().split_once([' ', '\t']));
    let ours = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let (_, text) = ours.ok_or(Refusal::NotSigned)?;
    Signature::parse(text.trim()).ok_or(Refusal::NoSignature)
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::Unreadable => Self::Malformed,
            BodyError::Late => Self::Late,
            BodyError::Evicted => Self::Evicted,
        }
    }
}

/// The first argument that is, or holds, a list of more than `max` items. The value of an option
/// is no list of the call's, whatever it holds; the size of the body bounds it.
pub(super) fn too_long(args: &Map<String, Value>, max: usize) -> Option<&str> {
    let is_long = |value: &Value| value.as_array().is_some_and(|items| items.len() > max);
    args.iter()
        .filter(|(name, _)| *name != "value")
        .find(|(_, value)| {
            let members = value.as_object();
            is_long(value) || members.is_some_and(|members| members.values().any(is_long))
        })
        .map(|(name, _)| &**name)
}

/// Sentry reads who calls from every call's arguments, whatever the method.
pub(super) fn check_context(args: &Map<String, Value>) -> Result<(), Refusal> {
    match args.get("auth_context") {
        None | Some(Value::Null) => Ok(()),
        Some(context) if context.is_object() => AuthenticationContext::deserialize(context)
            .map(|_| ())
            .map_err(|_| Refusal::Malformed),
        Some(_) => Err(Refusal::Malformed),
    }
}
