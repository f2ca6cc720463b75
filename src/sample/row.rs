//! The rows, one type per table, with the names and types of its columns.
//!
//! Every column is present, because the tables have no defaults to fall back on.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// A row of `auth_user`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the columns are what they are"
)]
pub struct UserRow {
    /// Primary key.
    pub id: i64,
    /// `!`, which is unusable, or text in the shape of a hash that matches no password.
    pub password: String,
    /// When the user last signed in.
    pub last_login: Option<DateTime<Utc>>,
    /// Unique, ignoring case too.
    pub username: String,
    /// The whole display name.
    pub first_name: String,
    /// The primary address, equal to the user's first row of `sentry_useremail`.
    pub email: String,
    /// Always null.
    pub email_unique: Option<String>,
    /// Whether the user is staff.
    pub is_staff: bool,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// Whether the account was made for somebody who has not come yet.
    pub is_unclaimed: bool,
    /// Whether the user may do everything.
    pub is_superuser: bool,
    /// Whether an organization manages the account.
    pub is_managed: bool,
    /// Whether the account is a program's; null means no.
    pub is_sentry_app: Option<bool>,
    /// Whether the password must be changed.
    pub is_password_expired: bool,
    /// Whether the account is suspended.
    pub is_suspended: bool,
    /// When the password was last changed.
    pub last_password_change: Option<DateTime<Utc>>,
    /// Bit field; bit 0 asks for consent to the newsletter.
    pub flags: i64,
    /// Part of every session of the user.
    pub session_nonce: Option<String>,
    /// When the account was made.
    pub date_joined: DateTime<Utc>,
    /// When the user was last seen.
    pub last_active: Option<DateTime<Utc>>,
    /// The same code as in the user's row of `sentry_useravatar`, 0 without one.
    pub avatar_type: i16,
    /// Where the uploaded avatar is.
    pub avatar_url: Option<String>,
}

/// A row of `sentry_useremail`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserEmailRow {
    /// Primary key; a user's lowest is the primary address.
    pub id: i64,
    /// Whose address.
    pub user_id: i64,
    /// The address.
    pub email: String,
    /// Predictable, like everything here.
    pub validation_hash: String,
    /// When the hash was made.
    pub date_hash_added: DateTime<Utc>,
    /// Whether the user has shown that the address is theirs.
    pub is_verified: bool,
}

/// A row of `sentry_useravatar`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserAvatarRow {
    /// Primary key.
    pub id: i64,
    /// Unique name in addresses of pictures.
    pub ident: String,
    /// The uploaded file, which does not exist.
    pub control_file_id: Option<i64>,
    /// 0 is a letter, 1 an upload, 2 a Gravatar.
    pub avatar_type: i16,
    /// Whose avatar; a user has at most one.
    pub user_id: i64,
}

/// A row of `sentry_useroption`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserOptionRow {
    /// Primary key.
    pub id: i64,
    /// Whose option.
    pub user_id: i64,
    /// The project it is limited to.
    pub project_id: Option<i64>,
    /// The organization it is limited to.
    pub organization_id: Option<i64>,
    /// Unique for the user and the scope.
    pub key: String,
    /// The value, never null.
    pub value: Value,
}

/// A row of `sentry_userpermission`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserPermissionRow {
    /// Primary key.
    pub id: i64,
    /// Who has the permission.
    pub user_id: i64,
    /// The permission, unique for the user.
    pub permission: String,
}

/// A row of `sentry_userrole`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserRoleRow {
    /// Primary key.
    pub id: i64,
    /// When the role was last changed.
    pub date_updated: DateTime<Utc>,
    /// When the role was made.
    pub date_added: Option<DateTime<Utc>>,
    /// Unique name.
    pub name: String,
    /// What the role allows.
    pub permissions: Vec<String>,
}

/// A row of `sentry_userrole_users`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserRoleUserRow {
    /// Primary key.
    pub id: i64,
    /// When the row was last changed.
    pub date_updated: DateTime<Utc>,
    /// When the role was given.
    pub date_added: Option<DateTime<Utc>>,
    /// Who has the role.
    pub user_id: i64,
    /// The role.
    pub role_id: i64,
}

