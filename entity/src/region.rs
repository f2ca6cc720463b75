//! The regions that receive changes (`user_gateway_region`).

use sea_orm::entity::prelude::*;

/// One region.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_gateway_region")]
pub struct Model {
    /// The name of the region.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
