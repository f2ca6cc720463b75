//! Fields under one key must be one field.
//!
//! The engine has a rule of this, which compares fields only with those of their own selection set
//! and lets pass what a fragment asks for differently. It would run both and answer with either.

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned};
use foldhash::fast::RandomState;
use foldhash::{HashSet, HashSetExt as _};
use indexmap::IndexMap;

use super::super::error::{GraphqlError, RequestError};
use super::super::model::SchemaModel;
use super::bind::is_same;
use super::{Operation, steps};
use crate::domain::Code;

/// Refuses an operation that asks under one key for fields that differ, in name or arguments, of
/// objects that may be the same.
pub(in super::super) fn refuse_overlaps(
    operation: &Operation<'_>,
    model: &SchemaModel,
) -> Result<(), RequestError> {
    let set = &operation.definition.node.selection_set.node;
    let look = Look { operation, model };
    match look.merged(&[(set, operation.root_type())]) {
        Some((one, other)) => Err(RequestError::from(GraphqlError {
            locations: vec![one.pos, other.pos],
            ..GraphqlError::new(
                Code::GraphqlValidationFailed,
                format!(
                    "`{}` is asked for in two ways; give one of them an alias",
                    one.node.response_key().node
                ),
            )
        })),
        None => Ok(()),
    }
}

/// A field, and the type of the object that it is asked of.
type Asked<'a> = (&'a Positioned<Field>, &'a str);

struct Look<'a> {
    operation: &'a Operation<'a>,
    model: &'a SchemaModel,
}

impl<'a> Look<'a> {
    /// Two fields that differ under one key, in selection sets that are merged.
    fn merged(
        &self,
        sets: &[(&'a SelectionSet, &'a str)],
    ) -> Option<(&'a Positioned<Field>, &'a Positioned<Field>)> {
        if let [(set, on)] = sets
            && let Some(mut fields) = distinct(set)
        {
            return fields.find_map(|field| self.merged(&[self.below(field, on)?]));
        }
        let mut fields = IndexMap::default();
        let mut spread = HashSet::new();
        for (set, on) in sets {
            self.collect(set, on, &mut fields, &mut spread);
        }
        fields.into_values().find_map(|same| {
            self.differing(&same).or_else(|| {
                let below = same.iter().filter_map(|(field, on)| self.below(field, on));
                let below: Vec<_> = below.collect();
                if below.is_empty() {
                    return None;
                }
                self.merged(&below)
            })
        })
    }

    /// What is selected of a field, and the type of that; nothing of a leaf.
    fn below(&self, field: &'a Positioned<Field>, on: &str) -> Option<(&'a SelectionSet, &'a str)> {
        let set = &field.node.selection_set.node;
        if set.items.is_empty() {
            return None;
        }
        let definition = self.model.field(on, &field.node.name.node)?;
        Some((set, definition.ty_name()))
    }

    /// Two fields that differ and may be asked of one object.
    fn differing(
        &self,
        same: &[Asked<'a>],
    ) -> Option<(&'a Positioned<Field>, &'a Positioned<Field>)> {
        // The first of each type stands for all that are like it.
        let mut firsts: Vec<Asked<'a>> = Vec::new();
        for (field, on) in same {
            let mut met = firsts.iter().filter(|(_, of)| self.may_be_one(on, of));
            let differs = |(first, _): &&Asked<'a>| !is_same(&first.node, &field.node);
            if let Some((first, _)) = met.find(differs) {
                return Some((first, field));
            }
            if firsts.iter().all(|(_, of)| of != on) {
                firsts.push((field, on));
            }
        }
        None
    }

    /// Whether objects of these types may be the same.
    fn may_be_one(&self, one: &str, other: &str) -> bool {
        one == other || self.model.is_abstract(one) || self.model.is_abstract(other)
    }

    /// Adds the fields of a set by their keys. A fragment adds the same fields each time it is spread, so
    /// it is visited once.
    fn collect(
        &self,
        set: &'a SelectionSet,
        on: &'a str,
        fields: &mut IndexMap<&'a Name, Vec<Asked<'a>>, RandomState>,
        spread: &mut HashSet<&'a Name>,
    ) {
        for selection in &set.items {
            steps::count(1);
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    fields.entry(key).or_default().push((field, on));
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let on = condition.map_or(on, |condition| &condition.node.on.node);
                    self.collect(&fragment.node.selection_set.node, on, fields, spread);
                }
                Selection::FragmentSpread(selection) => {
                    let name = &selection.node.fragment_name.node;
                    let fragments = &self.operation.document.fragments;
                    if let Some(fragment) = fragments.get(name)
                        && spread.insert(name)
                    {
                        let on = &fragment.node.type_condition.node.on.node;
                        self.collect(&fragment.node.selection_set.node, on, fields, spread);
                    }
                }
            }
        }
    }
}

/// The fields of a selection set that holds few, each under a key of its own, and nothing else.
pub(super) fn distinct(set: &SelectionSet) -> Option<impl Iterator<Item = &Positioned<Field>>> {
    /// Comparing each with each is quicker up to about as many.
    const FEW: usize = 32;
    fn field(selection: &Positioned<Selection>) -> Option<&Positioned<Field>> {
        match &selection.node {
            Selection::Field(field) => Some(field),
            _ => None,
        }
    }
    fn key(selection: &Positioned<Selection>) -> Option<&Name> {
        field(selection).map(|field| &field.node.response_key().node)
    }

    let items = &set.items;
    let is_new = |(place, item)| {
        key(item).is_some_and(|own| items[..place].iter().all(|before| key(before) != Some(own)))
    };
    let is_distinct = items.len() <= FEW && items.iter().enumerate().all(is_new);
    is_distinct.then(|| items.iter().filter_map(field))
}
