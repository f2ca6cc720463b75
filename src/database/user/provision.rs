//! Finding a user by address, and creating one who is not there.

use entity::{auth_identity, user, user_email};
use rand::distr::{Alphanumeric, SampleString};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::super::Database;
use super::super::error::is_unique_violation;
use super::super::statement::Parameter;
use crate::domain::{
    Change, Error, Event, Invalid, InvalidCode, NewUser, Result, Signup, UserCreateResult,
    UserFlags, UserId, UserProfile, slugify,
};

/// With its separator and 32 digits a generated username then fits its 128 characters.
const SLUG_MAX_CHARS: usize = 95;

/// The active user with this primary address; see `UserService::get_user_by_email`.
pub(super) async fn find(
    database: &Database,
    within: Option<&DatabaseTransaction>,
    email: &str,
    ident: Option<&str>,
) -> Result<Option<UserProfile>> {
    let by_email = &database.lookups().users.active_by_email;
    let email = [Parameter::Text(email)];
    let mut found = match within {
        Some(tx) => by_email.all_on(tx, &email).await?,
        None => database.all(by_email, &email).await?,
    };
    if found.len() > 1 {
        tracing::warn!(
            users = found.len(),
            "several accounts have the same address"
        );
        if let Some(ident) = ident.filter(|ident| !ident.is_empty()) {
            let id = match within {
                Some(tx) => identified(database, tx, &found, ident).await?,
                None => identified(database, database.reader(), &found, ident).await?,
            };
            if let Some(id) = id {
                found.retain(|user| user.id == id);
            }
        }
    }
    Ok(found.into_iter().next())
}

/// Which of `users` a provider knows as `ident`.
async fn identified(
    database: &Database,
    connection: &impl ConnectionTrait,
    users: &[UserProfile],
    ident: &str,
) -> Result<Option<UserId>> {
    use auth_identity::{Column as C, Entity};
    let ids: Vec<i64> = Entity::find()
        .select_only()
        .column(C::UserId)
        .filter(
            database
                .dialect()
                .any_id(C::UserId, users.iter().map(|user| user.id.0)),
        )
        .filter(C::Ident.eq(ident))
        .order_by_asc(C::UserId)
        .into_tuple()
        .all(connection)
        .await?;
    if ids.len() > 1 {
        tracing::warn!(
            identities = ids.len(),
            "several accounts have the same identity"
        );
    }
    Ok(ids.first().copied().map(UserId))
}

