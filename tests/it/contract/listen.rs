//! What processes on one database hear of each other.

use std::cell::RefCell;
use std::sync::Arc;

use migration::{Migrator, MigratorTrait};
use tokio::task::JoinHandle;
use user_gateway::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore, TokenText};
use user_gateway::database::{Connection, Database, DatabaseOptions, OutboxPolicy};
use user_gateway::domain::{
    JsonText, OptionKey, OptionScope, SetOption, SystemClock, UserId, UserOptionId,
};
use user_gateway::service::Announcer;

use crate::harness::{Contents, Engine, PATIENCE, Recorder, TestDatabase, eventually};

/// Another process on the same database, which listens.
struct Other {
    database: Database,
    heard: Arc<Recorder>,
    listening: JoinHandle<()>,
}

impl Other {
    async fn start(db: &TestDatabase) -> Self {
        let heard = Arc::new(Recorder::default());
        let database = db.reopen_with(OutboxPolicy::default(), &heard).await;
        let listens = database.clone();
        let listening = tokio::spawn(async move { listens.listen().await });
        let other = Self {
            database,
            heard,
            listening,
        };
        other.until_it_begins(1).await;
        other
    }

    /// Waits until it has said so often that what came before may have gone unheard.
    async fn until_it_begins(&self, times: usize) {
        eventually("it listens", async || self.heard.missed() >= times).await;
    }

    /// Waits until it has heard of so many changes, and says whose.
    async fn hears(&self, changes: usize) -> Vec<UserId> {
        let heard = RefCell::new(Vec::new());
        eventually("it hears", async || {
            heard.borrow_mut().extend(self.heard.take_changes());
            heard.borrow().len() >= changes
        })
        .await;
        heard.into_inner()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn option_of(db: &TestDatabase, user_id: UserId) -> UserOptionId {
    let option = SetOption {
        user_id,
        key: OptionKey::parse("theme", &[]).unwrap(),
        value: JsonText::from(&"dark".into()),
        scope: OptionScope::GLOBAL,
    };
    db.options().set_option(&option).await.unwrap().option.id
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_process_hears_of_the_changes_of_others_and_not_of_its_own() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let other = Other::start(&db).await;
    db.users().flush_nonce(ada).await.unwrap();
    assert_eq!(other.hears(1).await, [ada]);
    // It is told of its own once, by itself.
    let own = other.database.services().users;
    own.flush_nonce(grace).await.unwrap();
    db.users().flush_nonce(ada).await.unwrap();
    assert_eq!(other.hears(2).await, [grace, ada]);
    assert_eq!(other.heard.missed(), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn all_users_of_one_change_are_heard_of_and_none_of_one_that_was_given_up() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let options = [option_of(&db, ada).await, option_of(&db, grace).await];
    let other = Other::start(&db).await;
    assert!(db.users().add_permission(UserId(404), "x").await.is_err());
    db.options().delete_options(&options).await.unwrap();
    assert_eq!(other.hears(2).await, [ada, grace]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_process_that_lost_its_connection_says_that_it_may_have_missed_something() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ada = db.add_user("ada").await;
    let other = Other::start(&db).await;
    let ended = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(db.number(ended).await, 1);
    // A lost feed is no reason to read; a new one is.
    other.until_it_begins(2).await;
    assert_eq!(other.heard.lost(), 1);
    db.users().flush_nonce(ada).await.unwrap();
    assert_eq!(other.hears(1).await, [ada]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_end_of_a_token_of_a_service_is_heard_of() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let token = NewToken {
        text: TokenText::generate(TokenKind::Service),
        owner: NewTokenOwner::Service("billing".to_owned()),
        scopes: Scopes::all(),
        expires_at: None,
    };
    db.database().create(&token).await.unwrap();
    let other = Other::start(&db).await;
    assert!(db.database().revoke("service:1").await.unwrap());
    eventually("it hears", async || other.heard.revoked() == 1).await;
    assert_eq!(db.heard.revoked(), 1);
}

async fn an_aborted_listener_does_not_count_as_listening(engine: Engine) {
    let db = TestDatabase::open(engine).await;
    let mut other = Other::start(&db).await;
    assert!(other.database.hears());
    other.listening.abort();
    assert!((&mut other.listening).await.unwrap_err().is_cancelled());
    assert!(!other.database.hears());
    assert_eq!((other.heard.lost(), other.heard.missed()), (1, 1));
    // A new listener begins like the first.
    let listens = other.database.clone();
    other.listening = tokio::spawn(async move { listens.listen().await });
    other.until_it_begins(2).await;
    eventually("it hears again", async || other.database.hears()).await;
}

on_each_engine! {
    an_aborted_listener_does_not_count_as_listening
}

#[tokio::test]
async fn a_database_in_memory_is_listened_to_as_long_as_anybody_wants() {
    let options = DatabaseOptions {
        url: "sqlite::memory:".to_owned(),
        max_connections: 1,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        lock_timeout: PATIENCE,
    };
    let connection = Connection::open(&options).await.unwrap();
    Migrator::up(connection.writer(), None).await.unwrap();
    let policy = OutboxPolicy::default();
    let (announcer, clock) = (Announcer::default(), Arc::new(SystemClock));
    let database = Database::open(connection, policy, announcer, clock)
        .await
        .unwrap();
    let listens = database.clone();
    let listening = tokio::spawn(async move { listens.listen().await });
    eventually("it hears", async || database.hears()).await;
    assert!(!listening.is_finished());
    listening.abort();
}

#[tokio::test]
async fn on_sqlite_a_process_sees_that_others_have_changed_something() {
    let db = TestDatabase::open(Engine::Sqlite).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let other = Other::start(&db).await;
    db.users().flush_nonce(ada).await.unwrap();
    other.until_it_begins(2).await;
    // Of its own changes it is told by itself alone, however often it looks.
    let own = other.database.services().users;
    own.flush_nonce(grace).await.unwrap();
    assert_eq!(other.hears(1).await, [grace]);
    db.users().flush_nonce(ada).await.unwrap();
    other.until_it_begins(3).await;
    assert_eq!(other.heard.missed(), 3);
}

#[tokio::test]
async fn on_sqlite_a_replaced_connection_may_have_missed_changes() {
    let db = TestDatabase::open(Engine::Sqlite).await;
    let ada = db.add_user("ada").await;
    let connection = db.connection().clone();
    let listens = db.database().clone();
    let listening = tokio::spawn(async move { listens.listen().await });
    for times in 1..=3 {
        eventually("missed changes are reported", async || {
            db.heard.missed() >= times
        })
        .await;
        assert_eq!(db.heard.missed(), times);
        // A failed commit closes the connection, too.
        let pool = connection.writer().get_sqlite_connection_pool();
        pool.acquire().await.unwrap().close().await.unwrap();
        db.users().flush_nonce(ada).await.unwrap();
    }
    listening.abort();
}
