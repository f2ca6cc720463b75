//! What resolvers have at hand: the caller's services, the request's loaders, the limits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_graphql::Context;
use futures_util::future::BoxFuture;

use super::budget::Budget;
use super::error::{FieldError, FieldResult};
use super::loader::{Driver, Loaders};
use super::plan::Output;
use crate::auth::{AuthorizedServices, Detail};
use crate::config::Limits;
use crate::domain::Error;

/// How much is needed of objects, by their types.
#[derive(Debug, Clone, Copy)]
pub(super) struct Details {
    pub(super) users: Detail,
    pub(super) organizations: Detail,
}

impl Details {
    /// All there is.
    pub(super) const WHOLE: Self = Self {
        users: Detail::Whole,
        organizations: Detail::Whole,
    };
}

/// The context of one request.
#[derive(Debug)]
pub(super) struct RequestContext {
    /// What the caller may use.
    pub(super) services: AuthorizedServices,
    loaders: RwLock<Arc<Loaders>>,
    driver: Driver,
    /// How much is needed of the objects that the request is about.
    pub(super) details: Details,
    /// The bounds on arguments.
    pub(super) limits: Limits,
    /// The budget of the request, shared with its other operations.
    pub(super) budget: Arc<Budget>,
    /// The bytes of the answer that the engine's resolvers have charged.
    counted: AtomicUsize,
}

impl RequestContext {
    /// The context of a request whose look-ups `driver` sends on their way.
    pub(super) fn new(
        services: AuthorizedServices,
        limits: Limits,
        driver: Driver,
        details: Details,
        budget: Arc<Budget>,
    ) -> Self {
        let loaders = Loaders::new(&services, &budget, limits.list_items, driver);
        Self {
            services,
            loaders: RwLock::new(Arc::new(loaders)),
            driver,
            details,
            limits,
            budget,
            counted: AtomicUsize::new(0),
        }
    }

    /// The batches of what resolvers wait for by now, where a plan drives them.
    pub(super) fn wanted(&self) -> Vec<BoxFuture<'_, ()>> {
        self.loaders()
            .wanted(&self.services, &self.budget, self.limits.list_items)
    }

    /// The bytes of the answer that the engine's resolvers have charged.
    pub(super) fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// Look-ups of this request, batched; what has been found is found again without asking.
    pub(super) fn loaders(&self) -> Arc<Loaders> {
        let loaders = self.loaders.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&loaders)
    }

    /// Forgets what has been found. A mutation does so once it has changed something, for what
    /// is selected of its payload, and the mutations after it, must see the change.
    pub(super) fn forget(&self) {
        let max_batch = self.limits.list_items;
        let fresh = Loaders::new(&self.services, &self.budget, max_batch, self.driver);
        let fresh = Arc::new(fresh);
        *self.loaders.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

/// The value of a field, charged; for the engine, which writes it with its key.
pub(super) async fn counted<T: Output>(ctx: &Context<'_>, value: T) -> T {
    if let Ok(request) = request(ctx) {
        // The key has quotes and a colon.
        let bytes = ctx.item.node.response_key().node.len() + 3 + value.bytes();
        request.counted.fetch_add(bytes, Ordering::Relaxed);
        let objects = value.count() as u64;
        request.budget.answer(objects, bytes).await;
    }
    value
}

/// The context of the request that `ctx` belongs to.
pub(super) fn request<'a>(ctx: &Context<'a>) -> FieldResult<&'a RequestContext> {
    ctx.data_opt::<Arc<RequestContext>>()
        .map(Arc::as_ref)
        .ok_or_else(|| FieldError(Error::internal("a resolver ran without a request context")))
}
