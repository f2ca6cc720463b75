//! What stands around the arguments and the result of a call.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::loose;
use crate::domain::IdempotencyKey;

/// A request: `{"meta": …, "args": …}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request<A> {
    /// What is said of the call.
    #[serde(default, deserialize_with = "loose::object")]
    pub meta: Meta,
    /// The arguments by name.
    pub args: A,
}

impl Request<Map<String, Value>> {
    /// Reads the body of a request whose arguments are not known yet.
    pub(in super::super) fn read(body: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_value(Value::Object(serde_json::from_slice(body)?))
    }
}

/// An answer: `{"meta": …, "value": …}`. One without `value` is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "V: Deserialize<'de>"))]
pub struct Response<V> {
    /// What is said of the answer.
    #[serde(default)]
    pub meta: Meta,
    /// The result. It may be null, but not be missing.
    #[serde(deserialize_with = "Deserialize::deserialize")]
    pub value: V,
}

/// What is said of a call or an answer. Between Sentry's silos this is empty, or holds a context
/// that nothing here depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Says that this side is a gateway of ours, and understands what Sentry does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_gateway: Option<Extension>,
    /// For whom Sentry makes the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer_context: Option<Map<String, Value>>,
}

impl Meta {
    /// What a gateway says of a call or an answer.
    #[must_use]
    pub const fn gateway(idempotency_key: Option<IdempotencyKey>) -> Self {
        Self {
            user_gateway: Some(Extension {
                version: VERSION,
                idempotency_key,
            }),
            viewer_context: None,
        }
    }
}

/// The version of what gateways say to each other beyond what Sentry says.
pub const VERSION: u32 = 1;

/// What a gateway says of itself: `"user_gateway": {"version": 1}` in the `meta` of its calls, and
/// of its answers to another gateway. To Sentry's silos it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Which version of the extension it speaks; see [`VERSION`].
    pub version: u32,
    /// Names the call, so that making it again is the same call: all attempts at one
    /// `get_or_create_by_email` carry the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn an_answer_without_a_value_is_none_and_null_is_a_value() {
        assert!(from_value::<Response<Option<i64>>>(json!({"meta": {}})).is_err());
        let answer: Response<Option<i64>> = from_value(json!({"meta": {}, "value": null})).unwrap();
        assert_eq!(answer.value, None);
        assert_eq!(json!(answer), json!({"meta": {}, "value": null}));
    }

    #[test]
    fn a_gateway_makes_itself_known() {
        let key = IdempotencyKey::parse(&"0a".repeat(16)).unwrap();
        let meta = Meta::gateway(Some(key));
        let json = json!({"user_gateway": {"version": 1, "idempotency_key": "0a".repeat(16)}});
        assert_eq!(json!(meta), json);
        assert_eq!(from_value::<Meta>(json).unwrap(), meta);
        let wrong = json!({"user_gateway": {"version": 1, "idempotency_key": "0A"}});
        assert!(from_value::<Meta>(wrong).is_err());
    }
}
