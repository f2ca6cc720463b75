//! Scalars beyond those of the specification.

use std::fmt;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{SecondsFormat, Utc};

use crate::domain::JsonText;

#[derive(Debug, Clone, Copy)]
pub(super) struct DateTime(pub(super) chrono::DateTime<Utc>);

/// A moment as RFC 3339 text in UTC, such as `2026-01-31T12:00:00Z`.
#[Scalar(
    name = "DateTime",
    specified_by_url = "https://scalars.graphql.org/chillicream/date-time.html"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.to_utc()))
            .map_err(|_| InputValueError::custom("a time looks like 2026-01-31T12:00:00Z"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// Any JSON value: null, a boolean, a number, a text, a list or an object.
#[Scalar(
    name = "JSON",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259"
)]
impl ScalarType for JsonText {
    fn parse(value: Value) -> InputValueResult<Self> {
        value
            .into_json()
            .map(Self::from)
            .map_err(|error| InputValueError::custom(error.to_string()))
    }

    fn to_value(&self) -> Value {
        // As binary, which is copied into the answer as JSON.
        Value::Binary(self.as_str().as_bytes().to_vec().into())
    }
}
