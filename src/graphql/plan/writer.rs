//! The answer as it is written.

use async_graphql::{Name, PathSegment, Pos, ServerError};
use serde::Serialize;

use super::run::Run;
use crate::domain::{Error, escapes_nothing};
use crate::graphql::error::{Errors, GraphqlError, from_engine, log};
use crate::graphql::id::Id;
use crate::graphql::response::Data;

/// A null stands where none may be; what holds it becomes null instead.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct NullInNonNull;

/// Whether something could be written. What is in the buffer of something that could not is taken
/// out by whatever may be null around it.
pub(in super::super) type Written = Result<(), NullInNonNull>;

/// A step on the way from the root to a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segment<'p> {
    Field(&'p Name),
    Index(usize),
}

/// Where the answer to an operation is written.
pub(in super::super) struct Writer<'p> {
    pub(super) run: &'p Run<'p>,
    pub(super) out: Vec<u8>,
    pub(super) path: Vec<Segment<'p>>,
    /// Where in the document the field stands that is being written.
    pub(super) pos: Pos,
    pub(super) errors: Errors,
}

impl<'p> Writer<'p> {
    /// A writer of an answer of about so many bytes.
    pub(super) fn new(run: &'p Run<'p>, bytes: usize) -> Self {
        Self {
            run,
            out: Data::buffer(bytes),
            path: Vec::with_capacity(16),
            pos: Pos::default(),
            errors: Errors::new(run.request.limits.errors),
        }
    }

    pub(super) fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    /// Writes a text in quotes.
    pub(in super::super) fn text(&mut self, text: &str) {
        if escapes_nothing(text) {
            self.out.reserve(text.len() + 2);
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        } else {
            self.json(text);
        }
    }

    /// Writes a global id.
    pub(super) fn id(&mut self, id: Id) {
        self.out.push(b'"');
        self.out.extend_from_slice(id.ty.as_bytes());
        self.out.push(b':');
        let mut digits = itoa::Buffer::new();
        self.out
            .extend_from_slice(digits.format(id.number).as_bytes());
        self.out.push(b'"');
    }

    /// Writes anything that is a value of JSON.
    pub(in super::super) fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        let start = self.out.len();
        if let Err(error) = serde_json::to_writer(&mut self.out, value) {
            tracing::error!(%error, "a value could not be written");
            self.out.truncate(start);
            self.null();
        }
    }

    /// Says that the current field has failed.
    pub(super) fn fail(&mut self, error: &Error, nullable: bool) -> Written {
        if self.errors.admit() {
            log(error);
            let error = GraphqlError {
                locations: vec![self.pos],
                path: self.path(),
                ..GraphqlError::from(error)
            };
            self.errors.push(error);
        }
        self.nothing(nullable)
    }

    /// Says what is wrong with an argument of the current field.
    pub(super) fn refuse(&mut self, error: ServerError, nullable: bool) -> Written {
        if self.errors.admit() {
            let error = GraphqlError {
                path: self.path(),
                ..from_engine(error, true)
            };
            self.errors.push(error);
        }
        self.nothing(nullable)
    }

    /// Says that the current field was read and is not there, which cannot be.
    pub(super) fn lose(&mut self, nullable: bool) -> Written {
        self.fail(
            &Error::internal("a field was written that was not read"),
            nullable,
        )
    }

    fn nothing(&mut self, nullable: bool) -> Written {
        if !nullable {
            return Err(NullInNonNull);
        }
        self.null();
        Ok(())
    }

    fn path(&self) -> Vec<PathSegment> {
        self.path
            .iter()
            .map(|segment| match segment {
                Segment::Field(key) => PathSegment::Field(key.to_string()),
                Segment::Index(i) => PathSegment::Index(*i),
            })
            .collect()
    }
}
