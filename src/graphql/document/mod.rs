//! Documents: from a text to something that may be executed.
//!
//! A text passes a scan of its bytes before it is parsed, since the parser recurses with the
//! text's nesting, and a linear count of what it selects, since expanding fragments that spread each
//! other takes exponential time. The count bounds all later work ([`limits`]).

mod batch;
mod bind;
mod collect;
mod documents;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod hash;
mod inspect;
mod limits;
mod overlap;
mod plain;
mod read;
mod rewrite;
mod scan;
mod settled;
mod steps;
mod store;
mod trusted;
mod variables;
mod weight;
#[cfg(test)]
mod worst;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
};
use async_graphql::{Name, Positioned, Variables};

use super::error::{GraphqlError, RequestError};
use super::plan::Plans;
use crate::config::Limits;
use crate::domain::Code;

pub use batch::BatchAllowance;
pub(super) use bind::{bind, missing, run_once};
pub(super) use collect::collect;
pub(super) use documents::{Documents, Found};
pub(super) use inspect::{refuse_null_characters, require_one_event_field};
pub(super) use limits::check_cost;
pub(super) use overlap::refuse_overlaps;
pub(super) use plain::is_plain;
pub(super) use rewrite::rewrite;
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
    /// Its fragments, as the client wrote them.
    pub(super) fragments: HashMap<Name, Positioned<FragmentDefinition>>,
    /// Its operations, in the order of their names.
    operations: Box<[StoredOperation]>,
    /// The uses of variables in it.
    variables: usize,
    /// Roughly how many bytes all of this takes.
    bytes: usize,
}

/// An operation of a document, and what has been found out about it.
#[derive(Debug)]
pub(super) struct StoredOperation {
    name: Option<Name>,
    /// The operation as the client wrote it.
    definition: Positioned<OperationDefinition>,
    /// For which values of its variables it is valid. Nothing is known until it has been found
    /// valid once; a document that is not valid is looked at anew each time.
    pub(super) verdict: OnceLock<Verdict>,
    /// Whether a text in the document holds a character that cannot be stored.
    holds_null_character: OnceLock<bool>,
    /// Its sums, which do not depend on variables.
    sums: limits::Sums,
    /// Its demand, if that does not depend on variables.
    demand: OnceLock<limits::Demand>,
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
    pub(super) fn parse(text: &str, limits: &Limits) -> Result<Self, RequestError> {
        scan::scan(text, limits)?;
        let source = match read::read(text) {
            Some(source) => source,
            None => parse(text)?,
        };
        // The plan of an operation is about as large as its source.
        let bytes = 2 * weight::weight(&source);
        let ExecutableDocument {
            operations,
            fragments,
        } = source;
        let mut operations: Vec<_> = match operations {
            DocumentOperations::Single(operation) => vec![StoredOperation::new(None, operation)],
            DocumentOperations::Multiple(operations) => operations
                .into_iter()
                .map(|(name, operation)| StoredOperation::new(Some(name), operation))
                .collect(),
        };
        operations.sort_by(|one, other| one.name.cmp(&other.name));
        let variables = limits::check(&mut operations, &fragments, limits)?;
        Ok(Self {
            text: Arc::from(text),
            fragments,
            operations: operations.into(),
            variables,
            bytes: text.len() + bytes,
        })
    }

    /// The names of its operations; one may have none.
    pub(super) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.operations.iter().map(|known| known.name.as_deref())
    }

    /// The operation called `name`, or the only one.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<Operation<'_>, RequestError> {
        self.place(name).map(|place| self.at(place))
    }

    /// Where the operation stands that is called `name`, or the only one.
    pub(super) fn place(&self, name: Option<&str>) -> Result<usize, RequestError> {
        let refuse = |message: String| {
            RequestError::from(GraphqlError::new(Code::OperationResolutionFailure, message))
        };
        match (&*self.operations, name) {
            ([_], None) => Ok(0),
            ([StoredOperation { name: None, .. }], Some(name)) => Err(refuse(format!(
                "the document has no operation called `{name}`; its only one has no name"
            ))),
            (operations, Some(name)) => operations
                .binary_search_by(|known| known.name.as_deref().cmp(&Some(name)))
                .map_err(|_| refuse(format!("the document has no operation called `{name}`"))),
            (_, None) => Err(refuse(
                "the document has several operations; `operationName` must say which to run"
                    .to_owned(),
            )),
        }
    }

    /// The operation at a place that [`StoredDocument::place`] has found.
    pub(super) fn at(&self, place: usize) -> Operation<'_> {
        let stored = &self.operations[place];
        Operation {
            name: stored.name.as_deref(),
            definition: &stored.definition,
            document: self,
            stored,
        }
    }
}

impl StoredOperation {
    fn new(name: Option<Name>, definition: Positioned<OperationDefinition>) -> Self {
        Self {
            name,
            definition,
            verdict: OnceLock::new(),
            holds_null_character: OnceLock::new(),
            sums: limits::Sums::default(),
            demand: OnceLock::new(),
            plans: Plans::default(),
        }
    }
}

/// Parses a text, or says what is wrong with it.
fn parse(text: &str) -> Result<ExecutableDocument, RequestError> {
    async_graphql::parser::parse_query(text).map_err(|error| {
        let locations = error.positions().collect();
        let message = error.to_string();
        RequestError::from(GraphqlError {
            locations,
            ..GraphqlError::new(
                Code::GraphqlParseFailed,
                format!("the document does not parse: {message}"),
            )
        })
    })
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

    /// Whether there is nothing beside it in its document.
    fn is_alone(&self) -> bool {
        self.document.operations.len() == 1 && self.document.fragments.is_empty()
    }

    /// Whether its document is so short that errors may suggest names, which takes time for each unknown
    /// name.
    pub(super) fn is_short(&self) -> bool {
        const SHORT: usize = 8 * 1024;
        self.document.text.len() <= SHORT
    }

    /// Whether it is answered by events.
    pub(super) fn is_subscription(&self) -> bool {
        self.definition.node.ty == OperationType::Subscription
    }

    /// Whether it asks about the schema, itself or in fragments.
    pub(super) fn asks_about_schema(&self) -> bool {
        self.stored.sums.introspections > 0
    }

    /// Whether it is a query that asks about nothing but the schema.
    pub(super) fn is_introspection(&self) -> bool {
        self.definition.node.ty == OperationType::Query && self.stored.sums.fields == 0
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
