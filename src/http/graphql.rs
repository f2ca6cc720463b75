//! GraphQL over HTTP, after the specification's draft of August 2026 where the audit suite of
//! clients in use does not say otherwise.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use futures_util::future::join_all;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::HttpState;
use super::accept::{Accepted, MediaType};
use super::body;
use super::chunks;
use super::failure::Failure;
use super::payload::{Payload, from_query};
use super::subscription;
use crate::admission::ConnectionTicket;
use crate::auth::AuthorizedServices;
use crate::domain::{Code, Error};
use crate::graphql::{
    BoundRequest, EventSlots, GraphqlRequest, GraphqlResponse, ONLY_AS_EVENTS, PreparedRequest,
    RequestError,
};

/// Longer request targets are refused; a document that long belongs in a body.
const MAX_URI_BYTES: usize = 16 * 1024;

/// Answers a request to `/graphql`.
pub(super) async fn handle(
    State(state): State<HttpState>,
    request: Request<Body>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    answer(&state, &mut parts, body).await
}

/// Answers a request to `/graphql`.
pub(super) async fn answer(state: &HttpState, parts: &mut Parts, body: Body) -> Response<Body> {
    if subscription::is_upgrade(&parts.headers) {
        return subscription::upgrade(state, parts)
            .unwrap_or_else(|failure| failure.into_response(MediaType::GraphqlResponse));
    }
    let accepted = Accepted::of(&parts.headers);
    if accepted.is_nothing() {
        return Failure::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::NotAcceptable,
            "answers are of the type application/graphql-response+json or application/json, or \
             text/event-stream",
        )
        .into_response(accepted.media());
    }
    let deadline = Instant::now() + state.limits.timeout;
    // A future that has a name is kept twice.
    timeout_at(deadline, try_answer(state, parts, body, accepted, deadline))
        .await
        .unwrap_or_else(|_| Err(Failure::timeout()))
        .unwrap_or_else(|failure| failure.into_response(accepted.media()))
}

async fn try_answer(
    state: &HttpState,
    parts: &Parts,
    body: Body,
    accepted: Accepted,
    deadline: Instant,
) -> Result<Response<Body>, Failure> {
    let target = parts.uri.path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_URI_BYTES) {
        return Err(Failure::new(
            StatusCode::URI_TOO_LONG,
            Code::UriTooLong,
            format!(
                "a request target has at most {MAX_URI_BYTES} bytes; send the document by POST"
            ),
        ));
    }
    let is_get = match parts.method {
        Method::GET => true,
        Method::POST => false,
        _ => {
            return Err(Failure::method_not_allowed(
                "GraphQL is asked by GET or POST",
                "GET, POST",
            ));
        }
    };
    if !is_get {
        require_json(&parts.headers)?;
    }
    // Before anything is looked up or read: a refusal must cost next to nothing.
    let Ok(place) = state.limits.capacity.try_acquire() else {
        return Err(Failure::overloaded());
    };
    // Whoever has no credentials learns nothing, not even whether the document is good.
    let header = parts.headers.get(AUTHORIZATION);
    // What is no text is no token either.
    let credentials = header.map(|value| value.to_str().unwrap_or_default());
    let services = authorize(state, credentials).await?;
    let _anonymous = if services.is_some() {
        ConnectionTicket::note_authenticated(&parts.extensions);
        None
    } else {
        Some(anonymous_place(state)?)
    };
    let (payload, _place) = if is_get {
        (Payload::Single(from_query(&parts.uri)?), place)
    } else {
        let (bytes, place) = body::read(&state.limits, place, body, deadline).await?;
        (Payload::parse(&bytes)?, place)
    };
    let request = match payload {
        Payload::Single(request) => request,
        Payload::Batch(requests) => {
            let media = accepted.media.ok_or_else(|| {
                Failure::new(
                    StatusCode::NOT_ACCEPTABLE,
                    Code::NotAcceptable,
                    "a batch is not answered by events",
                )
            })?;
            return Box::pin(batch(state, requests, services, media)).await;
        }
    };
    let prepared = prepare(state, request, services.as_ref())?;
    let Some(media) = media_of(&prepared, accepted, is_get)? else {
        return Box::pin(by_events(state, prepared, credentials, services)).await;
    };
    // Kept until the response is counted as unreceived.
    let budget = state.graphql.budget();
    let response = match prepared {
        Ok(prepared) => {
            let budget = Arc::clone(&budget);
            state.graphql.execute(prepared, services, budget).await
        }
        Err(refusal) => refusal.into(),
    };
    let status = status(state, &response, media);
    let body = chunks::whole(response.into_json());
    let mut response = media.response(status, body);
    state.limits.count_unreceived(&mut response).await;
    Ok(response)
}

/// A place for a request without credentials, which have only a share of all places.
pub(super) fn anonymous_place(state: &HttpState) -> Result<SemaphorePermit<'_>, Failure> {
    let place = state.limits.anonymous.try_acquire();
    place.map_err(|_| Failure::overloaded())
}

/// The services as whoever has these credentials, the value of an `Authorization` header, may use
/// them; `None` for an anonymous caller where anonymous callers may read the schema.
pub(super) async fn authorize(
    state: &HttpState,
    credentials: Option<&str>,
) -> Result<Option<AuthorizedServices>, Error> {
    if credentials.is_none() && state.graphql.config().anonymous_introspection {
        return Ok(None);
    }
    let caller = state.authentication.authenticate(credentials).await?;
    Ok(Some(AuthorizedServices::new(
        Arc::clone(&state.services),
        caller,
        state.rate_limits.clone(),
    )))
}

