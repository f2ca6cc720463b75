//! Errors between gateways.

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator as _;

use crate::domain::{Code, Error, Invalid, InvalidCode};

/// An error that the caller is told of as it is: it travels with status 422 and becomes on the
/// other side the variant that it was. Sentry reads `detail` and `code` of such an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireError {
    /// What is wrong, for people.
    pub detail: String,
    /// The stable code of the error.
    pub code: String,
    /// Where wrong input stands, from the argument inwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argument: Vec<String>,
    /// What is wrong with input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_code: Option<String>,
}

impl WireError {
    /// What the caller is told of `error`; `None` if it is none of the caller's business, or a
    /// status says enough.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let (argument, invalid_code) = match error {
            Error::Invalid(invalid) => {
                let code: &'static str = invalid.code.into();
                (invalid.path.clone(), Some(code.to_owned()))
            }
            Error::Unavailable(_) | Error::Timeout(_) | Error::Internal(_) => return None,
            Error::Unauthenticated(_)
            | Error::Forbidden(_)
            | Error::NotFound(_)
            | Error::Conflict(_)
            | Error::Unreadable(_)
            | Error::NotSupported(_)
            | Error::RateLimited(_) => (Vec::new(), None),
        };
        Some(Self {
            detail: error.to_string(),
            code: error.code().as_str().to_owned(),
            argument,
            invalid_code,
        })
    }

    /// The error that this was. A code that this version does not know makes it a fault of ours.
    #[must_use]
    pub fn into_domain(self) -> Error {
        let code = Code::iter().find(|code| code.as_str() == self.code);
        match code {
            Some(Code::BadUserInput) => {
                let code = InvalidCode::iter().find(|code| {
                    let name: &'static str = code.into();
                    Some(name) == self.invalid_code.as_deref()
                });
                Error::Invalid(Invalid {
                    code: code.unwrap_or(InvalidCode::InvalidFormat),
                    message: self.detail,
                    path: self.argument,
                })
            }
            Some(Code::Unauthenticated) => Error::Unauthenticated(self.detail),
            Some(Code::Forbidden) => Error::Forbidden(self.detail),
            Some(Code::NotFound) => Error::NotFound(self.detail),
            Some(Code::Conflict) => Error::Conflict(self.detail),
            Some(Code::UnreadableValue) => Error::Unreadable(self.detail),
            Some(Code::NotSupported) => Error::NotSupported(self.detail),
            Some(Code::RateLimited) => Error::RateLimited(self.detail),
            _ => Error::internal(format!("the peer answered {}: {}", self.code, self.detail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_on_the_other_side_what_it_was() {
        let taken = Invalid::new(InvalidCode::Taken, "taken", &["attrs", "username"]);
        for error in [
            Error::Unauthenticated("a".into()),
            Error::Forbidden("b".into()),
            Error::Invalid(taken),
            Error::NotFound("c".into()),
            Error::Conflict("d".into()),
            Error::Unreadable("e".into()),
            Error::NotSupported("f".into()),
            Error::RateLimited("g".into()),
        ] {
            let told = WireError::of(&error).unwrap();
            let read: WireError = serde_json::from_value(json!(told)).unwrap();
            assert_eq!(format!("{:?}", read.into_domain()), format!("{error:?}"));
        }
        assert_eq!(WireError::of(&Error::internal("secret")), None);
    }

    #[test]
    fn wrong_input_says_where_it_stands_and_what_is_wrong() {
        let taken = Invalid::new(InvalidCode::Taken, "it is taken", &["username"]);
        assert_eq!(
            json!(WireError::of(&Error::Invalid(taken))),
            json!({
                "detail": "it is taken",
                "code": "BAD_USER_INPUT",
                "argument": ["username"],
                "invalid_code": "TAKEN",
            })
        );
    }
}
