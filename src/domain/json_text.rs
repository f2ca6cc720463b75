//! JSON that is kept as it is sent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use smol_str::SmolStr;

/// A JSON value as text, without blanks. Most values are read from one place and written to
/// another, and nobody looks into them on the way.
#[derive(Debug, Clone)]
pub struct JsonText(SmolStr);

impl JsonText {
    /// Null.
    pub const NULL: Self = Self(SmolStr::new_static("null"));

    /// Reads any JSON text; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if is_plain(text) {
            return Some(Self(text.into()));
        }
        let value: Value = serde_json::from_str(text).ok()?;
        Some(Self::from(&value))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the value is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// How many lists and objects lie within each other at most.
    #[must_use]
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0_usize, 0);
        let (mut is_in_text, mut is_escaped) = (false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_in_text = !is_in_text,
                _ if is_in_text => {}
                b'[' | b'{' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        deepest
    }

    /// The value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // It was made of a value, or was seen to be one.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// Whether a text is JSON, and just what would be written for its value: a word, a number of a few
/// digits or a text that escapes nothing. Others may be, too.
fn is_plain(text: &str) -> bool {
    /// Numbers of so many digits fit in every type of integers.
    const DIGITS: usize = 15;
    match text.as_bytes() {
        b"null" | b"true" | b"false" | b"0" => true,
        [b'"', inner @ .., b'"'] => escapes_nothing(inner),
        [b'1'..=b'9', digits @ ..] | [b'-', b'1'..=b'9', digits @ ..] => {
            digits.len() < DIGITS && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// Whether a text stands in JSON as it is, between quotes.
#[must_use]
pub fn escapes_nothing(text: impl AsRef<[u8]>) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    /// Whether a byte of `word` is less than `bound`, which is 128 at most.
    const fn has_less(word: u64, bound: u64) -> bool {
        word.wrapping_sub(ONES * bound) & !word & HIGH_BITS != 0
    }
    /// Whether a byte of `word` is this one.
    const fn has(word: u64, byte: u8) -> bool {
        has_less(word ^ (ONES * byte as u64), 1)
    }
    // Eight bytes at a time; in what is left over, blanks make up for those that are missing.
    let (words, rest) = text.as_ref().as_chunks::<8>();
    let mut last = [b' '; 8];
    for (byte, left) in last.iter_mut().zip(rest) {
        *byte = *left;
    }
    let mut words = words.iter().chain(std::iter::once(&last));
    words.all(|word| {
        let word = u64::from_ne_bytes(*word);
        !(has_less(word, 0x20) || has(word, b'"') || has(word, b'\\'))
    })
}

impl From<&Value> for JsonText {
    fn from(value: &Value) -> Self {
        // A value's own members are all there is to write, which does not fail.
        Self(serde_json::to_string(value).unwrap_or_default().into())
    }
}

impl From<Value> for JsonText {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

/// Values are compared, so the members of an object may come in any order.
impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.to_value() == other.to_value()
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::from(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_objects_within_each_other_are_counted() {
        for (text, depth) in [
            ("7", 0),
            (r#""[[\\\"[""#, 0),
            ("[]", 1),
            (r#"{"a": [1, {"]": 2}], "b": [[3], "["]}"#, 3),
        ] {
            assert_eq!(JsonText::parse(text).unwrap().depth(), depth, "{text}");
        }
    }

    #[test]
    fn a_text_is_kept_as_its_value_is_written() {
        for text in [
            "null",
            "true",
            "0",
            "-0",
            "7",
            "-12",
            "1.50",
            "1e3",
            "01",
            "123456789012345",
            "-123456789012345678901234567890",
            "\"\"",
            "\"dark\"",
            "\"gr\u{fc}n \u{1f33f}\u{7f}\"",
            r#""a\"b\\\u00fc\n""#,
            " \"blank\" ",
            "[1, 2 ,\"three\"]",
            r#"{"b": 1, "a": {"c": [null]}}"#,
            "\"",
            "\"a\nb\"",
            "\"a\"b\"",
            "",
            "nul",
            "-",
            "1 2",
            "{",
            "\\x80\\x04",
        ] {
            let value: Option<Value> = serde_json::from_str(text).ok();
            let kept = JsonText::parse(text);
            assert_eq!(
                kept.as_ref().map(JsonText::as_str),
                value.as_ref().map(Value::to_string).as_deref(),
                "{text}"
            );
            assert_eq!(kept.map(|kept| kept.to_value()), value, "{text}");
        }
    }

    #[test]
    fn values_are_compared_and_not_texts() {
        let parse = |text| JsonText::parse(text).unwrap();
        assert_eq!(parse(r#"{"a":1,"b":2}"#), parse(r#"{"b":2, "a":1}"#));
        assert_eq!(parse("\"\\u0061\""), parse("\"a\""));
        assert_ne!(parse("1"), parse("\"1\""));
        assert_ne!(parse("null"), parse("0"));
    }

    #[test]
    fn it_is_written_and_read_as_the_value() {
        #[derive(Serialize, Deserialize)]
        struct Holder {
            value: JsonText,
        }
        let value = serde_json::json!({"value": {"a": [1, null]}});
        let holder: Holder = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(holder.value.as_str(), r#"{"a":[1,null]}"#);
        assert_eq!(serde_json::to_value(&holder).unwrap(), value);
    }
}
