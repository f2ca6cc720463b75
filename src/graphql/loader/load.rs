//! Fields that look one thing up.

use std::fmt::{Debug, Formatter};

use super::batch::Batch;
use crate::graphql::context::RequestContext;
use crate::graphql::error::FieldResult;

/// What a field looks up, and what it answers with. A plan collects those of a whole level and
/// asks for them at once, with no future for each.
pub(in super::super) struct Load<B: Batch, T> {
    key: B::Key,
    answer: fn(Option<B::Value>) -> FieldResult<T>,
}

impl<B: Batch, T> Load<B, T> {
    /// Looks up `key`, and answers with what `answer` makes of the value, if there is one.
    pub(in super::super) const fn new(
        key: B::Key,
        answer: fn(Option<B::Value>) -> FieldResult<T>,
    ) -> Self {
        Self { key, answer }
    }

    /// The answer to this one alone, as the engine asks for it.
    pub(in super::super) async fn run(self, request: &RequestContext) -> FieldResult<T> {
        let found = B::lookup(&request.loaders()).load(self.key).await?;
        (self.answer)(found)
    }

    /// The answers to some of them, in their order.
    pub(in super::super) async fn run_all<E>(
        loads: impl ExactSizeIterator<Item = Result<FieldResult<Self>, E>>,
        request: &RequestContext,
    ) -> Vec<Result<FieldResult<T>, E>> {
        let mut keys = Vec::with_capacity(loads.len());
        let answers = loads.map(|load| {
            Ok(load?.map(|Self { key, answer }| {
                keys.push(key);
                answer
            }))
        });
        let answers: Vec<Result<_, E>> = answers.collect();
        let found = B::lookup(&request.loaders()).load_many(keys).await;
        let mut found = found.into_iter();
        let answers = answers.into_iter().map(|answer| {
            Ok(answer?.and_then(|answer| answer(found.next().transpose()?.flatten())))
        });
        answers.collect()
    }
}

impl<B: Batch, T> Debug for Load<B, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
