//! Users by filter, id, address and name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::{organization_member_mapping, user, user_email, user_social_auth};
use foldhash::fast::RandomState;
use futures_util::try_join;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use smol_str::SmolStr;

use super::super::Database;
use super::super::rows::Account;
use super::super::statement::{Parameter, fetch, numbers};
use super::filter::{self, Start};
use super::parts;
use crate::domain::{
    EmailMatch, EmailQuery, Result, SocialAuthQuery, User, UserFilter, UserId, UserProfile,
    UsernameQuery, VerifyUserEmail, Viewer, fold,
};

pub(super) async fn many(database: &Database, filter: &UserFilter) -> Result<Vec<User>> {
    let profiles = profiles(database, filter).await?;
    complete(database, profiles).await
}

pub(super) async fn ids(database: &Database, filter: &UserFilter) -> Result<Vec<UserId>> {
    filter::require_anchor(filter)?;
    let ids = user::Entity::find().select_only().column(user::Column::Id);
    let ids: Vec<i64> = filter::unrestricted(database, ids, filter)
        .order_by_asc(user::Column::Id)
        .into_tuple()
        .all(database.reader())
        .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

pub(super) async fn profiles(database: &Database, filter: &UserFilter) -> Result<Vec<UserProfile>> {
    filter::require_anchor(filter)?;
    let select = filter::unrestricted(database, UserProfile::select(), filter)
        .order_by_asc(user::Column::Id);
    fetch(database.reader(), &select, UserProfile::read).await
}

pub(super) async fn profiles_by_id(
    database: &Database,
    ids: &[UserId],
) -> Result<Vec<UserProfile>> {
    let profiles = &database.lookups().users.profiles;
    database.look_up(profiles, &numbers(ids)).await
}

pub(super) async fn by_id(database: &Database, ids: &[UserId]) -> Result<Vec<User>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let profiles = profiles_by_id(database, ids).await?;
    let users = complete(database, profiles).await?;
    let users: HashMap<UserId, User> = users.into_iter().map(|u| (u.profile.id, u)).collect();
    Ok(ids.iter().filter_map(|id| users.get(id).cloned()).collect())
}

/// Adds to account rows all that belongs to the users, one statement for each kind of it.
async fn complete(database: &Database, profiles: Vec<UserProfile>) -> Result<Vec<User>> {
    if profiles.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<UserId> = profiles.iter().map(|profile| profile.id).collect();
    let (emails, avatars, authenticators, roles, permissions) = try_join!(
        parts::emails(database, &ids),
        parts::avatars(database, &ids),
        parts::authenticators(database, &ids, parts::Secrets::Included),
        parts::roles(database, &ids),
        parts::permissions(database, &ids),
    )?;
    let mut users: BTreeMap<UserId, User> = profiles
        .into_iter()
        .map(|profile| {
            let user = User {
                profile,
                role_permissions: BTreeSet::new(),
                permissions: BTreeSet::new(),
                avatar: None,
                emails: Vec::new(),
                authenticators: Vec::new(),
            };
            (user.profile.id, user)
        })
        .collect();
    for (id, email) in emails {
        users.entry(id).and_modify(|user| user.emails.push(email));
    }
    for (id, avatar) in avatars {
        users
            .entry(id)
            .and_modify(|user| user.avatar = Some(avatar));
    }
    for authenticator in authenticators {
        users
            .entry(authenticator.user_id)
            .and_modify(|user| user.authenticators.push(authenticator));
    }
    for (id, role) in roles {
        users
            .entry(id)
            .and_modify(|user| user.role_permissions.extend(role.permissions));
    }
    for (id, permission) in permissions {
        users.entry(id).and_modify(|user| {
            user.permissions.insert(permission);
        });
    }
    Ok(users.into_values().collect())
}

pub(super) async fn by_email(database: &Database, query: &EmailQuery) -> Result<Vec<EmailMatch>> {
    if query.emails.is_empty() {
        return Ok(Vec::new());
    }
    let emails = query.emails.iter().map(String::as_str);
    let mut select = user_email::Entity::find()
        .select_only()
        .columns([user_email::Column::UserId, user_email::Column::Email])
        .filter(
            database
                .dialect()
                .any_folded(user_email::Column::Email, emails),
        )
        .order_by_asc(user_email::Column::UserId)
        .order_by_asc(user_email::Column::Id);
    if query.only_verified {
        select = select.filter(user_email::Column::IsVerified.eq(true));
    }
    let matches: Vec<(i64, String)> = select.into_tuple().all(database.reader()).await?;
    let filter = UserFilter {
        user_ids: Some(matches.iter().map(|(id, _)| UserId(*id)).collect()),
        is_active: query.only_active.then_some(true),
        organization_id: query.organization_id,
        ..UserFilter::default()
    };
    let users = many(database, &filter).await?;
    let users: HashMap<i64, User> = users.into_iter().map(|u| (u.profile.id.0, u)).collect();
    Ok(matches
        .into_iter()
        .filter_map(|(id, email)| {
            Some(EmailMatch {
                user: users.get(&id)?.clone(),
                email,
            })
        })
        .collect())
}

