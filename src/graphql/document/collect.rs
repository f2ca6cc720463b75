//! What of an operation is part of the answer.

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::super::model::SchemaModel;
use super::{Operation, is_included, steps};

/// The fields by their keys in the order of the document, and all places that ask for each.
pub(in super::super) type Collected<'a> =
    IndexMap<&'a Name, Vec<&'a Positioned<Field>>, RandomState>;

/// The fields that `sets` ask for of an object of the type `concrete`.
pub(in super::super) fn collect<'a>(
    operation: &'a Operation<'a>,
    variables: &Variables,
    model: &SchemaModel,
    sets: &[&'a SelectionSet],
    concrete: &str,
) -> Collected<'a> {
    let mut collecting = Collecting {
        operation,
        variables,
        model,
        concrete,
        fields: IndexMap::default(),
    };
    for set in sets {
        collecting.add(set);
    }
    collecting.fields
}

struct Collecting<'a, 'b> {
    operation: &'a Operation<'a>,
    variables: &'b Variables,
    model: &'b SchemaModel,
    concrete: &'b str,
    fields: Collected<'a>,
}

impl<'a> Collecting<'a, '_> {
    fn add(&mut self, set: &'a SelectionSet) {
        for selection in &set.items {
            steps::count(1);
            if !is_included(selection.node.directives(), self.variables) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    self.fields.entry(key).or_default().push(field);
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    if on.is_none_or(|on| self.model.is_a(self.concrete, &on.node.on.node)) {
                        self.add(&fragment.node.selection_set.node);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.operation.document.fragments;
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node)
                        && self
                            .model
                            .is_a(self.concrete, &fragment.node.type_condition.node.on.node)
                    {
                        self.add(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
}
