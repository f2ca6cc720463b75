//! The keys of an identity provider of the tests' own, and tokens that they sign.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::Value;

/// The public parts of the keys of these seeds, as a provider publishes them.
pub(crate) fn key_set(seeds: &[u8]) -> JwkSet {
    let keys = seeds.iter().map(|seed| {
        let mut key = Jwk::from_encoding_key(&key(*seed), Algorithm::EdDSA).unwrap();
        key.common.key_id = Some(format!("key-{seed}"));
        key
    });
    JwkSet {
        keys: keys.collect(),
    }
}

/// An Ed25519 key: the PKCS #8 frame of one around 32 bytes.
fn key(seed: u8) -> EncodingKey {
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend([seed; 32]);
    EncodingKey::from_ed_der(&der)
}

/// A token with these claims, signed with the key of a seed.
pub(crate) fn sign(seed: u8, claims: &Value) -> String {
    let header = Header {
        kid: Some(format!("key-{seed}")),
        ..Header::new(Algorithm::EdDSA)
    };
    encode(&header, claims, &key(seed)).unwrap()
}
