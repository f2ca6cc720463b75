//! Puts the answer together as the specification wants it.
//!
//! The engine writes fields in the order in which they finish and leaves out a field that failed,
//! whatever its type. Here the fields come in the document's order, a failed field is null, and a
//! null where none may be makes its parent null, up to the whole of `data`.

use async_graphql::parser::types::{BaseType, Field, Selection, SelectionSet, Type};
use async_graphql::{Name, Value, Variables};
use indexmap::IndexMap;

use super::document::{Operation, TYPE_KEY, is_included};
use super::model::SchemaModel;

/// The answer to `operation` from what the engine made of it.
pub(super) fn complete(
    operation: &Operation<'_>,
    variables: &Variables,
    model: &SchemaModel,
    data: Value,
) -> Value {
    let completion = Completion {
        operation,
        variables,
        model,
    };
    let root = &operation.definition.node.selection_set.node;
    completion
        .object(&[root], operation.root_type(), data)
        .unwrap_or(Value::Null)
}

/// A null stands where none may be.
struct NullInNonNull;

struct Completion<'a> {
    operation: &'a Operation<'a>,
    variables: &'a Variables,
    model: &'a SchemaModel,
}

impl<'a> Completion<'a> {
    /// `Err` if a field of the object is null and may not be.
    fn object(
        &self,
        selections: &[&'a SelectionSet],
        ty: &str,
        value: Value,
    ) -> Result<Value, NullInNonNull> {
        let Value::Object(mut values) = value else {
            return Ok(Value::Null);
        };
        let concrete = values.swap_remove(TYPE_KEY);
        let concrete = match &concrete {
            Some(Value::String(name)) => name.as_str(),
            _ => ty,
        };
        let mut fields = IndexMap::new();
        for set in selections {
            self.collect(set, concrete, &mut fields);
        }
        let mut object = IndexMap::with_capacity(fields.len());
        for (key, same) in fields {
            let value = values.swap_remove(key.as_str()).unwrap_or_default();
            let first = same[0];
            let value = match self.model.field(concrete, &first.name.node) {
                Some(definition) => {
                    let below: Vec<&SelectionSet> =
                        same.iter().map(|field| &field.selection_set.node).collect();
                    self.value(&below, &definition.ty, value)?
                }
                // `__typename`.
                None => value,
            };
            object.insert(key.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn value(
        &self,
        below: &[&'a SelectionSet],
        ty: &Type,
        value: Value,
    ) -> Result<Value, NullInNonNull> {
        let value = match (value, &ty.base) {
            (Value::Null, _) => Value::Null,
            (Value::List(items), BaseType::List(inner)) => items
                .into_iter()
                .map(|item| self.value(below, inner, item))
                .collect::<Result<_, _>>()
                .map_or(Value::Null, Value::List),
            (value, BaseType::Named(name)) if self.model.is_composite(name) => {
                self.object(below, name, value).unwrap_or(Value::Null)
            }
            (value, _) => value,
        };
        if value == Value::Null && !ty.nullable {
            Err(NullInNonNull)
        } else {
            Ok(value)
        }
    }

    /// The fields of an object in the document's order, with all selections of each.
    fn collect(
        &self,
        set: &'a SelectionSet,
        concrete: &str,
        fields: &mut IndexMap<&'a Name, Vec<&'a Field>>,
    ) {
        for selection in &set.items {
            if !is_included(selection.node.directives(), self.variables) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    fields
                        .entry(&field.node.response_key().node)
                        .or_default()
                        .push(&field.node);
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    if on.is_none_or(|on| self.model.is_a(concrete, &on.node.on.node)) {
                        self.collect(&fragment.node.selection_set.node, concrete, fields);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.operation.document.source.fragments;
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node)
                        && self
                            .model
                            .is_a(concrete, &fragment.node.type_condition.node.on.node)
                    {
                        self.collect(&fragment.node.selection_set.node, concrete, fields);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Value;
    use serde_json::json;

    use super::*;
    use crate::config::Limits;
    use crate::graphql::document::{StoredDocument, coerce};

    const SDL: &str = "
        type Query { a: A strict: A! node: Node list: [A!] loose: [A]! }
        interface Node { id: ID! }
        type A implements Node { id: ID! name: String other: A strict: A! }
        type B implements Node { id: ID! name: String }
    ";

    /// What becomes of `data` as the answer to `query`.
    fn completed(query: &str, data: serde_json::Value) -> String {
        let model = SchemaModel::parse(SDL).unwrap();
        let limits = Limits::default();
        let document = StoredDocument::parse(query, &limits, &model).unwrap();
        let operation = document.operation(None).unwrap();
        let variables = coerce(&operation, serde_json::Map::new(), &model, &limits).unwrap();
        let data = Value::from_json(data).unwrap();
        serde_json::to_string(&complete(&operation, &variables, &model, data)).unwrap()
    }

    #[test]
    fn fields_come_in_the_order_of_the_document() {
        assert_eq!(
            completed(
                "{ x: a { name ...F id } strict { id } } fragment F on A { o: other { id } name }",
                json!({"strict": {"id": "2"}, "x": {"o": {"id": "3"}, "id": "1", "name": "n"}}),
            ),
            r#"{"x":{"name":"n","o":{"id":"3"},"id":"1"},"strict":{"id":"2"}}"#
        );
    }

    #[test]
    fn the_order_behind_an_interface_is_that_of_the_fragments_of_its_type() {
        let query = "{ node { ... on A { name id } ... on B { id name } } }";
        let node = |ty| json!({"node": {"id": "1", "name": "n", TYPE_KEY: ty}});
        assert_eq!(
            completed(query, node("A")),
            r#"{"node":{"name":"n","id":"1"}}"#
        );
        assert_eq!(
            completed(query, node("B")),
            r#"{"node":{"id":"1","name":"n"}}"#
        );
    }

    #[test]
    fn a_failed_field_is_null_and_a_failed_non_null_field_makes_its_parent_null() {
        assert_eq!(
            completed("{ a { id name } }", json!({"a": {"id": "1"}})),
            r#"{"a":{"id":"1","name":null}}"#
        );
        assert_eq!(
            completed("{ a { id name } }", json!({"a": {"name": "n"}})),
            r#"{"a":null}"#
        );
        assert_eq!(
            completed(
                "{ a { id strict { strict { id } } } }",
                json!({"a": {"id": "1", "strict": {}}})
            ),
            r#"{"a":null}"#
        );
    }

    #[test]
    fn a_null_without_a_nullable_parent_makes_data_null() {
        assert_eq!(
            completed("{ strict { id } a { id } }", json!({"a": {"id": "1"}})),
            "null"
        );
        assert_eq!(
            completed(
                "{ strict { strict { id } } }",
                json!({"strict": {"strict": {}}})
            ),
            "null"
        );
    }

    #[test]
    fn a_null_item_makes_the_list_null_unless_items_may_be() {
        let items = json!([{"id": "1"}, {"name": "n"}]);
        assert_eq!(
            completed("{ list { id } }", json!({"list": items})),
            r#"{"list":null}"#
        );
        assert_eq!(
            completed("{ loose { id } }", json!({"loose": items})),
            r#"{"loose":[{"id":"1"},null]}"#
        );
    }

    #[test]
    fn an_object_of_which_everything_is_skipped_is_empty_and_not_null() {
        assert_eq!(
            completed(
                "{ a { id @skip(if: true) } }",
                json!({"a": {TYPE_KEY: "A"}})
            ),
            r#"{"a":{}}"#
        );
    }
}
