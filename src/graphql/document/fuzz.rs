//! Fuzz targets for documents.

use std::collections::HashMap;
use std::str;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::{StoredDocument, read, scan};
use crate::config::Limits;

/// The most selections, fragments expanded, of an operation within the limits.
const MAX_EXPANDED: usize = 30_000;

/// A document as sorted texts, for comparison.
fn shown(document: &ExecutableDocument) -> Vec<String> {
    let operations = document.operations.iter().map(|o| format!("{o:?}"));
    let fragments = document.fragments.iter().map(|f| format!("{f:?}"));
    let mut shown: Vec<_> = operations.chain(fragments).collect();
    shown.sort();
    shown
}

/// Whether the reader accepts a text; the engine's parser must then produce the same document.
pub(super) fn is_read(text: &str) -> bool {
    let Some(document) = read::read(text) else {
        return false;
    };
    let expected = parse_query(text).map(|expected| shown(&expected));
    let expected = expected.map_err(|error| error.to_string());
    assert_eq!(Ok(shown(&document)), expected, "{text}");
    true
}

/// Any text as a document: if the scan accepts it, the parser's stack does not overflow; if the reader
/// accepts it, the parser produces the same document.
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

/// Any text as a document: if it is within the limits, it can be walked with its fragments expanded in a
/// bounded number of steps.
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

/// A walk that visits the selections of a fragment each time it is spread.
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
