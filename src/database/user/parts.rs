//! What belongs to users, many users at a time: one statement a kind.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use entity::{
    StringList, auth_identity, auth_provider, authenticator, user_permission, user_role,
    user_role_user,
};
use sea_orm::{
    EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
};

use super::super::Database;
use super::super::dialect::json_text;
use super::super::rows::stored_value;
use super::super::statement::numbers;
use crate::domain::{
    AuthIdentity, AuthIdentityId, Authenticator, AuthenticatorId, AuthenticatorKind, Avatar,
    IdentityProvider, OrganizationId, Result, Role, Secret, StoredValue, UserEmail, UserId,
};

fn raw(ids: &[UserId]) -> impl Iterator<Item = i64> {
    ids.iter().map(|id| id.0)
}

pub(super) async fn emails(
    database: &Database,
    ids: &[UserId],
) -> Result<Vec<(UserId, UserEmail)>> {
    let emails = &database.lookups().users.emails;
    database.look_up(emails, &numbers(ids)).await
}

pub(super) async fn avatars(database: &Database, ids: &[UserId]) -> Result<Vec<(UserId, Avatar)>> {
    let avatars = &database.lookups().users.avatars;
    database.look_up(avatars, &numbers(ids)).await
}

/// Whether secret material is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Included,
    Withheld,
}

#[derive(FromQueryResult)]
struct AuthenticatorRow {
    id: i32,
    user_id: i64,
    kind: i32,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    config: Option<String>,
}

pub(super) async fn authenticators(
    database: &Database,
    ids: &[UserId],
    secrets: Secrets,
) -> Result<Vec<Authenticator>> {
    use authenticator::{Column as C, Entity};
    let mut select = Entity::find()
        .select_only()
        .columns([C::Id, C::UserId, C::CreatedAt, C::LastUsedAt])
        .column_as(C::Kind, "kind")
        .filter(database.dialect().any_id(C::UserId, raw(ids)))
        .order_by_asc(C::UserId)
        .order_by_asc(C::Id);
    if secrets == Secrets::Included {
        select = select.column_as(json_text(C::Config), "config");
    }
    let rows = select
        .into_model::<AuthenticatorRow>()
        .all(database.reader())
        .await?;
    let rows = rows.into_iter().map(|row| Authenticator {
        id: AuthenticatorId(i64::from(row.id)),
        user_id: UserId(row.user_id),
        kind: AuthenticatorKind::from_stored(row.kind),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        config: row.config.and_then(|text| match stored_value(Some(&text)) {
            StoredValue::Json(value) => Some(Secret::new(value.to_value())),
            StoredValue::Unreadable => None,
        }),
    });
    Ok(rows.collect())
}

#[derive(FromQueryResult)]
struct IdentityRow {
    id: i64,
    user_id: i64,
    ident: String,
    date_added: DateTime<Utc>,
    last_verified: DateTime<Utc>,
    last_synced: DateTime<Utc>,
    provider_id: i64,
    provider: String,
    organization_id: i64,
}

pub(super) async fn identities(database: &Database, ids: &[UserId]) -> Result<Vec<AuthIdentity>> {
    use auth_identity::{Column as C, Entity, Relation};
    let rows = Entity::find()
        .select_only()
        .columns([
            C::Id,
            C::UserId,
            C::Ident,
            C::DateAdded,
            C::LastVerified,
            C::LastSynced,
        ])
        .column_as(auth_provider::Column::Id, "provider_id")
        .columns([
            auth_provider::Column::Provider,
            auth_provider::Column::OrganizationId,
        ])
        .join(JoinType::InnerJoin, Relation::AuthProvider.def())
        .filter(database.dialect().any_id((Entity, C::UserId), raw(ids)))
        .order_by_asc(C::UserId)
        .order_by_asc(C::Id)
        .into_model::<IdentityRow>()
        .all(database.reader())
        .await?;
    let rows = rows.into_iter().map(|row| AuthIdentity {
        id: AuthIdentityId(row.id),
        user_id: UserId(row.user_id),
        ident: row.ident,
        provider: IdentityProvider {
            id: row.provider_id,
            provider: row.provider,
            organization_id: OrganizationId(row.organization_id),
        },
        date_added: row.date_added,
        last_verified: row.last_verified,
        last_synced: row.last_synced,
    });
    Ok(rows.collect())
}

pub(super) async fn roles(database: &Database, ids: &[UserId]) -> Result<Vec<(UserId, Role)>> {
    use user_role_user::{Column as C, Entity, Relation};
    let rows: Vec<(i64, String, StringList)> = Entity::find()
        .select_only()
        .column(C::UserId)
        .columns([user_role::Column::Name, user_role::Column::Permissions])
        .join(JoinType::InnerJoin, Relation::Role.def())
        .filter(database.dialect().any_id((Entity, C::UserId), raw(ids)))
        .into_tuple()
        .all(database.reader())
        .await?;
    // The table may hold the same pair twice.
    let rows: BTreeMap<(i64, String), Vec<String>> = rows
        .into_iter()
        .map(|(user, name, permissions)| ((user, name), permissions.0))
        .collect();
    let rows = rows
        .into_iter()
        .map(|((user, name), permissions)| (UserId(user), Role { name, permissions }));
    Ok(rows.collect())
}

pub(super) async fn permissions(
    database: &Database,
    ids: &[UserId],
) -> Result<Vec<(UserId, String)>> {
    use user_permission::{Column as C, Entity};
    let rows: Vec<(i64, String)> = Entity::find()
        .select_only()
        .columns([C::UserId, C::Permission])
        .filter(database.dialect().any_id(C::UserId, raw(ids)))
        .order_by_asc(C::UserId)
        .order_by_asc(C::Permission)
        .into_tuple()
        .all(database.reader())
        .await?;
    Ok(rows
        .into_iter()
        .map(|(user, permission)| (UserId(user), permission))
        .collect())
}
