//! The users (`auth_user`).

use sea_orm::entity::prelude::*;

/// One user.
///
/// Databases older than the newest Sentry release may lack `email_unique` and `is_suspended`, so a
/// query that has to run on such a database must name the columns it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_user")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the table has that many boolean columns"
)]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The password as a Django hash string; `!…` or the empty string is unusable.
    pub password: String,
    /// When the user last signed in.
    pub last_login: Option<DateTimeUtc>,
    /// The login name, unique by exact spelling.
    #[sea_orm(unique)]
    pub username: String,
    /// The whole display name, kept in the column `first_name`.
    #[sea_orm(column_name = "first_name")]
    pub name: String,
    /// The primary address; not unique.
    pub email: String,
    /// A copy of the address that is unique by exact spelling. Older databases lack it.
    #[sea_orm(unique)]
    pub email_unique: Option<String>,
    /// Whether the user may use staff tools.
    pub is_staff: bool,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// Whether nobody has taken over the account yet.
    pub is_unclaimed: bool,
    /// Whether the user may become a superuser.
    pub is_superuser: bool,
    /// Whether an external directory manages the account.
    pub is_managed: bool,
    /// Whether the account stands for an integration rather than a person.
    pub is_sentry_app: Option<bool>,
    /// Whether the password must be changed at the next sign-in.
    pub is_password_expired: bool,
    /// Whether the account is suspended. Older databases lack it.
    pub is_suspended: bool,
    /// When the password was last changed.
    pub last_password_change: Option<DateTimeUtc>,
    /// The bit field of the user; bit 0 asks for consent to the newsletter.
    pub flags: i64,
    /// The nonce whose change ends all sessions of the user.
    pub session_nonce: Option<String>,
    /// When the account was created.
    pub date_joined: DateTimeUtc,
    /// When the user was last seen.
    pub last_active: Option<DateTimeUtc>,
    /// The kind of avatar shown for the user.
    pub avatar_type: i16,
    /// Where the avatar is served.
    pub avatar_url: Option<String>,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
