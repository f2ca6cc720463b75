//! What a token lets its bearer do.
//!
//! Sentry's scopes know no users; `member:*` is what comes nearest. A token that Sentry issued
//! therefore works here within those, and ours may carry `user:*`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoEnumIterator as _};

/// The scopes of one token.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "BTreeSet<String>", into = "BTreeSet<String>")]
pub struct Scopes {
    names: BTreeSet<String>,
    /// What they grant, each capability a bit: it is asked of every user of a page.
    granted: u8,
}

/// Every scope that means something to the gateway.
pub const SCOPES: [&str; 10] = [
    "user:read",
    "user:write",
    "user:admin",
    "org:read",
    "org:write",
    "org:admin",
    "member:read",
    "member:write",
    "member:admin",
    "member:invite",
];

/// Something a token may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter)]
pub enum Capability {
    /// Reading the public fields of other people.
    ReadUsers,
    /// Reading the private fields and the options of other people.
    ReadPrivate,
    /// Reading organizations.
    ReadOrganizations,
    /// Changing anything.
    Write,
}

impl Capability {
    /// The scope to ask for when this is missing.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        self.granted_by()[0]
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The scopes that each grant this.
    const fn granted_by(self) -> &'static [&'static str] {
        match self {
            Self::ReadUsers => &["user:read", "member:read", "member:write", "member:admin"],
            Self::ReadPrivate => &["user:admin", "member:admin"],
            Self::ReadOrganizations => &["org:read", "org:write", "org:admin"],
            Self::Write => &["user:write", "member:write", "member:admin"],
        }
    }
}

impl Scopes {
    /// The scopes with these names.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::from(names.into_iter().map(Into::into).collect::<BTreeSet<_>>())
    }

    /// Every scope the gateway knows.
    #[must_use]
    pub fn all() -> Self {
        Self::new(SCOPES)
    }

    /// Whether the scopes grant `capability`.
    #[must_use]
    pub const fn allow(&self, capability: Capability) -> bool {
        self.granted & capability.bit() != 0
    }

    /// The names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl From<BTreeSet<String>> for Scopes {
    fn from(names: BTreeSet<String>) -> Self {
        let is_granted = |capability: &Capability| {
            let mut scopes = capability.granted_by().iter();
            scopes.any(|scope| names.contains(*scope))
        };
        let granted = Capability::iter().filter(is_granted);
        let granted = granted.fold(0, |granted, capability| granted | capability.bit());
        Self { names, granted }
    }
}

impl From<Scopes> for BTreeSet<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.names
    }
}

/// Sentry's old form of scopes, one bit each, as names.
#[must_use]
pub fn scopes_from_bits(bits: i64) -> Vec<&'static str> {
    const ORDER: [&str; 22] = [
        "project:read",
        "project:write",
        "project:admin",
        "project:releases",
        "team:read",
        "team:write",
        "team:admin",
        "event:read",
        "event:write",
        "event:admin",
        "org:read",
        "org:write",
        "org:admin",
        "member:read",
        "member:write",
        "member:admin",
        "org:integrations",
        "alerts:read",
        "alerts:write",
        "member:invite",
        "project:distribution",
        "org:ci",
    ];
    ORDER
        .into_iter()
        .enumerate()
        .filter(|(i, _)| bits & (1 << i) != 0)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_in_the_order_of_sentry() {
        assert_eq!(scopes_from_bits(9216), ["org:read", "member:read"]);
    }

    #[test]
    fn a_capability_needs_one_of_its_scopes() {
        let scopes = Scopes::new(["org:admin", "user:read"]);
        assert!(scopes.allow(Capability::ReadOrganizations));
        assert!(scopes.allow(Capability::ReadUsers));
        assert!(!scopes.allow(Capability::ReadPrivate));
        assert!(!scopes.allow(Capability::Write));
    }
}
