//! What answers a call, and what it knows of the caller.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::super::call::Call;
use super::super::wire::{self, Extension, Meta, RpcUser, RpcUserProfile, UserFilterArgs};
use super::RpcServer;
use super::refusal::Refusal;
use crate::domain::{Error, Result, User, UserFilter, UserProfile};
use crate::service::{OrganizationService, Services, UserOptionService, UserService};

/// A call that this side answers.
pub(super) trait Method: Call + 'static {
    /// Answers it.
    fn answer(self, context: &Context) -> impl Future<Output = Result<Self::Value>> + Send;
}

/// What a method answers with, and for whom.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) server: Arc<RpcServer>,
    /// What the caller says of itself, if it is a gateway.
    pub(super) extension: Option<Extension>,
}

/// Reads a method's arguments and answers it.
pub(super) type Answer = fn(Context, Value) -> BoxFuture<'static, Result<Response, Refusal>>;

/// The [`Answer`] of a method.
pub(super) fn answer<M: Method>(
    context: Context,
    args: Value,
) -> BoxFuture<'static, Result<Response, Refusal>> {
    Box::pin(async move {
        let Ok(call) = serde_json::from_value::<M>(args) else {
            return Err(Refusal::Malformed);
        };
        match call.answer(&context).await {
            Ok(value) => {
                let meta = context.meta();
                Ok(Json(wire::Response { meta, value }).into_response())
            }
            Err(error) => {
                log(&error, M::SERVICE, M::METHOD);
                Err(Refusal::of(error, context.is_gateway()))
            }
        }
    })
}

/// Logs why a method failed: of a fault of ours the cause, of a caller's the kind alone, since its
/// text may hold what the caller sent.
fn log(error: &Error, service: &str, method: &str) {
    let code = error.code().as_str();
    match (error, error.causes()) {
        (Error::Internal(_), Some(causes)) => tracing::error!(
            rpc.service = service,
            rpc.method = method,
            error = causes,
            code,
            "a call failed"
        ),
        (_, Some(causes)) => tracing::warn!(
            rpc.service = service,
            rpc.method = method,
            error = causes,
            code,
            "a call failed"
        ),
        (Error::Invalid(invalid), None) => tracing::info!(
            rpc.service = service,
            rpc.method = method,
            rpc.argument = invalid.path.join("."),
            code,
            "a call failed"
        ),
        (_, None) => tracing::info!(
            rpc.service = service,
            rpc.method = method,
            code,
            "a call failed"
        ),
    }
}

impl Context {
    pub(super) const fn is_gateway(&self) -> bool {
        self.extension.is_some()
    }

    fn meta(&self) -> Meta {
        if self.is_gateway() {
            Meta::gateway(None)
        } else {
            Meta::default()
        }
    }

    fn services(&self) -> Result<&Services> {
        let services = self.server.services.as_ref();
        services.ok_or_else(|| Error::internal("a method without services was found"))
    }

    pub(super) fn users(&self) -> Result<&dyn UserService> {
        Ok(&*self.services()?.users)
    }

    pub(super) fn user_options(&self) -> Result<&dyn UserOptionService> {
        Ok(&*self.services()?.user_options)
    }

    pub(super) fn organizations(&self) -> Result<&dyn OrganizationService> {
        Ok(&*self.services()?.organizations)
    }

    /// The filter that the caller means; `None` if nobody can fit it.
    pub(super) fn filter(&self, filter: UserFilterArgs) -> Result<Option<UserFilter>> {
        if self.is_gateway() {
            filter.into_anchored()
        } else {
            filter.of_sentry().into_anchored()
        }
    }

    /// An account as the caller is told of it.
    pub(super) fn profile(&self, profile: UserProfile) -> RpcUserProfile {
        if self.is_gateway() {
            RpcUserProfile::for_gateway(profile)
        } else {
            RpcUserProfile::for_sentry(profile)
        }
    }

    /// A user as the caller is told of one.
    pub(super) fn user(&self, user: User) -> RpcUser {
        if self.is_gateway() {
            RpcUser::for_gateway(user)
        } else {
            RpcUser::for_sentry(user)
        }
    }

    /// A user of whom Sentry tells the account, the verified addresses and the picture alone.
    pub(super) async fn incomplete(&self, profile: UserProfile) -> Result<RpcUser> {
        let users = self.users()?;
        let emails = users.get_emails(&[profile.id]).await?;
        let avatar = users.get_user_avatar(profile.id).await?;
        let verified = emails.into_iter().filter(|(_, email)| email.is_verified);
        Ok(RpcUser {
            profile: self.profile(profile),
            avatar: avatar.map(Into::into),
            emails: verified.map(|(_, email)| email.email).collect(),
            ..RpcUser::default()
        })
    }

    /// As [`Context::incomplete`], of somebody who may not be there.
    pub(super) async fn maybe_incomplete(
        &self,
        profile: Option<UserProfile>,
    ) -> Result<Option<RpcUser>> {
        match profile {
            Some(profile) => Ok(Some(self.incomplete(profile).await?)),
            None => Ok(None),
        }
    }
}
