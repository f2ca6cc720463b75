//! What is said between silos: envelopes, models, filters, errors, and one type per remote method.
//!
//! Names of fields, methods and values are Sentry's. On the server's side arguments are read as
//! forgivingly as Sentry reads them; see `loose`. What goes beyond Sentry is said between gateways
//! alone, which know each other by [`Extension`]: more fields of a user, more keys of a filter, the
//! methods of [`gateway`], and errors that stay what they are (see [`WireError`]).

mod envelope;
mod error;
mod filter;
mod loose;
mod model;
mod moment;
mod organization;
mod part;
mod profile;

pub mod caching;
pub mod gateway;
pub mod user;
pub mod user_option;

pub use envelope::{Extension, Meta, Request, Response, VERSION};
pub use error::WireError;
pub use filter::{Key, UserFilterArgs, UserOptionFilterArgs};
pub use model::{RpcUser, RpcVerifyUserEmail, UserCreateResult};
pub use moment::Moment;
pub use organization::RpcOrganizationMapping;
pub use part::{RpcAuthenticator, RpcAvatar, RpcUserEmail, RpcUserOption};
pub use profile::RpcUserProfile;

/// Makes of each item the arguments of a remote method. A field is read forgivingly, and may be
/// missing if it has a default.
macro_rules! calls {
    ($service:literal: $(
        $(#[$doc:meta])*
        $name:ident = $method:literal, repeatable: $repeatable:literal -> $value:ty {
            $(
                $(#[doc = $field_doc:literal])*
                $(#[serde($($field_serde:tt)*)])?
                $field:ident: $type:ty,
            )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])*
                #[serde(deserialize_with = "crate::rpc::wire::loose::read")]
                $(#[serde($($field_serde)*)])?
                pub $field: $type,
            )*
        }

        impl $crate::rpc::Call for $name {
            const SERVICE: &'static str = $service;
            const METHOD: &'static str = $method;
            const REPEATABLE: bool = $repeatable;
            type Value = $value;
        }
    )*};
}

use calls;
