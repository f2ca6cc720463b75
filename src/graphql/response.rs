//! What a client gets.

use async_graphql::Value;

use super::error::{GraphqlError, RequestError};

/// The response to an operation.
#[derive(Debug)]
pub struct GraphqlResponse {
    /// The answer; `None` if nothing was executed.
    pub data: Option<Data>,
    /// What went wrong.
    pub errors: Vec<GraphqlError>,
}

/// The answer to an operation, as JSON. In front of it stands already what a response without
/// errors begins with.
#[derive(Debug)]
pub struct Data(Vec<u8>);

/// Counts operations that were stopped while they ran, by error code.
const STOPPED: &str = "user_gateway_operations_stopped_total";

/// What stands in front of the answer.
const OPENING: &[u8] = b"{\"data\":";

impl Data {
    /// Where an answer of about so many bytes is written.
    pub(super) fn buffer(bytes: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(OPENING.len() + bytes + 1);
        buffer.extend_from_slice(OPENING);
        buffer
    }

    /// The answer to an operation of which nothing could be answered.
    pub(super) fn null() -> Self {
        let mut buffer = Self::buffer(4);
        buffer.extend_from_slice(b"null");
        Self(buffer)
    }

    /// An answer that was written into a [`Data::buffer`].
    pub(super) const fn written(buffer: Vec<u8>) -> Self {
        Self(buffer)
    }

    /// An answer that the engine has put together.
    pub(super) fn of(value: &Value) -> Self {
        let mut buffer = Self::buffer(256);
        match write(value, &mut buffer) {
            Ok(()) => Self(buffer),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                Self::null()
            }
        }
    }

    /// How many bytes the answer has.
    pub(super) fn len(&self) -> usize {
        self.json().len()
    }

    /// Whether nothing could be answered.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.json() == b"null"
    }

    fn json(&self) -> &[u8] {
        self.0.get(OPENING.len()..).unwrap_or_default()
    }
}

/// Writes a value. Binary values are JSON already, and are copied.
fn write(value: &Value, out: &mut Vec<u8>) -> serde_json::Result<()> {
    match value {
        Value::Binary(json) => out.extend_from_slice(json),
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (i, (key, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key.as_str())?;
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
        value => serde_json::to_writer(out, value)?,
    }
    Ok(())
}

impl GraphqlResponse {
    /// The response to an operation that was stopped.
    pub(super) fn stopped(error: GraphqlError) -> Self {
        metrics::counter!(STOPPED, "code" => error.code.as_str()).increment(1);
        tracing::info!(code = error.code.as_str(), "an operation was stopped");
        Self {
            data: Some(Data::null()),
            errors: vec![error],
        }
    }

    /// Its approximate size, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let errors = self.errors.iter().map(GraphqlError::bytes);
        self.data.as_ref().map_or(0, Data::len) + errors.sum::<usize>()
    }

    /// The response as it is sent.
    #[must_use]
    pub fn into_json(self) -> Vec<u8> {
        let data = match self.data {
            Some(Data(mut json)) if self.errors.is_empty() => {
                json.push(b'}');
                return json;
            }
            data => data,
        };
        let data = data.as_ref().map(Data::json).unwrap_or_default();
        let mut json = Vec::with_capacity(data.len() + 256);
        json.push(b'{');
        if !self.errors.is_empty() {
            json.extend_from_slice(b"\"errors\":");
            if let Err(error) = serde_json::to_writer(&mut json, &self.errors) {
                tracing::error!(%error, "could not serialize errors");
                json.extend_from_slice(b"[]");
            }
        }
        if !data.is_empty() {
            json.extend_from_slice(b",\"data\":");
            json.extend_from_slice(data);
        }
        json.push(b'}');
        json
    }

    /// The response as it is sent, as a text.
    #[must_use]
    pub fn into_text(self) -> String {
        String::from_utf8(self.into_json()).unwrap_or_else(|error| {
            tracing::error!(%error, "a response is not UTF-8");
            String::new()
        })
    }
}

impl From<RequestError> for GraphqlResponse {
    fn from(error: RequestError) -> Self {
        Self {
            data: None,
            errors: error.errors,
        }
    }
}
