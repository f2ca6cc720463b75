//! The user option service over the tables.

use async_trait::async_trait;
use entity::{user, user_option};
use sea_orm::sea_query::{Cond, Expr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde_json::Value;

use super::Database;
use super::dialect::json_text;
use super::error::is_unique_violation;
use super::rows::stored_value;
use crate::domain::{
    Change, Error, Invalid, InvalidCode, OptionScope, OptionScopeFilter, OrganizationId, ProjectId,
    Result, SetOption, SetOptionResult, StoredValue, UserId, UserOption, UserOptionFilter,
    UserOptionId, newest,
};
use crate::service::UserOptionService;

/// [`UserOptionService`] answered by the database.
#[derive(Debug)]
pub(super) struct DatabaseUserOptionService {
    database: Database,
}

impl DatabaseUserOptionService {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

impl DatabaseUserOptionService {
    /// Sets an option; `None` if its place is taken by a row that was not there to be found.
    async fn set(&self, option: &SetOption) -> Result<Option<SetOptionResult>> {
        let database = &self.database;
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
                let Some(id) = insert(database, &tx, option).await? else {
                    tx.rollback().await?;
                    return Ok(None);
                };
                (id, true)
            }
            Some((_, StoredValue::Unreadable)) => {
                tx.rollback().await?;
                return Err(Error::Unreadable(format!(
                    "the stored value of the option `{}` has a form that cannot be read and is \
                     not overwritten; delete the option first",
                    option.key.as_str()
                )));
            }
            Some((id, StoredValue::Json(value))) if value == option.value => (id, false),
            Some((id, StoredValue::Json(_))) => {
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
            tx.rollback().await?;
        }
        let option = UserOption {
            id: UserOptionId(id),
            user_id: option.user_id,
            key: option.key.as_str().to_owned(),
            value: StoredValue::Json(option.value.clone()),
            scope: option.scope,
        };
        Ok(Some(SetOptionResult { option, changed }))
    }
}

#[derive(FromQueryResult)]
struct OptionRow {
    id: i64,
    user_id: i64,
    project_id: Option<i64>,
    organization_id: Option<i64>,
    key: String,
    value: Option<String>,
}

impl From<OptionRow> for UserOption {
    fn from(row: OptionRow) -> Self {
        Self {
            id: UserOptionId(row.id),
            user_id: UserId(row.user_id),
            value: stored_value(row.value.as_deref()),
            key: row.key,
            scope: OptionScope {
                project_id: row.project_id.map(ProjectId),
                organization_id: row.organization_id.map(OrganizationId),
            },
        }
    }
}

fn select() -> Select<user_option::Entity> {
    use user_option::Column as C;
    user_option::Entity::find()
        .select_only()
        .columns([C::Id, C::UserId, C::ProjectId, C::OrganizationId, C::Key])
        .column_as(json_text(C::Value), "value")
        .order_by_asc(C::UserId)
        .order_by_asc(C::Id)
}

#[async_trait]
impl UserOptionService for DatabaseUserOptionService {
    async fn get_many(&self, filter: &UserOptionFilter) -> Result<Vec<UserOption>> {
        use user_option::Column as C;
        let dialect = self.database.dialect();
        let mut select = select()
            .filter(dialect.any_id(C::UserId, filter.user_ids.iter().map(|id| id.0)))
            .filter(match &filter.scope {
                OptionScopeFilter::Exactly(scope) => scoped(*scope),
                OptionScopeFilter::Projects(ids) => {
                    Cond::all().add(dialect.any_id(C::ProjectId, ids.iter().map(|id| id.0)))
                }
            });
        if let Some(keys) = &filter.keys {
            select = select.filter(dialect.any_text(C::Key, keys.iter().map(String::as_str)));
        }
        let rows = select
            .into_model::<OptionRow>()
            .all(self.database.reader())
            .await?;
        Ok(newest(rows.into_iter().map(UserOption::from)))
    }

    async fn get_all(&self, user_ids: &[UserId]) -> Result<Vec<UserOption>> {
        let dialect = self.database.dialect();
        let rows = select()
            .filter(dialect.any_id(user_option::Column::UserId, user_ids.iter().map(|id| id.0)))
            .into_model::<OptionRow>()
            .all(self.database.reader())
            .await?;
        Ok(newest(rows.into_iter().map(UserOption::from)))
    }

    async fn get_many_by_id(&self, ids: &[UserOptionId]) -> Result<Vec<UserOption>> {
        let dialect = self.database.dialect();
        let rows = select()
            .filter(dialect.any_id(user_option::Column::Id, ids.iter().map(|id| id.0)))
            .into_model::<OptionRow>()
            .all(self.database.reader())
            .await?;
        let mut options: Vec<_> = rows.into_iter().map(UserOption::from).collect();
        options.sort_unstable_by_key(|option| option.id);
        Ok(options)
    }

    async fn set_option(&self, option: &SetOption) -> Result<SetOptionResult> {
        if holds_nul(&option.value) {
            return Err(Error::Invalid(Invalid::format(
                "the value of an option holds no character U+0000, which PostgreSQL cannot store",
                &["value"],
            )));
        }
        // A writer that takes no lock, such as a Sentry on the same tables, may insert the option
        // after it was looked for; another look finds it.
        for _ in 0..2 {
            if let Some(result) = self.set(option).await? {
                return Ok(result);
            }
        }
        Err(Error::Conflict(format!(
            "the option `{}` is set already for this project or this organization alone, and \
             cannot be set for both together beside that",
            option.key.as_str()
        )))
    }

    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        use user_option::{Column as C, Entity};
        let database = &self.database;
        let dialect = database.dialect();
        let named = || dialect.any_id(C::Id, ids.iter().map(|id| id.0));
        let tx = database.begin().await?;
        let found: Vec<(i64, i64)> = Entity::find()
            .select_only()
            .columns([C::Id, C::UserId])
            .filter(named())
            .order_by_asc(C::Id)
            .lock_exclusive()
            .into_tuple()
            .all(&tx)
            .await?;
        if found.is_empty() {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        Entity::delete_many().filter(named()).exec(&tx).await?;
        let mut owners: Vec<i64> = found.iter().map(|(_, owner)| *owner).collect();
        owners.sort_unstable();
        owners.dedup();
        let changes = owners
            .into_iter()
            .map(|id| Change {
                user_id: UserId(id),
            })
            .collect::<Vec<_>>();
        database.commit_changes(tx, &changes).await?;
        Ok(found.into_iter().map(|(id, _)| UserOptionId(id)).collect())
    }
}

/// Rows of exactly this scope, where no project or organization means that the column is null.
fn scoped(scope: OptionScope) -> Cond {
    use user_option::Column as C;
    let exactly =
        |column: C, id: Option<i64>| id.map_or_else(|| column.is_null(), |id| column.eq(id));
    Cond::all()
        .add(exactly(C::ProjectId, scope.project_id.map(|id| id.0)))
        .add(exactly(
            C::OrganizationId,
            scope.organization_id.map(|id| id.0),
        ))
}

async fn stored(
    tx: &DatabaseTransaction,
    option: &SetOption,
) -> Result<Option<(i64, StoredValue)>> {
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
    Ok(row.map(|(id, text)| (id, stored_value(text.as_deref()))))
}

/// Inserts an option; `None` if a unique constraint is in the way.
async fn insert(
    database: &Database,
    tx: &DatabaseTransaction,
    option: &SetOption,
) -> Result<Option<i64>> {
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
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
