//! Documents: from a text to something that may be executed.
//!
//! A text passes a scan of its bytes before it is parsed, since the parser recurses with the
//! text's nesting, and a count of its selections before the engine's rules see it, since those
//! take exponential time over fragments that spread each other.

mod bind;
mod collect;
mod documents;
mod hash;
mod inspect;
mod limits;
mod overlap;
mod rewrite;
mod scan;
mod settled;
mod store;
mod trusted;
mod variables;
mod weight;

use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use async_graphql::{Name, Positioned, Variables};

use super::error::{GraphqlError, RequestError};
use super::model::SchemaModel;
use super::plan::Plans;
use crate::config::Limits;
use crate::domain::Code;

pub(super) use bind::{bind, missing, run_once};
pub(super) use collect::collect;
pub(super) use documents::{Documents, Found};
pub(super) use inspect::{
    asks_about_schema, is_introspection, refuse_null_characters, require_one_event_field,
};
pub(super) use limits::check_cost;
pub(super) use overlap::refuse_overlaps;
pub(super) use settled::is_settled;
pub(super) use store::DocumentKey;
pub use trusted::TrustError;
pub(super) use trusted::TrustedDocuments;
pub(super) use variables::coerce;

/// The key under which the type of an object is asked for where the answer has to know it. Names
/// that begin so are not for schemas or clients.
pub(super) const TYPE_KEY: &str = "__gatewayType";

/// The name of the type whose fields are what can be subscribed to.
const SUBSCRIPTION: &str = "Subscription";

/// A parsed document within the limits that do not depend on variables, and what has been found
/// out about it since. [`Documents`] keeps it once one of its operations is valid.
#[derive(Debug)]
pub(super) struct StoredDocument {
    /// What was parsed.
    text: Arc<str>,
    /// The document as the client wrote it.
    pub(super) source: ExecutableDocument,
    /// The document as the engine runs it; see [`rewrite`].
    pub(super) executable: ExecutableDocument,
    /// What is known of its operations, in the order of their names.
    operations: Box<[(Option<Name>, StoredOperation)]>,
}

/// What has been found out about an operation of a document.
#[derive(Debug, Default)]
pub(super) struct StoredOperation {
    /// For which values of its variables it is valid. Nothing is known until it has been found
    /// valid once; a document that is not valid is looked at anew each time.
    pub(super) verdict: OnceLock<Verdict>,
    /// Whether a text in the document holds a character that cannot be stored.
    holds_null_character: OnceLock<bool>,
    /// How it is run.
    pub(super) plans: Plans,
}

/// For which values of its variables an operation is valid, of those that [`coerce`] lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For all of them.
    Always,
    /// For those with which it has been validated.
    ByValues,
}

impl StoredDocument {
    /// Parses `text` and checks it against `limits`.
    pub(super) fn parse(
        text: &str,
        limits: &Limits,
        model: &SchemaModel,
    ) -> Result<Self, RequestError> {
        scan::scan(text, limits)?;
        let source = async_graphql::parser::parse_query(text).map_err(|error| {
            let locations = error.positions().collect();
            let message = error.to_string();
            RequestError::from(GraphqlError {
                locations,
                ..GraphqlError::new(
                    Code::GraphqlParseFailed,
                    format!("the document does not parse: {message}"),
                )
            })
        })?;
        limits::check(&source, limits)?;
        let names = source.operations.iter().map(|(name, _)| name.cloned());
        let mut operations: Vec<_> = names
            .map(|name| (name, StoredOperation::default()))
            .collect();
        operations.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self {
            text: Arc::from(text),
            executable: rewrite::rewrite(&source, model),
            source,
            operations: operations.into(),
        })
    }

    /// The names of its operations; one may have none.
    pub(super) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.operations.iter().map(|(name, _)| name.as_deref())
    }

    /// The operation called `name`, or the only one.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<Operation<'_>, RequestError> {
        let refuse = |message: String| {
            RequestError::from(GraphqlError::new(Code::OperationResolutionFailure, message))
        };
        let (name, definition) = match (&self.source.operations, name) {
            (DocumentOperations::Single(operation), None) => (None, operation),
            (DocumentOperations::Single(_), Some(name)) => {
                return Err(refuse(format!(
                    "the document has no operation called `{name}`; its only one has no name"
                )));
            }
            (DocumentOperations::Multiple(operations), Some(name)) => operations
                .get_key_value(name)
                .map(|(name, operation)| (Some(name.as_str()), operation))
                .ok_or_else(|| refuse(format!("the document has no operation called `{name}`")))?,
            (DocumentOperations::Multiple(operations), None) => match operations.iter().next() {
                Some((name, operation)) if operations.len() == 1 => {
                    (Some(name.as_str()), operation)
                }
                _ => {
                    return Err(refuse(
                        "the document has several operations; `operationName` must say which to run"
                            .to_owned(),
                    ));
                }
            },
        };
        let place = self
            .operations
            .binary_search_by(|(known, _)| known.as_deref().cmp(&name))
            .map_err(|_| refuse("the document has no such operation".to_owned()))?;
        Ok(Operation {
            name,
            definition,
            document: self,
            stored: &self.operations[place].1,
        })
    }
}

/// The operation of a document that is to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation<'a> {
    /// Its name.
    pub(super) name: Option<&'a str>,
    /// What it is.
    pub(super) definition: &'a Positioned<OperationDefinition>,
    /// Where it stands.
    pub(super) document: &'a StoredDocument,
    /// What has been found out about it.
    pub(super) stored: &'a StoredOperation,
}

impl Operation<'_> {
    /// Whether it may change something.
    pub(super) fn is_mutation(&self) -> bool {
        self.definition.node.ty == OperationType::Mutation
    }

    /// Whether it is answered by events.
    pub(super) fn is_subscription(&self) -> bool {
        self.definition.node.ty == OperationType::Subscription
    }

    /// The name of the type whose fields it selects.
    pub(super) fn root_type(&self) -> &'static str {
        match self.definition.node.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => SUBSCRIPTION,
        }
    }
}

/// Whether a selection with these directives is part of the answer.
pub(super) fn is_included(
    directives: &[Positioned<async_graphql::parser::types::Directive>],
    variables: &Variables,
) -> bool {
    directives.iter().all(|directive| {
        let wanted = match directive.node.name.node.as_str() {
            "skip" => false,
            "include" => true,
            _ => return true,
        };
        let condition = directive
            .node
            .get_argument("if")
            .map(|value| match &value.node {
                async_graphql_value::Value::Variable(name) => {
                    variables.get(name) == Some(&async_graphql::Value::Boolean(true))
                }
                value => *value == async_graphql_value::Value::Boolean(true),
            });
        condition.is_none_or(|condition| condition == wanted)
    })
}
