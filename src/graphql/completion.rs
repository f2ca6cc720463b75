//! Puts the answer of the engine together as the specification wants it.
//!
//! The engine writes fields in the order in which they finish and leaves out a field that failed,
//! whatever its type; it runs a field as often as fragments ask for it. Here the fields come in
//! the document's order, and their errors in the same, one for a field; a failed field is null,
//! and a null where none may be makes its parent null, up to the whole of `data`.

use std::fmt::Write as _;

use async_graphql::parser::types::{BaseType, Field, SelectionSet, Type};
use async_graphql::{PathSegment, Pos, Positioned, Value, Variables};
use indexmap::IndexMap;

use super::document::{Operation, TYPE_KEY, collect};
use super::error::GraphqlError;
use super::model::SchemaModel;

/// The answer to `operation` from what the engine made of it.
pub(super) fn complete(
    operation: &Operation<'_>,
    variables: &Variables,
    model: &SchemaModel,
    data: Value,
    errors: Vec<GraphqlError>,
) -> (Value, Vec<GraphqlError>) {
    let mut unplaced: IndexMap<String, Vec<GraphqlError>> = IndexMap::new();
    for error in errors {
        unplaced.entry(key(&error.path)).or_default().push(error);
    }
    let mut completion = Completion {
        operation,
        variables,
        model,
        path: Vec::new(),
        unplaced,
        errors: Vec::new(),
    };
    let root = &operation.definition.node.selection_set.node;
    let data = completion
        .object(&[root], operation.root_type(), data)
        .unwrap_or(Value::Null);
    let mut errors = completion.errors;
    errors.extend(completion.unplaced.into_values().flatten());
    (data, errors)
}

/// A path as one text, which is unique as names do not contain dots or begin with digits.
fn key(path: &[PathSegment]) -> String {
    let mut key = String::new();
    for segment in path {
        // Writing to a `String` does not fail.
        let _ = match segment {
            PathSegment::Field(name) => write!(key, ".{name}"),
            PathSegment::Index(place) => write!(key, ".{place}"),
        };
    }
    key
}

/// A null stands where none may be.
struct NullInNonNull;

struct Completion<'a> {
    operation: &'a Operation<'a>,
    variables: &'a Variables,
    model: &'a SchemaModel,
    path: Vec<PathSegment>,
    /// The errors whose position has not been reached, by path.
    unplaced: IndexMap<String, Vec<GraphqlError>>,
    errors: Vec<GraphqlError>,
}

impl<'a> Completion<'a> {
    /// `Err` if a field of the object is null and may not be.
    fn object(
        &mut self,
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
        let model = self.model;
        let fields = collect(self.operation, self.variables, model, selections, concrete);
        let mut object = Ok(IndexMap::with_capacity(fields.len()));
        for (key, same) in fields {
            let value = values.swap_remove(key.as_str()).unwrap_or_default();
            let first = same[0];
            self.path.push(PathSegment::Field(key.to_string()));
            self.place_errors(first);
            let value = match model.field(concrete, &first.node.name.node) {
                Some(definition) => {
                    let below = same.iter().map(|field| &field.node.selection_set.node);
                    let below: Vec<&SelectionSet> = below.collect();
                    self.value(&below, &definition.ty, value)
                }
                // `__typename`.
                None => Ok(value),
            };
            self.path.pop();
            object = match (object, value) {
                (Ok(mut object), Ok(value)) => {
                    object.insert(key.clone(), value);
                    Ok(object)
                }
                // The fields that follow still have errors to place.
                _ => Err(NullInNonNull),
            };
        }
        object.map(Value::Object)
    }

    /// Places what went wrong with the current field. The engine says it for each fragment that
    /// asks for the field; the first is enough.
    fn place_errors(&mut self, first: &Positioned<Field>) {
        if self.unplaced.is_empty() {
            return;
        }
        let Some(here) = self.unplaced.get_mut(&key(&self.path)) else {
            return;
        };
        let mut here = std::mem::take(here);
        let values = first.node.arguments.iter().map(|(_, value)| value.pos);
        let places: Vec<Pos> = std::iter::once(first.pos).chain(values).collect();
        let of_first =
            |error: &GraphqlError| error.locations.iter().any(|pos| places.contains(pos));
        let at = here.iter().position(of_first).unwrap_or(0);
        self.errors.extend(here.drain(..).nth(at));
    }

    fn value(
        &mut self,
        below: &[&'a SelectionSet],
        ty: &Type,
        value: Value,
    ) -> Result<Value, NullInNonNull> {
        let value = match (value, &ty.base) {
            (Value::Null, _) => Value::Null,
            (Value::List(items), BaseType::List(inner)) => {
                let mut list = Ok(Vec::with_capacity(items.len()));
                for (i, item) in items.into_iter().enumerate() {
                    self.path.push(PathSegment::Index(i));
                    let item = self.value(below, inner, item);
                    self.path.pop();
                    list = match (list, item) {
                        (Ok(mut list), Ok(item)) => {
                            list.push(item);
                            Ok(list)
                        }
                        _ => Err(NullInNonNull),
                    };
                }
                list.map_or(Value::Null, Value::List)
            }
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
        let document = StoredDocument::parse(query, &limits).unwrap();
        let operation = document.operation(None).unwrap();
        let variables = coerce(&operation, Variables::default(), &model, &limits).unwrap();
        let data = Value::from_json(data).unwrap();
        let (data, _) = complete(&operation, &variables, &model, data, Vec::new());
        serde_json::to_string(&data).unwrap()
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
