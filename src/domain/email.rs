//! A mail address that may be stored.

use std::fmt;

use super::error::{Invalid, InvalidCode};

/// The longest address the directory stores, in characters.
pub const EMAIL_MAX_CHARS: usize = 200;

/// An address, its case kept as given; well-formed unless [`Email::as_given`] made it.
///
/// The form is that of RFC 5321 with the internationalized local parts and domains of RFC 6531,
/// less quoted local parts and address literals, which no mail provider hands out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Checks `text`. `path` says where it was given.
    pub fn parse(text: &str, path: &[&str]) -> Result<Self, Invalid> {
        if text.chars().count() > EMAIL_MAX_CHARS {
            return Err(Invalid::new(
                InvalidCode::TooLong,
                format!("an address has at most {EMAIL_MAX_CHARS} characters"),
                path,
            ));
        }
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(Invalid::format(
                format!("not a mail address: {fault}; an address looks like name@example.com"),
                path,
            )),
        }
    }

    /// An address that a silo of Sentry's gives: one of whatever form, since Sentry checks none.
    #[must_use]
    pub const fn as_given(text: String) -> Self {
        Self(text)
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or(&self.0)
    }
}

/// What is wrong with `text` as an address.
fn fault(text: &str) -> Option<&'static str> {
    if text.trim() != text {
        return Some("it has space around it");
    }
    let Some((local, domain)) = text.split_once('@') else {
        return Some("it has no `@`");
    };
    if domain.contains('@') {
        return Some("it has more than one `@`");
    }
    let forbidden = |c: char| {
        c.is_control()
            || c.is_whitespace()
            || (c.is_ascii_punctuation() && r#""(),:;<>[\]"#.contains(c))
    };
    if local.is_empty() || local.len() > 64 || local.contains(forbidden) {
        return Some(
            "the part before the `@` is empty, too long or holds a character that it may not",
        );
    }
    if local.split('.').any(str::is_empty) {
        return Some("a dot stands at an end of the part before the `@` or beside another");
    }
    let label = |label: &str| {
        let ends = [label.chars().next(), label.chars().next_back()];
        (1..=63).contains(&label.chars().count())
            && ends.iter().all(|end| *end != Some('-'))
            && label.chars().all(|c| {
                if c.is_ascii() {
                    c.is_ascii_alphanumeric() || c == '-'
                } else {
                    !forbidden(c)
                }
            })
    };
    if !domain.split('.').all(label) {
        return Some("the part after the `@` is no domain");
    }
    if !domain.contains('.') && !domain.eq_ignore_ascii_case("localhost") {
        return Some("its domain has no dot");
    }
    None
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_script_are_well_formed() {
        for text in [
            "a@example.com",
            "John.Doe+tag@Example.COM",
            "юлия@пример.example",
            "वर्मा@example.org",
            "x@ตัวอย่าง.example",
            "o'neil@sub.example.co",
            "root@localhost",
        ] {
            assert!(Email::parse(text, &[]).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "", "a", "a@", "@b.c", "a@b", "a b@c.d", " a@b.c", "a@b.c ", "a@@b.c", "a@b@c.d",
            "a..b@c.d", ".a@c.d", "a.@c.d", "a@-b.c", "a@b..c", "a@b_c.d", "a\0@b.c", "a<b>@c.d",
            &long,
        ] {
            assert!(Email::parse(text, &[]).is_err(), "{text:?}");
        }
        let long = format!("a@{}.com", "b.".repeat(100));
        assert_eq!(
            Email::parse(&long, &[]).unwrap_err().code,
            InvalidCode::TooLong
        );
    }
}