/// The type of the answer to a request; `None` if it is answered by events.
fn media_of(
    prepared: &Result<PreparedRequest, RequestError>,
    accepted: Accepted,
    is_get: bool,
) -> Result<Option<MediaType>, Failure> {
    let is = |what: fn(&PreparedRequest) -> bool| prepared.as_ref().is_ok_and(what);
    if is_get && is(PreparedRequest::is_mutation) {
        return Err(Failure::method_not_allowed(
            "a mutation is sent by POST",
            "POST",
        ));
    }
    let is_subscription = is(PreparedRequest::is_subscription);
    if is_subscription && !accepted.events {
        return Err(Failure::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::NotAcceptable,
            ONLY_AS_EVENTS,
        ));
    }
    Ok(accepted.media.filter(|_| !is_subscription))
}

/// Answers a request by events.
async fn by_events(
    state: &HttpState,
    prepared: Result<PreparedRequest, RequestError>,
    credentials: Option<&str>,
    services: Option<AuthorizedServices>,
) -> Result<Response<Body>, Failure> {
    let place = subscription::enter(state, services.is_some())?;
    let outcome = match prepared {
        Ok(prepared) => {
            let slots = EventSlots::default();
            subscription::execute(state, credentials, prepared, services, &slots).await
        }
        Err(refusal) => subscription::Outcome::Refused(refusal),
    };
    Ok(subscription::respond(state, place, outcome))
}

/// Prepares a request. To an anonymous caller a good document and a bad one look the same,
/// unless it asks about the schema, which it then may.
pub(super) fn prepare(
    state: &HttpState,
    request: GraphqlRequest,
    services: Option<&AuthorizedServices>,
) -> Result<Result<PreparedRequest, RequestError>, Failure> {
    let prepared = state.graphql.prepare(request);
    if services.is_none()
        && !prepared
            .as_ref()
            .is_ok_and(PreparedRequest::is_introspection)
    {
        let message = "no credentials; without them only the schema can be read";
        return Err(Error::Unauthenticated(message.to_owned()).into());
    }
    Ok(prepared)
}

/// Runs the operations of a batch, all at once unless one of them changes something.
async fn batch(
    state: &HttpState,
    requests: Vec<GraphqlRequest>,
    services: Option<AuthorizedServices>,
    media: MediaType,
) -> Result<Response<Body>, Failure> {
    let bound = state.graphql.limits().batch;
    if requests.len() > bound {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            Code::BatchLimitExceeded,
            format!(
                "a batch has at most {bound} operations; this one has {}",
                requests.len()
            ),
        ));
    }
    let mut allowance = state.graphql.batch_allowance();
    let mut checked = Vec::with_capacity(requests.len());
    let mut changes = false;
    for request in requests {
        let prepared = prepare(state, request, services.as_ref())?;
        changes |= prepared.as_ref().is_ok_and(PreparedRequest::is_mutation);
        let bind = |prepared| state.graphql.bind_in_batch(prepared, &mut allowance);
        checked.push(prepared.and_then(bind));
        // Checking each may take milliseconds, so other tasks run in between.
        tokio::task::yield_now().await;
    }
    let budget = state.graphql.budget();
    let run = |checked: Result<BoundRequest, RequestError>| {
        let (services, budget) = (services.clone(), Arc::clone(&budget));
        async {
            match checked {
                Ok(bound) => state.graphql.run(bound, services, budget).await,
                Err(refusal) => refusal.into(),
            }
        }
    };
    let responses = if changes {
        let mut responses = Vec::with_capacity(checked.len());
        for checked in checked {
            responses.push(run(checked).await);
        }
        responses
    } else {
        join_all(checked.into_iter().map(run)).await
    };
    let body = chunks::concatenated(list(responses));
    let mut response = media.response(StatusCode::OK, body);
    state.limits.count_unreceived(&mut response).await;
    Ok(response)
}

/// The responses of a batch as JSON, in parts.
fn list(responses: Vec<GraphqlResponse>) -> Vec<Bytes> {
    let mut parts = Vec::with_capacity(2 * responses.len() + 1);
    for (i, response) in responses.into_iter().enumerate() {
        parts.push(Bytes::from_static(if i == 0 { b"[" } else { b"," }));
        parts.push(response.into_json().into());
    }
    parts.push(Bytes::from_static(if parts.is_empty() {
        b"[]"
    } else {
        b"]"
    }));
    parts
}

/// The status that says how far the request came.
fn status(state: &HttpState, response: &GraphqlResponse, media: MediaType) -> StatusCode {
    let draft = state.graphql.config().draft_statuses;
    match &response.data {
        Some(data) if draft && !response.errors.is_empty() && !data.is_null() => {
            StatusCode::from_u16(294).unwrap_or(StatusCode::OK)
        }
        Some(_) => StatusCode::OK,
        None if draft => match response.errors.first().map(|error| error.code) {
            Some(Code::GraphqlParseFailed) | None => StatusCode::BAD_REQUEST,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        },
        None if media == MediaType::LegacyJson => StatusCode::OK,
        // By their protocol these are told under 200; some clients look no further otherwise.
        None if media == MediaType::Json && is_about_hash(response) => StatusCode::OK,
        None => StatusCode::BAD_REQUEST,
    }
}

/// Whether a client is told to send a document's text instead of its hash.
fn is_about_hash(response: &GraphqlResponse) -> bool {
    let codes = [
        Code::PersistedQueryNotFound,
        Code::PersistedQueryNotSupported,
    ];
    let mut errors = response.errors.iter();
    errors.any(|error| codes.contains(&error.code))
}

fn require_json(headers: &HeaderMap) -> Result<(), Failure> {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if text == "application/json" {
        return Ok(());
    }
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("charset"))
        .all(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::UnsupportedMediaType,
        "the body must be of the type application/json, in UTF-8, and say so",
    ))
}
