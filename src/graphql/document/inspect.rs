//! What an operation asks for, found by looking through all of its document.

use std::collections::HashSet;

use async_graphql::parser::types::{Selection, SelectionSet};
use async_graphql::{Name, Pos, Value, Variables};
use async_graphql_value::Value as Written;

use super::super::error::{GraphqlError, RequestError};
use super::{Operation, steps};
use crate::domain::Code;

/// Refuses a subscription that does not ask for exactly one field, whose events are its answers.
/// Whether it does may not depend on variables.
pub(in super::super) fn require_one_event_field(
    operation: &Operation<'_>,
) -> Result<(), RequestError> {
    let set = &operation.definition.node.selection_set;
    let mut root = Root {
        operation,
        keys: HashSet::new(),
    };
    let problem = root.look(&set.node).err().or_else(|| {
        let message = "a subscription asks for exactly one field; subscribe once for each";
        (root.keys.len() != 1).then_some((set.pos, message))
    });
    match problem {
        None => Ok(()),
        Some((place, message)) => Err(RequestError::from(GraphqlError {
            locations: vec![place],
            ..GraphqlError::new(Code::GraphqlValidationFailed, message)
        })),
    }
}

/// The root of a subscription. Fragments have been found free of cycles by now.
struct Root<'a> {
    operation: &'a Operation<'a>,
    keys: HashSet<&'a Name>,
}

impl<'a> Root<'a> {
    fn look(&mut self, set: &'a SelectionSet) -> Result<(), (Pos, &'static str)> {
        for selection in &set.items {
            steps::count(1);
            let conditional = selection
                .node
                .directives()
                .iter()
                .any(|d| matches!(d.node.name.node.as_str(), "skip" | "include"));
            if conditional {
                let message = "the field of a subscription cannot depend on a condition";
                return Err((selection.pos, message));
            }
            match &selection.node {
                Selection::Field(field) if field.node.name.node.starts_with("__") => {
                    let message = "a subscription has no events of the schema";
                    return Err((selection.pos, message));
                }
                Selection::Field(field) => {
                    self.keys.insert(&field.node.response_key().node);
                }
                Selection::InlineFragment(fragment) => {
                    self.look(&fragment.node.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.operation.document.fragments;
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        self.look(&fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// U+0000 is text to JSON and to GraphQL, and to no database. It is refused wherever it stands.
pub(in super::super) fn refuse_null_characters(
    operation: &Operation<'_>,
    variables: &Variables,
) -> Result<(), RequestError> {
    fn in_constant(value: &Value) -> bool {
        match value {
            Value::String(text) => text.as_bytes().contains(&0),
            Value::List(items) => items.iter().any(in_constant),
            Value::Object(fields) => fields.values().any(in_constant),
            _ => false,
        }
    }
    fn in_value(value: &Written) -> bool {
        match value {
            Written::String(text) => text.as_bytes().contains(&0),
            Written::List(items) => items.iter().any(in_value),
            Written::Object(fields) => fields.values().any(in_value),
            _ => false,
        }
    }
    fn in_set(set: &SelectionSet) -> bool {
        set.items.iter().any(|selection| match &selection.node {
            Selection::Field(field) => {
                field
                    .node
                    .arguments
                    .iter()
                    .any(|(_, value)| in_value(&value.node))
                    || in_set(&field.node.selection_set.node)
            }
            Selection::InlineFragment(fragment) => in_set(&fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => false,
        })
    }

    let document = operation.document;
    let is_written = operation.stored.holds_null_character.get_or_init(|| {
        in_set(&operation.definition.node.selection_set.node)
            || document
                .fragments
                .values()
                .any(|f| in_set(&f.node.selection_set.node))
    });
    if *is_written || variables.values().any(in_constant) {
        let message = "a text holds the character U+0000, which cannot be stored; leave it out";
        return Err(GraphqlError::new(Code::BadUserInput, message).into());
    }
    Ok(())
}
