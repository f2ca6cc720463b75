//! Which of our indexes an existing database lacks, and that the advice mends it.

use migration::{Migrator, MigratorTrait, OPTIONAL_INDEXES};
use sea_orm::ConnectionTrait;
use user_gateway::database::{ExpectedIndex, missing_indexes, setting};

use super::Form;
use crate::harness::{Engine, TestDatabase};

/// The names of the indexes that are missing.
async fn missing(db: &TestDatabase) -> Vec<&'static str> {
    let expected: Vec<_> = OPTIONAL_INDEXES
        .iter()
        .map(|index| ExpectedIndex {
            table: index.table,
            matches: index.matches,
        })
        .collect();
    let places = missing_indexes(db.connection(), &expected).await.unwrap();
    places
        .into_iter()
        .map(|place| OPTIONAL_INDEXES[place].name)
        .collect()
}

existing! {
    async fn each_missing_index_is_named_until_it_is_built(db: &TestDatabase, _form: Form) {
        let all: Vec<_> = OPTIONAL_INDEXES.iter().map(|index| index.name).collect();
        assert_eq!(missing(db).await, all);

        // Two rows for one option are in the way of the index that forbids them. What a failed
        // build leaves is no index.
        let unique = "user_gateway_useroption_global";
        let index = OPTIONAL_INDEXES.iter().find(|index| index.name == unique).unwrap();
        let writer = db.connection().writer();
        assert!(writer.execute_unprepared(index.statement).await.is_err());
        assert_eq!(missing(db).await, all);
        db.execute(&format!("DROP INDEX {unique}")).await;
        db.execute("DELETE FROM sentry_useroption WHERE id = 4").await;

        let mut left = all;
        for index in OPTIONAL_INDEXES {
            if let Some(extension) = index.requires_extension {
                db.execute(&format!("CREATE EXTENSION IF NOT EXISTS {extension}")).await;
            }
            db.execute(index.statement).await;
            left.remove(0);
            assert_eq!(missing(db).await, left);
        }
    }

    async fn settings_can_be_asked_for(db: &TestDatabase, _form: Form) {
        let cost = setting(db.connection(), "random_page_cost").await.unwrap();
        assert_eq!(cost.as_deref(), Some("4"));
        assert_eq!(setting(db.connection(), "no.such_setting").await.unwrap(), None);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_database_of_ours_lacks_no_index() {
    let db = TestDatabase::open(Engine::Postgres).await;
    assert_eq!(missing(&db).await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn indexes_of_trigrams_keep_little_aside_however_old_they_are() {
    let db = TestDatabase::open(Engine::Postgres).await;
    let writer = db.connection().writer();
    let set = "pg_class WHERE relname LIKE '%\\_trgm' \
               AND reloptions = ARRAY['gin_pending_list_limit=256']";
    assert_eq!(db.count(set).await, 3);
    Migrator::down(writer, Some(3)).await.unwrap();
    assert_eq!(db.count(set).await, 0);
    Migrator::up(writer, None).await.unwrap();
    assert_eq!(db.count(set).await, 3);
}
