//! What mutations answer with.

use async_graphql::Enum;
use macros::object;

use super::id::Id;
use super::object::{User, UserOption};
use super::plan::enum_outputs;
use crate::domain::{Invalid, InvalidCode};

#[derive(Debug, Clone)]
pub(super) struct UserError {
    code: UserErrorCode,
    message: String,
    path: Vec<String>,
}

/// Something that a person filling in a form can mend.
#[object]
impl UserError {
    /// What is wrong, for programs.
    fn code(&self) -> UserErrorCode {
        self.code
    }

    /// What is wrong and what would be right, for people.
    fn message(&self) -> &str {
        &self.message
    }

    /// Where in the arguments, from `input` inwards.
    fn path(&self) -> &[String] {
        &self.path
    }
}

impl From<Invalid> for UserError {
    fn from(invalid: Invalid) -> Self {
        let path = std::iter::once("input".to_owned())
            .chain(invalid.path)
            .collect();
        Self {
            code: invalid.code.into(),
            message: invalid.message,
            path,
        }
    }
}

/// What can be wrong with a form's input. Codes are never renamed; new ones may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum UserErrorCode {
    /// The text does not have the required form, or the scope is none.
    InvalidFormat,
    /// The text, the list or the value is larger than allowed.
    TooLong,
    /// The limit on their number is reached; delete some.
    TooMany,
    /// Something is required and missing or empty.
    Required,
    /// What the input names does not exist.
    NotFound,
    /// The name belongs to somebody else.
    Taken,
}

impl From<InvalidCode> for UserErrorCode {
    fn from(code: InvalidCode) -> Self {
        match code {
            InvalidCode::InvalidFormat => Self::InvalidFormat,
            InvalidCode::TooLong => Self::TooLong,
            InvalidCode::TooMany => Self::TooMany,
            InvalidCode::Required => Self::Required,
            InvalidCode::NotFound => Self::NotFound,
            InvalidCode::Taken => Self::Taken,
        }
    }
}

#[derive(Debug)]
pub(super) struct GetOrCreateUserByEmailPayload {
    pub(super) user: Option<User>,
    pub(super) created: bool,
    pub(super) errors: Vec<UserError>,
}

/// The user behind an address.
#[object]
impl GetOrCreateUserByEmailPayload {
    /// The user; null if the input is wrong.
    fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Whether this call created the user.
    fn created(&self) -> bool {
        self.created
    }

    /// What is wrong with the input.
    fn errors(&self) -> &[UserError] {
        &self.errors
    }
}

#[derive(Debug)]
pub(super) struct SetUserOptionPayload {
    pub(super) option: Option<UserOption>,
    pub(super) changed: bool,
    pub(super) errors: Vec<UserError>,
}

/// An option as it is now.
#[object]
impl SetUserOptionPayload {
    /// The option; null if the input is wrong.
    fn option(&self) -> Option<&UserOption> {
        self.option.as_ref()
    }

    /// Whether anything was written.
    fn changed(&self) -> bool {
        self.changed
    }

    /// What is wrong with the input.
    fn errors(&self) -> &[UserError] {
        &self.errors
    }
}

#[derive(Debug)]
pub(super) struct DeleteUserOptionsPayload {
    pub(super) deleted_ids: Vec<Id>,
    pub(super) errors: Vec<UserError>,
}

/// The options that were deleted.
#[object]
impl DeleteUserOptionsPayload {
    /// The global ids of the options that existed and exist no more.
    fn deleted_ids(&self) -> &[Id] {
        &self.deleted_ids
    }

    /// What is wrong with the input.
    fn errors(&self) -> &[UserError] {
        &self.errors
    }
}

#[derive(Debug)]
pub(super) struct UpdateUserPayload {
    pub(super) user: Option<User>,
    pub(super) errors: Vec<UserError>,
}

/// The user as it is now.
#[object]
impl UpdateUserPayload {
    /// The user; null if the input is wrong.
    fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// What is wrong with the input.
    fn errors(&self) -> &[UserError] {
        &self.errors
    }
}

#[derive(Debug)]
pub(super) struct VerifyUserEmailPayload {
    pub(super) changed: bool,
    pub(super) errors: Vec<UserError>,
}

/// What became of an address.
#[object]
impl VerifyUserEmailPayload {
    /// Whether this call changed the address from unverified to verified.
    fn changed(&self) -> bool {
        self.changed
    }

    /// What is wrong with the input.
    fn errors(&self) -> &[UserError] {
        &self.errors
    }
}

enum_outputs!(UserErrorCode);