pub(super) async fn by_username(database: &Database, query: &UsernameQuery) -> Result<Vec<User>> {
    let name = &query.username;
    let dialect = database.dialect();
    let find = |condition: Expr| {
        let mut select = UserProfile::select()
            .filter(condition)
            .order_by_asc(user::Column::Id);
        if let Some(is_active) = query.is_active {
            select = select.filter(user::Column::IsActive.eq(is_active));
        }
        if query.with_valid_password {
            select = select.filter(user::Column::Password.ne("!"));
        }
        select
    };
    let reader = database.reader();
    let exact = find(user::Column::Username.eq(name));
    let mut found = fetch(reader, &exact, UserProfile::read).await?;
    if found.is_empty() {
        let folded = find(dialect.equals_folded(user::Column::Username, name.as_str()));
        found = fetch(reader, &folded, UserProfile::read).await?;
    }
    if found.is_empty() && name.contains('@') {
        let by_address = find(dialect.equals_folded(user::Column::Email, name.as_str()));
        found = fetch(reader, &by_address, UserProfile::read).await?;
    }
    complete(database, found).await
}

pub(super) async fn existing_usernames(
    database: &Database,
    mut usernames: Vec<String>,
) -> Result<Vec<String>> {
    if usernames.is_empty() {
        return Ok(usernames);
    }
    let texts: Vec<&str> = usernames.iter().map(String::as_str).collect();
    let existing = &database.lookups().users.usernames;
    let existing = database.all(existing, &[Parameter::Texts(&texts)]).await?;
    let mut existing: HashSet<SmolStr, RandomState> = existing.into_iter().collect();
    usernames.retain(|name| existing.remove(name.as_str()));
    Ok(usernames)
}

pub(super) async fn by_social_auth(
    database: &Database,
    query: &SocialAuthQuery,
) -> Result<Option<UserProfile>> {
    use user_social_auth::{Column as C, Entity};
    if !database.facts().has_social_auth {
        return Ok(None);
    }
    let owners = Query::select()
        .column(C::UserId)
        .from(Entity)
        .and_where(Expr::col(C::Provider).eq(&query.provider))
        .and_where(Expr::col(C::Uid).eq(&query.uid))
        .take();
    let members = UserFilter {
        organization_id: Some(query.organization_id),
        ..UserFilter::default()
    };
    let id = (user::Entity, user::Column::Id);
    let select = UserProfile::select()
        .filter(database.dialect().any_selected_id(id, owners))
        .filter(filter::condition(
            database,
            &members,
            Viewer::All,
            Start::Next,
        ))
        .order_by_asc(user::Column::Id)
        .limit(1);
    Ok(fetch(database.reader(), &select, UserProfile::read)
        .await?
        .pop())
}

pub(super) async fn first_superuser(database: &Database) -> Result<Option<UserProfile>> {
    let select = UserProfile::select()
        .filter(user::Column::IsSuperuser.eq(true))
        .filter(user::Column::IsActive.eq(true))
        .order_by_asc(user::Column::Id)
        .limit(1);
    Ok(fetch(database.reader(), &select, UserProfile::read)
        .await?
        .pop())
}

pub(super) async fn verify_emails(
    database: &Database,
    addresses: &[(UserId, String)],
    only_verified: bool,
) -> Result<BTreeMap<UserId, VerifyUserEmail>> {
    let asked: BTreeMap<UserId, &str> = addresses
        .iter()
        .map(|(id, email)| (*id, email.as_str()))
        .collect();
    if asked.is_empty() {
        return Ok(BTreeMap::new());
    }
    let dialect = database.dialect();
    let mut select = user_email::Entity::find()
        .select_only()
        .columns([user_email::Column::UserId, user_email::Column::Email])
        .filter(dialect.any_id(user_email::Column::UserId, asked.keys().map(|id| id.0)))
        .filter(dialect.any_folded(user_email::Column::Email, asked.values().copied()));
    if only_verified {
        select = select.filter(user_email::Column::IsVerified.eq(true));
    }
    let owned: Vec<(i64, String)> = select.into_tuple().all(database.reader()).await?;
    let owned: HashSet<(UserId, String)> = owned
        .into_iter()
        .map(|(id, email)| (UserId(id), fold(&email)))
        .collect();
    Ok(asked
        .into_iter()
        .map(|(id, email)| {
            let exists = owned.contains(&(id, fold(email)));
            (
                id,
                VerifyUserEmail {
                    exists,
                    email: email.to_owned(),
                },
            )
        })
        .collect())
}

/// Whether a user is a member of exactly one active organization, for each of `ids` who is.
pub(super) async fn in_one_active_organization(
    database: &Database,
    ids: &[UserId],
) -> Result<HashSet<UserId>> {
    use organization_member_mapping::{Column as C, Entity};
    let active = Query::select()
        .column(entity::organization_mapping::Column::OrganizationId)
        .from(entity::organization_mapping::Entity)
        .and_where(Expr::col(entity::organization_mapping::Column::Status).eq(0))
        .take();
    let rows: Vec<i64> = Entity::find()
        .select_only()
        .column(C::UserId)
        .filter(
            database
                .dialect()
                .any_id(C::UserId, ids.iter().map(|id| id.0)),
        )
        .filter(C::OrganizationId.in_subquery(active))
        .group_by(C::UserId)
        .having(Expr::col(C::OrganizationId).count_distinct().eq(1))
        .into_tuple()
        .all(database.reader())
        .await?;
    Ok(rows.into_iter().map(UserId).collect())
}
