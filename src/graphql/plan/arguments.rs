//! The arguments of a field.

use async_graphql::{InputType, Name, Pos, Positioned, ServerError, Value, Variables};
use async_graphql_value::Value as WrittenValue;

/// The arguments as the document gives them, and the values of the variables among them.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Arguments<'a> {
    pub(super) given: &'a [(Positioned<Name>, Positioned<WrittenValue>)],
    pub(super) variables: &'a Variables,
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
            let resolved = resolve(&value.node, self.variables)?;
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
fn resolve(written: &WrittenValue, variables: &Variables) -> Option<Value> {
    Some(match written {
        WrittenValue::Variable(name) => variables.get(name)?.clone(),
        WrittenValue::Null => Value::Null,
        WrittenValue::Number(number) => Value::Number(number.clone()),
        WrittenValue::String(text) => Value::String(text.clone()),
        WrittenValue::Boolean(value) => Value::Boolean(*value),
        WrittenValue::Binary(bytes) => Value::Binary(bytes.clone()),
        WrittenValue::Enum(name) => Value::Enum(name.clone()),
        WrittenValue::List(items) => Value::List(
            items
                .iter()
                .map(|item| resolve(item, variables).unwrap_or_default())
                .collect(),
        ),
        WrittenValue::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), resolve(value, variables)?)))
                .collect(),
        ),
    })
}
