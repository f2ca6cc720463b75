//! Answers that are the same each time: what HTTP alone costs.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use axum::body::Bytes;

use super::Backend;
use crate::workload::Load;

/// Bodies by load.
#[derive(Debug)]
pub(super) struct Constant {
    bodies: HashMap<Load, Bytes>,
}

impl Constant {
    /// Reads the bodies of a folder, which are named like the paths.
    pub(super) fn read(folder: &Path) -> Self {
        let bodies = Load::ALL.into_iter().filter_map(|load| {
            let file = folder.join(load.path().trim_start_matches('/'));
            Some((load, Bytes::from(std::fs::read(file).ok()?)))
        });
        Self {
            bodies: bodies.collect(),
        }
    }
}

impl Backend for Constant {
    async fn answer(&self, load: Load, _: &[u8]) -> anyhow::Result<Bytes> {
        let body = self.bodies.get(&load);
        body.cloned().context("there is no constant for this load")
    }
}
