//! One operation, from its text to its answer.

use std::sync::Arc;

use async_graphql::{EmptySubscription, Request, SDLExportOptions, Schema, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Map;

use super::completion::complete;
use super::context::RequestContext;
use super::document::{
    Document, Operation, asks_about_schema, bind, check_cost, coerce, is_introspection,
    refuse_null_characters,
};
use super::error::{GraphqlError, RequestError, from_engine};
use super::model::SchemaModel;
use super::mutation::Mutation;
use super::query::Query;
use crate::auth::AuthorizedServices;
use crate::config::{GraphqlConfig, Limits};
use crate::domain::{Code, Error};

/// The graph, ready to answer.
#[derive(Clone)]
pub struct Graphql {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Schema<Query, Mutation, EmptySubscription>,
    model: SchemaModel,
    limits: Limits,
    config: GraphqlConfig,
}

impl std::fmt::Debug for Graphql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graphql")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct GraphqlRequest {
    /// The document.
    pub query: String,
    /// Which of its operations to run.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Map<String, serde_json::Value>,
}

/// What the client gets.
#[derive(Debug)]
pub struct GraphqlResponse {
    /// The answer; `None` if nothing was executed.
    pub data: Option<Value>,
    /// What went wrong.
    pub errors: Vec<GraphqlError>,
}

impl From<RequestError> for GraphqlResponse {
    fn from(error: RequestError) -> Self {
        Self {
            data: None,
            errors: error.errors,
        }
    }
}

impl Serialize for GraphqlResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.errors.is_empty() {
            map.serialize_entry("errors", &self.errors)?;
        }
        if let Some(data) = &self.data {
            map.serialize_entry("data", data)?;
        }
        map.end()
    }
}

/// A request whose document has been found good, so far as that does not depend on the schema.
#[derive(Debug)]
pub struct PreparedRequest {
    document: Document,
    request: GraphqlRequest,
}

impl PreparedRequest {
    /// Whether the operation may change something.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.operation()
            .is_ok_and(|operation| operation.is_mutation())
    }

    /// Whether the operation asks about the schema and nothing else.
    #[must_use]
    pub fn is_introspection(&self) -> bool {
        self.operation()
            .is_ok_and(|operation| is_introspection(&operation))
    }

    fn operation(&self) -> Result<Operation<'_>, RequestError> {
        self.document
            .operation(self.request.operation_name.as_deref())
    }
}

impl Graphql {
    /// The graph with these bounds.
    pub fn new(config: GraphqlConfig, limits: Limits) -> Result<Self, Error> {
        let mut schema = Schema::build(Query, Mutation, EmptySubscription)
            // The document's own checks come first and have codes.
            .limit_recursive_depth(usize::from(u8::MAX));
        if !config.introspection {
            schema = schema.disable_introspection();
        }
        let engine = schema.finish();
        let model = SchemaModel::parse(&sdl(&engine)).map_err(Error::internal)?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                model,
                limits,
                config,
            }),
        })
    }

    /// The schema in the schema definition language.
    #[must_use]
    pub fn sdl(&self) -> String {
        sdl(&self.inner.engine)
    }

    /// The bounds on what a request may ask for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// What is offered.
    #[must_use]
    pub fn config(&self) -> &GraphqlConfig {
        &self.inner.config
    }

    /// Parses the document of `request` and finds the operation to run.
    pub fn prepare(&self, request: GraphqlRequest) -> Result<PreparedRequest, RequestError> {
        let Inner { model, limits, .. } = &*self.inner;
        let document = Document::parse(&request.query, limits, model)?;
        let prepared = PreparedRequest { document, request };
        prepared.operation()?;
        Ok(prepared)
    }

    /// Runs a prepared request with the services that its caller may use.
    pub async fn execute(
        &self,
        prepared: PreparedRequest,
        services: Option<AuthorizedServices>,
    ) -> GraphqlResponse {
        match self.run(prepared, services).await {
            Ok(response) => response,
            Err(refusal) => refusal.into(),
        }
    }

    async fn run(
        &self,
        mut prepared: PreparedRequest,
        services: Option<AuthorizedServices>,
    ) -> Result<GraphqlResponse, RequestError> {
        let Inner {
            engine,
            model,
            limits,
            config,
        } = &*self.inner;
        let given = std::mem::take(&mut prepared.request.variables);
        let operation = prepared.operation()?;
        if !config.introspection && asks_about_schema(&operation) {
            // The engine leaves the fields out without a word.
            let message = "the schema cannot be asked for here; read `schema.graphql` instead";
            return Err(GraphqlError::new(Code::GraphqlValidationFailed, message).into());
        }
        let variables = coerce(&operation, given, model, limits)?;
        refuse_null_characters(&operation, &variables)?;
        check_cost(&operation, &variables, model, limits)?;

        let mut request = Request::new("").variables(variables.clone());
        if let Some(name) = operation.name {
            request = request.operation_name(name);
        }
        request.set_parsed_query(bind(&operation, &variables));
        request = match services {
            Some(services) => request.data(RequestContext::new(services, *limits)),
            // Nothing but the schema can be read without services.
            None if config.introspection => request.only_introspection(),
            None => request.disable_introspection(),
        };
        let response = engine.execute(request).await;

        // The type of the root is asked for in every operation, so there are data if any of it
        // was executed.
        let executed = response.data != Value::Null;
        let errors: Vec<_> = response
            .errors
            .into_iter()
            .map(|error| from_engine(error, executed))
            .collect();
        if !executed && !errors.is_empty() {
            return Err(RequestError { errors });
        }
        let data = complete(&operation, &variables, model, response.data);
        Ok(GraphqlResponse {
            data: Some(data),
            errors,
        })
    }
}

fn sdl(engine: &Schema<Query, Mutation, EmptySubscription>) -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .use_space_ident()
        .indent_width(2);
    let text = engine.sdl_with_options(options);
    let mut sdl = String::with_capacity(text.len());
    for line in text.trim().lines() {
        sdl.push_str(line.trim_end());
        sdl.push('\n');
    }
    sdl
}
