//! Refusals by the rules of the directory, as a gateway of ours tells them.

use super::super::wire::WireError;
use crate::domain::Error;

/// The error that the peer had; `None` if it tells of one in another way, as Sentry does.
pub(super) fn restore(body: &[u8]) -> Option<Error> {
    let told: WireError = serde_json::from_slice(body).ok()?;
    match told.into_domain() {
        Error::Internal(_) => None,
        error => Some(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_a_gateway_is_the_very_error() {
        let error = restore(br#"{"detail":"it is taken","code":"CONFLICT"}"#);
        let Some(Error::Conflict(message)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(message, "it is taken");
    }

    #[test]
    fn what_sentry_says_is_not_repeated() {
        for body in [
            r#"{"detail":"some text","code":"some-code"}"#,
            r#"{"detail":{"a":1},"code":"CONFLICT"}"#,
            r#"{"detail":"text","code":"INTERNAL_SERVER_ERROR"}"#,
            r#"{"detail":"text"}"#,
            "",
        ] {
            assert!(restore(body.as_bytes()).is_none(), "{body}");
        }
    }
}
