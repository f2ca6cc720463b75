//! The user option service over the tables.

mod lookup;
mod set;

use async_trait::async_trait;
use sea_orm::{EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::Database;
use super::dialect::Dialect;
use super::statement::{Parameter, numbers};
use crate::domain::{
    Change, OptionScopeFilter, OrganizationId, ProjectId, Result, SetOption, SetOptionResult,
    UserId, UserOption, UserOptionFilter, UserOptionId, newest,
};
use crate::service::UserOptionService;

pub(super) use lookup::Lookups;

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

#[async_trait]
impl UserOptionService for DatabaseUserOptionService {
    async fn get_many(&self, filter: &UserOptionFilter) -> Result<Vec<UserOption>> {
        let database = &self.database;
        let lookups = &database.lookups().user_options;
        let users = &numbers(&filter.user_ids);
        let scope = match &filter.scope {
            OptionScopeFilter::Exactly(scope) if filter.keys.is_none() => {
                Some((scope.project_id, scope.organization_id))
            }
            _ => None,
        };
        let options = match scope {
            Some((None, None)) => database.look_up(&lookups.global, users).await,
            Some((Some(ProjectId(id)), None)) => {
                let parameters = [Parameter::Ids(users), Parameter::Id(id)];
                database.all(&lookups.project, &parameters).await
            }
            Some((None, Some(OrganizationId(id)))) => {
                let parameters = [Parameter::Ids(users), Parameter::Id(id)];
                database.all(&lookups.organization, &parameters).await
            }
            _ => lookup::search(database, filter).await,
        };
        Ok(newest(options?))
    }

    async fn get_all(&self, user_ids: &[UserId]) -> Result<Vec<UserOption>> {
        let all = &self.database.lookups().user_options.all;
        let users = numbers(user_ids);
        let options = self.database.look_up(all, &users).await?;
        Ok(newest(options))
    }

    async fn get_many_by_id(&self, ids: &[UserOptionId]) -> Result<Vec<UserOption>> {
        let by_id = &self.database.lookups().user_options.by_id;
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut options = self.database.look_up(by_id, &ids).await?;
        options.sort_unstable_by_key(|option| option.id);
        Ok(options)
    }

    async fn set_option(&self, option: &SetOption) -> Result<SetOptionResult> {
        set::set(&self.database, option).await
    }

    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        let ids = ids.to_vec();
        let change = self
            .database
            .change(|database| async move { delete(&database, &ids).await });
        change.await
    }
}

async fn delete(database: &Database, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
    use entity::user_option::{Column as C, Entity};
    let dialect = database.dialect();
    let named = || dialect.any_id(C::Id, ids.iter().map(|id| id.0));
    // The owners are read again under the lock; usually there is one.
    let mut permit = None;
    if dialect == Dialect::Postgres {
        let service = DatabaseUserOptionService::new(database.clone());
        if let Some(option) = service.get_many_by_id(ids).await?.first() {
            permit = database.queue_user_change(option.user_id).await?;
        }
    }
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
        tx.rollback().await;
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
    drop(permit);
    Ok(found.into_iter().map(|(id, _)| UserOptionId(id)).collect())
}
