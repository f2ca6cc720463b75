//! Users in the form of Sentry's REST API.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use entity::{organization_mapping, user, user_option};
use md5::{Digest, Md5};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value, json};

use super::super::Database;
use super::super::dialect::json_text;
use super::super::rows::{is_suspended, name, stored_value};
use super::{filter, parts, read};
use crate::domain::{
    Authenticator, AvatarKind, Result, SerializeRequest, Serializer, StoredValue, UserFlags, UserId,
};

#[derive(FromQueryResult)]
#[expect(clippy::struct_excessive_bools, reason = "the table's columns")]
struct AccountRow {
    id: i64,
    username: String,
    name: String,
    email: String,
    is_active: bool,
    is_managed: bool,
    is_superuser: bool,
    is_staff: bool,
    is_suspended: bool,
    has_password_auth: bool,
    flags: Option<i64>,
    avatar_url: Option<String>,
    date_joined: DateTime<Utc>,
    last_login: Option<DateTime<Utc>>,
    last_active: Option<DateTime<Utc>>,
}

/// Who asks, as far as the form depends on it.
struct Requester {
    id: UserId,
    is_superuser: bool,
    is_staff: bool,
}

pub(super) async fn many(database: &Database, request: &SerializeRequest) -> Result<Vec<Value>> {
    filter::require_anchor(&request.filter)?;
    let rows = accounts(database, request).await?;
    let ids: Vec<UserId> = rows.iter().map(|row| UserId(row.id)).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let requester = requester(database, request.as_user).await?;
    let mut emails: HashMap<UserId, Vec<Value>> = HashMap::new();
    for (id, email) in parts::emails(database, &ids).await? {
        emails.entry(id).or_default().push(json!({
            "id": email.id.to_string(),
            "email": email.email,
            "is_verified": email.is_verified,
        }));
    }
    let avatars: HashMap<_, _> = parts::avatars(database, &ids).await?.into_iter().collect();
    let mut authenticators: HashMap<UserId, Vec<Authenticator>> = HashMap::new();
    for factor in parts::authenticators(database, &ids, parts::Secrets::Withheld).await? {
        if !factor.kind.is_backup() {
            authenticators
                .entry(factor.user_id)
                .or_default()
                .push(factor);
        }
    }
    let can_reset = if request.serializer == Serializer::Detailed {
        read::in_one_active_organization(database, &ids).await?
    } else {
        std::collections::HashSet::new()
    };

    let own = requester.as_ref().map(|requester| requester.id);
    let is_superuser = requester.as_ref().is_some_and(|r| r.is_superuser);
    let is_staff = requester.as_ref().is_some_and(|r| r.is_staff);
    let of = |everybody: bool| -> Vec<UserId> {
        ids.iter()
            .copied()
            .filter(|id| everybody || own == Some(*id))
            .collect()
    };
    let mut identities = identities(database, &of(is_superuser)).await?;
    let mut permissions = match request.serializer {
        Serializer::SelfDetailed => permissions(database, &of(is_superuser || is_staff)).await?,
        Serializer::Simple | Serializer::Detailed => HashMap::new(),
    };

    let mut users = Vec::with_capacity(rows.len());
    for row in rows {
        let id = UserId(row.id);
        let is_self = own == Some(id);
        let factors = authenticators.remove(&id).unwrap_or_default();
        let mut user = basic(&row);
        user.insert("has2fa".to_owned(), json!(!factors.is_empty()));
        let shown = is_self || is_superuser;
        let addresses = emails.remove(&id).filter(|_| shown).unwrap_or_default();
        user.insert("emails".to_owned(), Value::Array(addresses));
        let avatar = avatars.get(&id);
        user.insert(
            "avatar".to_owned(),
            json!({
                "avatarType": avatar.map_or(AvatarKind::Letter, |a| a.kind).name(),
                "avatarUuid": avatar.filter(|a| a.file_id.is_some()).map(|a| &a.ident),
                "avatarUrl": row.avatar_url,
            }),
        );
        if is_self {
            user.insert("options".to_owned(), options(database, id).await?);
            let flags = UserFlags::from_bits(row.flags.unwrap_or_default());
            user.insert(
                "flags".to_owned(),
                json!({ "newsletter_consent_prompt": flags.newsletter_consent_prompt }),
            );
        }
        if shown {
            let identities = identities.remove(&id).unwrap_or_default();
            user.insert("identities".to_owned(), Value::Array(identities));
        }
        let factors: Vec<Value> = factors.iter().map(authenticator).collect();
        match request.serializer {
            Serializer::Simple => {}
            Serializer::Detailed => {
                user.insert("authenticators".to_owned(), Value::Array(factors));
                user.insert("canReset2fa".to_owned(), json!(can_reset.contains(&id)));
            }
            Serializer::SelfDetailed if is_self || is_superuser || is_staff => {
                user.insert("authenticators".to_owned(), Value::Array(factors));
                let permissions = permissions.remove(&id).unwrap_or_default();
                user.insert("permissions".to_owned(), json!(permissions));
            }
            Serializer::SelfDetailed => {
                tracing::warn!("permissions were asked for by somebody who may not see them");
            }
        }
        users.push(Value::Object(user));
    }
    Ok(users)
}

