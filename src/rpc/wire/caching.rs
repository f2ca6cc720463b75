//! The methods by which silos clear each other's caches.

use super::calls;

calls! { "region_caching":
    /// Makes what a region keeps under a logical key worthless, and returns the key's new version.
    ClearRegionKey = "clear_key", repeatable: true -> i64 {
        /// The region's name.
        #[serde(default)]
        cell_name: Option<String>,
        /// The older name of `cell_name`.
        #[serde(default)]
        region_name: Option<String>,
        /// The logical key.
        key: String,
    }
}

calls! { "control_caching":
    /// As [`ClearRegionKey`], for what the control silo keeps.
    ClearControlKey = "clear_key", repeatable: true -> i64 {
        /// The logical key.
        key: String,
    }
}

impl ClearRegionKey {
    /// Tells the region `name` by both of the argument's names, since an older Sentry knows the
    /// older one alone.
    #[must_use]
    pub fn new(name: &str, key: String) -> Self {
        Self {
            cell_name: Some(name.to_owned()),
            region_name: Some(name.to_owned()),
            key,
        }
    }

    /// The name of the region that is meant; the older argument counts first, as with Sentry.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.region_name.as_deref().or(self.cell_name.as_deref())
    }
}
