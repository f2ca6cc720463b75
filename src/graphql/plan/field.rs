//! Fields in plans.

use std::any::Any;
use std::future::{poll_fn, ready};
use std::pin::pin;
use std::task::ready;

use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::Value;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, join_all};
use tokio::task::coop::{consume_budget, poll_proceed};

use super::arguments::Arguments;
use super::object::{Rows, Selection};
use super::output::Output;
use super::run::Run;
use super::writer::{Unwritten, Writer, Written};
use crate::graphql::context::RequestContext;

/// A field whose value is computed from its parent.
pub(in super::super) trait ComputedField: Send + Sync + 'static {
    /// Whether it needs what a parent lacks that was read in brief.
    const IS_DETAIL: bool;
    /// What it is a field of.
    type Parent: Send + Sync + 'static;
    /// Its value.
    type Output<'a>: Output<Below = Self::Below>;
    /// What is selected beneath it.
    type Below: Send + Sync + 'static;

    /// The value, or what is wrong with an argument.
    fn resolve<'a>(
        parent: &'a Self::Parent,
        request: &'a RequestContext,
        arguments: &Arguments<'_>,
    ) -> Result<Self::Output<'a>, ServerError>;
}

/// A field for whose value something is read.
pub(in super::super) trait ReadField: Send + Sync + 'static {
    /// Whether it needs what a parent lacks that was read in brief.
    const IS_DETAIL: bool;
    /// What it is a field of.
    type Parent: Send + Sync + 'static;
    /// Its value.
    type Output: Output + 'static;

    /// Its values for the objects of a level, in their order, or what is wrong with an argument.
    fn resolve<'a>(
        parents: &'a [&'a Self::Parent],
        request: &'a RequestContext,
        arguments: Arguments<'a>,
    ) -> impl Future<Output = Vec<Result<Self::Output, ServerError>>> + Send + 'a;
}

/// What a field has read for the objects of its level.
pub(super) type Read = Box<dyn Any + Send>;

/// The same, if it reads anything.
pub(super) type State = Option<Read>;

/// A field of `T` in a plan.
pub(in super::super) trait FieldPlan<T>: Send + Sync {
    /// Whether anything is to be read for it or beneath it.
    fn reads(&self) -> bool;

    /// Reads it for all objects of its level.
    fn read<'a>(&'a self, run: &'a Run<'a>, parents: &'a [&'a T]) -> BoxFuture<'a, State>;

    /// Writes it for the next of these objects, with what has been read, if anything has.
    fn write<'p>(
        &'p self,
        parent: &T,
        state: Option<&mut Read>,
        writer: &mut Writer<'p>,
    ) -> Written;
}

/// Where a field stands in the document, and with what arguments.
pub(super) struct Place {
    pub(super) pos: Pos,
    pub(super) arguments: Vec<(Positioned<Name>, Positioned<Value>)>,
}

impl Place {
    fn arguments<'a>(&'a self, run: &Run<'a>) -> Arguments<'a> {
        Arguments {
            given: &self.arguments,
            values: run.values,
        }
    }
}

/// A field that is computed when it is written.
pub(super) struct ComputedPlan<F: ComputedField> {
    place: Place,
    below: F::Below,
}

impl<F: ComputedField> ComputedPlan<F> {
    pub(super) fn new(place: Place, below: F::Below) -> Self {
        Self { place, below }
    }
}

impl<F: ComputedField> FieldPlan<F::Parent> for ComputedPlan<F> {
    fn reads(&self) -> bool {
        <F::Output<'static> as Output>::reads(&self.below)
    }

    fn read<'a>(&'a self, run: &'a Run<'a>, parents: &'a [&'a F::Parent]) -> BoxFuture<'a, State> {
        async move {
            let arguments = self.place.arguments(run);
            let mut values: Vec<F::Output<'_>> = Vec::with_capacity(parents.len());
            for (i, part) in parents.chunks(PART).enumerate() {
                if i > 0 {
                    consume_budget().await;
                }
                let part = part.iter();
                values.extend(
                    part.filter_map(|parent| F::resolve(parent, run.request, &arguments).ok()),
                );
            }
            let objects: usize = values.iter().map(Output::count).sum();
            run.request.budget.spend(objects as u64).await;
            let below = read_below(&values, &self.below, run).await;
            Some(Box::new(below) as Box<dyn Any + Send>)
        }
        .boxed()
    }

    fn write<'p>(
        &'p self,
        parent: &F::Parent,
        state: Option<&mut Read>,
        writer: &mut Writer<'p>,
    ) -> Written {
        writer.pos = self.place.pos;
        let is_counted = state.is_some() || writer.is_resuming();
        let rows = state.and_then(|state| state.downcast_mut::<Rows>());
        let run = writer.run;
        match F::resolve(parent, run.request, &self.place.arguments(run)) {
            Ok(value) => {
                if !is_counted {
                    writer.count(value.count());
                }
                value.write(&self.below, rows, writer)
            }
            Err(error) => writer.refuse(error, <F::Output<'_> as Output>::NULLABLE),
        }
    }
}

