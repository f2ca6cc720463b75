//! Short texts that people choose, checked once.

use std::fmt;

use super::error::{Invalid, InvalidCode};

/// Checks a text of bounded length without control characters.
fn bounded(text: &str, what: &str, max_chars: usize, path: &[&str]) -> Result<String, Invalid> {
    if text.chars().count() > max_chars {
        return Err(Invalid::new(
            InvalidCode::TooLong,
            format!("{what} has at most {max_chars} characters"),
            path,
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::format(
            format!("{what} holds no control characters"),
            path,
        ));
    }
    Ok(text.to_owned())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { $parse:item })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            $parse

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

texts! {
    /// The unique name of a user.
    Username {
        /// Checks `text`: 1 to 128 characters, without space around it.
        pub fn parse(text: &str, path: &[&str]) -> Result<Self, Invalid> {
            if text.is_empty() {
                return Err(Invalid::new(InvalidCode::Required, "a username is not empty", path));
            }
            if text.trim() != text {
                return Err(Invalid::format("a username has no space around it", path));
            }
            bounded(text, "a username", 128, path).map(Self)
        }
    }

    /// The name of a user for people; it may be empty.
    DisplayName {
        /// Checks `text`: at most 200 characters.
        pub fn parse(text: &str, path: &[&str]) -> Result<Self, Invalid> {
            bounded(text, "a name", 200, path).map(Self)
        }
    }

    /// Where a picture is.
    PictureUrl {
        /// Checks `text`: an `http` or `https` address of at most 120 characters.
        pub fn parse(text: &str, path: &[&str]) -> Result<Self, Invalid> {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
                return Err(Invalid::format(
                    "not the address of a picture; it looks like https://example.com/me.png",
                    path,
                ));
            }
            bounded(text, "the address of a picture", 120, path).map(Self)
        }
    }
}

impl PictureUrl {
    /// Checks an address that a silo of Sentry's gives: one of whatever form, since Sentry checks
    /// none, of at most 120 characters.
    pub fn as_given(text: &str, path: &[&str]) -> Result<Self, Invalid> {
        bounded(text, "the address of a picture", 120, path).map(Self)
    }
}
