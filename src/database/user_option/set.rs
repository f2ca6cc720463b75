//! How an option is set.

use entity::{user, user_option};
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Value;

use super::super::Database;
use super::super::dialect::json_text;
use super::super::error::{is_locked, is_unfit, is_unique_violation};
use super::super::outbox::{Note, Recorded};
use super::super::rows::stored_value;
use super::super::statement::Parameter;
use super::super::transaction::Transaction;
use super::lookup::{Written, scoped};
use crate::domain::{
    Change, Error, Invalid, InvalidCode, JsonText, OptionScope, Result, SetOption, SetOptionResult,
    StoredValue, UserOption, UserOptionId,
};

pub(super) async fn set(database: &Database, option: &SetOption) -> Result<SetOptionResult> {
    if holds_nul(&option.value) {
        return Err(Error::Invalid(Invalid::format(
            "the value of an option holds no character U+0000, which PostgreSQL cannot store",
            &["value"],
        )));
    }
    let option = option.clone();
    let change = database.change(|database| async move { write(&database, &option).await });
    change.await
}

async fn write(database: &Database, option: &SetOption) -> Result<SetOptionResult> {
    let _permit = database.queue_user_change(option.user_id).await?;
    if option.scope == OptionScope::GLOBAL
        && let Some(result) = set_at_once(database, option).await?
    {
        return Ok(result);
    }
    set_step_by_step(database, option).await
}

/// Sets a global option by one statement. `None` if the tables do not allow that, or if nothing was
/// changed because the user does not exist or another transaction changes or locks the option.
async fn set_at_once(database: &Database, option: &SetOption) -> Result<Option<SetOptionResult>> {
    let set_global = database.lookups().user_options.set_global.as_ref();
    let (Some(statement), Some(changes)) = (set_global, &database.inner.changes) else {
        return Ok(None);
    };
    let user_id = option.user_id;
    let note = Note::of(database);
    let [now, due] = note.schedule;
    let bounds = database.option_bounds();
    let parameters = [
        Parameter::Id(user_id.0),
        Parameter::Text(option.key.as_str()),
        Parameter::Text(option.value.as_str()),
        Parameter::Texts(&note.regions),
        Parameter::Moment(now),
        Parameter::Moment(due),
        Parameter::Text(note.origin),
        Parameter::Id(bound(bounds.count)),
        Parameter::Id(bound(bounds.bytes)),
    ];
    let written = changes.all(statement, &parameters).await;
    if let Err(Error::Unavailable(_)) = &written {
        database.announce_committed(&[Change { user_id }], false);
    }
    if written
        .as_ref()
        .is_err_and(|error| is_unfit(error) || is_locked(error))
    {
        return Ok(None);
    }
    let Some(Written {
        id: Some(id),
        changed,
        up_to,
    }) = written?.pop()
    else {
        return Ok(None);
    };
    if changed {
        database.announce_committed(&[Change { user_id }], true);
        let recorded = up_to.map(|up_to| Recorded {
            users: vec![user_id.0],
            up_to,
        });
        database.forget_delivered(recorded).await;
    }
    Ok(Some(result(id, option, changed)))
}

/// Sets an option by a transaction that reads it first.
async fn set_step_by_step(database: &Database, option: &SetOption) -> Result<SetOptionResult> {
    // A writer that takes no lock, such as a Sentry on the same tables, may insert the option
    // after it was looked for; another look finds it.
    for _ in 0..2 {
        if let Some(result) = Box::pin(try_to_set(database, option)).await? {
            return Ok(result);
        }
    }
    Err(Error::Conflict(format!(
        "the option `{}` is set already for this project or this organization alone, and \
         cannot be set for both together beside that",
        option.key.as_str()
    )))
}

/// Sets an option; `None` if its place is taken by a row that was not there to be found.
async fn try_to_set(database: &Database, option: &SetOption) -> Result<Option<SetOptionResult>> {
    let tx = database.begin().await?;
    // No constraint keeps global options single in an existing database; the lock does.
    let OptionScope {
        project_id,
        organization_id,
    } = option.scope;
    let name = format!(
        "option:{}:{:?}:{:?}:{}",
        option.user_id,
        project_id.map(|id| id.0),
        organization_id.map(|id| id.0),
        option.key.as_str()
    );
    database.dialect().lock(&tx, &name).await?;
    let (id, changed) = match stored(&tx, option).await? {
        None => {
            require_room(database, &tx, option, None).await?;
            let Some(id) = insert(database, &tx, option).await? else {
                tx.rollback().await;
                return Ok(None);
            };
            (id, true)
        }
        Some((_, StoredValue::Unreadable, _)) => {
            tx.rollback().await;
            return Err(Error::Unreadable(format!(
                "the stored value of the option `{}` has a form that cannot be read and is \
                 not overwritten; delete the option first",
                option.key.as_str()
            )));
        }
        Some((id, StoredValue::Json(value), _)) if value == option.value => (id, false),
        Some((id, StoredValue::Json(_), bytes)) => {
            require_room(database, &tx, option, Some(bytes)).await?;
            user_option::Entity::update_many()
                .col_expr(user_option::Column::Value, value(database, option))
                .filter(user_option::Column::Id.eq(id))
                .exec(&tx)
                .await?;
            (id, true)
        }
    };
    if changed {
        let user_id = option.user_id;
        database.commit_change(tx, Change { user_id }).await?;
    } else {
        tx.rollback().await;
    }
    Ok(Some(result(id, option, changed)))
}

