//! The objects of the graph: views of domain types.

mod connection;
mod node;
mod organization;
mod user;
mod user_option;
mod user_option_change;
mod user_part;
mod viewer;

pub(super) use connection::{OrganizationMemberConnection, UserConnection};
pub(super) use node::{Node, find};
pub(super) use organization::Organization;
pub(super) use user::{User, visibility};
pub(super) use user_option::UserOption;
pub(super) use user_option_change::UserOptionChange;
pub(super) use user_part::{AuthIdentity, AuthenticatorKind};
pub(super) use viewer::Viewer;
