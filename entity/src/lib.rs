//! The tables of the user directory as `SeaORM` entities, one module per table.

pub mod api_token;
pub mod auth_identity;
pub mod auth_provider;
pub mod authenticator;
pub mod control_outbox;
pub mod organization_mapping;
pub mod organization_member_mapping;
pub mod region;
pub mod service_token;
mod string_list;
pub mod user;
pub mod user_avatar;
pub mod user_email;
pub mod user_option;
pub mod user_permission;
pub mod user_role;
pub mod user_role_user;
pub mod user_social_auth;

pub use string_list::StringList;