/// A row of `auth_authenticator`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuthenticatorRow {
    /// Primary key. The column has 32 bits, which suffice for five hundred million users.
    pub id: i64,
    /// Whose second factor.
    pub user_id: i64,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// 0 is recovery codes, 1 TOTP, 2 SMS, 3 U2F; unique for the user.
    #[serde(rename = "type")]
    pub kind: i32,
    /// An object without any secret.
    pub config: Value,
}

/// A row of `sentry_authprovider`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuthProviderRow {
    /// Primary key.
    pub id: i64,
    /// Whose provider; an organization has at most one.
    pub organization_id: i64,
    /// What kind of provider.
    pub provider: String,
    /// An empty object.
    pub config: Value,
    /// When it was set up.
    pub date_added: DateTime<Utc>,
    /// Always null.
    pub sync_time: Option<i32>,
    /// When its users were last compared with ours.
    pub last_sync: Option<DateTime<Utc>>,
    /// The role of new members.
    pub default_role: i32,
    /// Whether new members join every team.
    pub default_global_access: bool,
    /// Bit field; bit 0 allows unlinked accounts, bit 1 is SCIM.
    pub flags: i64,
}

/// A row of `sentry_authidentity`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuthIdentityRow {
    /// Primary key.
    pub id: i64,
    /// Who signs in with it.
    pub user_id: i64,
    /// Where the identity is known; a user has at most one there.
    pub auth_provider_id: i64,
    /// The provider's name for the user, unique at the provider.
    pub ident: String,
    /// An empty object.
    pub data: Value,
    /// When it was last used to sign in.
    pub last_verified: DateTime<Utc>,
    /// When it was last compared with the provider.
    pub last_synced: DateTime<Utc>,
    /// When it was linked.
    pub date_added: DateTime<Utc>,
}

/// A row of `sentry_organizationmapping`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the columns are what they are"
)]
pub struct OrganizationMappingRow {
    /// Primary key, which is not the id of the organization.
    pub id: i64,
    /// The id of the organization.
    pub organization_id: i64,
    /// Unique name in addresses.
    pub slug: String,
    /// The name to show.
    pub name: String,
    /// When the organization was made.
    pub date_created: DateTime<Utc>,
    /// Who pays.
    pub customer_id: Option<String>,
    /// Whether the slug is confirmed by the region.
    pub verified: bool,
    /// Empty: no creation is under way.
    pub idempotency_key: String,
    /// The region the organization lives in.
    pub region_name: String,
    /// 0 is active, 1 pending deletion.
    pub status: Option<i64>,
    /// Whether members may join and leave teams.
    pub allow_joinleave: bool,
    /// Whether notifications leave out source code.
    pub enhanced_privacy: bool,
    /// Whether members need a second factor.
    pub require_2fa: bool,
    /// Whether the organization gets features early.
    pub early_adopter: bool,
    /// Whether issues cannot be shared with the public.
    pub disable_shared_issues: bool,
    /// Whether new features are hidden.
    pub disable_new_visibility_features: bool,
    /// Whether members need a verified address.
    pub require_email_verification: bool,
    /// Whether plain members cannot make projects.
    pub disable_member_project_creation: bool,
    /// Whether superusers are kept out.
    pub prevent_superuser_access: bool,
    /// Whether plain members cannot invite.
    pub disable_member_invite: bool,
    /// When the row was last changed.
    pub date_updated: DateTime<Utc>,
}

/// A row of `sentry_organizationmembermapping`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrganizationMemberMappingRow {
    /// Primary key.
    pub id: i64,
    /// The organization.
    pub organization_id: i64,
    /// The member's id in the region, which is not the key of this row.
    pub organizationmember_id: Option<i64>,
    /// When the member was added or invited.
    pub date_added: DateTime<Utc>,
    /// `owner`, `manager`, `admin` or `member`.
    pub role: String,
    /// The member; null while invited.
    pub user_id: Option<i64>,
    /// The address that was invited; null for a member.
    pub email: Option<String>,
    /// Who invited.
    pub inviter_id: Option<i64>,
    /// 0 is approved, 1 asked for by a member, 2 asked for by the person.
    pub invite_status: Option<i16>,
}
