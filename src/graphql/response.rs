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

/// The answer to an operation, as JSON.
#[derive(Debug)]
pub struct Data(Vec<u8>);

impl Data {
    /// The answer to an operation of which nothing could be answered.
    pub(super) fn null() -> Self {
        Self(b"null".to_vec())
    }

    /// An answer that was written as JSON.
    pub(super) fn written(json: Vec<u8>) -> Self {
        Self(json)
    }

    /// An answer that the engine has put together.
    pub(super) fn of(value: &Value) -> Self {
        serde_json::to_vec(value).map_or_else(
            |error| {
                tracing::error!(%error, "an answer could not be written");
                Self::null()
            },
            Self,
        )
    }

    /// Whether nothing could be answered.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == b"null"
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl GraphqlResponse {
    /// The response as it is sent. The same as it is serialized, without another look at the data.
    #[must_use]
    pub fn into_json(self) -> Vec<u8> {
        match self.data {
            Some(Data(data)) if self.errors.is_empty() => {
                let mut json = Vec::with_capacity(data.len() + 16);
                json.extend_from_slice(b"{\"data\":");
                json.extend_from_slice(&data);
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
