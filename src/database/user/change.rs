//! Changes of users. Each commits with its outbox row; what changes nothing writes nothing.

use entity::{user, user_email, user_permission};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::Database;
use super::super::error::is_unique_violation;
use super::super::rows::Account;
use super::super::statement::fetch;
use super::super::transaction::Transaction;
use super::provision::taken;
use crate::domain::{Change, Error, Result, UserFlags, UserId, UserProfile, UserUpdate};

/// What Sentry sets a nonce to; that it differs from a session's is what counts.
const FLUSHED_NONCE: &str = "foo";

pub(super) async fn update(
    database: &Database,
    id: UserId,
    update: &UserUpdate,
) -> Result<Option<UserProfile>> {
    if update.is_empty() {
        return profile(database.reader(), id).await;
    }
    let mut row = user::ActiveModel::default();
    if let Some(name) = &update.name {
        row.name = Set(name.as_str().to_owned());
    }
    if let Some(username) = &update.username {
        row.username = Set(username.as_str().to_owned());
    }
    if let Some(is_active) = update.is_active {
        row.is_active = Set(is_active);
    }
    if let Some(kind) = update.avatar_type {
        row.avatar_type = Set(kind.stored());
    }
    if let Some(url) = &update.avatar_url {
        row.avatar_url = Set(url.as_ref().map(|url| url.as_str().to_owned()));
    }
    let _permit = database.queue_user_change(id).await?;
    let tx = database.begin().await?;
    let updated = user::Entity::update_many()
        .set(row)
        .filter(user::Column::Id.eq(id.0))
        .exec(&tx)
        .await
        .map_err(|error| match &update.username {
            Some(username) if is_unique_violation(&error) => taken(username.as_str()),
            _ => error.into(),
        })?;
    if updated.rows_affected == 0 {
        tx.rollback().await;
        return Ok(None);
    }
    let profile = profile(&tx, id).await?;
    database.commit_change(tx, Change { user_id: id }).await?;
    Ok(profile)
}

async fn profile(
    connection: &impl sea_orm::ConnectionTrait,
    id: UserId,
) -> Result<Option<UserProfile>> {
    let select = UserProfile::select().filter(user::Column::Id.eq(id.0));
    Ok(fetch(connection, &select, UserProfile::read).await?.pop())
}

/// Verifies the address with the lowest id among those of `id`, or of everybody, that equal
/// `email` ignoring case.
pub(super) async fn verify_email(
    database: &Database,
    id: Option<UserId>,
    email: &str,
) -> Result<bool> {
    use user_email::{Column as C, Entity};
    let _permit = match id {
        Some(id) => database.queue_user_change(id).await?,
        None => None,
    };
    let tx = database.begin().await?;
    let mut select = Entity::find()
        .select_only()
        .columns([C::Id, C::UserId, C::IsVerified])
        .filter(database.dialect().equals_folded(C::Email, email))
        .order_by_asc(C::Id);
    if let Some(id) = id {
        select = select.filter(C::UserId.eq(id.0));
    }
    let found: Option<(i64, i64, bool)> = select.into_tuple().one(&tx).await?;
    let Some((address, owner, false)) = found else {
        tx.rollback().await;
        return Ok(false);
    };
    let updated = Entity::update_many()
        .col_expr(C::IsVerified, Expr::val(true))
        .filter(C::Id.eq(address))
        .filter(C::IsVerified.eq(false))
        .exec(&tx)
        .await?;
    finish(database, tx, UserId(owner), updated.rows_affected > 0).await
}

pub(super) async fn flush_nonce(database: &Database, id: UserId) -> Result<()> {
    let _permit = database.queue_user_change(id).await?;
    let tx = database.begin().await?;
    let updated = user::Entity::update_many()
        .col_expr(user::Column::SessionNonce, Expr::val(FLUSHED_NONCE))
        .filter(user::Column::Id.eq(id.0))
        .exec(&tx)
        .await?;
    finish(database, tx, id, updated.rows_affected > 0).await?;
    Ok(())
}

pub(super) async fn prompt_newsletter_consent(database: &Database, id: UserId) -> Result<()> {
    let _permit = database.queue_user_change(id).await?;
    let tx = database.begin().await?;
    let Some(user) = profile(&tx, id).await? else {
        return Err(unknown(id));
    };
    let asked = user.flags.is_some_and(|f| f.newsletter_consent_prompt);
    if !asked {
        let bit = UserFlags::NEWSLETTER_CONSENT_PROMPT;
        let flags = Expr::col(user::Column::Flags).if_null(0_i64).bit_or(bit);
        user::Entity::update_many()
            .col_expr(user::Column::Flags, flags)
            .filter(user::Column::Id.eq(id.0))
            .exec(&tx)
            .await?;
    }
    finish(database, tx, id, !asked).await?;
    tracing::info!(user.id = %id, "a consent mail was asked for; none is sent from here");
    Ok(())
}

fn unknown(id: UserId) -> Error {
    Error::NotFound(format!("there is no user with the id {id}"))
}

pub(super) async fn add_permission(
    database: &Database,
    id: UserId,
    permission: &str,
) -> Result<bool> {
    let _permit = database.queue_user_change(id).await?;
    let tx = database.begin().await?;
    // The foreign key is checked at the end of the transaction only; this says it sooner.
    if profile(&tx, id).await?.is_none() {
        return Err(unknown(id));
    }
    let row = user_permission::ActiveModel {
        user_id: Set(id.0),
        permission: Set(permission.to_owned()),
        ..Default::default()
    };
    match user_permission::Entity::insert(row).exec(&tx).await {
        Ok(_) => {}
        Err(error) if is_unique_violation(&error) => {
            tx.rollback().await;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    finish(database, tx, id, true).await
}

pub(super) async fn remove_permission(
    database: &Database,
    id: UserId,
    permission: &str,
) -> Result<bool> {
    use user_permission::{Column as C, Entity};
    let _permit = database.queue_user_change(id).await?;
    let tx = database.begin().await?;
    let deleted = Entity::delete_many()
        .filter(C::UserId.eq(id.0))
        .filter(C::Permission.eq(permission))
        .exec(&tx)
        .await?;
    finish(database, tx, id, deleted.rows_affected > 0).await
}

/// Commits with the outbox row if anything has changed, else gives up the transaction.
async fn finish(database: &Database, tx: Transaction, id: UserId, changed: bool) -> Result<bool> {
    if changed {
        database.commit_change(tx, Change { user_id: id }).await?;
    } else {
        tx.rollback().await;
    }
    Ok(changed)
}
