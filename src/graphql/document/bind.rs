//! What is changed of a document once the values of its variables are known. As with
//! [`super::rewrite()`], none of this is seen in the answer.

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, InlineFragment,
    OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;

use super::super::model::SchemaModel;
use super::rewrite::rewrite;
use super::{Operation, is_included, steps};

/// The document as the engine runs it, without what depends on variables that have no value.
pub(in super::super) fn bind(
    operation: &Operation<'_>,
    variables: &Variables,
    model: &SchemaModel,
) -> ExecutableDocument {
    let mut document = rewrite(operation.document, model);
    let missing: HashSet<&Name> = missing(operation, variables).collect();
    if !missing.is_empty() {
        leave_out(&mut document, &missing);
    }
    document
}

/// The variables of the operation that have no value.
pub(in super::super) fn missing<'a>(
    operation: &Operation<'a>,
    variables: &'a Variables,
) -> impl Iterator<Item = &'a Name> {
    let declared = &operation.definition.node.variable_definitions;
    declared
        .iter()
        .map(|definition| &definition.node.name.node)
        .filter(|name| !variables.contains_key(*name))
}

/// Takes out the arguments and input fields whose value is a variable that has none. The engine
/// would take them for null, which overrides a default, is refused in a filter, and in an update
/// is a change.
fn leave_out(document: &mut ExecutableDocument, missing: &HashSet<&Name>) {
    let mut leaving = Leaving {
        missing,
        left_out: HashSet::new(),
    };
    for operation in operations(document) {
        leaving.directives(&mut operation.node.directives);
        leaving.set(&mut operation.node.selection_set.node);
    }
    for fragment in document.fragments.values_mut() {
        leaving.directives(&mut fragment.node.directives);
        leaving.set(&mut fragment.node.selection_set.node);
    }
    let left_out = leaving.left_out;
    for operation in operations(document) {
        // They were used, so the rule against unused variables must not see them; one that is
        // declared twice stays for the rule against that.
        let mut left_out = left_out.clone();
        let definitions = &mut operation.node.variable_definitions;
        definitions.retain(|definition| !left_out.remove(&definition.node.name.node));
    }
}

fn operations(document: &mut ExecutableDocument) -> Vec<&mut Positioned<OperationDefinition>> {
    match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    }
}

struct Leaving<'a> {
    missing: &'a HashSet<&'a Name>,
    left_out: HashSet<Name>,
}

impl Leaving<'_> {
    fn set(&mut self, set: &mut SelectionSet) {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    self.arguments(&mut field.node.arguments);
                    self.directives(&mut field.node.directives);
                    self.set(&mut field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&mut fragment.node.directives);
                    self.set(&mut fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => self.directives(&mut spread.node.directives),
            }
        }
    }

    fn directives(&mut self, directives: &mut [Positioned<Directive>]) {
        for directive in directives {
            self.arguments(&mut directive.node.arguments);
        }
    }

    fn arguments(&mut self, arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>) {
        arguments.retain(|(_, value)| !self.is_missing(&value.node));
        for (_, value) in arguments {
            self.value(&mut value.node);
        }
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, value| !self.is_missing(value));
                fields.values_mut().for_each(|value| self.value(value));
            }
            Value::List(items) => {
                for item in items {
                    // A place in a list cannot be left out.
                    if self.is_missing(item) {
                        *item = Value::Null;
                    }
                    self.value(item);
                }
            }
            _ => {}
        }
    }

    fn is_missing(&mut self, value: &Value) -> bool {
        match value {
            Value::Variable(name) if self.missing.contains(name) => {
                self.left_out.insert(name.clone());
                true
            }
            _ => false,
        }
    }
}

/// Makes one field of those that stand under one key, wherever in the fragments of a mutation or
/// of a subscription. The engine would run each, and of a subscription none in a fragment.
pub(in super::super) fn run_once(
    operation: &Operation<'_>,
    variables: &Variables,
    document: &mut ExecutableDocument,
) {
    if !(operation.is_mutation() || operation.is_subscription()) {
        return;
    }
    let name = operation.name;
    let ExecutableDocument {
        operations,
        fragments,
    } = document;
    let operation = match operations {
        DocumentOperations::Single(operation) => operation,
        DocumentOperations::Multiple(operations) => {
            let found = operations
                .iter_mut()
                .find(|(key, _)| Some(key.as_str()) == name);
            let Some((_, operation)) = found else {
                return;
            };
            operation
        }
    };
    let place = operation.node.selection_set.pos;
    let set = &mut operation.node.selection_set.node;
    let mut fields: Vec<Positioned<Field>> = Vec::new();
    let mut is_changed = false;
    collect(
        &set.items,
        fragments,
        variables,
        &mut |field, is_direct| {
            let same = fields
                .iter_mut()
                .find(|kept| is_same(&kept.node, &field.node));
            is_changed |= same.is_some() || !is_direct;
            match same {
                Some(kept) => {
                    let items = &field.node.selection_set.node.items;
                    kept.node
                        .selection_set
                        .node
                        .items
                        .extend(items.iter().cloned());
                }
                None => fields.push(field.clone()),
            }
        },
        true,
    );
    if !is_changed {
        return;
    }
    // What the client wrote stays where the engine's rules see it, and is not run.
    let written = InlineFragment {
        type_condition: None,
        directives: vec![Positioned::new(
            Directive {
                name: Positioned::new(Name::new("skip"), place),
                arguments: vec![(
                    Positioned::new(Name::new("if"), place),
                    Positioned::new(Value::Boolean(true), place),
                )],
            },
            place,
        )],
        selection_set: Positioned::new(std::mem::take(set), place),
    };
    set.items = fields
        .into_iter()
        .map(|field| Positioned::new(Selection::Field(field), place))
        .collect();
    let written = Selection::InlineFragment(Positioned::new(written, place));
    set.items.push(Positioned::new(written, place));
}

/// Hands over the fields of a selection set that are part of the answer, and whether each stands
/// in the set itself rather than in a fragment.
fn collect(
    items: &[Positioned<Selection>],
    fragments: &std::collections::HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &Variables,
    each: &mut impl FnMut(&Positioned<Field>, bool),
    is_direct: bool,
) {
    for selection in items {
        steps::count(1);
        if !is_included(selection.node.directives(), variables) {
            continue;
        }
        match &selection.node {
            Selection::Field(field) => each(field, is_direct),
            Selection::InlineFragment(fragment) => {
                let below = &fragment.node.selection_set.node.items;
                collect(below, fragments, variables, each, false);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    let below = &fragment.node.selection_set.node.items;
                    collect(below, fragments, variables, each, false);
                }
            }
        }
    }
}

/// Whether two fields stand for the same; others under one key are refused by a rule.
pub(super) fn is_same(one: &Field, other: &Field) -> bool {
    steps::count(1 + one.arguments.len());
    std::ptr::eq(one, other)
        || one.response_key().node == other.response_key().node
            && one.name.node == other.name.node
            && one.arguments.len() == other.arguments.len()
            && arguments(one) == arguments(other)
}

/// The arguments of a field by their names.
fn arguments(field: &Field) -> Vec<(&Name, &Value)> {
    let arguments = field.arguments.iter();
    let mut arguments: Vec<_> = arguments
        .map(|(name, value)| (&name.node, &value.node))
        .collect();
    arguments.sort_by_key(|(name, _)| *name);
    arguments
}
