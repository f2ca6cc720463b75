//! The connections to PostgreSQL that look-ups share: that sharing shows nowhere, and what becomes
//! of it when connections, statements and servers fail.

mod changes;
mod connecting;
mod creation;
mod faults;
mod hanging_up;
mod plans;
mod searches;
mod sharing;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use tokio::task::JoinHandle;
use user_gateway::database::{Connection, Database, DatabaseOptions, OutboxPolicy};
use user_gateway::domain::{Result, SystemClock, UserId, UserProfile};
use user_gateway::service::{Announcer, UserService};

use crate::harness::{PATIENCE, TestDatabase, eventually};

/// A second process on the database at `url`, whose look-ups may take this long.
async fn open(url: &str, acquire_timeout: Duration, statement_timeout: Duration) -> Database {
    open_with(DatabaseOptions {
        url: url.to_owned(),
        max_connections: 8,
        acquire_timeout,
        statement_timeout,
        lock_timeout: PATIENCE,
    })
    .await
}

/// A second process whose changes wait so long for locks.
async fn open_with_lock_timeout(url: &str, lock_timeout: Duration) -> Database {
    open_with(DatabaseOptions {
        url: url.to_owned(),
        max_connections: 8,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        lock_timeout,
    })
    .await
}

async fn open_with(options: DatabaseOptions) -> Database {
    let connection = Connection::open(&options).await.unwrap();
    let policy = OutboxPolicy::default();
    let clock = Arc::new(SystemClock);
    Database::open(connection, policy, Announcer::default(), clock)
        .await
        .unwrap()
}

async fn open_patiently(url: &str) -> Database {
    open(url, PATIENCE, PATIENCE).await
}

/// Begins to look each user up by itself.
fn look_up(
    users: &Arc<dyn UserService>,
    ids: &[UserId],
) -> Vec<JoinHandle<Result<Vec<UserProfile>>>> {
    let one = |id: &UserId| {
        let (users, id) = (Arc::clone(users), *id);
        tokio::spawn(async move { users.get_profiles(&[id]).await })
    };
    ids.iter().map(one).collect()
}

/// Begins to look each user up by itself, and waits until each look-up has gone as far as it gets
/// without an answer.
async fn begin(
    users: &Arc<dyn UserService>,
    ids: &[UserId],
) -> Vec<JoinHandle<Result<Vec<UserProfile>>>> {
    let begun = Arc::new(AtomicUsize::new(0));
    let one = |id: &UserId| {
        let (users, id, begun) = (Arc::clone(users), [*id], Arc::clone(&begun));
        tokio::spawn(async move {
            let mut asked = users.get_profiles(&id);
            let first = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await;
            begun.fetch_add(1, Ordering::Release);
            match first {
                Poll::Ready(found) => found,
                Poll::Pending => asked.await,
            }
        })
    };
    let look_ups = ids.iter().map(one).collect();
    eventually("every look-up has begun", async || {
        begun.load(Ordering::Acquire) == ids.len()
    })
    .await;
    look_ups
}

/// That each answer is about the user who was asked for.
async fn assert_answered(answers: Vec<JoinHandle<Result<Vec<UserProfile>>>>, ids: &[UserId]) {
    for (answer, id) in join_all(answers).await.into_iter().zip(ids) {
        let found: Vec<UserId> = answer
            .unwrap()
            .unwrap()
            .iter()
            .map(|user| user.id)
            .collect();
        assert_eq!(found, [*id]);
    }
}

/// Keeps everybody from the users until it is given up.
async fn block_users(db: &TestDatabase) -> DatabaseTransaction {
    block(db, "auth_user").await
}

/// Keeps everybody from a table until it is given up.
async fn block(db: &TestDatabase, table: &str) -> DatabaseTransaction {
    block_by(db.connection(), table).await
}

async fn block_by(connection: &Connection, table: &str) -> DatabaseTransaction {
    let tx = connection.writer().begin().await.unwrap();
    let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    tx.execute_unprepared(&lock).await.unwrap();
    tx
}

/// Waits until this many statements wait for a lock.
async fn until_blocked(db: &TestDatabase, statements: usize) {
    let blocked =
        "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("statements wait for the lock", async || {
        db.count(blocked).await == i64::try_from(statements).unwrap()
    })
    .await;
}
