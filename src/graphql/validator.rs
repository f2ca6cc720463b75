//! The engine's rules, without the engine running anything.
//!
//! The engine validates a document only on its way to executing it. The schema here stops it in
//! between, so that what was found can be kept; the schema that executes need not look again.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::{Request, Response};
use async_trait::async_trait;
use futures_util::FutureExt as _;

use super::error::{GraphqlError, RequestError};
use super::executor::{Engine, EngineBuilder, refused};
use crate::domain::Error;

/// The rules of a schema.
pub(super) struct Validator {
    /// Suggests names for unknown ones, which takes time for each.
    suggesting: Engine,
    /// Without suggestions.
    terse: Engine,
}

impl Validator {
    /// The rules for the schema of `builder`.
    pub(super) fn new(builder: impl Fn() -> EngineBuilder) -> Self {
        let stopping = || builder().extension(StopFactory);
        Self {
            suggesting: stopping().finish(),
            terse: stopping().disable_suggestions().finish(),
        }
    }

    /// Refuses what the engine would not execute, with suggestions if `is_short`.
    pub(super) fn validate(&self, request: Request, is_short: bool) -> Result<(), RequestError> {
        let engine = if is_short {
            &self.suggesting
        } else {
            &self.terse
        };
        // Nothing is waited for where nothing is executed.
        let response = engine.execute(request).now_or_never();
        let response = response.ok_or_else(|| {
            let error = Error::internal("the engine waits for something while it validates");
            RequestError::from(GraphqlError::from(&error))
        })?;
        if response.errors.is_empty() {
            Ok(())
        } else {
            Err(refused(response))
        }
    }
}

/// Makes a [`Stop`] for each request.
struct StopFactory;

impl ExtensionFactory for StopFactory {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Stop)
    }
}

/// Answers with nothing where the engine would begin to execute.
struct Stop;

#[async_trait]
impl Extension for Stop {
    async fn execute(
        &self,
        _: &ExtensionContext<'_>,
        _: Option<&str>,
        _: NextExecute<'_>,
    ) -> Response {
        Response::default()
    }
}
