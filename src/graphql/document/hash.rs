//! The hashes by which clients name documents.

use std::fmt::{self, Display, Formatter};

use sha2::{Digest, Sha256};

/// The SHA-256 of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct DocumentHash([u8; 32]);

impl DocumentHash {
    /// The hash of a text.
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Reads a hash written in hexadecimal digits; `None` if the text is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl Display for DocumentHash {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn digit(letter: u8) -> Option<u8> {
    let value = char::from(letter).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_hash_is_read_as_it_is_written_in_letters_of_either_case() {
        let hash = DocumentHash::of("");
        assert_eq!(hash.to_string(), OF_NOTHING);
        assert_eq!(DocumentHash::parse(OF_NOTHING), Some(hash));
        assert_eq!(DocumentHash::parse(&OF_NOTHING.to_uppercase()), Some(hash));
        assert_ne!(DocumentHash::of(" "), hash);
    }

    #[test]
    fn what_is_not_64_hexadecimal_digits_is_no_hash() {
        for text in [
            "",
            "e3b0",
            &OF_NOTHING[1..],
            &format!("{OF_NOTHING}0"),
            &OF_NOTHING.replace('e', "g"),
            &OF_NOTHING.replace("e3", "é"),
            &OF_NOTHING.replace("e3", "+3"),
        ] {
            assert_eq!(DocumentHash::parse(text), None, "{text}");
        }
    }
}
