//! What resolvers have at hand: the caller's services, the request's loaders, the limits.

use async_graphql::Context;

use super::error::{FieldError, FieldResult};
use super::loader::Loaders;
use crate::auth::AuthorizedServices;
use crate::config::Limits;
use crate::domain::Error;

/// The context of one request.
#[derive(Debug)]
pub(super) struct RequestContext {
    /// What the caller may use.
    pub(super) services: AuthorizedServices,
    /// Look-ups of this request, batched.
    pub(super) loaders: Loaders,
    /// The bounds on arguments.
    pub(super) limits: Limits,
}

impl RequestContext {
    pub(super) fn new(services: AuthorizedServices, limits: Limits) -> Self {
        let loaders = Loaders::new(&services, limits.list_items);
        Self {
            services,
            loaders,
            limits,
        }
    }
}

/// The context of the request that `ctx` belongs to.
pub(super) fn request<'a>(ctx: &Context<'a>) -> FieldResult<&'a RequestContext> {
    ctx.data_opt::<RequestContext>()
        .ok_or_else(|| FieldError(Error::internal("a resolver ran without a request context")))
}
