//! What a client gets.

use async_graphql::Value;
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

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
        match serde_json::to_writer(&mut buffer, value) {
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

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(self.json()).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl GraphqlResponse {
    /// The response as it is sent. The same as it is serialized, without another look at the data.
    #[must_use]
    pub fn into_json(self) -> Vec<u8> {
        match self.data {
            Some(Data(mut json)) if self.errors.is_empty() => {
                json.push(b'}');
                json
            }
            data => to_json(&Self { data, ..self }),
        }
    }
}

fn to_json(response: &GraphqlResponse) -> Vec<u8> {
    serde_json::to_vec(response).unwrap_or_else(|error| {
        tracing::error!(%error, "a response could not be written");
        Vec::new()
    })
}

impl From<RequestError> for GraphqlResponse {
    fn from(error: RequestError) -> Self {
        Self {
            data: None,
            errors: error.errors,
        }
    }
}

impl Serialize for GraphqlResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.errors.is_empty() {
            map.serialize_entry("errors", &self.errors)?;
        }
        if let Some(data) = &self.data {
            map.serialize_entry("data", data)?;
        }
        map.end()
    }
}
