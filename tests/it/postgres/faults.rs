//! What becomes of look-ups when what they stand on fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tokio::time::timeout;
use user_gateway::database::{Connection, Database, DatabaseOptions, ServerClock};
use user_gateway::domain::{
    Clock as _, Error, Result, SystemClock, UserFilter, UserId, UserProfile,
};
use user_gateway::outbox::{OutboxStore as _, Which};
use user_gateway::service::UserService;

use super::changes::theme;
use super::{assert_answered, block_users, look_up, open, open_patiently, until_blocked};
use crate::harness::{Contents, PATIENCE, PostgresServer, TestDatabase, Wire, eventually};

/// Ends the connections that look-ups of users were the last to use.
const END_OTHERS: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid() \
     AND query LIKE 'SELECT \"auth_user\".%'";

/// The connections of the pool of a process, beside those that are shared.
const POOL: usize = 4;

/// Whether somebody is found; a failure must be one that passes.
fn is_found(found: Result<Vec<UserProfile>>, id: UserId) -> bool {
    match found {
        Ok(found) => {
            assert_eq!(found.iter().map(|user| user.id).collect::<Vec<_>>(), [id]);
            true
        }
        Err(Error::Unavailable(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Somebody who asks for users without a pause, until told to stop.
struct Load {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    askers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn begin(users: &Arc<dyn UserService>, ids: &[UserId]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicU64::new(0));
        let asker = |id: &UserId| {
            let (users, id) = (Arc::clone(users), *id);
            let (is_over, answers) = (Arc::clone(&is_over), Arc::clone(&answers));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    if is_found(users.get_profiles(&[id]).await, id) {
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        let askers = ids.iter().map(asker).collect();
        Self {
            is_over,
            answers,
            askers,
        }
    }

    /// Waits until many more are answered.
    async fn goes_on(&self) {
        let enough = self.answers.load(Ordering::Relaxed) + 200;
        eventually("look-ups are answered", async || {
            self.answers.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    async fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for asker in self.askers {
            asker.await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn connections_that_are_ended_are_made_again() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace", "edsger", "barbara"]).await;
    let other = open_patiently(db.url()).await;
    let load = Load::begin(&other.services().users, &ids);
    for _ in 0..5 {
        load.goes_on().await;
        assert!(db.number(END_OTHERS).await > 0);
    }
    load.goes_on().await;
    load.end().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_restarts_under_load_is_found_again() {
    let mut server = PostgresServer::start();
    let options = DatabaseOptions {
        url: server.url(),
        max_connections: 2,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        lock_timeout: PATIENCE,
    };
    let connection = Connection::open(&options).await.unwrap();
    Migrator::up(connection.writer(), None).await.unwrap();
    let database = open(&server.url(), Duration::from_millis(200), PATIENCE).await;
    let users = database.services().users;
    let mut ids = Vec::new();
    for name in ["ada", "grace", "edsger", "barbara"] {
        let user = users.create_by_username_and_email(name, "").await.unwrap();
        ids.push(user.id);
    }
    let load = Load::begin(&users, &ids);
    load.goes_on().await;
    server.stop();
    let failed = users.get_profiles(&ids).await.unwrap_err();
    assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
    server.resume();
    load.goes_on().await;
    server.kill();
    server.resume();
    load.goes_on().await;
    load.end().await;
    database.close().await;
}

/// The server refuses connections as the gateway's user has changed, or something else that it says when
/// a connection begins.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_refuses_connections_is_unavailable() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let run = async |sql: &str| {
        db.connection()
            .writer()
            .execute_unprepared(sql)
            .await
            .unwrap()
    };
    run("CREATE ROLE refused SUPERUSER LOGIN").await;
    let url = db.url().split_once('@').unwrap().1;
    let url = format!("postgres://refused@{url}");
    let database = open(&url, Duration::from_millis(200), PATIENCE).await;
    let services = database.services();
    let ada = services.users.create_by_username_and_email("ada", "").await;
    let ada = ada.unwrap().id;
    run("ALTER ROLE refused NOLOGIN").await;
    run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'refused'").await;
    eventually("the connections have ended", async || {
        services.users.get_profiles(&[ada]).await.is_err()
    })
    .await;
    let filter = UserFilter {
        usernames: Some(vec!["ada".to_owned()]),
        ..UserFilter::default()
    };
    let looked_up = services.users.get_profiles(&[ada]).await.unwrap_err();
    let searched = services.users.get_many_ids(&filter).await.unwrap_err();
    let changed = services
        .user_options
        .set_option(&theme(ada, json!("dark")))
        .await
        .unwrap_err();
    for error in [looked_up, searched, changed] {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    run("ALTER ROLE refused LOGIN").await;
    eventually("it is found again", async || {
        services
            .user_options
            .set_option(&theme(ada, json!("light")))
            .await
            .is_ok()
            && is_found(services.users.get_profiles(&[ada]).await, ada)
    })
    .await;
    database.close().await;
    run("DROP ROLE refused").await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_statement_that_takes_too_long_fails_for_all_who_share_it() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let names: [String; 20] = std::array::from_fn(|number| format!("user{number}"));
    let ids = db.add_users(names.each_ref().map(String::as_str)).await;
    let other = open(db.url(), PATIENCE, Duration::from_millis(300)).await;
    let users = other.services().users;
    assert_answered(look_up(&users, &ids), &ids).await;

    let block = block_users(&db).await;
    for answer in look_up(&users, &ids) {
        let failed = answer.await.unwrap().unwrap_err();
        assert!(matches!(failed, Error::Timeout(_)), "{failed:?}");
    }
    block.rollback().await.unwrap();
    assert_answered(look_up(&users, &ids), &ids).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_text_that_cannot_be_stored_fails_for_whoever_asks_and_nobody_else() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace"]).await;
    let users = db.database().services().users;
    let others = look_up(&users, &ids);
    let wrong = users.get_existing_usernames(vec!["a\0b".to_owned()]).await;
    assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
    assert_answered(others, &ids).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_was_prepared_is_prepared_again_when_the_tables_change() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace", "edsger"]).await;
    let users = db.database().services().users;
    for kind in ["text", "varchar(300)", "text"] {
        assert_answered(look_up(&users, &ids), &ids).await;
        let alter = format!("ALTER TABLE auth_user ALTER COLUMN username TYPE {kind}");
        db.execute(&alter).await;
        assert_answered(look_up(&users, &ids), &ids).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn nothing_is_left_of_a_database_that_was_closed() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada"]).await;
    let connections = "pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'user-gateway'";
    // As many of its own as it will need at a time.
    let block = block_users(&db).await;
    let before = db.count(connections).await;
    block.rollback().await.unwrap();
    let other = open_patiently(db.url()).await;
    let users = other.services().users;
    let block = block_users(&db).await;
    let under_way = look_up(&users, &ids);
    until_blocked(&db, 1).await;
    let closing = tokio::spawn(async move { other.close().await });
    block.rollback().await.unwrap();
    // Who asked before is answered.
    assert_answered(under_way, &ids).await;
    closing.await.unwrap();
    eventually("the connections are gone", async || {
        db.count(connections).await == before
    })
    .await;
    let failed = users.get_profiles(&ids).await.unwrap_err();
    assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_database_is_closed_though_a_statement_does_not_come_to_its_end() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let [ada] = db.add_users(["ada"]).await;
    let other = open(db.url(), PATIENCE, 10 * PATIENCE).await;
    let users = other.services().users;
    let block = block_users(&db).await;
    let reading = look_up(&users, &[ada]);
    let changing = tokio::spawn(async move { users.flush_nonce(ada).await });
    until_blocked(&db, 2).await;
    let closed = tokio::time::timeout(PATIENCE, other.close()).await;
    assert!(closed.is_ok(), "it is not closed");
    block.rollback().await.unwrap();
    // What was under way is made to its end all the same.
    changing.await.unwrap().unwrap();
    for answer in reading {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_silent_network_failure_times_out() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace"]).await;
    let [ada, grace] = ids;
    let wire = Wire::to_postgres(db.url());
    let other = open(&wire.url(), PATIENCE, Duration::from_millis(200)).await;
    let services = other.services();
    let set = async |user: UserId, value: i32| {
        let options = other.services().user_options;
        options.set_option(&theme(user, json!(value))).await
    };
    services.users.flush_nonce(ada).await.unwrap();
    assert!(set(grace, 1).await.unwrap().changed);
    assert_answered(look_up(&services.users, &ids), &ids).await;

    wire.hold();
    let reading = look_up(&services.users, &[ada]);
    let (changed, set_at_once) = tokio::join!(services.users.flush_nonce(ada), set(grace, 2));
    assert!(matches!(changed, Err(Error::Unavailable(_))), "{changed:?}");
    assert!(
        matches!(set_at_once, Err(Error::Unavailable(_))),
        "{set_at_once:?}"
    );
    for read in reading {
        let failed = read.await.unwrap().unwrap_err();
        assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
    }
    wire.release();
    // All permits are released, and no transaction is left open.
    services.users.flush_nonce(ada).await.unwrap();
    assert!(set(grace, 3).await.unwrap().changed);
    assert_answered(look_up(&services.users, &ids), &ids).await;
    let open = "pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    eventually("no transaction is open", async || db.count(open).await == 0).await;
}

/// A process that has opened all connections of its pool.
async fn open_whole_pool(wire: &Wire) -> Database {
    let process = open(&wire.url(), PATIENCE, Duration::from_millis(200)).await;
    for depth in join_all([(); POOL].map(|()| process.depth())).await {
        depth.unwrap();
    }
    process
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_no_request_waits_for_times_out_and_goes_on_over_other_connections() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let wire = Wire::to_postgres(db.url());
    let process = open_whole_pool(&wire).await;
    let clock = ServerClock::new(process.clone());
    let now = SystemClock.now();
    let work = async || {
        let (depth, claimed, made_due, adjusted, ready) = tokio::join!(
            process.depth(),
            process.claim("us", Which::Due, 1, now),
            process.make_due(None, now),
            clock.adjust(),
            process.ready(),
        );
        [
            depth.map(|_| ()),
            claimed.map(|_| ()),
            made_due.map(|_| ()),
            adjusted,
            ready,
        ]
    };
    wire.lose();
    let ended = timeout(PATIENCE / 2, work()).await;
    let ended = ended.expect("statements are waited for without end");
    // A statement may have waited for a connection that was still being returned to the pool.
    assert!(ended.iter().any(Result::is_err));
    for failed in ended.into_iter().filter_map(Result::err) {
        assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
    }
    for done in work().await {
        done.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn connections_of_requests_that_were_given_up_are_replaced() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let wire = Wire::to_postgres(db.url());
    let process = open_whole_pool(&wire).await;
    wire.lose();
    let soon = Duration::from_millis(50);
    for given_up in join_all([(); POOL].map(|()| timeout(soon, process.ping()))).await {
        assert!(given_up.is_err(), "{given_up:?}");
    }
    process.ping().await.unwrap();
}
