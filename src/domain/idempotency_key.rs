//! The name of a call that may be made several times and counts once.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{Invalid, InvalidCode};

/// Names one call: whoever makes it again after its answer was lost gives the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Makes a key of 128 bits, which must be random.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// Checks `text`: 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(is_hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            InvalidCode::InvalidFormat,
            "an idempotency key is 32 lower-case hexadecimal digits",
            &["idempotency_key"],
        ))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::IdempotencyKey;

    #[test]
    fn a_key_is_thirty_two_hexadecimal_digits() {
        let key = IdempotencyKey::from_bits(0xab);
        assert_eq!(key.as_str(), "000000000000000000000000000000ab");
        assert_eq!(IdempotencyKey::parse(key.as_str()), Ok(key));
        for text in ["", "ab", &"A".repeat(32), &"g".repeat(32), &"0".repeat(33)] {
            assert!(IdempotencyKey::parse(text).is_err(), "{text}");
        }
    }
}
