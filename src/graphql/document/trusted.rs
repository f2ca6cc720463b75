//! The documents that alone are answered, where there are such.

use std::collections::HashMap;
use std::sync::Arc;

use super::StoredDocument;
use super::documents::{HASH_PREFIX, mismatch, refuse};
use super::hash::DocumentHash;
use crate::domain::{Code, Error};
use crate::graphql::error::{GraphqlError, RequestError};
use crate::graphql::request::GraphqlRequest;

/// Documents that are known beforehand. They are never forgotten.
#[derive(Debug, Default)]
pub(in super::super) struct TrustedDocuments {
    by_text: HashMap<Arc<str>, Arc<StoredDocument>>,
    by_name: HashMap<String, Arc<StoredDocument>>,
}

/// Why a graph cannot answer the documents that it should trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is none, so that nothing would ever be answered.
    #[error("there is no trusted document")]
    None,
    /// Each of these, by its id, is not as it must be.
    #[error("{} of the trusted documents cannot be answered:\n- {}", .0.len(), .0.join("\n- "))]
    Unfit(Vec<String>),
    /// A fault of ours.
    #[error(transparent)]
    Internal(#[from] Error),
}

impl TrustedDocuments {
    /// The documents with these ids and texts, made by `check` of what is good.
    pub(in super::super) fn new(
        texts: Vec<(String, String)>,
        check: impl Fn(&str) -> Result<StoredDocument, RequestError>,
    ) -> Result<Self, TrustError> {
        if texts.is_empty() {
            return Err(TrustError::None);
        }
        let mut trusted = Self::default();
        let mut unfit = Vec::new();
        for (id, text) in texts {
            let document = match trusted.by_text.get(text.as_str()) {
                Some(document) => Arc::clone(document),
                None => match check(&text) {
                    Ok(document) => Arc::new(document),
                    Err(refusal) => {
                        unfit.push(format!("`{id}`: {}", reasons(&refusal)));
                        continue;
                    }
                },
            };
            let text = Arc::clone(&document.text);
            trusted.by_text.insert(text, Arc::clone(&document));
            trusted.by_name.insert(id, document);
        }
        if !unfit.is_empty() {
            return Err(TrustError::Unfit(unfit));
        }
        trusted.name_by_hash();
        Ok(trusted)
    }

    /// Makes the documents known by their hashes too, where no other has that for its id.
    fn name_by_hash(&mut self) {
        for (text, document) in &self.by_text {
            let hash = DocumentHash::of(text).to_string();
            for name in [format!("{HASH_PREFIX}{hash}"), hash] {
                let entry = self.by_name.entry(name);
                entry.or_insert_with(|| Arc::clone(document));
            }
        }
    }

    /// How many there are.
    pub(in super::super) fn len(&self) -> usize {
        self.by_text.len()
    }

    /// The document that a request asks for. If it holds both a text and a name, both must be of
    /// the same document.
    pub(super) fn find(
        &self,
        request: &GraphqlRequest,
    ) -> Result<Arc<StoredDocument>, RequestError> {
        let by_text = request.query.as_deref().map(|text| self.by_text.get(text));
        let name = request.name.as_ref();
        let by_name = name.map(|name| self.by_name.get(name.as_str()));
        match (by_text, by_name) {
            (Some(Some(document)), None) | (None, Some(Some(document))) => Ok(document),
            (Some(Some(document)), Some(named)) => {
                let is_same = named.is_some_and(|named| Arc::ptr_eq(named, document));
                is_same.then_some(document).ok_or_else(mismatch)
            }
            _ => Err(untrusted()),
        }
        .cloned()
    }
}

fn untrusted() -> RequestError {
    let message = "the document is not one of those that are trusted here, and no other is \
                   answered, not to GraphiQL either; add it to the file of \
                   `--trusted-documents` and start the gateway anew";
    refuse(Code::DocumentNotTrusted, message)
}

/// What is wrong with a document, each with its places.
fn reasons(refusal: &RequestError) -> String {
    let reason = |error: &GraphqlError| {
        let places = error.locations.iter();
        let places = places.map(|place| format!(" (line {}, column {})", place.line, place.column));
        std::iter::once(error.message.clone())
            .chain(places)
            .collect::<String>()
    };
    let reasons: Vec<_> = refusal.errors.iter().map(reason).collect();
    reasons.join("; ")
}
