//! The part of the schema that W1 to W4 ask for.

use std::collections::HashSet;

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, ID, InputObject, Json, Object, Result, SimpleObject};
use entity::{organization_mapping, user, user_option};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::loader::{OptionsOf, OrganizationsOf, Parts};

/// What can be read.
#[derive(Debug)]
pub(crate) struct Query;

/// Which users are wanted.
#[derive(Debug, InputObject)]
pub(crate) struct UserFilter {
    ids: Vec<ID>,
}

/// A page of users.
#[derive(Debug, SimpleObject)]
pub(crate) struct UserConnection {
    nodes: Vec<User>,
}

/// A user.
#[derive(Debug)]
pub(crate) struct User(user::Model);

/// An organization.
#[derive(Debug)]
pub(crate) struct Organization(organization_mapping::Model);

/// An option of a user.
#[derive(Debug)]
pub(crate) struct UserOption(user_option::Model);

fn number(id: &ID) -> Result<i64> {
    Ok(id.trim_start_matches("User:").parse()?)
}

#[Object]
impl Query {
    async fn user(&self, ctx: &Context<'_>, id: ID) -> Result<Option<User>> {
        let database = ctx.data::<DatabaseConnection>()?;
        let found = user::Entity::find_by_id(number(&id)?).one(database).await?;
        Ok(found.map(User))
    }

    async fn users(
        &self,
        ctx: &Context<'_>,
        filter: UserFilter,
        first: u64,
    ) -> Result<UserConnection> {
        let database = ctx.data::<DatabaseConnection>()?;
        let ids = filter.ids.iter().map(number).collect::<Result<Vec<_>>>()?;
        let found = user::Entity::find()
            .filter(user::Column::Id.is_in(ids))
            .order_by_asc(user::Column::Id)
            .limit(first)
            .all(database)
            .await?;
        Ok(UserConnection {
            nodes: found.into_iter().map(User).collect(),
        })
    }

    async fn existing_usernames(
        &self,
        ctx: &Context<'_>,
        usernames: Vec<String>,
    ) -> Result<Vec<String>> {
        let database = ctx.data::<DatabaseConnection>()?;
        let found = user::Entity::find()
            .filter(user::Column::Username.is_in(&usernames))
            .all(database)
            .await?;
        let found: HashSet<String> = found.into_iter().map(|user| user.username).collect();
        let exists = |name: &String| found.contains(name);
        Ok(usernames.into_iter().filter(exists).collect())
    }
}

#[Object]
impl User {
    async fn id(&self) -> ID {
        ID(format!("User:{}", self.0.id))
    }

    async fn username(&self) -> &str {
        &self.0.username
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn display_name(&self) -> &str {
        let texts = [&self.0.name, &self.0.email];
        let text = texts.into_iter().find(|text| !text.is_empty());
        text.unwrap_or(&self.0.username)
    }

    async fn is_active(&self) -> bool {
        self.0.is_active
    }

    async fn organizations(&self, ctx: &Context<'_>) -> Result<Vec<Organization>> {
        let parts = ctx.data::<DataLoader<Parts>>()?;
        let found = parts.load_one(OrganizationsOf(self.0.id)).await?;
        let found = found.unwrap_or_default();
        Ok(found.into_iter().map(Organization).collect())
    }

    async fn options(&self, ctx: &Context<'_>) -> Result<Vec<UserOption>> {
        let parts = ctx.data::<DataLoader<Parts>>()?;
        let found = parts.load_one(OptionsOf(self.0.id)).await?;
        Ok(found
            .unwrap_or_default()
            .into_iter()
            .map(UserOption)
            .collect())
    }
}

#[Object]
impl Organization {
    async fn id(&self) -> ID {
        ID(format!("Organization:{}", self.0.organization_id))
    }

    async fn slug(&self) -> &str {
        &self.0.slug
    }

    async fn name(&self) -> &str {
        &self.0.name
    }
}

#[Object]
impl UserOption {
    async fn key(&self) -> &str {
        &self.0.key
    }

    async fn value(&self) -> Option<Json<serde_json::Value>> {
        self.0.value.clone().map(Json)
    }
}
