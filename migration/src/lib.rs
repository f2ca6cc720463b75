//! The migrations that build the user directory on `SQLite` and `PostgreSQL`, and the indexes worth
//! adding to an existing Sentry database.
//!
//! The columns, constraints and defaults are Sentry's, so that the same queries run on a database
//! built here and on one built by Sentry; only the names of constraints and indexes differ. The
//! `SQLite` migrations rely on the collation `UNICODE_NOCASE`, which every connection must register.

use sea_orm_migration::prelude::*;

mod m20261101_000001_users;
mod m20261101_000002_auth;
mod m20261101_000003_user_options;
mod m20261101_000004_organizations;
mod m20261101_000005_control_outbox;
mod m20261101_000006_service_tokens;
mod m20261101_000007_search_indexes;
mod m20261101_000008_social_auth;
mod m20261101_000009_cache_versions;
mod m20261101_000010_outbox_index;
mod m20261101_000011_search_pending;
mod m20261101_000012_outbox_index;
mod m20261129_000013_regions;
mod optional_indexes;
mod schema;

pub use optional_indexes::{OPTIONAL_INDEXES, OptionalIndex};
pub use sea_orm_migration::MigratorTrait;

/// Runs the migrations in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261101_000001_users::Migration),
            Box::new(m20261101_000002_auth::Migration),
            Box::new(m20261101_000003_user_options::Migration),
            Box::new(m20261101_000004_organizations::Migration),
            Box::new(m20261101_000005_control_outbox::Migration),
            Box::new(m20261101_000006_service_tokens::Migration),
            Box::new(m20261101_000007_search_indexes::Migration),
            Box::new(m20261101_000008_social_auth::Migration),
            Box::new(m20261101_000009_cache_versions::Migration),
            Box::new(m20261101_000010_outbox_index::Migration),
            Box::new(m20261101_000011_search_pending::Migration),
            Box::new(m20261101_000012_outbox_index::Migration),
            Box::new(m20261129_000013_regions::Migration),
        ]
    }
}
