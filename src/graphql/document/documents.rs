//! Which document a request asks for.
//!
//! A request holds a document's text, or a name for it, or both. By Apollo's protocol of automatic
//! persisted queries a client sends the hash of a text alone; is it not known, the text with it;
//! and the hash alone from then on.

use std::sync::Arc;

use super::StoredDocument;
use super::hash::DocumentHash;
use super::store::{DocumentKey, DocumentStore, Sought};
use super::trusted::TrustedDocuments;
use crate::config::GraphqlConfig;
use crate::domain::Code;
use crate::graphql::error::{GraphqlError, RequestError};
use crate::graphql::request::{DocumentName, GraphqlRequest};

/// What stands before a hash in a `documentId`.
pub(super) const HASH_PREFIX: &str = "sha256:";

/// All documents there are.
#[derive(Debug)]
pub(in super::super) struct Documents {
    store: DocumentStore,
    /// Whether a hash may stand for a text.
    persists: bool,
    /// Those that alone are answered, if not all are.
    trusted: Option<TrustedDocuments>,
}

/// The document of a request.
#[derive(Debug)]
pub(in super::super) struct Found {
    /// The document.
    pub(in super::super) document: Arc<StoredDocument>,
    /// What to keep it under once it is valid; `None` if it is kept.
    pub(in super::super) key: Option<DocumentKey>,
}

impl Found {
    fn kept(document: Arc<StoredDocument>) -> Self {
        Self {
            document,
            key: None,
        }
    }
}

impl Documents {
    /// None yet.
    pub(in super::super) fn new(config: &GraphqlConfig) -> Self {
        let store = DocumentStore::new(config.document_cache_bytes);
        Self {
            // A hash that is forgotten at once would have every request sent twice.
            persists: config.persisted_queries && store.has_room(),
            store,
            trusted: None,
        }
    }

    /// These, and never others.
    pub(in super::super) fn trust(&mut self, documents: TrustedDocuments) {
        self.trusted = Some(documents);
    }

    /// Those that alone are answered, if not all are.
    pub(in super::super) fn trusted(&self) -> Option<&TrustedDocuments> {
        self.trusted.as_ref()
    }

    /// The document that a request asks for; one that is not known is what `parse` makes of its
    /// text.
    pub(in super::super) fn find(
        &self,
        request: &GraphqlRequest,
        parse: impl FnOnce(&str) -> Result<StoredDocument, RequestError>,
    ) -> Result<Found, RequestError> {
        if let Some(trusted) = &self.trusted {
            let found = trusted.find(request);
            self.store.count(found.is_ok());
            return found.map(Found::kept);
        }
        let name = request.name.as_ref();
        let Some(text) = request.query.as_deref() else {
            let known = self.named(name)?;
            self.store.count(known.is_some());
            let refusal = || refuse(Code::PersistedQueryNotFound, "PersistedQueryNotFound");
            return known.map(Found::kept).ok_or_else(refusal);
        };
        let hash = match name {
            Some(DocumentName::Hash(hash)) if self.persists => {
                Some(DocumentHash::parse(hash).ok_or_else(mismatch)?)
            }
            _ => None,
        };
        let Some(hash) = hash else {
            let known = self.store.get(Sought::Text(text));
            self.store.count(known.is_some());
            return match known {
                Some(document) => Ok(Found::kept(document)),
                None => parse(text).map(|document| Found {
                    key: Some(DocumentKey::Text(Arc::clone(&document.text))),
                    document: Arc::new(document),
                }),
            };
        };
        if let Some(document) = self.store.get(Sought::Hash(hash)) {
            if *document.text != *text {
                return Err(mismatch());
            }
            self.store.count(true);
            return Ok(Found::kept(document));
        }
        if DocumentHash::of(text) != hash {
            return Err(mismatch());
        }
        let known = self.store.get(Sought::Text(text));
        self.store.count(known.is_some());
        let document = match known {
            Some(document) => document,
            None => Arc::new(parse(text)?),
        };
        let key = Some(DocumentKey::Hash(hash));
        Ok(Found { document, key })
    }

    /// The document with this name, if it is known.
    fn named(
        &self,
        name: Option<&DocumentName>,
    ) -> Result<Option<Arc<StoredDocument>>, RequestError> {
        let hash = match name {
            Some(DocumentName::Hash(hash)) => hash,
            Some(DocumentName::Id(id)) => id.strip_prefix(HASH_PREFIX).unwrap_or(id),
            None => return Err(refuse(Code::BadRequest, "the request holds no document")),
        };
        if !self.persists {
            let code = Code::PersistedQueryNotSupported;
            return Err(refuse(code, "PersistedQueryNotSupported"));
        }
        let hash = DocumentHash::parse(hash);
        Ok(hash.and_then(|hash| self.store.get(Sought::Hash(hash))))
    }

    /// Keeps a document that has been found valid, unless there is one under this key already.
    pub(in super::super) fn keep(&self, key: &DocumentKey, document: &Arc<StoredDocument>) {
        self.store.keep(key, document);
    }
}

pub(super) fn mismatch() -> RequestError {
    let message = "what names the document does not fit its text; a hash must be the SHA-256 of \
                   the text as it is sent, in 64 hexadecimal digits";
    refuse(Code::PersistedQueryMismatch, message)
}

pub(super) fn refuse(code: Code, message: &str) -> RequestError {
    GraphqlError::new(code, message).into()
}
