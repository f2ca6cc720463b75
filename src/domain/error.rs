//! The one error of the product, and the codes that clients may rely on.

use std::sync::Arc;

use strum::{EnumIter, IntoStaticStr};

/// What a service answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed. Expected absence is not an error: it is `None`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There are no credentials, or they are worth nothing.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller is known and may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The input is wrong in a way that a person filling in a form can mend.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Something the request names does not exist, or is not visible to the caller.
    #[error("{0}")]
    NotFound(String),
    /// The stored state does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// A stored value has a form that cannot be read; it is left as it is.
    #[error("{0}")]
    Unreadable(String),
    /// What is asked is not offered here, and trying again will not help.
    #[error("{0}")]
    NotSupported(String),
    /// The caller has asked too often.
    #[error("{0}")]
    RateLimited(String),
    /// What the answer depends on cannot be reached at the moment.
    #[error("what the answer depends on cannot be reached at the moment; try again")]
    Unavailable(#[source] Source),
    /// The answer took longer than it may.
    #[error("the request took longer than it may; ask for less or try again")]
    Timeout(#[source] Source),
    /// A fault of ours; the cause is in the log under the request's id and nowhere else.
    #[error("an internal error occurred; its cause is in the server's log under the request id")]
    Internal(#[source] Source),
}

/// The cause of an error, kept for the log.
type Source = Arc<dyn std::error::Error + Send + Sync>;

impl Error {
    /// A fault of ours with its cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(cause.into()))
    }

    /// What lies behind an error that says nothing of it: its cause, the cause's cause and so on.
    /// It is for the log alone.
    #[must_use]
    pub fn causes(&self) -> Option<String> {
        let (Self::Internal(cause) | Self::Unavailable(cause) | Self::Timeout(cause)) = self else {
            return None;
        };
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Libraries tend to repeat their cause in their own text.
            if !chain.ends_with(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            next = cause.source();
        }
        Some(chain)
    }

    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unauthenticated(_) => Code::Unauthenticated,
            Self::Forbidden(_) => Code::Forbidden,
            Self::Invalid(_) => Code::BadUserInput,
            Self::NotFound(_) => Code::NotFound,
            Self::Conflict(_) => Code::Conflict,
            Self::Unreadable(_) => Code::UnreadableValue,
            Self::NotSupported(_) => Code::NotSupported,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Timeout(_) => Code::Timeout,
            Self::Internal(_) => Code::InternalServerError,
        }
    }
}

/// What stands in `extensions.code` of an error. A code is never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// No credentials, or invalid ones.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// An argument or a variable has a wrong value.
    BadUserInput,
    /// Something named does not exist or is not visible.
    NotFound,
    /// The stored state does not allow this.
    Conflict,
    /// A stored value cannot be read.
    UnreadableValue,
    /// Not offered here.
    NotSupported,
    /// Asked too often.
    RateLimited,
    /// A dependency cannot be reached.
    Unavailable,
    /// The answer took too long.
    Timeout,
    /// A fault of ours.
    InternalServerError,
    /// The request is not a well-formed GraphQL-over-HTTP request.
    BadRequest,
    /// The document does not parse.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// The operation to run is missing or ambiguous.
    OperationResolutionFailure,
    /// No document with this hash is known; the client sends its text too.
    PersistedQueryNotFound,
    /// Hashes do not stand for documents here; the client sends texts.
    PersistedQueryNotSupported,
    /// What names the document does not fit its text.
    PersistedQueryMismatch,
    /// Only documents that were known beforehand are answered, and this is none of them.
    DocumentNotTrusted,
    /// The method does not fit the operation.
    MethodNotAllowed,
    /// None of the media types the client accepts can be produced.
    NotAcceptable,
    /// The media type of the body is not supported.
    UnsupportedMediaType,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// The request line is longer than allowed.
    UriTooLong,
    /// The document has more tokens or a longer name than allowed, or takes more work to check.
    DocumentTooLarge,
    /// The document has more operations than allowed.
    OperationLimitExceeded,
    /// A mutation has more root fields, fragments expanded, than allowed.
    MutationFieldLimitExceeded,
    /// The answer has more errors than allowed; the others are left out.
    ErrorLimitExceeded,
    /// The document nests deeper than allowed.
    DepthLimitExceeded,
    /// The operation costs more than allowed, as estimated or as counted.
    CostLimitExceeded,
    /// The answer is longer than allowed.
    ResponseLimitExceeded,
    /// The operation has more aliases than allowed.
    AliasLimitExceeded,
    /// The operation has more directives than allowed.
    DirectiveLimitExceeded,
    /// The operation selects more fields, fragments expanded, than allowed.
    SelectionLimitExceeded,
    /// The batch has more operations than allowed.
    BatchLimitExceeded,
    /// The connection has as many operations as it may.
    SubscriptionLimitExceeded,
    /// The server does not take more requests at the moment.
    Overloaded,
    /// A page of another site tried to change something.
    CrossSiteRequest,
}

impl Code {
    /// The code as clients read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Input that is wrong, where it stands, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// What is wrong, for programs.
    pub code: InvalidCode,
    /// What is wrong and what would be right, for people.
    pub message: String,
    /// Where the input stands, from the argument inwards.
    pub path: Vec<String>,
}

impl Invalid {
    /// Says that the input at `path` is wrong.
    pub fn new(code: InvalidCode, message: impl Into<String>, path: &[&str]) -> Self {
        Self {
            code,
            message: message.into(),
            path: path.iter().map(|&p| p.to_owned()).collect(),
        }
    }

    /// Input of a wrong form at `path`.
    pub fn format(message: impl Into<String>, path: &[&str]) -> Self {
        Self::new(InvalidCode::InvalidFormat, message, path)
    }
}

/// What can be wrong with a form's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum InvalidCode {
    /// The text does not have the required form.
    InvalidFormat,
    /// The text or the list is longer than allowed.
    TooLong,
    /// The most that is allowed exists already.
    TooMany,
    /// Something is required and missing or empty.
    Required,
    /// What the input names does not exist.
    NotFound,
    /// The name belongs to somebody else.
    Taken,
}
