//! The messages of the subprotocol `graphql-transport-ws`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::graphql::{GraphqlError, GraphqlRequest, GraphqlResponse};
use crate::http::payload::{from_members, has_too_many_values, too_many_values};

/// The subprotocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// Longer ids of operations are refused; they are kept for as long as the operation runs.
const MAX_ID_BYTES: usize = 256;

/// What a client says.
#[derive(Debug)]
pub(super) enum ClientMessage {
    /// Who it is.
    Init(Map<String, Value>),
    /// Wants to know whether the gateway is there.
    Ping(Option<Value>),
    /// Is there.
    Pong,
    /// Wants an operation to be run under an id of its choice.
    Subscribe { id: String, request: GraphqlRequest },
    /// Wants to hear no more of an operation.
    Complete { id: String },
}

impl ClientMessage {
    /// Reads a message; what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if has_too_many_values(text.as_bytes()) {
            return Err(too_many_values("a message"));
        }
        let mut members: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| format!("a message must be a JSON object: {error}"))?;
        let payload = members.remove("payload").filter(|value| !value.is_null());
        let Some(Value::String(ty)) = members.remove("type") else {
            return Err("a message needs a `type`, a text".to_owned());
        };
        let mut id = || match members.remove("id") {
            Some(Value::String(id)) if (1..=MAX_ID_BYTES).contains(&id.len()) => Ok(id),
            _ => Err(format!(
                "a message of the type `{ty}` needs an `id`, a text of at most {MAX_ID_BYTES} bytes"
            )),
        };
        match (ty.as_str(), payload) {
            ("connection_init", None) => Ok(Self::Init(Map::new())),
            ("connection_init", Some(Value::Object(payload))) => Ok(Self::Init(payload)),
            ("ping", payload) => Ok(Self::Ping(payload)),
            ("pong", _) => Ok(Self::Pong),
            ("subscribe", Some(Value::Object(payload))) => {
                let id = id()?;
                let request =
                    from_members(payload).map_err(|failure| failure.into_error().message)?;
                Ok(Self::Subscribe { id, request })
            }
            ("complete", _) => Ok(Self::Complete { id: id()? }),
            ("connection_init" | "subscribe", _) => Err(format!(
                "the `payload` of a message of the type `{ty}` must be an object"
            )),
            _ => Err(format!("there is no message of the type `{ty}`")),
        }
    }
}

/// What the gateway says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    /// The client is welcome.
    ConnectionAck,
    /// The gateway is there.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
    /// Why an operation is not run.
    Error {
        id: &'a str,
        payload: &'a [GraphqlError],
    },
    /// There is no more to come of an operation.
    Complete { id: &'a str },
}

impl ServerMessage<'_> {
    /// The message as it is sent.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| {
            tracing::error!(%error, "a message could not be written");
            String::new()
        })
    }
}

/// An answer of an operation as JSON.
pub(super) fn next(id: &str, response: GraphqlResponse) -> String {
    // The answer is serialized already, and may be long.
    let (id, payload) = (Value::from(id), response.into_text());
    format!(r#"{{"type":"next","id":{id},"payload":{payload}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_none_is_refused_with_what_is_wrong() {
        for (text, problem) in [
            ("", "JSON"),
            ("[]", "JSON"),
            ("{}", "`type`"),
            (r#"{"type": 1}"#, "`type`"),
            (r#"{"type": "start", "id": "1"}"#, "start"),
            (
                r#"{"type": "connection_terminate"}"#,
                "connection_terminate",
            ),
            (r#"{"type": "connection_init", "payload": "x"}"#, "payload"),
            (r#"{"type": "subscribe", "id": "1"}"#, "payload"),
            (
                r#"{"type": "subscribe", "id": "1", "payload": {}}"#,
                "query",
            ),
            (
                r#"{"type": "subscribe", "payload": {"query": "{a}"}}"#,
                "id",
            ),
            (
                r#"{"type": "subscribe", "id": "", "payload": {"query": "{a}"}}"#,
                "id",
            ),
            (r#"{"type": "complete", "id": 7}"#, "id"),
        ] {
            let error = ClientMessage::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let text = format!(r#"{{"type": "complete", "id": "{long}"}}"#);
        assert!(ClientMessage::parse(&text).is_err());
    }
}
