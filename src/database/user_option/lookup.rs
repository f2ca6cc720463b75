//! How options are looked up.

use std::sync::Arc;

use entity::user_option;
use sea_orm::sea_query::{Cond, Expr, ExprTrait as _};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::Database;
use super::super::connect::Ownership;
use super::super::dialect::{Dialect, Kind, SET_GLOBAL_OPTION, json_text};
use super::super::rows::stored_value;
use super::super::shared::Shared;
use super::super::statement::{Columns, Prepared, Shelf, fetch};
use crate::domain::{
    OptionScope, OptionScopeFilter, OrganizationId, ProjectId, Result, UserId, UserOption,
    UserOptionFilter, UserOptionId,
};

/// One statement a kind of look-up, and for options of a scope one for each form of a scope.
#[derive(Debug)]
pub(in super::super) struct Lookups {
    /// The options of the users `$1`, by user and id.
    pub(super) all: Arc<Shared<UserOption>>,
    /// The options with the ids `$1`.
    pub(super) by_id: Arc<Shared<UserOption>>,
    /// The options of the users `$1` that stand for everything.
    pub(super) global: Arc<Shared<UserOption>>,
    /// Those for the project `$2` alone.
    pub(super) project: Prepared<UserOption>,
    /// Those for the organization `$2` alone.
    pub(super) organization: Prepared<UserOption>,
    /// See [`SET_GLOBAL_OPTION`]; `None` on tables whose options nothing but a lock keeps single, or
    /// whose values may have any form.
    pub(super) set_global: Option<Prepared<Written>>,
}

/// What became of a global option.
#[derive(Debug)]
pub(super) struct Written {
    /// The option, if anything is known of it.
    pub(super) id: Option<i64>,
    pub(super) changed: bool,
    /// The highest id of the outbox rows.
    pub(super) up_to: Option<i64>,
}

fn written(columns: &mut Columns<'_>) -> Result<Written> {
    Ok(Written {
        id: columns.take()?,
        changed: columns.take()?,
        up_to: columns.take()?,
    })
}

impl Lookups {
    pub(in super::super) fn new(shelf: &Shelf<'_>) -> Self {
        use user_option::Column as C;
        let dialect = shelf.dialect;
        let ids = || dialect.parameter(1, Kind::Ids);
        let of_users = || dialect.any(C::UserId, ids());
        let all = select_scoped().filter(of_users());
        let by_id = select_scoped().filter(dialect.any(C::Id, ids()));
        let scope = || dialect.parameter(2, Kind::Id);
        let global = select().filter(of_users()).filter(exactly(None, None));
        let project = all.clone().filter(exactly(Some(scope()), None));
        let organization = all.clone().filter(exactly(None, Some(scope())));
        let by_user = |lookup| Shared::new(lookup, |option: &UserOption| option.user_id.0);
        Self {
            all: by_user(shelf.keep(&all, option)),
            by_id: Shared::new(shelf.keep(&by_id, option), |option| option.id.0),
            global: by_user(shelf.keep(&global, global_option)),
            project: shelf.keep(&project, option),
            organization: shelf.keep(&organization, option),
            set_global: (dialect == Dialect::Postgres
                && shelf.facts.ownership == Ownership::Ours
                && !shelf.facts.option_value_is_text)
                .then(|| shelf.keep_raw(SET_GLOBAL_OPTION, written)),
        }
    }
}

/// The columns of an option that stands for everything, which [`global_option`] reads.
fn select() -> Select<user_option::Entity> {
    use user_option::Column as C;
    user_option::Entity::find()
        .select_only()
        .columns([C::Id, C::UserId, C::Key])
        .column_as(json_text(C::Value), "value")
        .order_by_asc(C::UserId)
        .order_by_asc(C::Id)
}

/// Reads the columns of [`select`].
fn global_option(columns: &mut Columns<'_>) -> Result<UserOption> {
    Ok(UserOption {
        id: UserOptionId(columns.take()?),
        user_id: UserId(columns.take()?),
        key: columns.text()?,
        value: columns.read_text(stored_value)?,
        scope: OptionScope::GLOBAL,
    })
}

/// The columns of an option of any scope, which [`option`] reads.
fn select_scoped() -> Select<user_option::Entity> {
    use user_option::Column as C;
    select().columns([C::ProjectId, C::OrganizationId])
}

/// Reads the columns of [`select_scoped`].
fn option(columns: &mut Columns<'_>) -> Result<UserOption> {
    let mut option = global_option(columns)?;
    option.scope = OptionScope {
        project_id: columns.take::<Option<i64>>()?.map(ProjectId),
        organization_id: columns.take::<Option<i64>>()?.map(OrganizationId),
    };
    Ok(option)
}

/// The options of any filter.
pub(super) async fn search(
    database: &Database,
    filter: &UserOptionFilter,
) -> Result<Vec<UserOption>> {
    use user_option::Column as C;
    let dialect = database.dialect();
    let mut select = select_scoped()
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
    fetch(database.reader(), &select, option).await
}

/// Rows of exactly this scope, where no project or organization means that the column is null.
pub(super) fn scoped(scope: OptionScope) -> Cond {
    exactly(
        scope.project_id.map(|id| Expr::val(id.0)),
        scope.organization_id.map(|id| Expr::val(id.0)),
    )
}

fn exactly(project: Option<Expr>, organization: Option<Expr>) -> Cond {
    use user_option::Column as C;
    let is = |column: C, id: Option<Expr>| match id {
        Some(id) => Expr::col(column).eq(id),
        None => column.is_null(),
    };
    Cond::all()
        .add(is(C::ProjectId, project))
        .add(is(C::OrganizationId, organization))
}
