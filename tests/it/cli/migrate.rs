//! `migrate`: up, down, and how things stand.

use crate::harness::{Contents, Engine, Scratch, TestDatabase};

/// How many migrations are applied and how many are not.
fn counted(status: &str) -> (usize, usize) {
    let count = |word: &str| status.lines().filter(|line| line.starts_with(word)).count();
    let (applied, pending) = (count("applied"), count("pending"));
    assert_eq!(applied + pending, status.lines().count(), "{status}");
    (applied, pending)
}

fn goes_up_and_down(url: &str) {
    let scratch = Scratch::new();
    let migrate = |steps: &[&str]| {
        let arguments = [&["migrate"], steps, &["--database-url", url]].concat();
        counted(&scratch.must(&arguments))
    };
    let (_, all) = migrate(&["status"]);
    assert!(all > 3);
    assert_eq!(migrate(&["up"]), (all, 0));
    assert_eq!(migrate(&["up"]), (all, 0));
    assert_eq!(migrate(&["status"]), (all, 0));
    assert_eq!(migrate(&["down"]), (all - 1, 1));
    assert_eq!(migrate(&["down", "--steps", "2"]), (all - 3, 3));
    assert_eq!(migrate(&["up"]), (all, 0));
    scratch.must(&["seed", "--users", "10", "--database-url", url]);
    let everything = all.to_string();
    assert_eq!(migrate(&["down", "--steps", &everything]), (0, all));
    // What was taken down can be built again, and filled.
    assert_eq!(migrate(&["up"]), (all, 0));
    scratch.must(&["seed", "--users", "10", "--database-url", url]);
}

#[test]
fn migrations_go_up_and_down_on_sqlite() {
    let folder = Scratch::new();
    goes_up_and_down(&format!(
        "sqlite://{}/migrate.db?mode=rwc",
        folder.path().display()
    ));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn migrations_go_up_and_down_on_postgresql() {
    let database = TestDatabase::with(Contents::Script("SELECT 1")).await;
    goes_up_and_down(database.url());
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn tables_of_another_installation_are_not_migrated() {
    let database = TestDatabase::with(Contents::Script(super::installation::FORMS[1])).await;
    let scratch = Scratch::new();
    for step in ["up", "down", "status"] {
        let said = scratch.must_fail(&["migrate", step, "--database-url", database.url()]);
        assert!(said.contains("another installation"), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn asking_how_an_empty_database_stands_makes_nothing_there() {
    let database = TestDatabase::with(Contents::Script("SELECT 1")).await;
    let scratch = Scratch::new();
    let said = scratch.must(&["migrate", "status", "--database-url", database.url()]);
    assert_eq!(counted(&said).0, 0);
    let tables = database
        .count("pg_tables WHERE schemaname = 'public'")
        .await;
    assert_eq!(tables, 0);
}

#[test]
fn migrate_needs_to_know_which_way() {
    let said = Scratch::new().must_fail(&["migrate"]);
    for step in ["up", "down", "status"] {
        assert!(said.contains(step), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_up_to_date_is_left_as_it_is() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    let before = database.rows("SELECT * FROM sqlite_master").await;
    Scratch::new().must(&["migrate", "up", "--database-url", database.url()]);
    assert_eq!(database.rows("SELECT * FROM sqlite_master").await, before);
}
