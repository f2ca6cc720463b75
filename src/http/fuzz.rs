//! Fuzz targets for requests over HTTP.

use axum::http::Uri;
use serde_json::Value;

use super::payload::{Payload, from_members, from_query};
use crate::graphql::{DocumentName, GraphqlRequest, Variables};

pub use super::subscription::fuzz::message;

/// All parts of a request.
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

/// Any bytes as a body and as a URL. The reader of bodies, which builds no tree, has to read the same
/// request as one that does.
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
