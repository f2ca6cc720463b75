//! How rows become the directory's nouns.

use chrono::{DateTime, Utc};
use entity::{organization_mapping, user};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{EntityTrait, FromQueryResult, QuerySelect, Select};

use super::facts::Facts;
use crate::domain::{
    Organization, OrganizationFlags, OrganizationId, OrganizationStatus, Secret, StoredValue,
    UserFlags, UserId, UserProfile,
};

/// The columns of [`UserProfile`]. Nullable ones that a profile has no null for get its default;
/// the password stays in the database.
pub(super) fn select_profiles() -> Select<user::Entity> {
    use user::Column as C;
    let text = |column| {
        Expr::from(Func::coalesce([
            Expr::col((user::Entity, column)),
            Expr::val(""),
        ]))
    };
    user::Entity::find()
        .select_only()
        .columns([
            C::Id,
            C::Username,
            C::Email,
            C::IsActive,
            C::IsSuperuser,
            C::IsStaff,
            C::IsUnclaimed,
            C::IsPasswordExpired,
            C::DateJoined,
            C::LastActive,
            C::AvatarUrl,
            C::SessionNonce,
        ])
        .column_as(text(C::Name), "name")
        .column_as(C::IsSentryApp, "is_sentry_app")
        .column_as(C::Flags, "flags")
        .column_as(password_usable(), "password_usable")
}

fn password_usable() -> Expr {
    let password = || Expr::col((user::Entity, user::Column::Password));
    password().ne("").and(password().not_like("!%"))
}

/// Whether an account is suspended; on tables from before there was such a thing, none is.
pub(super) fn is_suspended(facts: &Facts) -> Expr {
    if facts.has_is_suspended {
        Expr::col((user::Entity, user::Column::IsSuspended))
    } else {
        Expr::val(false)
    }
}

#[derive(Debug, FromQueryResult)]
#[expect(clippy::struct_excessive_bools, reason = "the table's columns")]
pub(super) struct ProfileRow {
    id: i64,
    username: String,
    name: String,
    email: String,
    is_active: bool,
    is_superuser: bool,
    is_staff: bool,
    is_unclaimed: bool,
    is_sentry_app: Option<bool>,
    is_password_expired: bool,
    password_usable: bool,
    date_joined: DateTime<Utc>,
    last_active: Option<DateTime<Utc>>,
    flags: Option<i64>,
    avatar_url: Option<String>,
    session_nonce: Option<String>,
}

impl From<ProfileRow> for UserProfile {
    fn from(row: ProfileRow) -> Self {
        Self {
            id: UserId(row.id),
            username: row.username,
            name: row.name,
            email: row.email,
            is_active: row.is_active,
            is_superuser: row.is_superuser,
            is_staff: row.is_staff,
            is_unclaimed: row.is_unclaimed,
            is_sentry_app: row.is_sentry_app.unwrap_or_default(),
            password_usable: row.password_usable,
            is_password_expired: row.is_password_expired,
            date_joined: row.date_joined,
            last_active: row.last_active,
            flags: Some(UserFlags::from_bits(row.flags.unwrap_or_default())),
            avatar_url: row.avatar_url,
            session_nonce: row.session_nonce.map(Secret::new),
        }
    }
}

/// The columns of [`Organization`].
pub(super) const ORGANIZATION_COLUMNS: [organization_mapping::Column; 16] = {
    use organization_mapping::Column as C;
    [
        C::OrganizationId,
        C::Slug,
        C::Name,
        C::RegionName,
        C::DateCreated,
        C::CustomerId,
        C::Status,
        C::EarlyAdopter,
        C::Require2fa,
        C::AllowJoinleave,
        C::EnhancedPrivacy,
        C::DisableSharedIssues,
        C::DisableNewVisibilityFeatures,
        C::DisableMemberProjectCreation,
        C::PreventSuperuserAccess,
        C::DisableMemberInvite,
    ]
};

#[derive(Debug, FromQueryResult)]
#[expect(clippy::struct_excessive_bools, reason = "the table's columns")]
pub(super) struct OrganizationRow {
    organization_id: i64,
    slug: String,
    name: String,
    region_name: String,
    date_created: DateTime<Utc>,
    customer_id: Option<String>,
    status: Option<i64>,
    early_adopter: bool,
    require_2fa: bool,
    allow_joinleave: bool,
    enhanced_privacy: bool,
    disable_shared_issues: bool,
    disable_new_visibility_features: bool,
    disable_member_project_creation: bool,
    prevent_superuser_access: bool,
    disable_member_invite: bool,
}

impl From<OrganizationRow> for Organization {
    fn from(row: OrganizationRow) -> Self {
        Self {
            id: OrganizationId(row.organization_id),
            slug: row.slug,
            name: row.name,
            region_name: row.region_name,
            date_created: row.date_created,
            customer_id: row.customer_id,
            status: row.status.map(OrganizationStatus::from_stored),
            flags: OrganizationFlags {
                early_adopter: row.early_adopter,
                require_2fa: row.require_2fa,
                allow_joinleave: row.allow_joinleave,
                enhanced_privacy: row.enhanced_privacy,
                disable_shared_issues: row.disable_shared_issues,
                disable_new_visibility_features: row.disable_new_visibility_features,
                disable_member_project_creation: row.disable_member_project_creation,
                prevent_superuser_access: row.prevent_superuser_access,
                disable_member_invite: row.disable_member_invite,
            },
        }
    }
}

/// A stored JSON text. SQL's null and JSON's are the same to a reader.
pub(super) fn stored_value(text: Option<&str>) -> StoredValue {
    match text.map(serde_json::from_str) {
        None => StoredValue::Json(serde_json::Value::Null),
        Some(Ok(value)) => StoredValue::Json(value),
        Some(Err(_)) => StoredValue::Unreadable,
    }
}
