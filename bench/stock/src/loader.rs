//! What belongs to users, loaded for many at a time.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use entity::{organization_mapping, organization_member_mapping, user_option};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder};

/// Loads from a database.
#[derive(Debug)]
pub(crate) struct Parts(pub(crate) DatabaseConnection);

/// The organizations of a user, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OrganizationsOf(pub(crate) i64);

/// The options of a user that apply to everything, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OptionsOf(pub(crate) i64);

impl Loader<OrganizationsOf> for Parts {
    type Value = Vec<organization_mapping::Model>;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[OrganizationsOf],
    ) -> Result<HashMap<OrganizationsOf, Self::Value>, Self::Error> {
        use organization_member_mapping::{Column, Entity};
        let rows = Entity::find()
            .filter(Column::UserId.is_in(keys.iter().map(|key| key.0)))
            .order_by_asc(Column::OrganizationId)
            .find_also_related(organization_mapping::Entity)
            .all(&self.0)
            .await?;
        let mut found: HashMap<_, Self::Value> = HashMap::new();
        for (member, organization) in rows {
            if let Some((user, organization)) = member.user_id.zip(organization) {
                found
                    .entry(OrganizationsOf(user))
                    .or_default()
                    .push(organization);
            }
        }
        Ok(found)
    }
}

impl Loader<OptionsOf> for Parts {
    type Value = Vec<user_option::Model>;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[OptionsOf],
    ) -> Result<HashMap<OptionsOf, Self::Value>, Self::Error> {
        use user_option::{Column, Entity};
        let rows = Entity::find()
            .filter(Column::UserId.is_in(keys.iter().map(|key| key.0)))
            .filter(Column::ProjectId.is_null())
            .filter(Column::OrganizationId.is_null())
            .order_by_asc(Column::Id)
            .all(&self.0)
            .await?;
        let mut found: HashMap<_, Self::Value> = HashMap::new();
        for row in rows {
            found.entry(OptionsOf(row.user_id)).or_default().push(row);
        }
        Ok(found)
    }
}
