//! The signature of a call: HMAC-SHA256 over the path, a colon and the body.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Secret;

/// What stands before the digits, and says how they were made.
const PREFIX: &str = "rpc0:";

/// The length of a signature in bytes.
const LENGTH: usize = 32;

/// A text with the form of a signature: `rpc0:` and 64 lower-case hexadecimal digits.
/// [`Secrets::verify`] checks whether it signs a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; LENGTH]);

impl Signature {
    /// Parses a signature; `None` if the text has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != LENGTH || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; LENGTH];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

/// The secrets that silos share. To replace one without a gap, put the new one first everywhere,
/// and take the old one away once nobody signs with it any more.
#[derive(Debug, Clone)]
pub struct Secrets {
    keys: Vec<Secret<String>>,
}

impl Secrets {
    /// The first of `keys` signs, each is accepted; `None` without any.
    #[must_use]
    pub fn new(keys: Vec<Secret<String>>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// The signature of a call, as it stands behind the scheme in the `Authorization` header.
    #[must_use]
    pub fn sign(&self, path: &str, body: &[u8]) -> String {
        let mac = mac(&self.keys[0], path, body).finalize().into_bytes();
        let mut text = String::with_capacity(PREFIX.len() + 2 * mac.len());
        text.push_str(PREFIX);
        for byte in mac {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Whether `signature` is one of this call by any of the secrets. The time this takes says
    /// nothing of how far a wrong one is right.
    #[must_use]
    pub fn verify(&self, signature: &Signature, path: &str, body: &[u8]) -> bool {
        self.keys
            .iter()
            .any(|key| mac(key, path, body).verify_slice(&signature.0).is_ok())
    }
}

fn mac(key: &Secret<String>, path: &str, body: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "a key of HMAC may have any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("a key");
    mac.update(path.as_bytes());
    mac.update(b":");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/0/internal/rpc/user/get_many/";
    const BODY: &[u8] = br#"{"meta":{},"args":{"filter":{"user_ids":[1]}}}"#;

    fn secrets(keys: &[&str]) -> Secrets {
        Secrets::new(keys.iter().map(|k| Secret::new((*k).to_owned())).collect()).unwrap()
    }

    #[test]
    fn a_signature_is_sentrys() {
        let signature = secrets(&["a-long-value-that-is-hard-to-guess"]).sign(PATH, BODY);
        assert_eq!(
            signature,
            "rpc0:5dbcdd6ef9c8b1f08bdd9d7bbe141bc4e9cfc68f4cc0d91972979ee10eba1a0d"
        );
    }

    #[test]
    fn each_secret_is_accepted_and_the_first_signs() {
        let old = secrets(&["old"]).sign(PATH, BODY);
        let old = Signature::parse(&old).unwrap();
        let both = secrets(&["new", "old"]);
        assert!(both.verify(&old, PATH, BODY));
        assert_eq!(both.sign(PATH, BODY), secrets(&["new"]).sign(PATH, BODY));
        assert!(!secrets(&["new"]).verify(&old, PATH, BODY));
    }

    #[test]
    fn what_is_signed_is_the_path_and_the_body() {
        let secrets = secrets(&["secret"]);
        let text = secrets.sign(PATH, BODY);
        let signature = Signature::parse(&text).unwrap();
        assert!(secrets.verify(&signature, PATH, BODY));
        assert!(!secrets.verify(&signature, PATH, b"{}"));
        assert!(!secrets.verify(&signature, "/api/0/internal/rpc/user/get_many_ids/", BODY));
        let digits = text.strip_prefix(PREFIX).unwrap();
        let (longer, upper) = (
            format!("{text}00"),
            format!("rpc0:{}", digits.to_uppercase()),
        );
        for wrong in [
            "",
            "rpc0:",
            digits,
            &text[..30],
            &longer,
            &upper,
            "rpc0:zz",
            "rpc0:a:b",
        ] {
            assert_eq!(Signature::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn without_a_secret_there_are_no_secrets() {
        assert!(Secrets::new(Vec::new()).is_none());
    }
}
