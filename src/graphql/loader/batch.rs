//! A kind of look-up.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use crate::auth::AuthorizedServices;
use crate::domain::Result;

/// A kind of look-up: many keys in, what there is of them out, by one call of a service.
pub(in super::super) trait Batch: Send + Sync + 'static {
    /// What is looked up by.
    type Key: Eq + Hash + Clone + Debug + Send + Sync + 'static;
    /// What is found.
    type Value: Clone + Send + Sync + 'static;

    /// The values of those keys that have one.
    fn fetch(
        services: &AuthorizedServices,
        keys: Vec<Self::Key>,
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>>> + Send;
}
