//! What a remote method is.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The arguments of a remote method, which say everything else about it.
pub trait Call: Serialize + DeserializeOwned + Send + Sync {
    /// The service, as it stands in the path.
    const SERVICE: &'static str;
    /// The method, as it stands in the path.
    const METHOD: &'static str;
    /// Whether the same call may be made twice: it reads, or doing it again changes nothing more.
    const REPEATABLE: bool;
    /// What the method returns.
    type Value: Serialize + DeserializeOwned + Send;

    /// The path that is asked, and signed.
    #[must_use]
    fn path() -> String {
        format!("/api/0/internal/rpc/{}/{}/", Self::SERVICE, Self::METHOD)
    }
}
