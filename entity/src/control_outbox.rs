//! The changes that still have to be told to the cells (`sentry_controloutbox`).

use sea_orm::entity::prelude::*;

/// One change for one cell.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_controloutbox")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The kind of shard.
    pub shard_scope: i32,
    /// The shard within its kind; the rows of a shard are handled one at a time.
    pub shard_identifier: i64,
    /// The kind of change.
    pub category: i32,
    /// The object that changed.
    pub object_identifier: i64,
    /// What else the handler has to know.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub payload: Option<Json>,
    /// When the current attempt was scheduled.
    pub scheduled_from: DateTimeUtc,
    /// When the row is due.
    pub scheduled_for: DateTimeUtc,
    /// When the row was created.
    pub date_added: DateTimeUtc,
    /// The cell that has to be told.
    pub region_name: String,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
