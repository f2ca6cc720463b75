//! A kind of look-up.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use foldhash::fast::RandomState;

use super::Loaders;
use super::lookup::Lookup;
use crate::auth::AuthorizedServices;
use crate::domain::Result;

/// Values by key. The hasher is seeded at random, and quick.
pub(in super::super) type Map<K, V> = HashMap<K, V, RandomState>;

/// What a look-up has found: values with their keys, each key once.
pub(in super::super) type Found<B> = Vec<(<B as Batch>::Key, <B as Batch>::Value)>;

/// Something of which it is known how many rows it is made of.
pub(in super::super) trait Size {
    /// How many rows it is made of.
    fn rows(&self) -> usize {
        1
    }
}

impl<T: Size> Size for Result<T> {
    fn rows(&self) -> usize {
        self.as_ref().map_or(0, T::rows)
    }
}

/// A kind of look-up: many keys in, what there is of them out, by one call of a service.
pub(in super::super) trait Batch: Sized + Send + Sync + 'static {
    /// What is looked up by.
    type Key: Eq + Hash + Clone + Debug + Send + Sync + 'static;
    /// What is found.
    type Value: Size + Clone + Send + Sync + 'static;

    /// What a call costs.
    const COST: u64;

    /// The look-ups of this kind.
    fn lookup(loaders: &Loaders) -> &Lookup<Self>;

    /// The values of those keys that have one.
    fn fetch(
        services: &AuthorizedServices,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Found<Self>>> + Send;
}