fn result(id: i64, option: &SetOption, changed: bool) -> SetOptionResult {
    let option = UserOption {
        id: UserOptionId(id),
        user_id: option.user_id,
        key: option.key.as_str().into(),
        value: StoredValue::Json(option.value.clone()),
        scope: option.scope,
    };
    SetOptionResult { option, changed }
}

/// The stored option, and the length of its value in bytes.
async fn stored(tx: &Transaction, option: &SetOption) -> Result<Option<(i64, StoredValue, u64)>> {
    use user_option::Column as C;
    let row: Option<(i64, Option<String>)> = user_option::Entity::find()
        .select_only()
        .column(C::Id)
        .column_as(json_text(C::Value), "value")
        .filter(C::UserId.eq(option.user_id.0))
        .filter(scoped(option.scope))
        .filter(C::Key.eq(option.key.as_str()))
        .order_by_desc(C::Id)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(row.map(|(id, text)| {
        let bytes = text.as_ref().map_or(0, String::len);
        (id, stored_value(text.as_deref()), bytes as u64)
    }))
}

/// Refuses a value that would exceed the limits on the user's options. `replaced` is the length of the
/// value that is replaced; `None` for a new option.
///
/// Options that are set concurrently are not counted, so a user may exceed the limits by as many.
async fn require_room(
    database: &Database,
    tx: &Transaction,
    option: &SetOption,
    replaced: Option<u64>,
) -> Result<()> {
    use user_option::{Column as C, Entity};
    let dialect = database.dialect();
    let text = value(database, option).cast_as(Alias::new("text"));
    let added = dialect.byte_length(text).cast_as(Alias::new("bigint"));
    let taken: Option<(i64, Option<i64>, i64)> = Entity::find()
        .select_only()
        .column_as(Expr::col(C::Id).count(), "count")
        .column_as(dialect.byte_length(json_text(C::Value)).sum(), "bytes")
        .column_as(added, "added")
        .filter(C::UserId.eq(option.user_id.0))
        .into_tuple()
        .one(tx)
        .await?;
    let (count, bytes, added) = taken.unwrap_or_default();
    let [count, bytes, added] = [count, bytes.unwrap_or_default(), added].map(i64::unsigned_abs);
    let others = bytes.saturating_sub(replaced.unwrap_or_default());
    let count = replaced.is_none().then_some(count + 1);
    let bytes = (added > replaced.unwrap_or_default()).then_some(others + added);
    Ok(database.option_bounds().check(count, bytes)?)
}

/// A bound as a parameter.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Inserts an option; `None` on a unique violation.
async fn insert(database: &Database, tx: &Transaction, option: &SetOption) -> Result<Option<i64>> {
    use sea_orm::sea_query::Query;
    use user_option::{Column as C, Entity};
    // The foreign key is checked at the end of the transaction only; this says it sooner.
    let owner: Option<i64> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.eq(option.user_id.0))
        .into_tuple()
        .one(tx)
        .await?;
    if owner.is_none() {
        return Err(Error::Invalid(Invalid::new(
            InvalidCode::NotFound,
            format!("there is no user with the id {}", option.user_id),
            &["userId"],
        )));
    }
    let mut statement = Query::insert();
    statement
        .into_table(Entity)
        .columns([C::UserId, C::ProjectId, C::OrganizationId, C::Key, C::Value])
        .values_panic([
            Expr::val(option.user_id.0),
            Expr::val(option.scope.project_id.map(|id| id.0)),
            Expr::val(option.scope.organization_id.map(|id| id.0)),
            Expr::val(option.key.as_str()),
            value(database, option),
        ])
        .returning_col(C::Id);
    match tx.query_one(&statement).await {
        Ok(Some(row)) => Ok(Some(row.try_get("", "id")?)),
        Ok(None) => Err(DbErr::RecordNotInserted.into()),
        Err(error) if is_unique_violation(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn value(database: &Database, option: &SetOption) -> Expr {
    database
        .dialect()
        .json_value(&option.value, database.facts().option_value_is_text)
}

/// Whether a text anywhere in `value` holds the one character that no text of PostgreSQL's can.
fn holds_nul(value: &JsonText) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(in_value),
            Value::Object(map) => map
                .iter()
                .any(|(key, value)| key.contains('\0') || in_value(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    // The escape may stand for itself, behind another backslash.
    value.as_str().contains("\\u0000") && in_value(&value.to_value())
}
