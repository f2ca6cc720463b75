//! The contract of telling a region of changes.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{Change, Result};

/// Tells one region of changes.
#[async_trait]
pub trait Delivery: Debug + Send + Sync + 'static {
    /// Tells of `change`. Once this is `Ok`, no read in the region answers with what was before
    /// the change. It may be told of again: a delivery can be repeated.
    async fn deliver(&self, change: Change) -> Result<()>;
}
