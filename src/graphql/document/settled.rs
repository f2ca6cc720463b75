//! Whether an operation that is valid for some values of its variables is valid for all.
//!
//! The engine's rules look at values in one place: an argument must fit its type once its variables
//! have their values. Where a variable stands alone in its place, and [`super::coerce`] has found
//! that its value fits a type that fits the place, there is nothing left to be seen. Of what is not
//! understood here nothing is claimed.

use async_graphql::parser::types::{
    BaseType, Directive, Selection, SelectionSet, Type, VariableDefinition,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

use super::super::model::{Kind, SchemaModel, innermost};
use super::Operation;

/// Whether a valid operation is valid for every value of its variables that may be given, those that
/// are not given included. All fragments of the document count, as they do for the engine.
pub(in super::super) fn is_settled(operation: &Operation<'_>, model: &SchemaModel) -> bool {
    let definition = &operation.definition.node;
    let look = Look {
        variables: &definition.variable_definitions,
        model,
    };
    let fragments = &operation.document.fragments;
    look.directives(&definition.directives)
        && look.set(&definition.selection_set.node, operation.root_type())
        && fragments.values().all(|fragment| {
            let on = &fragment.node.type_condition.node.on.node;
            look.directives(&fragment.node.directives)
                && look.set(&fragment.node.selection_set.node, on)
        })
}

#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) variables: &'a [Positioned<VariableDefinition>],
    pub(super) model: &'a SchemaModel,
}

impl Look<'_> {
    fn set(&self, set: &SelectionSet, parent: &str) -> bool {
        set.items.iter().all(|selection| {
            let is_settled = match &selection.node {
                Selection::Field(field) => {
                    let definition = self.model.field(parent, &field.node.name.node);
                    let mut arguments = field.node.arguments.iter();
                    let below = &field.node.selection_set.node;
                    arguments.all(|(name, value)| {
                        let argument = definition.and_then(|field| field.argument(&name.node));
                        self.value(&value.node, argument.map(|argument| &argument.ty))
                    }) && (below.items.is_empty()
                        || definition.is_some_and(|field| self.set(below, field.ty_name())))
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    let on = on.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.set(&fragment.node.selection_set.node, on)
                }
                Selection::FragmentSpread(_) => true,
            };
            is_settled && self.directives(selection.node.directives())
        })
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> bool {
        let condition = Type {
            base: BaseType::Named(Name::new("Boolean")),
            nullable: false,
        };
        directives.iter().all(|directive| {
            let is_known = matches!(directive.node.name.node.as_str(), "skip" | "include");
            directive.node.arguments.iter().all(|(name, value)| {
                let is_known = is_known && name.node == "if";
                self.value(&value.node, is_known.then_some(&condition))
            })
        })
    }

    /// Whether a value fits its place, which is of this type where one is known. A value without
    /// variables was looked at when the operation was validated.
    fn value(&self, value: &Value, place: Option<&Type>) -> bool {
        if !has_variable(value) {
            return true;
        }
        let Some(place) = place else {
            return false;
        };
        match (value, &place.base) {
            (Value::Variable(name), _) => {
                self.variable(name).is_some_and(|ty| self.suits(ty, place))
            }
            (Value::List(items), BaseType::List(item)) => {
                items.iter().all(|value| self.value(value, Some(item)))
            }
            (Value::Object(given), BaseType::Named(name)) => {
                let Some(Kind::Input { fields, one_of }) = self.model.kind(name) else {
                    return false;
                };
                // A variable that is null or not given leaves nothing of the one field.
                let is_one = || {
                    given.len() == 1
                        && given.values().all(|value| match value {
                            Value::Variable(name) => {
                                self.variable(name).is_some_and(|ty| !ty.nullable)
                            }
                            _ => true,
                        })
                };
                (!one_of || is_one())
                    && given.iter().all(|(key, value)| {
                        self.value(value, fields.get(key.as_str()).map(|field| &field.ty))
                    })
            }
            _ => false,
        }
    }

    /// Whether whatever a variable of this type holds may stand in a place of that type.
    pub(super) fn suits(&self, ty: &Type, place: &Type) -> bool {
        fits(ty, place) && self.is_checked(innermost(ty), &mut vec![])
    }

    fn variable(&self, name: &Name) -> Option<&Type> {
        let mut definitions = self.variables.iter();
        let definition = definitions.find(|definition| definition.node.name.node == *name)?;
        Some(&definition.node.var_type.node)
    }

    /// Whether a value of this type has been looked at as closely as the engine would. Scalars of
    /// the schema's own know their form themselves; `JSON` has none.
    fn is_checked<'a>(&'a self, name: &'a str, seen: &mut Vec<&'a str>) -> bool {
        if matches!(name, "String" | "ID" | "Boolean" | "Int" | "Float" | "JSON")
            || seen.contains(&name)
        {
            return true;
        }
        seen.push(name);
        match self.model.kind(name) {
            Some(Kind::Enum(_)) => true,
            Some(Kind::Input { fields, .. }) => fields
                .values()
                .all(|field| self.is_checked(innermost(&field.ty), seen)),
            _ => false,
        }
    }
}