async fn accounts(database: &Database, request: &SerializeRequest) -> Result<Vec<AccountRow>> {
    use user::Column as C;
    let password = Expr::col((user::Entity, C::Password));
    let accounts = user::Entity::find()
        .select_only()
        .columns([C::Id, C::Username, C::Email, C::IsActive, C::IsManaged])
        .columns([C::IsSuperuser, C::IsStaff, C::Flags, C::AvatarUrl])
        .columns([C::DateJoined, C::LastLogin, C::LastActive])
        .column_as(name(), "name")
        .column_as(is_suspended(database.facts()), "is_suspended")
        .column_as(
            sea_orm::sea_query::ExprTrait::is_not_in(password, ["", "!"]),
            "has_password_auth",
        );
    let accounts = filter::unrestricted(database, accounts, &request.filter);
    Ok(accounts
        .order_by_asc(C::Id)
        .into_model::<AccountRow>()
        .all(database.reader())
        .await?)
}

async fn requester(database: &Database, id: Option<UserId>) -> Result<Option<Requester>> {
    let Some(id) = id else { return Ok(None) };
    let row: Option<(bool, bool)> = user::Entity::find()
        .select_only()
        .columns([user::Column::IsSuperuser, user::Column::IsStaff])
        .filter(user::Column::Id.eq(id.0))
        .into_tuple()
        .one(database.reader())
        .await?;
    Ok(row.map(|(is_superuser, is_staff)| Requester {
        id,
        is_superuser,
        is_staff,
    }))
}

