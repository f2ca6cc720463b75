//! How rows become the directory's nouns.

use entity::{organization_mapping, user};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{EntityTrait, QuerySelect, Select};

use super::facts::Facts;
use super::statement::Columns;
use crate::domain::{
    Organization, OrganizationFlags, OrganizationId, OrganizationStatus, Result, Secret,
    StoredValue, UserFlags, UserId, UserProfile,
};

/// The columns of [`UserProfile`], which [`profile`] reads. Nullable ones that a profile has no null
/// for get its default; the password stays in the database.
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
        .columns([C::Id, C::Username])
        .column_as(text(C::Name), "name")
        .columns([
            C::Email,
            C::IsActive,
            C::IsSuperuser,
            C::IsStaff,
            C::IsUnclaimed,
            C::IsSentryApp,
        ])
        .column_as(password_usable(), "password_usable")
        .columns([
            C::IsPasswordExpired,
            C::DateJoined,
            C::LastActive,
            C::Flags,
            C::AvatarUrl,
            C::SessionNonce,
        ])
}

/// Reads the columns of [`select_profiles`].
pub(super) fn profile(columns: &mut Columns<'_>) -> Result<UserProfile> {
    Ok(UserProfile {
        id: UserId(columns.take()?),
        username: columns.take()?,
        name: columns.take()?,
        email: columns.take()?,
        is_active: columns.take()?,
        is_superuser: columns.take()?,
        is_staff: columns.take()?,
        is_unclaimed: columns.take()?,
        is_sentry_app: columns.take::<Option<bool>>()?.unwrap_or_default(),
        password_usable: columns.take()?,
        is_password_expired: columns.take()?,
        date_joined: columns.take()?,
        last_active: columns.take()?,
        flags: {
            let bits: Option<i64> = columns.take()?;
            Some(UserFlags::from_bits(bits.unwrap_or_default()))
        },
        avatar_url: columns.take()?,
        session_nonce: columns.take::<Option<String>>()?.map(Secret::new),
    })
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

/// The columns of [`Organization`], which [`organization`] reads.
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

/// Reads [`ORGANIZATION_COLUMNS`].
pub(super) fn organization(columns: &mut Columns<'_>) -> Result<Organization> {
    Ok(Organization {
        id: OrganizationId(columns.take()?),
        slug: columns.take()?,
        name: columns.take()?,
        region_name: columns.take()?,
        date_created: columns.take()?,
        customer_id: columns.take()?,
        status: {
            let status: Option<i64> = columns.take()?;
            status.map(OrganizationStatus::from_stored)
        },
        flags: OrganizationFlags {
            early_adopter: columns.take()?,
            require_2fa: columns.take()?,
            allow_joinleave: columns.take()?,
            enhanced_privacy: columns.take()?,
            disable_shared_issues: columns.take()?,
            disable_new_visibility_features: columns.take()?,
            disable_member_project_creation: columns.take()?,
            prevent_superuser_access: columns.take()?,
            disable_member_invite: columns.take()?,
        },
    })
}

/// A stored JSON text. SQL's null and JSON's are the same to a reader.
pub(super) fn stored_value(text: Option<&str>) -> StoredValue {
    match text.map(serde_json::from_str) {
        None => StoredValue::Json(serde_json::Value::Null),
        Some(Ok(value)) => StoredValue::Json(value),
        Some(Err(_)) => StoredValue::Unreadable,
    }
}
