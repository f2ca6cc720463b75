//! Variables: what the client gave, made to fit what the operation declares.
//!
//! The engine looks at a value where it is used; here it is looked at where it is declared, as
//! the specification has it, so that a wrong one is refused before anything runs.

use async_graphql::parser::types::{BaseType, Type, VariableDefinition};
use async_graphql::{Name, Number, Value, Variables};

use super::super::error::{GraphqlError, RequestError};
use super::super::model::{Kind, SchemaModel};
use super::Operation;
use crate::config::Limits;
use crate::domain::Code;

/// The values of an operation's variables, defaults filled in. What it does not declare is
/// ignored.
pub(in super::super) fn coerce(
    operation: &Operation<'_>,
    mut given: Variables,
    model: &SchemaModel,
    limits: &Limits,
) -> Result<Variables, RequestError> {
    let definitions = &operation.definition.node.variable_definitions;
    let mut errors = Vec::new();
    for definition in definitions {
        let name = &definition.node.name.node;
        let coerced = match given.get_mut(name) {
            Some(value) => check_given(&definition.node, value, model, limits),
            None => default_of(&definition.node).map(|default| {
                given.extend(default.map(|value| (name.clone(), value)));
            }),
        };
        if let Err(problem) = coerced {
            errors.push(GraphqlError {
                locations: vec![definition.pos],
                ..GraphqlError::new(
                    Code::BadUserInput,
                    format!("the variable `${name}` {problem}"),
                )
            });
        }
    }
    if !errors.is_empty() {
        return Err(RequestError { errors });
    }
    let declared = || {
        definitions
            .iter()
            .map(|definition| &definition.node.name.node)
    };
    if declared().filter(|name| given.contains_key(*name)).count() < given.len() {
        let mut all = given;
        given = Variables::default();
        given.extend(declared().filter_map(|name| all.remove_entry(name)));
    }
    Ok(given)
}

/// What a variable is worth that is not given, if anything.
fn default_of(definition: &VariableDefinition) -> Result<Option<Value>, String> {
    let ty = &definition.var_type.node;
    match &definition.default_value {
        Some(default) => Ok(Some(default.node.clone())),
        None if ty.nullable => Ok(None),
        None => Err(format!("of the type `{ty}` is required and not given")),
    }
}

fn check_given(
    definition: &VariableDefinition,
    value: &mut Value,
    model: &SchemaModel,
    limits: &Limits,
) -> Result<(), String> {
    let ty = &definition.var_type.node;
    check(value, ty, model, limits).map_err(|fault| {
        if fault.path.is_empty() {
            format!("of the type `{ty}` is wrong: {}", fault.message)
        } else {
            format!(
                "of the type `{ty}` is wrong at `{}`: {}",
                fault.path, fault.message
            )
        }
    })
}

/// What is wrong with a value, and where in it.
struct Fault {
    path: String,
    message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    fn within(mut self, step: &str) -> Self {
        self.path = if self.path.is_empty() {
            step.to_owned()
        } else {
            format!("{step}.{}", self.path)
        };
        self
    }
}

/// Checks a value and gives it the form that the engine knows.
fn check(value: &mut Value, ty: &Type, model: &SchemaModel, limits: &Limits) -> Result<(), Fault> {
    match (&mut *value, &ty.base) {
        (Value::Null, _) if ty.nullable => Ok(()),
        (Value::Null, _) => Err(Fault::new("null is not allowed")),
        (Value::List(items), BaseType::List(inner)) => {
            if items.len() > limits.list_items {
                return Err(Fault::new(format!(
                    "the list has {} items, more than the {} allowed",
                    items.len(),
                    limits.list_items
                )));
            }
            for (i, item) in items.iter_mut().enumerate() {
                check(item, inner, model, limits).map_err(|fault| fault.within(&i.to_string()))?;
            }
            Ok(())
        }
        // A single value stands for a list of one.
        (_, BaseType::List(inner)) => check(value, inner, model, limits),
        (_, BaseType::Named(name)) => check_named(value, name, model, limits),
    }
}

fn check_named(
    value: &mut Value,
    name: &Name,
    model: &SchemaModel,
    limits: &Limits,
) -> Result<(), Fault> {
    let wanted = |what: &str| Err(Fault::new(format!("{what} is wanted")));
    match (name.as_str(), &*value) {
        ("String" | "ID", Value::String(_))
        | ("Boolean", Value::Boolean(_))
        | ("Float", Value::Number(_)) => return Ok(()),
        ("Int", Value::Number(number)) => {
            let Some(number) = whole(number) else {
                return wanted("a whole number of 32 bits");
            };
            *value = Value::Number(number.into());
            return Ok(());
        }
        ("ID", Value::Number(number)) if number.is_i64() || number.is_u64() => {
            *value = Value::String(number.to_string());
            return Ok(());
        }
        ("String", _) => return wanted("a text"),
        ("Boolean", _) => return wanted("true or false"),
        ("Int", _) => return wanted("a whole number"),
        ("Float", _) => return wanted("a number"),
        ("ID", _) => return wanted("an id, a text or a whole number,"),
        _ => {}
    }
    match (model.kind(name), &mut *value) {
        (Some(Kind::Enum(values)), Value::String(text)) if values.contains(text.as_str()) => Ok(()),
        (Some(Kind::Enum(values)), _) => {
            let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
            values.sort_unstable();
            wanted(&format!("one of {}", values.join(", ")))
        }
        (Some(Kind::Input { fields, one_of }), Value::Object(given)) => {
            for (key, value) in given.iter_mut() {
                let field = fields
                    .get(key.as_str())
                    .ok_or_else(|| Fault::new(format!("`{name}` has no field `{key}`")))?;
                check(value, &field.ty, model, limits).map_err(|fault| fault.within(key))?;
            }
            let missing = fields.iter().find(|(key, field)| {
                !field.ty.nullable && !field.has_default && !given.contains_key(key.as_str())
            });
            if let Some((key, field)) = missing {
                return Err(Fault::new(format!(
                    "the field `{key}` of the type `{}` is required",
                    field.ty
                )));
            }
            if *one_of && (given.len() != 1 || given.values().any(|value| *value == Value::Null)) {
                return wanted(&format!("exactly one field of `{name}`, and not null,"));
            }
            Ok(())
        }
        (Some(Kind::Input { .. }), _) => wanted("an object"),
        // Other scalars know their own form; a type that does not exist fails validation.
        _ => Ok(()),
    }
}

/// A number as the 32 bits of an `Int`; JSON does not tell 2 from 2.0.
fn whole(number: &Number) -> Option<i32> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number without a fraction and within the bounds is kept whole"
    )]
    number
        .as_i64()
        .or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 2_147_483_649.0).then_some(float as i64)
        })
        .and_then(|number| i32::try_from(number).ok())
}
