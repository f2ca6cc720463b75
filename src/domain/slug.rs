//! The readable part of a generated username, by the rules of Django's `slugify`.

use unicode_normalization::UnicodeNormalization;

/// Turns any text into lower-case ASCII letters, digits, `_` and `-`; possibly into nothing.
///
/// The text is decomposed (NFKD) and what is not ASCII is dropped, then everything but letters,
/// digits, `_`, white space and `-`; runs of white space and `-` become one `-`, and `-` and `_`
/// are cut from both ends.
#[must_use]
pub fn slugify(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.nfkd().filter(char::is_ascii) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || c == '_' => slug.push(c),
            c if is_separator(c) && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_matches(['-', '_']).to_owned()
}

/// Python's notion of ASCII white space, which counts the four information separators, and `-`.
fn is_separator(c: char) -> bool {
    matches!(c, '-' | ' ' | '\t'..='\r' | '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::slugify;

    #[test]
    fn slugs_are_those_of_django() {
        for (text, slug) in [
            ("John.Doe+tag", "johndoetag"),
            ("a_b--c  d", "a_b-c-d"),
            ("İstanbul", "istanbul"),
            ("ǅ", "dz"),
            ("  -_-  ", ""),
            ("Ünïcödé Straße", "unicode-strae"),
            ("_lead-", "lead"),
            ("foo–bar", "foobar"),
            ("x\u{200b}y", "xy"),
            ("ſ", "s"),
            ("北京", ""),
            ("ﬁne①½", "fine112"),
            ("a\u{a0}b", "a-b"),
            ("a\u{1c}b", "a-b"),
            ("KK", "kk"),
            ("__x__", "x"),
        ] {
            assert_eq!(slugify(text), slug, "slug of {text:?}");
        }
    }
}