pub(super) async fn get_or_create(database: &Database, new: &NewUser) -> Result<UserCreateResult> {
    let email = new.email.as_str();
    check_length(database, email)?;
    let ident = new.ident.as_deref();
    // Most calls are for somebody who exists; they take no lock.
    if let Some(user) = find(database, None, email, ident).await? {
        return Ok(found(user, new));
    }
    for unique in [true, false] {
        let tx = database.begin().await?;
        database
            .dialect()
            .lock_folded(&tx, &format!("email:{email}"))
            .await?;
        if let Some(user) = find(database, Some(&tx), email, ident).await? {
            tx.rollback().await?;
            return Ok(found(user, new));
        }
        let slug: String = slugify(new.email.local_part())
            .chars()
            .take(SLUG_MAX_CHARS)
            .collect();
        let draft = Draft {
            username: match &new.idempotency_key {
                Some(key) => format!("{slug}-{key}"),
                None => format!("{slug}-{}", Uuid::new_v4().simple()),
            },
            email,
            name: email,
            flags: UserFlags::NEWSLETTER_CONSENT_PROMPT,
            claims_email: unique,
        };
        match insert(database, &tx, draft).await {
            Ok(id) => {
                let user = inserted(database, &tx, id).await?;
                database
                    .commit_change(tx, Change { user_id: user.id })
                    .await?;
                let referrer = new.referrer.clone().unwrap_or_else(|| "unknown".to_owned());
                let signup = Signup {
                    user: user.clone(),
                    source: "api",
                    referrer,
                };
                database.announce(&Event::SignedUp(signup));
                return Ok(UserCreateResult {
                    user,
                    created: true,
                });
            }
            // Somebody who takes no lock, such as a Sentry on the same database, has claimed the
            // address: another look finds the winner. If nobody is found then, an inactive
            // account holds it, and the new one does without the claim.
            Err(error) if unique && is_unique_violation(&error) => tx.rollback().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Conflict(
        "another process is creating a user with this address; try again".to_owned(),
    ))
}

/// Somebody who exists. If an earlier attempt at the same call made the account, it has the call's
/// key in its username, and the answer is what the earlier attempt's was.
fn found(user: UserProfile, new: &NewUser) -> UserCreateResult {
    let created = new.idempotency_key.as_ref().is_some_and(|key| {
        let name = user.username.strip_suffix(key.as_str());
        name.is_some_and(|name| name.ends_with('-'))
    });
    UserCreateResult { user, created }
}

pub(super) async fn create(
    database: &Database,
    username: &str,
    email: &str,
) -> Result<UserProfile> {
    check_length(database, email)?;
    let tx = database.begin().await?;
    let draft = Draft {
        username: username.to_owned(),
        email,
        name: "",
        flags: 0,
        claims_email: false,
    };
    let id = insert(database, &tx, draft).await.map_err(|error| {
        if is_unique_violation(&error) {
            taken(username)
        } else {
            error.into()
        }
    })?;
    let user = inserted(database, &tx, id).await?;
    database
        .commit_change(tx, Change { user_id: user.id })
        .await?;
    Ok(user)
}

/// Says that `username` belongs to somebody else.
pub(super) fn taken(username: &str) -> Error {
    Error::Invalid(Invalid::new(
        InvalidCode::Taken,
        format!("the username `{username}` is taken; choose another"),
        &["username"],
    ))
}

fn check_length(database: &Database, email: &str) -> Result<()> {
    let max = database.facts().email_max_chars;
    if email.chars().count() <= max {
        return Ok(());
    }
    Err(Error::Invalid(Invalid::new(
        InvalidCode::TooLong,
        format!("an address has at most {max} characters in this installation"),
        &["email"],
    )))
}

struct Draft<'a> {
    username: String,
    email: &'a str,
    name: &'a str,
    flags: i64,
    /// Whether to claim the address in `email_unique`, where that exists.
    claims_email: bool,
}

/// The row that was inserted.
async fn inserted(
    database: &Database,
    tx: &DatabaseTransaction,
    id: UserId,
) -> Result<UserProfile> {
    let profiles = &database.lookups().users.profiles;
    let mut found = profiles
        .statement()
        .all_on(tx, &[Parameter::Ids(&[id.0])])
        .await?;
    Ok(found.pop().ok_or(DbErr::RecordNotInserted)?)
}

/// Inserts a user and, if there is one, their address, unverified.
async fn insert(
    database: &Database,
    tx: &DatabaseTransaction,
    draft: Draft<'_>,
) -> Result<UserId, DbErr> {
    let now = database.clock().now();
    let mut row = user::Model {
        id: 0,
        password: String::new(),
        last_login: None,
        username: draft.username,
        name: draft.name.to_owned(),
        email: draft.email.to_owned(),
        email_unique: draft.claims_email.then(|| draft.email.to_owned()),
        is_staff: false,
        is_active: true,
        is_unclaimed: false,
        is_superuser: false,
        is_managed: false,
        is_sentry_app: None,
        is_password_expired: false,
        is_suspended: false,
        last_password_change: None,
        flags: draft.flags,
        session_nonce: None,
        date_joined: now,
        last_active: Some(now),
        avatar_type: 0,
        avatar_url: None,
    }
    .into_active_model()
    .reset_all();
    row.not_set(user::Column::Id);
    if !database.facts().has_email_unique {
        row.not_set(user::Column::EmailUnique);
    }
    if !database.facts().has_is_suspended {
        row.not_set(user::Column::IsSuspended);
    }
    let id = user::Entity::insert(row).exec(tx).await?.last_insert_id;
    if !draft.email.is_empty() {
        let address = user_email::ActiveModel {
            user_id: Set(id),
            email: Set(draft.email.to_owned()),
            validation_hash: Set(Alphanumeric.sample_string(&mut rand::rng(), 32)),
            date_hash_added: Set(now),
            is_verified: Set(false),
            ..Default::default()
        };
        user_email::Entity::insert(address).exec(tx).await?;
    }
    Ok(UserId(id))
}
