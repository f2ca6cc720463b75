//! Clearing copies and raising versions.

use super::super::wire::caching::{ClearControlKey, ClearRegionKey};
use super::method::{Context, Method};
use crate::domain::{Error, Invalid, Result};

impl Method for ClearRegionKey {
    async fn answer(self, context: &Context) -> Result<i64> {
        let Some((region, cache)) = &context.server.region_caching else {
            return Err(Error::internal("a method without a cache was found"));
        };
        if self.name() != Some(region) {
            // The caller's list of regions is wrong, and somebody has to learn of it.
            tracing::warn!(
                region = region,
                "a call to clear a key was meant for another region than this one"
            );
            return Err(Error::Invalid(Invalid::format(
                format!("this region is called `{region}`, which is not the one that is meant"),
                &["cell_name"],
            )));
        }
        cache.clear_key(&self.key).await
    }
}

impl Method for ClearControlKey {
    async fn answer(self, context: &Context) -> Result<i64> {
        match &context.server.control_caching {
            Some(cache) => cache.clear_key(&self.key).await,
            None => Err(Error::internal("a method without a cache was found")),
        }
    }
}
