//! What is changed of a document before the engine runs it. The answer is put together from the
//! document as the client wrote it, so none of this is seen.

use std::collections::hash_map::Entry;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned};
use foldhash::{HashMap, HashMapExt as _};

use super::super::model::SchemaModel;
use super::bind::is_same;
use super::{SUBSCRIPTION, StoredDocument, StoredOperation, TYPE_KEY, steps};

/// The document as the engine runs it: it asks for the type where the answer must know it, and
/// fields that are asked for twice are merged.
pub(in super::super) fn rewrite(
    document: &StoredDocument,
    model: &SchemaModel,
) -> ExecutableDocument {
    let rewritten = |place: usize| {
        let operation = document.at(place);
        let mut definition = operation.definition.clone();
        let set = &mut definition.node.selection_set;
        rewrite_set(set, operation.root_type(), model);
        definition
    };
    let operations = match &*document.operations {
        [StoredOperation { name: None, .. }] => DocumentOperations::Single(rewritten(0)),
        operations => {
            let all = operations.iter().enumerate();
            let all = all
                .filter_map(|(place, operation)| Some((operation.name.clone()?, rewritten(place))));
            DocumentOperations::Multiple(all.collect())
        }
    };
    let fragments = document.fragments.iter().map(|(name, fragment)| {
        let mut fragment = fragment.clone();
        let on = fragment.node.type_condition.node.on.node.to_string();
        rewrite_set(&mut fragment.node.selection_set, &on, model);
        (name.clone(), fragment)
    });
    ExecutableDocument {
        operations,
        fragments: fragments.collect(),
    }
}

fn rewrite_set(set: &mut Positioned<SelectionSet>, parent: &str, model: &SchemaModel) {
    let position = set.pos;
    let set = &mut set.node;
    merge_repeated(set);
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) if !field.node.selection_set.node.items.is_empty() => {
                if let Some(definition) = model.field(parent, &field.node.name.node) {
                    rewrite_set(&mut field.node.selection_set, definition.ty_name(), model);
                }
            }
            Selection::InlineFragment(fragment) => {
                let on = fragment.node.type_condition.as_ref();
                let on = on
                    .map_or(parent, |condition| condition.node.on.node.as_str())
                    .to_owned();
                rewrite_set(&mut fragment.node.selection_set, &on, model);
            }
            Selection::Field(_) | Selection::FragmentSpread(_) => {}
        }
    }
    // The answer depends on the type of what stands behind an interface. And an object of which
    // nothing is selected, or of which every field fails, is to the engine no object: something
    // must be asked for that never fails, as an id does.
    let never_fails = |selection: &Positioned<Selection>| {
        matches!(&selection.node, Selection::Field(field)
            if field.node.name.node == "id" && field.node.directives.is_empty())
    };
    let is_covered = !model.is_abstract(parent) && set.items.iter().any(never_fails);
    // The root of a subscription has one field, which the engine makes events of, and no type.
    if model.is_composite(parent) && !is_covered && parent != SUBSCRIPTION {
        set.items.push(type_field(position));
    }
}

fn type_field(position: Pos) -> Positioned<Selection> {
    let name = |text| Positioned::new(Name::new(text), position);
    Positioned::new(
        Selection::Field(Positioned::new(
            Field {
                alias: Some(name(TYPE_KEY)),
                name: name("__typename"),
                arguments: Vec::new(),
                directives: Vec::new(),
                selection_set: Positioned::new(SelectionSet::default(), position),
            },
            position,
        )),
        position,
    )
}

/// Makes one field of equal ones that stand side by side. The engine would run each, a mutation
/// twice. Fields that differ are left for the rule that refuses them.
fn merge_repeated(set: &mut SelectionSet) {
    let mut kept: Vec<Positioned<Selection>> = Vec::with_capacity(set.items.len());
    // The index of the first field with each key.
    let mut firsts: HashMap<Name, usize> = HashMap::new();
    for selection in set.items.drain(..) {
        steps::count(1);
        if let Selection::Field(field) = &selection.node
            && field.node.directives.is_empty()
        {
            match firsts.entry(field.node.response_key().node.clone()) {
                Entry::Vacant(place) => {
                    place.insert(kept.len());
                }
                Entry::Occupied(place) => {
                    if let Selection::Field(first) = &mut kept[*place.get()].node
                        && is_same(&first.node, &field.node)
                    {
                        let items = &field.node.selection_set.node.items;
                        let merged = &mut first.node.selection_set.node.items;
                        merged.extend(items.iter().cloned());
                        continue;
                    }
                }
            }
        }
        kept.push(selection);
    }
    set.items = kept;
}
