//! Environment variables that make a test longer, or have it begin as it did before.

use std::fmt::Debug;
use std::str::FromStr;

/// The value of a variable; `None` if it is not set.
pub(crate) fn variable<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let text = std::env::var_os(name)?;
    Some(text.to_str().unwrap().parse().unwrap())
}
