//! The graph, with the documents that it trusts if others are not to be answered.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::config::Config;
use crate::graphql::Graphql;

/// The graph that `config` describes.
pub(crate) fn graphql(config: &Config) -> anyhow::Result<Graphql> {
    let Some(path) = &config.trusted_documents else {
        return Ok(Graphql::new(config.graphql, config.limits)?);
    };
    let texts = read(path)?;
    Graphql::trusting(config.graphql, config.limits, texts)
        .with_context(|| format!("the trusted documents in {} are of no use", path.display()))
}

/// The ids and texts that a file holds.
fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the trusted documents in {shown}"))?;
    let Texts(texts) = serde_json::from_str(&text).with_context(|| {
        format!("{shown} is no file of trusted documents, which is a JSON object of ids and texts")
    })?;
    Ok(texts)
}

/// The members of an object that are texts, each by a name of its own.
struct Texts(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of documents by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Texts, A::Error> {
        let mut ids = HashSet::new();
        let mut texts = Vec::new();
        while let Some((id, text)) = members.next_entry::<String, String>()? {
            if !ids.insert(id.clone()) {
                return Err(A::Error::custom(format!("the id `{id}` stands twice")));
            }
            texts.push((id, text));
        }
        Ok(Texts(texts))
    }
}
