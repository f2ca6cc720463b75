//! From the request to the method, in the order that the module says.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::wire;
use super::super::wire::user::AuthenticationContext;
use super::RpcServer;
use super::dispatch::{Found, find};
use super::method::Context;
use super::refusal::{Refusal, SCHEME};

/// A server at work.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) server: Arc<RpcServer>,
    pub(super) capacity: Semaphore,
}

/// Answers one call.
pub(super) async fn handle(
    State(serving): State<Arc<Serving>>,
    Path((service, method)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let Some(signature) = signature(request.headers()) else {
        return refused(Refusal::NotSigned, &service, &method);
    };
    let Ok(_permit) = serving.capacity.try_acquire() else {
        return refused(Refusal::Overloaded, &service, &method);
    };
    let answer = answer(&serving.server, &signature, &service, &method, request);
    match timeout(serving.server.limits.deadline, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refused(refusal, &service, &method),
        Err(_) => refused(Refusal::Deadline, &service, &method),
    }
}

fn refused(refusal: Refusal, service: &str, method: &str) -> Response {
    let why = match &refusal {
        // Anybody can do this as often as they like; and a method says itself why it fails.
        Refusal::NotSigned | Refusal::Invalid | Refusal::Failed(_) => None,
        Refusal::BadSignature => Some("it is signed with none of the shared secrets"),
        Refusal::Overloaded => Some("as many calls as may be are worked on already"),
        Refusal::TooLarge => Some("its body is larger than allowed"),
        Refusal::Malformed => Some("it is malformed"),
        Refusal::Unknown => Some("nobody here answers it"),
        Refusal::Deadline => Some("it took longer than it may"),
    };
    if let Some(why) = why {
        // The path has not been checked; it is written so that it cannot forge lines.
        tracing::warn!(
            rpc.service = service.escape_default().to_string(),
            rpc.method = method.escape_default().to_string(),
            "refused a call: {why}"
        );
    }
    refusal.into_response()
}

async fn answer(
    server: &Arc<RpcServer>,
    signature: &str,
    service: &str,
    method: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let path = request.uri().path().to_owned();
    let body = read(request, server.limits.max_body_bytes).await?;
    if !server.secrets.verify(signature, &path, &body) {
        return Err(Refusal::BadSignature);
    }
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

/// What stands behind the scheme; `None` if nothing of the kind is there.
fn signature(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, signature) = value.trim().split_once([' ', '\t'])?;
    let is_ours = scheme.eq_ignore_ascii_case(SCHEME);
    is_ours.then(|| signature.trim().to_owned())
}

async fn read(request: Request<Body>, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > max_bytes) {
        return Err(Refusal::TooLarge);
    }
    let body = Limited::new(request.into_body(), max_bytes);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) => Err(if error.is::<LengthLimitError>() {
            Refusal::TooLarge
        } else {
            Refusal::Malformed
        }),
    }
}

/// The first argument that is, or holds, a list of more than `max` items. The value of an option
/// is no list of the call's, whatever it holds; the size of the body bounds it.
fn too_long(args: &Map<String, Value>, max: usize) -> Option<&str> {
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
fn check_context(args: &Map<String, Value>) -> Result<(), Refusal> {
    match args.get("auth_context") {
        None | Some(Value::Null) => Ok(()),
        Some(context) if context.is_object() => AuthenticationContext::deserialize(context)
            .map(|_| ())
            .map_err(|_| Refusal::Malformed),
        Some(_) => Err(Refusal::Malformed),
    }
}
