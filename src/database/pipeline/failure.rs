//! Why a connection did not answer.

use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorFields, ErrorResponseBody};

use crate::domain::Error;

/// Why there is no connection, or no answer on it.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum Failure {
    /// The server refuses.
    #[error(transparent)]
    Refused(Refusal),
    /// The way to the server, or what came by it.
    #[error("the connection to PostgreSQL failed: {0}")]
    Lost(#[from] io::Error),
    /// The connection came to its end before the answer did.
    #[error("the connection to PostgreSQL has ended")]
    Ended,
    /// The server wants something of whoever connects that is not known here, or says something
    /// that it should not say.
    #[error("PostgreSQL {0}")]
    Strange(String),
    /// A value that cannot be sent, or one that is not as it should be.
    #[error(transparent)]
    Value(Error),
}

impl Failure {
    /// The code by which the server refuses, an `SQLSTATE`.
    pub(in super::super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// Whether the connection has come to an end, or none could be made.
    pub(in super::super) const fn is_lost(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Ended => true,
            Self::Refused(refusal) => refusal.ends_connection,
            Self::Strange(_) | Self::Value(_) => false,
        }
    }

    /// Whether it may help to try again to connect: nobody listens, or the server is starting,
    /// ending or full.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(Refusal { code, .. }) => {
                code.starts_with("57P") || code.starts_with("53")
            }
            failure => failure.is_lost(),
        }
    }
}

/// What the server said instead of an answer. Its details are left out: they may hold values.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL refused: {message} ({code})")]
pub(in super::super) struct Refusal {
    code: String,
    message: String,
    /// Whether its severity is FATAL or PANIC.
    ends_connection: bool,
}

impl From<&ErrorResponseBody> for Refusal {
    fn from(body: &ErrorResponseBody) -> Self {
        let mut refusal = Self {
            code: String::new(),
            message: String::new(),
            ends_connection: false,
        };
        let mut fields = body.fields();
        while let Some((kind, text)) = next_field(&mut fields) {
            match kind {
                b'C' => refusal.code = text,
                b'M' => refusal.message = text,
                // As `S`, but never translated.
                b'V' => refusal.ends_connection = matches!(&*text, "FATAL" | "PANIC"),
                _ => {}
            }
        }
        refusal
    }
}

/// The next field of an error; what cannot be read ends it.
fn next_field(fields: &mut ErrorFields<'_>) -> Option<(u8, String)> {
    let field = fields.next().ok()??;
    let text = String::from_utf8_lossy(field.value_bytes());
    Some((field.type_(), text.into_owned()))
}