/// A field that is read before anything is written.
pub(super) struct ReadPlan<F: ReadField> {
    place: Place,
    below: <F::Output as Output>::Below,
}

/// What a [`ReadPlan`] has read.
struct Values<T> {
    left: std::vec::IntoIter<Result<T, ServerError>>,
    /// The value in which the writer paused.
    begun: Option<T>,
    below: Option<Rows>,
}

impl<F: ReadField> ReadPlan<F> {
    pub(super) fn new(place: Place, below: <F::Output as Output>::Below) -> Self {
        Self { place, below }
    }
}

impl<F: ReadField> FieldPlan<F::Parent> for ReadPlan<F> {
    fn reads(&self) -> bool {
        true
    }

    fn read<'a>(&'a self, run: &'a Run<'a>, parents: &'a [&'a F::Parent]) -> BoxFuture<'a, State> {
        async move {
            let arguments = self.place.arguments(run);
            let mut parts = parents.chunks(PART);
            let values: Vec<Result<F::Output, ServerError>> = if parts.len() > 1 {
                let resolved = parts.map(|part| paced(F::resolve(part, run.request, arguments)));
                finished(resolved).await.into_iter().flatten().collect()
            } else {
                let part = parts.next().unwrap_or_default();
                F::resolve(part, run.request, arguments).await
            };
            let objects: usize = values.iter().flatten().map(Output::count).sum();
            run.request.budget.spend(objects as u64).await;
            let below = if F::Output::reads(&self.below) {
                let values: Vec<&F::Output> = values.iter().flatten().collect();
                Some(read_below(&values, &self.below, run).await)
            } else {
                None
            };
            let read = Values {
                left: values.into_iter(),
                begun: None,
                below,
            };
            Some(Box::new(read) as Box<dyn Any + Send>)
        }
        .boxed()
    }

    fn write<'p>(
        &'p self,
        _: &F::Parent,
        state: Option<&mut Read>,
        writer: &mut Writer<'p>,
    ) -> Written {
        writer.pos = self.place.pos;
        let read = state.and_then(|state| state.downcast_mut::<Values<F::Output>>());
        let Some(Values { left, begun, below }) = read else {
            return writer.lose(F::Output::NULLABLE);
        };
        match begun.take().map(Ok).or_else(|| left.next()) {
            Some(Ok(value)) => {
                let written = value.write(&self.below, below.as_mut(), writer);
                if matches!(written, Err(Unwritten::Paused)) {
                    *begun = Some(value);
                }
                written
            }
            Some(Err(error)) => writer.refuse(error, F::Output::NULLABLE),
            None => writer.lose(F::Output::NULLABLE),
        }
    }
}

/// Reads what is selected beneath these values.
async fn read_below<O: Output>(values: &[O], below: &O::Below, run: &Run<'_>) -> Rows {
    let mut objects = Vec::with_capacity(values.len());
    for value in values {
        value.objects(&mut objects);
    }
    if objects.is_empty() {
        return Rows::default();
    }
    below.read(run, objects).await
}

/// The objects of a level that are resolved for one unit of the task's cooperative budget. The budget is
/// 128 units, which take some milliseconds at most.
const PART: usize = 256;

/// Polls `future` while the task has budget left, and yields when it has none.
pub(in super::super) async fn paced<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        ready!(poll_proceed(context)).made_progress();
        future.as_mut().poll(context)
    })
    .await
}

/// The outcomes of a resolver that is a future for each of these objects.
pub(in super::super) async fn await_each<'a, P, F: Future>(
    parents: &'a [&'a P],
    resolve: impl Fn(&'a P) -> Result<F, ServerError>,
) -> Vec<Result<F::Output, ServerError>> {
    let begun = parents.iter().map(|parent| match resolve(parent) {
        Ok(value) => Either::Left(value.map(Ok)),
        Err(error) => Either::Right(ready(Err(error))),
    });
    finished(begun).await
}

/// So many futures at most are joined without a task for each of them.
const JOINED: usize = 30;

/// The outcomes of futures, all of which are polled before the first is waited for.
async fn finished<F: Future>(begun: impl ExactSizeIterator<Item = F>) -> Vec<F::Output> {
    if begun.len() <= JOINED {
        return join_all(begun).await;
    }
    let mut outcomes = Vec::with_capacity(begun.len());
    let mut begun = begun;
    let parts = 0..begun.len().div_ceil(JOINED);
    let parts = join_all(parts.map(|_| join_all(begun.by_ref().take(JOINED))));
    for part in parts.await {
        outcomes.extend(part);
    }
    outcomes
}

/// `__typename` of an object.
pub(super) struct TypeName(pub(super) &'static str);

impl<T: Sync> FieldPlan<T> for TypeName {
    fn reads(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, _: &'a Run<'a>, _: &'a [&'a T]) -> BoxFuture<'a, State> {
        ready(None).boxed()
    }

    fn write<'p>(&'p self, _: &T, _: Option<&mut Read>, writer: &mut Writer<'p>) -> Written {
        writer.text(self.0);
        Ok(())
    }
}
