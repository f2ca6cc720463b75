//! Errors as clients read them.

use std::any::Any;
use std::sync::Arc;

use async_graphql::{PathSegment, Pos, ServerError};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::domain::{Code, Error};

/// The longest message of an error, in bytes. Messages may repeat parts of the request.
const MAX_MESSAGE_BYTES: usize = 1_000;

/// One entry of a response's `errors`.
#[derive(Debug, Clone)]
pub struct GraphqlError {
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where in the document.
    pub locations: Vec<Pos>,
    /// Where in the answer; empty when nothing was executed.
    pub path: Vec<PathSegment>,
    /// The stable code.
    pub code: Code,
    /// Where in the input, from the argument inwards, if the input is wrong.
    pub argument: Vec<String>,
}

impl GraphqlError {
    /// An error without a place. A message of more than 1,000 bytes is cut short.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            message.push('…');
        }
        Self {
            message,
            locations: Vec::new(),
            path: Vec::new(),
            code,
            argument: Vec::new(),
        }
    }

    /// Its approximate size in an answer, in bytes.
    pub(super) fn bytes(&self) -> usize {
        /// Member names, brackets, the code and one location.
        const FRAME: usize = 112;
        let path = self.path.iter().map(|segment| match segment {
            PathSegment::Field(key) => key.len() + 3,
            PathSegment::Index(_) => 4,
        });
        FRAME + self.message.len() + path.sum::<usize>()
    }
}

impl From<&Error> for GraphqlError {
    fn from(error: &Error) -> Self {
        let argument = match error {
            Error::Invalid(invalid) => invalid.path.clone(),
            _ => Vec::new(),
        };
        Self {
            argument,
            ..Self::new(error.code(), error.to_string())
        }
    }
}

impl Serialize for GraphqlError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Extensions<'a> {
            code: &'static str,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            argument: &'a [String],
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", &self.message)?;
        if !self.locations.is_empty() {
            map.serialize_entry("locations", &self.locations)?;
        }
        if !self.path.is_empty() {
            map.serialize_entry("path", &self.path)?;
        }
        let extensions = Extensions {
            code: self.code.as_str(),
            argument: &self.argument,
        };
        map.serialize_entry("extensions", &extensions)?;
        map.end()
    }
}

/// Why nothing was executed.
#[derive(Debug, Clone)]
pub struct RequestError {
    /// The reasons; never empty.
    pub errors: Vec<GraphqlError>,
}

impl From<GraphqlError> for RequestError {
    fn from(error: GraphqlError) -> Self {
        Self {
            errors: vec![error],
        }
    }
}

impl RequestError {
    /// The same with at most `bound` errors, and one more that says how many were left out.
    pub(super) fn bounded(self, bound: usize) -> Self {
        Self {
            errors: bounded(self.errors, bound),
        }
    }
}

/// The first `bound` errors of a list, and one more that says how many were left out.
pub(super) fn bounded(errors: Vec<GraphqlError>, bound: usize) -> Vec<GraphqlError> {
    let mut all = Errors::new(bound);
    for error in errors {
        if all.admit() {
            all.push(error);
        }
    }
    all.into_vec()
}

/// The errors of an answer up to the limit, and the number of those left out.
#[derive(Debug)]
pub(super) struct Errors {
    kept: Vec<GraphqlError>,
    bound: usize,
    left_out: usize,
}

impl Errors {
    /// No errors, and at most `bound`.
    pub(super) const fn new(bound: usize) -> Self {
        Self {
            kept: Vec::new(),
            bound,
            left_out: 0,
        }
    }

    /// Counts an error; whether it is to be pushed. One that is left out need not be made.
    pub(super) fn admit(&mut self) -> bool {
        let has_room = self.kept.len() < self.bound;
        self.left_out += usize::from(!has_room);
        has_room
    }

    /// Keeps an error that has been admitted.
    pub(super) fn push(&mut self, error: GraphqlError) {
        self.kept.push(error);
    }

    /// The errors, and one more that says how many were left out, if any were.
    pub(super) fn into_vec(self) -> Vec<GraphqlError> {
        let mut errors = self.kept;
        if self.left_out > 0 {
            let message = format!(
                "{} more errors are left out; an answer holds at most {}",
                self.left_out, self.bound
            );
            errors.push(GraphqlError::new(Code::ErrorLimitExceeded, message));
        }
        errors
    }
}

/// What resolvers return.
pub(super) type FieldResult<T> = Result<T, FieldError>;

/// A domain error on its way through the engine.
#[derive(Debug, Clone)]
pub(super) struct FieldError(pub(super) Error);

impl<E: Into<Error>> From<E> for FieldError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<FieldError> for async_graphql::Error {
    fn from(error: FieldError) -> Self {
        let message = error.0.to_string();
        let source: Arc<dyn Any + Send + Sync> = Arc::new(error.0);
        Self {
            message,
            source: Some(source),
            extensions: None,
        }
    }
}

/// What a client reads of an error of the engine; an internal cause goes to the log instead.
pub(super) fn from_engine(error: ServerError, executed: bool) -> GraphqlError {
    let ServerError {
        message,
        source,
        locations,
        path,
        ..
    } = error;
    let known = source
        .as_ref()
        .and_then(|source| source.downcast_ref::<Error>());
    let mut error = match known {
        Some(error) => {
            log(error);
            GraphqlError::from(error)
        }
        None if !executed => GraphqlError::new(Code::GraphqlValidationFailed, message),
        // What the engine says while it executes is about values of arguments that fit their
        // declared type and still cannot be read.
        None if message.starts_with("Invalid value for argument")
            || message.starts_with("Failed to parse") =>
        {
            GraphqlError::new(Code::BadUserInput, message)
        }
        None => {
            tracing::error!(error = %message, "the engine failed");
            GraphqlError::from(&Error::internal(message))
        }
    };
    error.locations = locations;
    error.path = path;
    error
}

/// Writes the cause of an error that is not the client's to the log, once.
pub fn log(error: &Error) {
    let Some(chain) = error.causes() else {
        return;
    };
    let code = error.code().as_str();
    if matches!(error, Error::Internal(_)) {
        tracing::error!(error = %chain, code, "request failed");
    } else {
        tracing::warn!(error = %chain, code, "request failed");
    }
}
