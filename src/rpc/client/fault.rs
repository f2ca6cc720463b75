//! Why a call has failed, as the log tells it.
//!
//! What a peer writes into an answer is never repeated here: it may hold anything. Neither are the
//! messages of the JSON reader, which quote what they have read.

use std::sync::Arc;

use crate::domain;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("the call {method} to {peer} failed")]
pub(super) struct Failure {
    pub(super) peer: Arc<str>,
    /// `SERVICE.METHOD`.
    pub(super) method: String,
    #[source]
    pub(super) fault: Fault,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is not asked for now, since its last answers have failed one after the other")]
    Open,
    #[error("there is no connection to it")]
    Unreachable(#[source] reqwest::Error),
    #[error("its answer was lost on the way")]
    Lost(#[source] reqwest::Error),
    #[error("it takes no more calls at the moment, or what stands before it cannot reach it")]
    Busy,
    #[error("it did not answer in time")]
    TimedOut,
    /// A gateway of ours has refused the call by the rules of the directory.
    #[error("it has refused the call")]
    Refused(#[source] domain::Error),
    #[error("it knows no such method, or answers no calls because it has no rpc-secret")]
    NoSuchMethod,
    #[error("it does not accept the signature: the settings rpc-secret of both sides differ")]
    WrongSignature,
    #[error("it takes no signed calls, or something on the way took the signature away")]
    NotAuthorized,
    #[error("it does not understand the arguments or could not work with them")]
    NotUnderstood,
    #[error("it answered with the status {0}")]
    Status(u16),
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("its answer of {bytes} bytes cannot be read, from line {line}, column {column} on")]
    Unreadable {
        bytes: usize,
        line: usize,
        column: usize,
    },
    #[error("the arguments cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    #[error("the request cannot be made")]
    Unmakeable(#[source] reqwest::Error),
}

impl Fault {
    /// Whether the same call may come off if it is made once more.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_) | Self::Busy)
    }

    /// Whether the peer, rather than the call, is what is wrong.
    pub(super) const fn blames_peer(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Busy | Self::TimedOut => true,
            Self::Status(status) => *status >= 500,
            _ => false,
        }
    }

    /// How metrics name the outcome.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Open => "not_asked",
            Self::Unreachable(_) | Self::Lost(_) | Self::Busy => "unavailable",
            Self::TimedOut => "timeout",
            Self::Refused(_) => "refused",
            Self::NoSuchMethod => "no_such_method",
            _ => "failed",
        }
    }
}

impl From<Failure> for domain::Error {
    fn from(failure: Failure) -> Self {
        match failure.fault {
            Fault::Refused(error) => error,
            Fault::Open | Fault::Unreachable(_) | Fault::Lost(_) | Fault::Busy => {
                Self::Unavailable(Arc::new(failure))
            }
            Fault::TimedOut => Self::Timeout(Arc::new(failure)),
            _ => Self::internal(failure),
        }
    }
}
