//! The arguments of a field.

use async_graphql::{InputType, Name, Pos, Positioned, ServerError, Value};
use async_graphql_value::Value as WrittenValue;

use super::run::Values;

/// The arguments as the document gives them, and the values of the variables among them.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Arguments<'a> {
    pub(super) given: &'a [(Positioned<Name>, Positioned<WrittenValue>)],
    pub(super) values: &'a Values<'a>,
}

impl Arguments<'_> {
    /// The argument of this name. One that is a variable without a value is not given.
    pub(in super::super) fn get<T: InputType>(
        &self,
        name: &str,
        default: Option<fn() -> T>,
    ) -> Result<T, ServerError> {
        let written = self.given.iter().find(|(key, _)| key.node == name);
        let given = written.and_then(|(_, value)| {
            let resolved = resolve(&value.node, self.values)?;
            Some((value.pos, resolved))
        });
        match (given, default) {
            (None, Some(default)) => Ok(default()),
            (None, None) => T::parse(None).map_err(|error| error.into_server_error(Pos::default())),
            (Some((pos, value)), _) => {
                T::parse(Some(value)).map_err(|error| error.into_server_error(pos))
            }
        }
    }
}

/// The value of what is written; `None` if it is a variable without one. A field of an object
/// may be left out so, and a place in a list is null.
fn resolve(written: &WrittenValue, values: &Values<'_>) -> Option<Value> {
    Some(match written {
        WrittenValue::Variable(name) => values.get(name)?,
        WrittenValue::Null => Value::Null,
        WrittenValue::Number(number) => Value::Number(number.clone()),
        WrittenValue::String(text) => Value::String(text.clone()),
        WrittenValue::Boolean(value) => Value::Boolean(*value),
        WrittenValue::Binary(bytes) => Value::Binary(bytes.clone()),
        WrittenValue::Enum(name) => Value::Enum(name.clone()),
        WrittenValue::List(items) => Value::List(
            items
                .iter()
                .map(|item| resolve(item, values).unwrap_or_default())
                .collect(),
        ),
        WrittenValue::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), resolve(value, values)?)))
                .collect(),
        ),
    })
}

/// The variables in what is written, as often as they stand there.
pub(super) fn variables_in<'a>(written: &'a WrittenValue, names: &mut Vec<&'a Name>) {
    match written {
        WrittenValue::Variable(name) => names.push(name),
        WrittenValue::List(items) => items.iter().for_each(|item| variables_in(item, names)),
        WrittenValue::Object(fields) => {
            fields.values().for_each(|value| variables_in(value, names));
        }
        _ => {}
    }
}
