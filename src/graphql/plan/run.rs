//! Running a plan.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_graphql::{Name, Value, Variables};
use futures_util::future::BoxFuture;
use tokio::task::coop::has_budget_remaining;
use tokio::task::yield_now;

use super::super::mutation::Mutation;
use super::super::query::Query;
use super::alarm::Alarm;
use super::object::{ObjectPlan, PlannedObject, Selection};
use super::writer::{Unwritten, Writer};
use crate::graphql::context::{Details, RequestContext};
use crate::graphql::error::GraphqlError;
use crate::graphql::response::Data;

/// No more is set aside for an answer before it is written.
const MAX_EXPECTED_BYTES: usize = 64 * 1_024;

/// An operation, compiled.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(super) root: Root,
    /// The variables of which the plan needs the value once and no more, in their order.
    pub(super) needed_once: Box<[Name]>,
    /// How much it needs of objects.
    pub(in super::super) details: Details,
    /// How long the last answer was: the next one will be about as long.
    pub(super) bytes: AtomicUsize,
}

/// What is selected of the root.
#[derive(Debug)]
pub(super) enum Root {
    Query(ObjectPlan<Query>),
    Mutation(ObjectPlan<Mutation>),
}

/// What every part of a plan needs while it runs.
#[derive(Debug)]
pub(in super::super) struct Run<'a> {
    /// The caller's services and look-ups.
    pub(in super::super) request: &'a RequestContext,
    /// The values of the operation's variables.
    pub(super) values: &'a Values<'a>,
}

/// The values of variables.
#[derive(Debug)]
pub(super) struct Values<'a> {
    variables: Mutex<Variables>,
    /// Those that are given away, in their order.
    needed_once: &'a [Name],
}

impl<'a> Values<'a> {
    fn new(variables: Variables, needed_once: &'a [Name]) -> Self {
        Self {
            variables: Mutex::new(variables),
            needed_once,
        }
    }

    /// The value of a variable, if it has one.
    pub(super) fn get(&self, name: &Name) -> Option<Value> {
        let variables = self.variables.lock();
        let mut variables = variables.unwrap_or_else(PoisonError::into_inner);
        if self.needed_once.binary_search(name).is_ok() {
            variables.remove(name)
        } else {
            variables.get(name).cloned()
        }
    }
}

/// The answer to an operation.
#[derive(Debug)]
pub(in super::super) struct Answer {
    /// The value of `data`.
    pub(in super::super) data: Data,
    /// What went wrong, in the order of the document.
    pub(in super::super) errors: Vec<GraphqlError>,
}

impl Plan {
    /// The answer to the operation, or why it was stopped.
    pub(in super::super) async fn run(
        &self,
        request: &RequestContext,
        variables: Variables,
    ) -> Result<Answer, GraphqlError> {
        let values = &Values::new(variables, &self.needed_once);
        let run = &Run { request, values };
        let bytes = self.bytes.load(Ordering::Relaxed).min(MAX_EXPECTED_BYTES);
        let answer = match &self.root {
            Root::Query(plan) => answer(plan, &Query, run, bytes).await?,
            Root::Mutation(plan) => answer(plan, &Mutation, run, bytes).await?,
        };
        self.bytes.store(answer.data.len(), Ordering::Relaxed);
        Ok(answer)
    }
}

/// The answer of a plan, which is about as long as `bytes` says.
async fn answer<T: PlannedObject>(
    plan: &ObjectPlan<T>,
    root: &T,
    run: &Run<'_>,
    bytes: usize,
) -> Result<Answer, GraphqlError> {
    let mut rows = None;
    if plan.reads() {
        rows = Some(batched(run.request, plan.read(run, vec![root])).await?);
    }
    let mut writer = Writer::new(run, bytes + bytes / 8);
    loop {
        let written = plan.write(root, rows.as_mut(), &mut writer);
        writer.settle()?;
        let data = match written {
            Ok(()) => Data::written(writer.out),
            Err(Unwritten::NullInNonNull) => Data::null(),
            Err(Unwritten::Paused) => {
                // Yields to other tasks of this thread.
                yield_now().await;
                run.request.budget.turn().await;
                continue;
            }
        };
        return Ok(Answer {
            data,
            errors: writer.errors.into_vec(),
        });
    }
}

/// Drives `reading`, and looks up what it waits for. A batch leaves when nothing of `reading` can
/// go on without one, so everything that can has added its keys by then; and as nothing else is
/// waited for, a look-up that stands alone leaves at once. Fails as soon as the request has spent
/// more than it may; what is under way is dropped then.
async fn batched<F: Future>(
    request: &RequestContext,
    reading: F,
) -> Result<F::Output, GraphqlError> {
    let mut reading = pin!(reading);
    let mut batches: Vec<BoxFuture<'_, ()>> = Vec::new();
    let alarm = Arc::new(Alarm::rung());
    let waker = Waker::from(Arc::clone(&alarm));
    poll_fn(|context| {
        alarm.awake();
        loop {
            // Whoever waits for a batch need not be asked while it is on its way.
            if alarm.has_rung() {
                let mut context_of_reading = Context::from_waker(&waker);
                if let Poll::Ready(output) = reading.as_mut().poll(&mut context_of_reading) {
                    return Poll::Ready(Ok(output));
                }
                if let Err(stopped) = request.budget.check() {
                    return Poll::Ready(Err(stopped));
                }
                if !has_budget_remaining() {
                    // Yields to other tasks of this thread, after which more keys may be requested.
                    waker.wake_by_ref();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                batches.extend(request.wanted());
            }
            // They are few, one for each kind of look-up, and mostly come together.
            let sent = batches.len();
            batches.retain_mut(|batch| batch.as_mut().poll(context).is_pending());
            // A batch beyond the budget is never woken.
            if let Err(stopped) = request.budget.check() {
                return Poll::Ready(Err(stopped));
            }
            if batches.len() < sent {
                continue;
            }
            if alarm.sleep(context.waker()) {
                return Poll::Pending;
            }
        }
    })
    .await
}
