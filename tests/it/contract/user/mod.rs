//! The contract of the user service.

mod by_email;
mod by_username;
mod change;
mod filter;
mod fuzzy;
mod page;
mod parts;
mod provision;
mod search;
mod serialize;
mod social_auth;

use user_gateway::domain::{Error, InvalidCode, Result};

/// What is wrong with the input, if that is the error.
fn invalid<T>(result: Result<T>) -> Option<InvalidCode> {
    match result {
        Err(Error::Invalid(invalid)) => Some(invalid.code),
        _ => None,
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
