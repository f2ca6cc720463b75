//! The answer as it is written.

use async_graphql::{Name, PathSegment, Pos, ServerError};
use serde::Serialize;

use super::run::Run;
use crate::domain::{Error, escapes_nothing};
use crate::graphql::error::{Errors, GraphqlError, from_engine, log};
use crate::graphql::id::Id;
use crate::graphql::response::Data;

/// Why a value has not been written.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Unwritten {
    /// A null stands where none may be; what holds it becomes null instead. What is in the buffer
    /// of it is taken out by whatever may be null around it.
    NullInNonNull,
    /// The writer yields. Each enclosing object, list and nullable value has kept its [`Place`], and resumes
    /// there when it is written again.
    Paused,
}

/// The outcome of writing a value.
pub(in super::super) type Written = Result<(), Unwritten>;

/// How far a value has been written.
#[derive(Debug)]
pub(super) struct Place {
    /// Where it begins in the buffer.
    pub(super) start: usize,
    /// The index of its next field or item, or of the one that was begun.
    pub(super) next: usize,
    /// Whether it has a null where none is allowed.
    pub(super) is_null: bool,
}

impl Place {
    /// The place of the value that is written next.
    pub(super) const fn at(writer: &Writer<'_>) -> Self {
        Self {
            start: writer.out.len(),
            next: 0,
            is_null: false,
        }
    }

    /// The outcome, once all of it has been written.
    pub(super) const fn written(&self) -> Written {
        if self.is_null {
            Err(Unwritten::NullInNonNull)
        } else {
            Ok(())
        }
    }
}

/// The bytes that are written before the writer yields, in well under a millisecond.
const STRETCH: usize = 64 * 1_024;

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
    /// The places in which the writer paused, innermost first.
    places: Vec<Place>,
    /// The length of the buffer beyond which the writer pauses before the next field.
    full_at: usize,
    /// Objects that have not been charged yet, and the most that may be.
    objects: u64,
    objects_left: u64,
    /// The approximate size of the errors, in bytes.
    error_bytes: usize,
    /// The bytes that have been charged.
    charged: usize,
}

impl<'p> Writer<'p> {
    /// A writer of an answer of about so many bytes.
    pub(super) fn new(run: &'p Run<'p>, bytes: usize) -> Self {
        let budget = &run.request.budget;
        Self {
            run,
            out: Data::buffer(bytes),
            path: Vec::with_capacity(16),
            pos: Pos::default(),
            errors: Errors::new(run.request.limits.errors),
            places: Vec::new(),
            full_at: STRETCH.min(budget.bytes_left()),
            objects: 0,
            objects_left: budget.cost_left(),
            error_bytes: 0,
            charged: 0,
        }
    }

    /// The place of the value that is about to be written, if the writer paused in it.
    pub(super) fn resume(&mut self) -> Option<Place> {
        self.places.pop()
    }

    /// Whether the writer is on its way to the place where it paused.
    pub(super) const fn is_resuming(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether the writer should yield.
    pub(super) const fn is_full(&self) -> bool {
        self.out.len() > self.full_at
    }

    /// Pauses in a value that has been written up to `place`.
    pub(super) fn pause(&mut self, place: Place) -> Written {
        self.places.push(place);
        Err(Unwritten::Paused)
    }

    /// Removes what was written from `start` on.
    pub(super) fn retract(&mut self, start: usize) {
        // Its bytes are charged all the same.
        let retracted = self.out.len().saturating_sub(start);
        self.full_at = self.full_at.saturating_sub(retracted);
        self.out.truncate(start);
    }

    /// Counts objects that are about to be written.
    pub(super) const fn count(&mut self, objects: usize) {
        self.objects += objects as u64;
        if self.objects > self.objects_left {
            self.full_at = 0;
        }
    }

    /// Charges what has been written since the last call, and starts another stretch if the budget
    /// allows.
    pub(super) fn settle(&mut self) -> Result<(), GraphqlError> {
        let budget = &self.run.request.budget;
        budget.charge(std::mem::take(&mut self.objects));
        let bytes = self.out.len() + self.error_bytes;
        budget.write(bytes.saturating_sub(self.charged));
        self.charged = self.charged.max(bytes);
        budget.check()?;
        self.objects_left = budget.cost_left();
        self.full_at = self.out.len() + STRETCH.min(budget.bytes_left());
        Ok(())
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
            self.add(error);
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
            self.add(error);
        }
        self.nothing(nullable)
    }

    fn add(&mut self, error: GraphqlError) {
        let bytes = error.bytes();
        self.error_bytes += bytes;
        self.full_at = self.full_at.saturating_sub(bytes);
        self.errors.push(error);
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
            return Err(Unwritten::NullInNonNull);
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
