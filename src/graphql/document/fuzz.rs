//! Documents as targets for fuzzing.

use std::collections::HashMap;
use std::str;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::{StoredDocument, read, scan};
use crate::config::Limits;

/// The most selections, fragments expanded, of an operation that is let pass.
const MAX_EXPANDED: usize = 30_000;

/// All of a document, in an order of its own.
fn shown(document: &ExecutableDocument) -> Vec<String> {
    let operations = document.operations.iter().map(|o| format!("{o:?}"));
    let fragments = document.fragments.iter().map(|f| format!("{f:?}"));
    let mut shown: Vec<_> = operations.chain(fragments).collect();
    shown.sort();
    shown
}

/// Whether the reader reads a text; it must be by the engine's parser then, and in the same way.
pub(super) fn is_read(text: &str) -> bool {
    let Some(document) = read::read(text) else {
        return false;
    };
    let expected = parse_query(text).map(|expected| shown(&expected));
    let expected = expected.map_err(|error| error.to_string());
    assert_eq!(Ok(shown(&document)), expected, "{text}");
    true
}

/// A document of any text: what the scan lets pass does not overflow the parser's stack, and what the
/// reader reads, the parser reads in the same way.
///
/// # Panics
///
/// If that is not so.
pub fn document(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if scan::scan(text, &Limits::default()).is_ok() && !is_read(text) {
        let _ = parse_query(text);
    }
}

/// A document of any text, checked against the limits: what they let pass can be walked with its
/// fragments expanded in a bounded number of steps.
///
/// # Panics
///
/// If that is not so.
pub fn limits(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(document) = StoredDocument::parse(text, &Limits::default()) else {
        return;
    };
    for operation in &document.operations {
        let mut expansion = Expansion {
            fragments: &document.fragments,
            steps: 0,
        };
        expansion.walk(&operation.definition.node.selection_set.node);
    }
}

/// A walk that sees the selections of a fragment as often as it is spread.
struct Expansion<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    steps: usize,
}

impl Expansion<'_> {
    fn walk(&mut self, set: &SelectionSet) {
        for selection in &set.items {
            self.steps += 1;
            assert!(self.steps <= MAX_EXPANDED, "a walk takes too many steps");
            match &selection.node {
                Selection::Field(field) => self.walk(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => self.walk(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let fragments = self.fragments;
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        self.walk(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
}
