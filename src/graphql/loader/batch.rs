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

/// A value with a known number of rows and bytes.
pub(in super::super) trait Size {
    /// The number of rows it is made of.
    fn rows(&self) -> usize {
        1
    }

    /// The bytes of its parts of unlimited length: the values of options.
    fn bytes(&self) -> usize {
        0
    }
}

impl<T: Size> Size for Result<T> {
    fn rows(&self) -> usize {
        self.as_ref().map_or(0, T::rows)
    }

    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, T::bytes)
    }
}

/// What is looked up by.
pub(in super::super) trait Key:
    Eq + Hash + Clone + Debug + Send + Sync + 'static
{
    /// The most keys like this one in a call, so that it returns at most about 20,000 rows and some
    /// megabytes.
    fn max_keys(&self) -> usize {
        MAX_ROWS_PER_CALL
    }

    /// Whether one call can look up both.
    fn shares_call_with(&self, _other: &Self) -> bool {
        true
    }
}

/// About the most rows that a call should return.
pub(super) const MAX_ROWS_PER_CALL: usize = 20_000;

/// The argument with which ids are looked up; a call has one.
pub(in super::super) trait CallArgument:
    Eq + Hash + Clone + Debug + Send + Sync + 'static
{
    /// The most ids in a call with it; see [`Key::max_keys`].
    fn max_ids(&self) -> usize;
}

impl<I, A: CallArgument> Key for (I, A)
where
    I: Eq + Hash + Clone + Debug + Send + Sync + 'static,
{
    fn max_keys(&self) -> usize {
        self.1.max_ids()
    }

    fn shares_call_with(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

/// A kind of look-up: many keys in, what there is of them out, by one call of a service.
pub(in super::super) trait Batch: Sized + Send + Sync + 'static {
    /// What is looked up by.
    type Key: Key;
    /// What is found.
    type Value: Size + Clone + Send + Sync + 'static;

    /// The cost of a call.
    const COST: u64;

    /// The look-ups of this kind.
    fn lookup(loaders: &Loaders) -> &Lookup<Self>;

    /// The values of those keys that have one. The keys share a call; there is at least one.
    fn fetch(
        services: &AuthorizedServices,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Found<Self>>> + Send;
}
