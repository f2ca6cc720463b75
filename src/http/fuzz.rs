//! What clients send over HTTP, as targets for fuzzing.

use axum::http::Uri;
use serde_json::Value;

use super::payload::{Payload, from_members, from_query};
use crate::graphql::{DocumentName, GraphqlRequest, Variables};

pub use super::subscription::fuzz::message;

/// All of a request.
type Parts<'a> = (
    Option<&'a str>,
    Option<&'a DocumentName>,
    Option<&'a str>,
    &'a Variables,
);

fn parts(request: &GraphqlRequest) -> Parts<'_> {
    (
        request.query.as_deref(),
        request.name.as_ref(),
        request.operation_name.as_deref(),
        &request.variables,
    )
}

/// A body of a request, and the same bytes as a URL: a body that is read without a tree being made of
/// it is read as it is by way of one.
///
/// # Panics
///
/// If that is not so.
pub fn payload(data: &[u8]) {
    if let Ok(uri) = Uri::try_from(data) {
        let _ = from_query(&uri);
    }
    let read = Payload::parse(data);
    if let Ok(Payload::Single(read)) = read
        && let Ok(Value::Object(members)) = serde_json::from_slice(data)
    {
        let expected = from_members(members).map_err(|failure| failure.into_error().message);
        assert_eq!(Ok(parts(&read)), expected.as_ref().map(parts));
    }
}
