//! Finding a user by address, and creating one who is not there.

use chrono::{DateTime, Utc};
use entity::{auth_identity, user, user_email};
use rand::distr::{Alphanumeric, SampleString};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::super::Database;
use super::super::change_queue::ChangeKey;
use super::super::error::is_unique_violation;
use super::super::facts::Facts;
use super::super::statement::Parameter;
use super::super::transaction::Transaction;
use super::creation::create_at_once;
use crate::domain::{
    Change, Error, Event, Invalid, InvalidCode, NewUser, Result, Signup, UserCreateResult,
    UserFlags, UserId, UserProfile, slugify,
};

/// With its separator and 32 digits a generated username then fits its 128 characters.
const SLUG_MAX_CHARS: usize = 95;

/// The active user with this primary address; see `UserService::get_user_by_email`.
pub(super) async fn find(
    database: &Database,
    email: &str,
    ident: Option<&str>,
) -> Result<Option<UserProfile>> {
    let by_email = &database.lookups().users.active_by_email;
    let found = database.all(by_email, &[Parameter::Text(email)]).await?;
    if found.len() > 1 {
        return Box::pin(one_of(database, database.reader(), found, ident)).await;
    }
    Ok(found.into_iter().next())
}

/// As [`find`], in a transaction.
async fn find_within(
    database: &Database,
    tx: &Transaction,
    email: &str,
    ident: Option<&str>,
) -> Result<Option<UserProfile>> {
    let by_email = &database.lookups().users.active_by_email;
    let found = by_email.all_on(tx, &[Parameter::Text(email)]).await?;
    if found.len() > 1 {
        return one_of(database, tx, found, ident).await;
    }
    Ok(found.into_iter().next())
}

/// Which of several users with the same address is meant.
async fn one_of(
    database: &Database,
    connection: &impl ConnectionTrait,
    mut found: Vec<UserProfile>,
    ident: Option<&str>,
) -> Result<Option<UserProfile>> {
    tracing::warn!(
        users = found.len(),
        "several accounts have the same address"
    );
    if let Some(ident) = ident.filter(|ident| !ident.is_empty())
        && let Some(id) = identified(database, connection, &found, ident).await?
    {
        found.retain(|user| user.id == id);
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
    if let Some(user) = find(database, email, ident).await? {
        return Ok(found(user, new));
    }
    let new = new.clone();
    let change = database.change(|database| async move { create_or_find(&database, &new).await });
    change.await
}

/// Creates the user of an address that no user had before.
async fn create_or_find(database: &Database, new: &NewUser) -> Result<UserCreateResult> {
    let email = new.email.as_str();
    let _permit = database.queue_change(ChangeKey::address(email)).await?;
    if database.inner.changes.is_some() {
        if let Some(user) = Box::pin(create_at_once(database, new)).await? {
            return Ok(UserCreateResult {
                user,
                created: true,
            });
        }
        // Mostly because somebody else was faster.
        if let Some(user) = find(database, email, new.ident.as_deref()).await? {
            return Ok(found(user, new));
        }
    }
    Box::pin(create_unless_found(database, new)).await
}

/// Looks again and creates the user, step by step.
async fn create_unless_found(database: &Database, new: &NewUser) -> Result<UserCreateResult> {
    let email = new.email.as_str();
    let ident = new.ident.as_deref();
    for unique in [true, false] {
        let tx = database.begin().await?;
        database
            .dialect()
            .lock_folded(&tx, &lock_name(email))
            .await?;
        if let Some(user) = find_within(database, &tx, email, ident).await? {
            tx.rollback().await;
            return Ok(found(user, new));
        }
        let draft = Draft::signup(username(new), email, unique);
        match insert(database, &tx, draft).await {
            Ok(id) => {
                let user = inserted(database, &tx, id).await?;
                database
                    .commit_change(tx, Change { user_id: user.id })
                    .await?;
                database.announce(&Event::SignedUp(signup(&user, new)));
                return Ok(UserCreateResult {
                    user,
                    created: true,
                });
            }
            // Somebody who takes no lock, such as a Sentry on the same database, has claimed the
            // address: another look finds the winner. If nobody is found then, an inactive
            // account holds it, and the new one does without the claim.
            Err(error) if unique && is_unique_violation(&error) => tx.rollback().await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Conflict(
        "another process is creating a user with this address; try again".to_owned(),
    ))
}

/// The name of the lock that whoever creates the user of this address takes, ignoring case.
pub(super) fn lock_name(email: &str) -> String {
    format!("email:{email}")
}

/// What a new user is called: the beginning of the address, and what nobody else's name ends in.
pub(super) fn username(new: &NewUser) -> String {
    let slug: String = slugify(new.email.local_part())
        .chars()
        .take(SLUG_MAX_CHARS)
        .collect();
    match &new.idempotency_key {
        Some(key) => format!("{slug}-{key}"),
        None => format!("{slug}-{}", Uuid::new_v4().simple()),
    }
}

/// What is told of somebody who was created.
pub(super) fn signup(user: &UserProfile, new: &NewUser) -> Signup {
    let referrer = new.referrer.clone().unwrap_or_else(|| "unknown".to_owned());
    Signup {
        user: user.clone(),
        source: "api",
        referrer,
    }
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

/// What is known of a user before there is one.
pub(super) struct Draft<'a> {
    username: String,
    email: &'a str,
    name: &'a str,
    flags: i64,
    /// Whether to claim the address in `email_unique`, where that exists.
    claims_email: bool,
}

impl<'a> Draft<'a> {
    /// Somebody who is created because of their address.
    pub(super) fn signup(username: String, email: &'a str, claims_email: bool) -> Self {
        Self {
            username,
            email,
            name: email,
            flags: UserFlags::NEWSLETTER_CONSENT_PROMPT,
            claims_email,
        }
    }
}

/// The row that was inserted.
async fn inserted(database: &Database, tx: &Transaction, id: UserId) -> Result<UserProfile> {
    let profiles = &database.lookups().users.profiles;
    let mut found = profiles
        .statement()
        .all_on(tx, &[Parameter::Ids(&[id.0])])
        .await?;
    Ok(found.pop().ok_or(DbErr::RecordNotInserted)?)
}

/// The row of a new user, on tables of this form.
pub(super) fn newcomer(facts: &Facts, draft: Draft<'_>, now: DateTime<Utc>) -> user::ActiveModel {
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
    if !facts.has_email_unique {
        row.not_set(user::Column::EmailUnique);
    }
    if !facts.has_is_suspended {
        row.not_set(user::Column::IsSuspended);
    }
    row
}

/// What a link that verifies an address has to name.
pub(super) fn validation_hash() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// Inserts a user and, if there is one, their address, unverified.
async fn insert(database: &Database, tx: &Transaction, draft: Draft<'_>) -> Result<UserId, DbErr> {
    let now = database.clock().now();
    let email = draft.email;
    let row = newcomer(database.facts(), draft, now);
    let id = user::Entity::insert(row).exec(tx).await?.last_insert_id;
    if !email.is_empty() {
        let address = user_email::ActiveModel {
            user_id: Set(id),
            email: Set(email.to_owned()),
            validation_hash: Set(validation_hash()),
            date_hash_added: Set(now),
            is_verified: Set(false),
            ..Default::default()
        };
        user_email::Entity::insert(address).exec(tx).await?;
    }
    Ok(UserId(id))
}
