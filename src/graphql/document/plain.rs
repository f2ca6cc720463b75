//! Operations that are plainly valid.
//!
//! The engine's rules take longer than all else that a new document costs, most of it for what next
//! to no document does wrong. What is seen to be right here, in one pass, need not be shown to
//! them: an operation that is alone in its document, without fragments, directives and defaults,
//! whose fields, a few in each place, have keys of their own. Of all others, and of whatever is
//! wrong, nothing is said here; the rules look at it, and there is one way of saying what is wrong.

use async_graphql::parser::types::{BaseType, Field, SelectionSet, Type};
use async_graphql::{Name, Number, Positioned};
use async_graphql_value::Value;

use super::super::model::{FieldModel, InputField, Kind, SchemaModel, innermost};
use super::Operation;
use super::overlap::distinct;
use super::settled::Look;

/// Whether an operation is valid for every value of its variables that [`super::coerce`] lets pass.
pub(in super::super) fn is_plain(operation: &Operation<'_>, model: &SchemaModel) -> bool {
    let definition = &operation.definition.node;
    let variables = &definition.variable_definitions;
    let mut plain = Plain {
        look: Look { variables, model },
        used: vec![false; variables.len()],
    };
    operation.is_alone()
        && !operation.is_subscription()
        && definition.directives.is_empty()
        && plain.variables()
        && plain.set(&definition.selection_set.node, operation.root_type())
        && plain.used.iter().all(|is_used| *is_used)
}

struct Plain<'a> {
    look: Look<'a>,
    /// Whether each variable is used.
    used: Vec<bool>,
}

impl Plain<'_> {
    /// Whether each variable has a type that is for input. That each has a name of its own need not
    /// be looked at: of two with one name the second is not used.
    fn variables(&self) -> bool {
        self.look.variables.iter().all(|variable| {
            let variable = &variable.node;
            let kind = self.look.model.kind(innermost(&variable.var_type.node));
            matches!(
                kind,
                Some(Kind::Scalar | Kind::Enum(_) | Kind::Input { .. })
            ) && variable.directives.is_empty()
                && variable.default_value.is_none()
        })
    }

    /// Whether a selection of something is of fields alone, each under a key of its own.
    fn set(&mut self, set: &SelectionSet, parent: &str) -> bool {
        distinct(set).is_some_and(|mut fields| fields.all(|field| self.field(&field.node, parent)))
    }

    fn field(&mut self, field: &Field, parent: &str) -> bool {
        let below = &field.selection_set.node;
        if !field.directives.is_empty() {
            return false;
        }
        if field.name.node == "__typename" {
            return field.arguments.is_empty() && below.items.is_empty();
        }
        let Some(definition) = self.look.model.field(parent, &field.name.node) else {
            return false;
        };
        let is_introspection = field.name.node.starts_with("__");
        let ty = definition.ty_name();
        let is_composite = self.look.model.is_composite(ty);
        !is_introspection
            && self.arguments(&field.arguments, definition)
            && is_composite != below.items.is_empty()
            && self.set(below, ty)
    }

    fn arguments(
        &mut self,
        given: &[(Positioned<Name>, Positioned<Value>)],
        definition: &FieldModel,
    ) -> bool {
        let is_given = |name: &str| given.iter().any(|(given, _)| given.node == name);
        definition
            .arguments()
            .all(|(name, argument)| is_optional(argument) || is_given(name))
            && given.iter().enumerate().all(|(place, (name, value))| {
                let mut before = given[..place].iter();
                before.all(|(one, _)| one.node != name.node)
                    && definition
                        .argument(&name.node)
                        .is_some_and(|argument| self.value(&value.node, &argument.ty))
            })
    }

    /// Whether a value fits a place of this type.
    fn value(&mut self, value: &Value, place: &Type) -> bool {
        match (value, &place.base) {
            (Value::Variable(name), _) => self.variable(name, place),
            (Value::Null, _) => place.nullable,
            (Value::List(items), BaseType::List(item)) => {
                items.iter().all(|value| self.value(value, item))
            }
            (Value::Number(number), BaseType::Named(name)) => {
                (name == "Int" || name == "ID") && is_int(number)
            }
            (Value::String(_), BaseType::Named(name)) => name == "String" || name == "ID",
            (Value::Boolean(_), BaseType::Named(name)) => name == "Boolean",
            (Value::Enum(value), BaseType::Named(name)) => {
                let kind = self.look.model.kind(name);
                matches!(kind, Some(Kind::Enum(values)) if values.contains(value.as_str()))
            }
            (Value::Object(given), BaseType::Named(name)) => {
                let kind = self.look.model.kind(name);
                let Some(Kind::Input { fields, one_of }) = kind else {
                    return false;
                };
                let is_whole = fields
                    .iter()
                    .all(|(name, field)| is_optional(field) || given.contains_key(name.as_str()));
                let fits = |(name, value): (&Name, &Value)| {
                    let field = fields.get(name.as_str());
                    field.is_some_and(|field| self.value(value, &field.ty))
                };
                !one_of && is_whole && given.iter().all(fits)
            }
            _ => false,
        }
    }

    fn variable(&mut self, name: &Name, place: &Type) -> bool {
        let mut variables = self.look.variables.iter();
        let Some(number) = variables.position(|variable| variable.node.name.node == *name) else {
            return false;
        };
        self.used[number] = true;
        self.look
            .suits(&self.look.variables[number].node.var_type.node, place)
    }
}

/// Whether it may be left out.
const fn is_optional(input: &InputField) -> bool {
    input.ty.nullable || input.has_default
}

fn is_int(number: &Number) -> bool {
    number
        .as_i64()
        .is_some_and(|number| i32::try_from(number).is_ok())
}
