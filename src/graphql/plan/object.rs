//! Objects in plans.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;

use async_graphql::Name;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

use super::compile::FieldCompiler;
use super::field::{FieldPlan, State};
use super::run::Run;
use super::writer::{Place, Segment, Unwritten, Writer, Written};

/// A type of the graph whose fields plans know; made by `#[object]`.
pub(in super::super) trait PlannedObject: Send + Sync + Sized + 'static {
    /// Its name in the schema.
    const NAME: &'static str;
    /// Its fields that read something, with their minimum costs.
    const READS: &'static [(&'static str, u64)];

    /// The plan of one of its fields; `None` if plans do not cover it.
    fn plan(field: &FieldCompiler<'_>) -> Option<Box<dyn FieldPlan<Self>>>;
}

/// What is selected of each of some objects.
pub(in super::super) trait Selection<T>: Send + Sync + 'static {
    /// Whether anything is to be read for it.
    fn reads(&self) -> bool;

    /// Reads it for all `objects`, which are of one level.
    fn read<'a>(&'a self, run: &'a Run<'a>, objects: Vec<&'a T>) -> BoxFuture<'a, Rows>;

    /// Writes it for the next of them, with what has been read for it, if anything has; or resumes where
    /// the writer paused.
    fn write<'p>(&'p self, object: &T, rows: Option<&mut Rows>, writer: &mut Writer<'p>)
    -> Written;
}

/// What has been read for the objects of a level, in their order; nothing where a selection does
/// not read.
#[derive(Default)]
pub(in super::super) struct Rows(Vec<State>);

impl Rows {
    /// What has been read for objects of several types.
    pub(in super::super) fn of_kinds<const N: usize>(kinds: [Self; N]) -> Self {
        let kinds = kinds.into_iter();
        Self(
            kinds
                .map(|rows| Some(Box::new(rows) as Box<dyn Any + Send>))
                .collect(),
        )
    }

    /// What has been read for the objects of each of several types.
    pub(in super::super) fn kinds(&mut self) -> impl Iterator<Item = &mut Self> {
        self.0
            .iter_mut()
            .filter_map(|rows| rows.as_mut()?.downcast_mut())
    }
}

/// Nothing is selected of a leaf.
impl Selection<Infallible> for () {
    fn reads(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, _: &'a Run<'a>, _: Vec<&'a Infallible>) -> BoxFuture<'a, Rows> {
        std::future::ready(Rows::default()).boxed()
    }

    fn write<'p>(
        &'p self,
        object: &Infallible,
        _: Option<&mut Rows>,
        _: &mut Writer<'p>,
    ) -> Written {
        match *object {}
    }
}

/// What is selected of objects of the type `T`.
pub(in super::super) struct ObjectPlan<T> {
    fields: Vec<Selected<T>>,
    /// For how many of them something is to be read.
    reading: usize,
    /// Whether a field is begun only when the one before it is finished.
    one_by_one: bool,
}

impl<T> fmt::Debug for ObjectPlan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.fields.iter().map(|field| &field.key);
        f.debug_list().entries(keys).finish()
    }
}

/// A field under its key in the answer.
pub(super) struct Selected<T> {
    key: Name,
    /// The key as it is written, with what stands before and after it.
    written: Box<str>,
    plan: Box<dyn FieldPlan<T>>,
}

impl<T> Selected<T> {
    pub(super) fn new(key: Name, plan: Box<dyn FieldPlan<T>>) -> Self {
        // Names hold nothing that JSON escapes.
        let written = format!(",\"{key}\":").into_boxed_str();
        Self { key, written, plan }
    }
}

impl<T: PlannedObject> ObjectPlan<T> {
    pub(super) fn new(fields: Vec<Selected<T>>) -> Self {
        let reading = fields.iter().filter(|field| field.plan.reads()).count();
        Self {
            fields,
            reading,
            one_by_one: false,
        }
    }

    /// The same, one field after the other.
    pub(super) fn one_by_one(self) -> Self {
        Self {
            one_by_one: true,
            ..self
        }
    }

    async fn read_fields<'a>(&'a self, run: &'a Run<'a>, objects: Vec<&'a T>) -> Rows {
        let reads = |field: &&Selected<T>| field.plan.reads();
        let mut states: Vec<State> = self.fields.iter().map(|_| None).collect();
        let fields = self.fields.iter().zip(&mut states);
        let fields = fields.filter(|(field, _)| reads(field));
        let read = fields.map(|(field, state)| async {
            *state = field.plan.read(run, &objects).await;
        });
        if self.one_by_one || self.reading == 1 {
            for field in read {
                field.await;
            }
        } else {
            join_all(read).await;
        }
        Rows(states)
    }
}

impl<T: PlannedObject> Selection<T> for ObjectPlan<T> {
    fn reads(&self) -> bool {
        self.reading > 0
    }

    fn read<'a>(&'a self, run: &'a Run<'a>, objects: Vec<&'a T>) -> BoxFuture<'a, Rows> {
        self.read_fields(run, objects).boxed()
    }

    fn write<'p>(
        &'p self,
        object: &T,
        rows: Option<&mut Rows>,
        writer: &mut Writer<'p>,
    ) -> Written {
        let mut place = writer.resume().unwrap_or_else(|| Place::at(writer));
        // The key of the field in which the writer paused is written.
        let mut is_begun = writer.is_resuming();
        let states = rows.and_then(|rows| rows.0.get_mut(place.next..));
        let mut states = states.unwrap_or_default().iter_mut();
        for (i, field) in self.fields.iter().enumerate().skip(place.next) {
            if !is_begun {
                if writer.is_full() {
                    place.next = i;
                    return writer.pause(place);
                }
                writer.out.extend_from_slice(field.written.as_bytes());
            }
            is_begun = false;
            let state = states.next().and_then(Option::as_mut);
            writer.path.push(Segment::Field(&field.key));
            let written = field.plan.write(object, state, writer);
            writer.path.pop();
            match written {
                Ok(()) => {}
                // The other fields may still report their errors.
                Err(Unwritten::NullInNonNull) => place.is_null = true,
                Err(Unwritten::Paused) => {
                    place.next = i;
                    return writer.pause(place);
                }
            }
        }
        // The comma before the first field gives way to the bracket.
        match writer.out.get_mut(place.start) {
            Some(first) => *first = b'{',
            None => writer.out.push(b'{'),
        }
        writer.out.push(b'}');
        place.written()
    }
}
