//! What a client asks for.

pub use async_graphql::Variables;

/// A request: a document, by its text or by a name, and what to do with it.
#[derive(Debug, Clone, Default)]
pub struct GraphqlRequest {
    /// The document's text; `None` if the document is only named.
    pub query: Option<String>,
    /// What stands for the text, or beside it.
    pub name: Option<DocumentName>,
    /// Which of the document's operations to run.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Variables,
}

/// What a client calls a document by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentName {
    /// `extensions.persistedQuery.sha256Hash`: the SHA-256 of the text, in hexadecimal digits, or
    /// the id of a trusted document.
    Hash(String),
    /// `documentId`: the id of a trusted document, or `sha256:` and the SHA-256 of the text.
    Id(String),
}

impl DocumentName {
    /// The name as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hash(name) | Self::Id(name) => name,
        }
    }
}
