//! `check`: whether a database can be served, and what would make it faster.

use migration::OPTIONAL_INDEXES;

use super::installation::{FORMS, catalog};
use crate::harness::{Contents, Engine, Scratch, TestDatabase};

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn on_a_sentry_database_check_names_every_index_that_is_missing() {
    for script in FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        let before = catalog(&database).await;
        let said = Scratch::new().must(&["check", "--database-url", database.url()]);
        assert_eq!(catalog(&database).await, before);
        assert!(said.contains("of another installation"), "{said}");
        assert!(said.contains("--service-token"), "{said}");
        for index in OPTIONAL_INDEXES {
            assert!(said.contains(index.serves), "{}: {said}", index.name);
            let statement = format!("{};", index.statement);
            assert!(said.contains(&statement), "{statement}: {said}");
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_statements_that_check_prints_make_it_content() {
    for script in FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        // Rows that only the missing index would have kept out.
        database
            .execute(
                "DELETE FROM sentry_useroption a USING sentry_useroption b WHERE a.id > b.id \
                 AND a.user_id = b.user_id AND a.key = b.key AND COALESCE(a.project_id, \
                 a.organization_id, b.project_id, b.organization_id) IS NULL",
            )
            .await;
        let scratch = Scratch::new();
        let said = scratch.must(&["check", "--database-url", database.url()]);
        let is_statement = |line: &&str| line.starts_with("CREATE");
        for statement in said.lines().map(str::trim).filter(is_statement) {
            database.execute(statement).await;
        }
        let said = scratch.must(&["check", "--database-url", database.url()]);
        assert!(!said.contains("missing"), "{said}");
        assert!(said.contains("ok       indexes"), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_database_of_ours_lacks_nothing() {
    let database = TestDatabase::open(Engine::Postgres).await;
    let said = Scratch::new().must(&["check", "--database-url", database.url()]);
    assert!(said.contains("ours, up to date"), "{said}");
    assert!(!said.contains("missing"), "{said}");
}

#[tokio::test]
async fn a_table_that_is_gone_is_named() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    database.execute("DROP TABLE sentry_useroption").await;
    let finished = Scratch::new().run(&["check", "--database-url", database.url()]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stdout.contains("missing  table sentry_useroption"));
    assert!(finished.stderr.contains("lacks 1 table"), "{finished:?}");
}

#[tokio::test]
async fn a_database_that_is_still_empty_is_not_filled_by_looking() {
    let scratch = Scratch::new();
    let said = scratch.must(&["check"]);
    assert!(said.contains("migrate up"), "{said}");
    let url = format!("sqlite://{}/user-gateway.db", scratch.path().display());
    let database = crate::harness::look_into(&url).await;
    let made = super::rows(&database, "SELECT name FROM sqlite_master").await;
    assert_eq!(made, [serde_json::json!(null); 0]);
}
