//! What the handlers read of a request: the variables, in one pass.

use std::borrow::Cow;

use anyhow::Context as _;
use serde::Deserialize;

/// A request with these variables; the document is passed over.
#[derive(Debug, Deserialize)]
struct Request<V> {
    variables: V,
}

/// The variables of W1.
#[derive(Debug, Deserialize)]
struct OneId<'a> {
    #[serde(borrow)]
    id: &'a str,
}

/// The variables of W2 and W3.
#[derive(Debug, Deserialize)]
struct ManyIds<'a> {
    #[serde(borrow)]
    ids: Vec<&'a str>,
}

/// The variables of W4.
#[derive(Debug, Deserialize)]
pub(super) struct Names<'a> {
    /// The usernames.
    #[serde(borrow)]
    pub(super) names: Vec<Cow<'a, str>>,
}

/// The variables of a mutation.
#[derive(Debug, Deserialize)]
struct Input<T> {
    input: T,
}

/// The input of W5.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetOption<'a> {
    #[serde(borrow)]
    user_id: &'a str,
    /// The option's key.
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    /// Its value, as it was written.
    #[serde(borrow)]
    pub(super) value: &'a serde_json::value::RawValue,
}

impl SetOption<'_> {
    /// Whose option it is.
    pub(super) fn user(&self) -> anyhow::Result<i64> {
        number(self.user_id)
    }
}

/// The input of W6.
#[derive(Debug, Deserialize)]
pub(super) struct Provision<'a> {
    /// The address.
    #[serde(borrow)]
    pub(super) email: Cow<'a, str>,
}

/// The id of W1.
pub(super) fn id(body: &[u8]) -> anyhow::Result<i64> {
    let request: Request<OneId<'_>> = serde_json::from_slice(body)?;
    number(request.variables.id)
}

/// The ids of W2 and W3.
pub(super) fn ids(body: &[u8]) -> anyhow::Result<Vec<i64>> {
    let request: Request<ManyIds<'_>> = serde_json::from_slice(body)?;
    request.variables.ids.into_iter().map(number).collect()
}

/// The usernames of W4.
pub(super) fn names(body: &[u8]) -> anyhow::Result<Vec<Cow<'_, str>>> {
    let request: Request<Names<'_>> = serde_json::from_slice(body)?;
    Ok(request.variables.names)
}

/// The input of a mutation.
pub(super) fn input<'a, T: Deserialize<'a>>(body: &'a [u8]) -> anyhow::Result<T> {
    let request: Request<Input<T>> = serde_json::from_slice(body)?;
    Ok(request.variables.input)
}

fn number(id: &str) -> anyhow::Result<i64> {
    let number = id
        .strip_prefix("User:")
        .context("an id looks like User:1")?;
    Ok(number.parse()?)
}