/// Whether every value of a type may stand in a place of another. A default that would make up for
/// a null does not count: null may be given.
fn fits(ty: &Type, place: &Type) -> bool {
    (place.nullable || !ty.nullable)
        && match (&ty.base, &place.base) {
            (BaseType::Named(ty), BaseType::Named(place)) => ty == place,
            (BaseType::List(ty), BaseType::List(place)) => fits(ty, place),
            _ => false,
        }
}

fn has_variable(value: &Value) -> bool {
    match value {
        Value::Variable(_) => true,
        Value::List(items) => items.iter().any(has_variable),
        Value::Object(fields) => fields.values().any(has_variable),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::StoredDocument;
    use super::*;
    use crate::config::Limits;

    const SDL: &str = "
        scalar Time
        enum Letter { A B }
        input In { id: ID ids: [ID!] letter: Letter size: Int! = 1 in: In }
        input Moment { at: Time }
        input One @oneOf { id: ID name: String }
        type Query { a(id: ID! ids: [ID!] first: Int in: In one: One at: Time moment: Moment): Query }
    ";

    fn settled(text: &str) -> bool {
        let model = SchemaModel::parse(SDL).unwrap();
        let document = StoredDocument::parse(text, &Limits::default()).unwrap();
        is_settled(&document.operation(None).unwrap(), &model)
    }

    #[test]
    fn values_that_fit_wherever_they_stand_settle_it() {
        for text in [
            "{ a(id: 1) { __typename } }",
            "query ($v: ID!) { a(id: $v) { __typename } }",
            "query ($v: Int) { a(id: 1, first: $v) { __typename } }",
            "query ($v: Int = 3) { a(id: 1, first: $v) { __typename } }",
            "query ($v: [ID!]!) { a(id: 1, ids: $v, in: {ids: $v}) { __typename } }",
            "query ($v: ID!) { a(id: 1, ids: [2, $v], in: {in: {ids: [$v], letter: A}}) { __typename } }",
            "query ($v: In) { a(id: 1, in: $v) { __typename } }",
            "query ($v: One) { a(id: 1, one: $v) { __typename } }",
            "query ($v: ID!) { a(id: 1, one: {id: $v}) { __typename } }",
            "query ($v: Boolean!) { a(id: 1) @skip(if: $v) { __typename } }",
            "query ($v: ID!) { ...F ... @include(if: true) { __typename } }
             fragment F on Query { a(id: $v) { __typename } }",
        ] {
            assert!(settled(text), "{text}");
        }
    }

    #[test]
    fn a_value_that_may_not_fit_settles_nothing() {
        for text in [
            "query ($v: ID) { a(id: $v) { __typename } }",
            "query ($v: ID = 1) { a(id: $v) { __typename } }",
            "query ($v: ID!) { a(id: 1, ids: $v) { __typename } }",
            "query ($v: [ID]) { a(id: 1, ids: $v) { __typename } }",
            "query ($v: ID) { a(id: 1, ids: [$v]) { __typename } }",
            "query ($v: Int) { a(id: 1, in: {size: $v}) { __typename } }",
            "query ($v: Int!) { a(id: $v) { __typename } }",
            "query ($v: ID) { a(id: 1, one: {id: $v}) { __typename } }",
            "query ($v: ID!) { a(id: 1, one: {id: $v, name: \"n\"}) { __typename } }",
            "query ($v: Boolean = true) { a(id: 1) @skip(if: $v) { __typename } }",
            "query ($v: Boolean) { a(id: 1) { ... @include(if: $v) { __typename } } }",
            "query ($v: ID) { a(id: 1) { ...F } } fragment F on Query { a(id: $v) { __typename } }",
        ] {
            assert!(!settled(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_settles_nothing() {
        for text in [
            "query ($v: Time) { a(id: 1, at: $v) { __typename } }",
            "query ($v: Moment) { a(id: 1, moment: $v) { __typename } }",
            "query ($v: Int) { a(id: 1, at: {b: $v}) { __typename } }",
            "query ($v: Nothing) { a(id: 1, nothing: $v) { __typename } }",
            "query ($v: Int) { nothing(id: $v) }",
            "query ($v: Int) { nothing { a(id: 1, first: $v) { __typename } } }",
            "query ($v: Int) { a(id: 1) @nothing(if: $v) { __typename } }",
            "query ($v: String!) { __type(name: $v) { name } }",
            "{ a(id: 1, first: $v) { __typename } }",
        ] {
            assert!(!settled(text), "{text}");
        }
    }
}