fn basic(row: &AccountRow) -> Map<String, Value> {
    let display = [&row.name, &row.email, &row.username]
        .into_iter()
        .find(|text| !text.is_empty());
    let json = json!({
        "id": row.id.to_string(),
        "name": display,
        "username": row.username,
        "email": row.email,
        "avatarUrl": gravatar_url(&row.email),
        "isActive": row.is_active,
        "hasPasswordAuth": row.has_password_auth,
        "isManaged": row.is_managed,
        "dateJoined": timestamp(row.date_joined),
        "lastLogin": row.last_login.map(timestamp),
        "lastActive": row.last_active.map(timestamp),
        "isSuperuser": row.is_superuser,
        "isStaff": row.is_staff,
        "isSuspended": row.is_suspended,
        "experiments": {},
    });
    match json {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Gravatar knows pictures by the MD5 of the lower-case address; it protects nothing.
fn gravatar_url(email: &str) -> String {
    use std::fmt::Write as _;
    let mut url = String::from("https://gravatar.com/avatar/");
    for byte in Md5::digest(email.to_lowercase()) {
        let _ = write!(url, "{byte:02x}");
    }
    url.push_str("?s=32&d=mm");
    url
}

fn timestamp(time: DateTime<Utc>) -> String {
    let format = if time.timestamp_subsec_micros() == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Micros
    };
    time.to_rfc3339_opts(format, true)
}

fn authenticator(factor: &Authenticator) -> Value {
    let name = match factor.kind.name() {
        "totp" => "Authenticator App",
        "sms" => "Text Message",
        "u2f" => "Passkey / Biometric / Security Key",
        other => other,
    };
    json!({
        "id": factor.id.to_string(),
        "type": factor.kind.name(),
        "name": name,
        "dateCreated": timestamp(factor.created_at),
        "dateUsed": factor.last_used_at.map(timestamp),
    })
}

/// The user's well-known options under their API names, with the defaults of those not set.
async fn options(database: &Database, id: UserId) -> Result<Value> {
    use user_option::Column as C;
    let rows: Vec<(String, Option<String>)> = user_option::Entity::find()
        .select_only()
        .column(C::Key)
        .column_as(json_text(C::Value), "value")
        .filter(C::UserId.eq(id.0))
        .filter(C::ProjectId.is_null())
        .order_by_asc(C::Id)
        .into_tuple()
        .all(database.reader())
        .await?;
    let stored: HashMap<String, Value> = rows
        .into_iter()
        .filter_map(|(key, text)| match stored_value(text.as_deref()) {
            StoredValue::Json(value) if !value.is_null() => Some((key, value.to_value())),
            _ => None,
        })
        .collect();
    let get = |key: &str, default: Value| {
        let truthy = |value: &&Value| !matches!(value, Value::String(text) if text.is_empty());
        stored.get(key).filter(truthy).cloned().unwrap_or(default)
    };
    let order = get("stacktrace_order", json!(-1));
    let order = order
        .as_i64()
        .or_else(|| order.as_str()?.parse().ok())
        .unwrap_or(-1);
    Ok(json!({
        "theme": get("theme", json!("system")),
        "language": get("language", json!("en")),
        "stacktraceOrder": order,
        "defaultIssueEvent": get("default_issue_event", json!("recommended")),
        "timezone": get("timezone", json!("UTC")),
        "clock24Hours": get("clock_24_hours", json!(false)),
        "prefersIssueDetailsStreamlinedUI": get("prefers_issue_details_streamlined_ui", Value::Null),
    }))
}

/// The identities of these users, with the organizations whose providers they are at.
async fn identities(database: &Database, ids: &[UserId]) -> Result<HashMap<UserId, Vec<Value>>> {
    use organization_mapping::{Column as C, Entity};
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = parts::identities(database, ids).await?;
    let organizations: Vec<(i64, String, String)> = Entity::find()
        .select_only()
        .columns([C::OrganizationId, C::Slug, C::Name])
        .filter(
            database.dialect().any_id(
                C::OrganizationId,
                found
                    .iter()
                    .map(|identity| identity.provider.organization_id.0),
            ),
        )
        .into_tuple()
        .all(database.reader())
        .await?;
    let organizations: HashMap<i64, Value> = organizations
        .into_iter()
        .map(|(id, slug, name)| (id, json!({ "slug": slug, "name": name })))
        .collect();
    let mut identities: HashMap<UserId, Vec<Value>> = HashMap::new();
    for identity in found {
        identities.entry(identity.user_id).or_default().push(json!({
            "id": identity.id.to_string(),
            "name": identity.ident,
            "organization": organizations.get(&identity.provider.organization_id.0),
            "provider": { "id": identity.provider.provider, "name": identity.provider.provider },
            "dateSynced": timestamp(identity.last_synced),
            "dateVerified": timestamp(identity.last_verified),
        }));
    }
    Ok(identities)
}

/// Direct permissions and those of roles, sorted. All roles count, where Sentry takes one.
async fn permissions(
    database: &Database,
    ids: &[UserId],
) -> Result<HashMap<UserId, BTreeSet<String>>> {
    let mut permissions: HashMap<UserId, BTreeSet<String>> = HashMap::new();
    if ids.is_empty() {
        return Ok(permissions);
    }
    for (id, permission) in parts::permissions(database, ids).await? {
        permissions.entry(id).or_default().insert(permission);
    }
    for (id, role) in parts::roles(database, ids).await? {
        permissions.entry(id).or_default().extend(role.permissions);
    }
    Ok(permissions)
}
