//! Roughly how many bytes a parsed document takes in memory.

use async_graphql::parser::types::{
    Directive, ExecutableDocument, FragmentDefinition, OperationDefinition, Selection,
    SelectionSet, VariableDefinition,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

/// What an allocation costs beside its contents.
const ALLOCATION: usize = 16;

/// The bytes of a document, its text not counted.
pub(super) fn weight(document: &ExecutableDocument) -> usize {
    let operations = document.operations.iter().map(|(key, operation)| {
        let operation = &operation.node;
        let variables = operation.variable_definitions.iter();
        size_of::<Positioned<OperationDefinition>>()
            + key.map_or(0, name)
            + variables.map(|v| variable(&v.node)).sum::<usize>()
            + directives(&operation.directives)
            + set(&operation.selection_set.node)
    });
    let fragments = document.fragments.iter().map(|(key, fragment)| {
        size_of::<Positioned<FragmentDefinition>>()
            + name(key)
            + name(&fragment.node.type_condition.node.on.node)
            + directives(&fragment.node.directives)
            + set(&fragment.node.selection_set.node)
    });
    size_of::<ExecutableDocument>() + operations.sum::<usize>() + fragments.sum::<usize>()
}

fn set(set: &SelectionSet) -> usize {
    let items = set.items.iter().map(|selection| {
        let below = match &selection.node {
            Selection::Field(field) => {
                let field = &field.node;
                let alias = field.alias.as_ref().map_or(0, |alias| name(&alias.node));
                name(&field.name.node)
                    + alias
                    + arguments(&field.arguments)
                    + self::set(&field.selection_set.node)
            }
            Selection::InlineFragment(fragment) => {
                let on = fragment.node.type_condition.as_ref();
                on.map_or(0, |on| name(&on.node.on.node))
                    + self::set(&fragment.node.selection_set.node)
            }
            Selection::FragmentSpread(spread) => name(&spread.node.fragment_name.node),
        };
        below + directives(selection.node.directives())
    });
    ALLOCATION + set.items.capacity() * size_of::<Positioned<Selection>>() + items.sum::<usize>()
}

fn variable(definition: &VariableDefinition) -> usize {
    let default = definition.default_value.as_ref();
    size_of::<Positioned<VariableDefinition>>()
        + name(&definition.name.node)
        + definition.var_type.node.to_string().len()
        + directives(&definition.directives)
        + default.map_or(0, |value| self::value(&value.node.clone().into_value()))
}

fn directives(directives: &[Positioned<Directive>]) -> usize {
    let each = directives
        .iter()
        .map(|directive| name(&directive.node.name.node) + arguments(&directive.node.arguments));
    size_of_val(directives) + each.sum::<usize>()
}

fn arguments(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> usize {
    let each = arguments
        .iter()
        .map(|(key, value)| name(&key.node) + self::value(&value.node));
    size_of_val(arguments) + each.sum::<usize>()
}

/// What a value takes beside its own place.
fn value(value: &Value) -> usize {
    match value {
        Value::Variable(text) | Value::Enum(text) => name(text),
        Value::String(text) => ALLOCATION + text.len(),
        Value::Binary(bytes) => ALLOCATION + bytes.len(),
        Value::List(items) => {
            let below: usize = items.iter().map(self::value).sum();
            ALLOCATION + size_of_val(items.as_slice()) + below
        }
        Value::Object(fields) => {
            // A place in the map holds a hash and an index beside its key and its value.
            let place = size_of::<(Name, Value)>() + 2 * size_of::<u64>();
            let each = fields
                .iter()
                .map(|(key, value)| name(key) + self::value(value));
            ALLOCATION + fields.len() * place + each.sum::<usize>()
        }
        Value::Null | Value::Number(_) | Value::Boolean(_) => 0,
    }
}

fn name(name: &Name) -> usize {
    ALLOCATION + name.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight_of(text: &str) -> usize {
        weight(&async_graphql::parser::parse_query(text).unwrap())
    }

    #[test]
    fn whatever_a_document_holds_weighs_something() {
        let bare = weight_of("{ a }");
        for text in [
            "{ a b }",
            "{ b: a }",
            "{ a { b } }",
            "{ a @skip(if: true) }",
            "{ a(b: 1) }",
            "{ ... { a } }",
            "query ($v: Int) { a }",
            "{ ...F } fragment F on A { a }",
        ] {
            assert!(weight_of(text) > bare, "{text}");
        }
        let value = |value: &str| weight_of(&format!("{{ a(b: {value}) }}"));
        assert!(value("[1, 2, 3]") > value("[1]"));
        assert!(value("{c: 1}") > value("{}"));
        assert!(value("\"abc\"") > value("\"\""));
        assert!(
            weight_of("query ($v: String = \"abc\") { a }") > weight_of("query ($v: String) { a }")
        );
    }

    #[test]
    fn a_document_weighs_more_than_its_text() {
        let text = format!("{{ {} }}", "user(id: 1) { id name } ".repeat(100));
        assert!(weight_of(&text) > text.len());
    }
}
