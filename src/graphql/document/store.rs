//! The documents that are kept.
//!
//! What is asked is asked again: clients send the same few texts with other variables. A text that
//! is found here is neither scanned nor parsed nor counted nor, unless that depends on the values of
//! its variables, validated again. Only documents that have been found valid are kept, so that
//! nobody fills the store with what is never answered; and texts are compared, not their hashes, so
//! that none is taken for another.
//!
//! A document that its client names by a hash is kept under that, which has been found to be its
//! own; clients then send no text any more. Under whatever it is kept, it takes its room.
//!
//! # Metrics
//!
//! | name | what is counted |
//! |---|---|
//! | `user_gateway_document_cache_hits_total` | requests whose document was kept |
//! | `user_gateway_document_cache_misses_total` | requests whose document was not |
//! | `user_gateway_document_cache_evictions_total` | documents that had to make room, or were too large |
//! | `user_gateway_document_cache_bytes` | roughly how many bytes the documents take that are kept |

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use foldhash::fast::RandomState;
use indexmap::Equivalent;
use metrics::{Counter, counter, gauge};
use quick_cache::sync::{Cache, GuardResult};
use quick_cache::{Lifecycle, Weighter};

use super::StoredDocument;
use super::hash::DocumentHash;

const HITS: &str = "user_gateway_document_cache_hits_total";
const MISSES: &str = "user_gateway_document_cache_misses_total";
const EVICTIONS: &str = "user_gateway_document_cache_evictions_total";
const BYTES: &str = "user_gateway_document_cache_bytes";

/// What a document takes, roughly, of those that are sent. The store is parted so that each part
/// holds some dozens of these; a document that takes a whole part is not kept.
const TYPICAL_BYTES: usize = 64 * 1024;

/// What a document costs beside its text and its trees.
const ENTRY: usize = 512;

/// What a document is kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) enum DocumentKey {
    /// Its text.
    Text(Arc<str>),
    /// The hash of its text.
    Hash(DocumentHash),
}

/// A [`DocumentKey`] to look for. It has the same variants, and so the same hashes.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Sought<'a> {
    Text(&'a str),
    Hash(DocumentHash),
}

impl Equivalent<DocumentKey> for Sought<'_> {
    fn equivalent(&self, key: &DocumentKey) -> bool {
        match (self, key) {
            (Self::Text(text), DocumentKey::Text(key)) => **text == **key,
            (Self::Hash(hash), DocumentKey::Hash(key)) => hash == key,
            _ => false,
        }
    }
}

/// Documents by their texts and hashes.
#[derive(Debug)]
pub(super) struct DocumentStore {
    /// `None` if nothing is to be kept.
    documents: Option<Cache<DocumentKey, Arc<StoredDocument>, Weight, RandomState, Evictions>>,
    looks: OnceLock<Looks>,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<DocumentKey, Arc<StoredDocument>> for Weight {
    fn weight(&self, _: &DocumentKey, document: &Arc<StoredDocument>) -> u64 {
        bytes(document)
    }
}

/// Counts the documents that have to make room.
#[derive(Debug, Clone)]
struct Evictions;

impl Lifecycle<DocumentKey, Arc<StoredDocument>> for Evictions {
    /// Trees are taken down when nobody is kept waiting by that.
    type RequestState = Vec<Arc<StoredDocument>>;

    fn on_evict(
        &self,
        evicted: &mut Self::RequestState,
        _: DocumentKey,
        document: Arc<StoredDocument>,
    ) {
        counter!(EVICTIONS).increment(1);
        evicted.push(document);
    }
}

/// The counters of every request. They are found once, at the first look, when whoever gathers
/// them is there.
struct Looks {
    hits: Counter,
    misses: Counter,
}

impl std::fmt::Debug for Looks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looks").finish_non_exhaustive()
    }
}

impl DocumentStore {
    /// Keeps about `max_bytes` of documents, and nothing if it is 0.
    pub(super) fn new(max_bytes: u64) -> Self {
        let items = usize::try_from(max_bytes).unwrap_or(usize::MAX) / TYPICAL_BYTES;
        let random = RandomState::default();
        let documents =
            (max_bytes > 0).then(|| Cache::with(items, max_bytes, Weight, random, Evictions));
        Self {
            documents,
            looks: OnceLock::new(),
        }
    }

    /// Whether anything is ever kept.
    pub(super) fn has_room(&self) -> bool {
        self.documents.is_some()
    }

    /// The document that is kept under this.
    pub(super) fn get(&self, sought: Sought<'_>) -> Option<Arc<StoredDocument>> {
        self.documents.as_ref()?.get(&sought)
    }

    /// Counts a request, by whether its document was kept.
    pub(super) fn count(&self, was_kept: bool) {
        let looks = self.looks.get_or_init(|| Looks {
            hits: counter!(HITS),
            misses: counter!(MISSES),
        });
        let counted = if was_kept { &looks.hits } else { &looks.misses };
        counted.increment(1);
    }

    /// Keeps a document that has been found valid, unless there is one under this key already.
    pub(super) fn keep(&self, key: &DocumentKey, document: &Arc<StoredDocument>) {
        let Some(documents) = &self.documents else {
            return;
        };
        // Whoever else is keeping it at this moment does so for both.
        let place = documents.get_value_or_guard(key, Some(Duration::ZERO));
        if let GuardResult::Guard(place) = place
            && place.insert(Arc::clone(document)).is_ok()
        {
            #[expect(clippy::cast_precision_loss, reason = "nobody counts them one by one")]
            gauge!(BYTES).set(documents.weight() as f64);
        }
    }
}

/// Roughly how many bytes a document takes.
fn bytes(document: &StoredDocument) -> u64 {
    (ENTRY + document.bytes) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn document(text: &str) -> Arc<StoredDocument> {
        Arc::new(StoredDocument::parse(text, &Limits::default()).unwrap())
    }

    fn keep(store: &DocumentStore, document: &Arc<StoredDocument>) {
        store.keep(&DocumentKey::Text(Arc::clone(&document.text)), document);
    }

    fn get(store: &DocumentStore, text: &str) -> Option<Arc<StoredDocument>> {
        store.get(Sought::Text(text))
    }

    #[test]
    fn a_document_is_found_by_its_whole_text() {
        let store = DocumentStore::new(1 << 20);
        let kept = document("{ a }");
        assert!(get(&store, "{ a }").is_none());
        keep(&store, &kept);
        assert!(Arc::ptr_eq(&get(&store, "{ a }").unwrap(), &kept));
        assert!(get(&store, "{ a  }").is_none());
        assert!(store.get(Sought::Hash(DocumentHash::of("{ a }"))).is_none());
    }

    #[test]
    fn a_document_is_found_by_the_hash_that_it_is_kept_under() {
        let store = DocumentStore::new(1 << 20);
        let kept = document("{ a }");
        let hash = DocumentHash::of("{ a }");
        store.keep(&DocumentKey::Hash(hash), &kept);
        assert!(Arc::ptr_eq(&store.get(Sought::Hash(hash)).unwrap(), &kept));
        assert!(store.get(Sought::Hash(DocumentHash::of("{ b }"))).is_none());
        assert!(get(&store, "{ a }").is_none());
        assert!(get(&store, &hash.to_string()).is_none());
    }

    #[test]
    fn the_first_of_two_documents_with_one_text_stays() {
        let store = DocumentStore::new(1 << 20);
        let first = document("{ a }");
        keep(&store, &first);
        keep(&store, &document("{ a }"));
        assert!(Arc::ptr_eq(&get(&store, "{ a }").unwrap(), &first));
    }

    #[test]
    fn documents_make_room_for_each_other() {
        let room = bytes(&document("{ a }")) * 10;
        let store = DocumentStore::new(room);
        for place in 0..1_000 {
            let text = format!("{{ a{place}: a }}");
            let document = document(&text);
            keep(&store, &document);
            store.keep(&DocumentKey::Hash(DocumentHash::of(&text)), &document);
        }
        let documents = store.documents.as_ref().unwrap();
        assert!(documents.weight() <= room);
        assert!(!documents.is_empty());
    }

    #[test]
    fn a_store_without_room_keeps_nothing() {
        let store = DocumentStore::new(0);
        keep(&store, &document("{ a }"));
        assert!(!store.has_room());
        assert!(get(&store, "{ a }").is_none());
    }
}
