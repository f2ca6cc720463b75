//! Users who are created by one transaction that is sent at once, on connections that others share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use user_gateway::domain::{
    Email, Error, IdempotencyKey, NewUser, OptionKey, OptionScope, Result, SetOption,
    UserCreateResult, UserId,
};
use user_gateway::service::{Services, UserService};

use super::{assert_answered, look_up, open_patiently, until_blocked};
use crate::harness::{Contents, TestDatabase, eventually};

/// How often somebody sets their option while creations fail.
const ROUNDS: usize = 100;

fn new(email: &str) -> NewUser {
    NewUser {
        email: Email::parse(email, &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    }
}

/// Begins to get or to create the user of an address.
fn begin(users: &Arc<dyn UserService>, email: &str) -> JoinHandle<Result<UserCreateResult>> {
    let (users, new) = (Arc::clone(users), new(email));
    tokio::spawn(async move { users.get_or_create_by_email(&new).await })
}

fn option(user_id: UserId, value: Value) -> SetOption {
    SetOption {
        user_id,
        key: OptionKey::parse("theme", &[]).unwrap(),
        value: value.into(),
        scope: OptionScope::GLOBAL,
    }
}

/// Takes the lock on an address, as another process would that creates its user.
async fn lock(db: &TestDatabase, email: &str) -> DatabaseTransaction {
    let tx = db.connection().writer().begin().await.unwrap();
    let sql = format!(
        "SELECT pg_advisory_xact_lock(hashtextextended(UPPER('user-gateway:email:{email}'), 0))"
    );
    tx.execute_unprepared(&sql).await.unwrap();
    tx
}

/// Has the database refuse every address that begins with `bad`, after the user was inserted: at
/// once, or not before the commit.
async fn refuse_bad_addresses(db: &TestDatabase, at_commit: bool) {
    let kind = if at_commit {
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON sentry_useremail \
         DEFERRABLE INITIALLY DEFERRED"
    } else {
        "CREATE TRIGGER refuse BEFORE INSERT ON sentry_useremail"
    };
    db.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.email LIKE 'bad%' THEN RAISE 'refused'; END IF; RETURN NEW; END $$",
    )
    .await;
    db.execute(&format!("{kind} FOR EACH ROW EXECUTE FUNCTION refuse()"))
        .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_user_is_created_by_one_transaction_and_found_by_one_statement() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let users = db.database().services().users;
    let mut ids = BTreeSet::new();
    // To look, to lock, to create, and to remove the rows. The server begins and commits by itself.
    for (email, created, statements) in [
        ("ada@example.com", true, 4),
        ("ADA@example.com", false, 1),
        ("grace@example.com", true, 4),
    ] {
        let before = db.database().statement_count();
        let result = users.get_or_create_by_email(&new(email)).await.unwrap();
        let sent = db.database().statement_count() - before;
        assert_eq!((result.created, sent), (created, statements), "{email}");
        let found = users.get_profiles(&[result.user.id]).await.unwrap();
        assert_eq!(found, [result.user]);
        ids.insert(found[0].id);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }
    assert_eq!(db.heard.take_changes(), ids.into_iter().collect::<Vec<_>>());
    assert_eq!(db.heard.take_signups().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn of_many_who_are_created_at_once_each_gets_their_own_answer() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let users = db.database().services().users;
    // Four ask for each address, in two spellings.
    let emails: Vec<String> = (0..128)
        .map(|n| format!("{}{}@example.com", ["user", "USER"][n / 64], n % 32))
        .collect();
    let calls = join_all(emails.iter().map(|email| begin(&users, email))).await;
    let mut created = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (email, call) in emails.iter().zip(calls) {
        let result = call.unwrap().unwrap();
        let wanted = email.to_ascii_lowercase();
        assert_eq!(result.user.email.to_ascii_lowercase(), wanted);
        ids.insert(result.user.id);
        assert!(!result.created || created.insert(wanted), "{email} twice");
    }
    assert_eq!((created.len(), ids.len()), (32, 32));
    assert_eq!(db.count("auth_user").await, 32);
    assert_eq!(db.count("sentry_useremail").await, 32);
    assert_eq!(db.count("sentry_controloutbox").await, 0);
    let mut heard = db.heard.take_changes();
    heard.sort_unstable();
    assert_eq!(heard, ids.into_iter().collect::<Vec<_>>());
    assert_eq!(db.heard.take_signups().len(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL"]
async fn a_creation_that_fails_midway_takes_nobody_elses_change_with_it() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace", "edsger", "barbara"]).await;
    let Services {
        users,
        user_options,
        ..
    } = db.database().services();
    refuse_bad_addresses(&db, false).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let failing: Vec<_> = (0..8)
        .map(|task| {
            let (users, is_over) = (Arc::clone(&users), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let new = new(&format!("bad{task}@example.com"));
                    let failed = users.get_or_create_by_email(&new).await;
                    assert!(matches!(failed, Err(Error::Internal(_))), "{failed:?}");
                }
            })
        })
        .collect();
    // What travels over the same connections is kept when it is answered, and can be read at once.
    let setting = ids.iter().map(|id| {
        let (id, options) = (*id, Arc::clone(&user_options));
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let set = options.set_option(&option(id, json!(round))).await.unwrap();
                assert!(set.changed);
                let found = options.get_all(&[id]).await.unwrap();
                assert_eq!(found, [set.option]);
            }
        })
    });
    for set in join_all(setting).await {
        set.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    for failed in join_all(failing).await {
        failed.unwrap();
    }
    assert_eq!(db.count("auth_user").await, 4);
    assert_eq!(db.heard.take_changes().len(), 4 * ROUNDS);
    assert!(db.heard.take_signups().is_empty());
    assert_eq!(db.count("sentry_controloutbox").await, 0);
    let good = users.get_or_create_by_email(&new("good@example.com")).await;
    assert!(good.unwrap().created);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_creation_that_cannot_be_committed_is_told_to_nobody() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let users = db.database().services().users;
    refuse_bad_addresses(&db, true).await;
    for email in ["bad@example.com", "good@example.com", "bad@example.com"] {
        let result = users.get_or_create_by_email(&new(email)).await;
        let is_good = email.starts_with("good");
        assert_eq!(result.is_ok_and(|result| result.created), is_good);
        assert_eq!(db.heard.take_signups().len(), usize::from(is_good));
        assert_eq!(db.heard.take_changes().len(), usize::from(is_good));
    }
    assert_eq!(db.count("auth_user").await, 1);
    assert_eq!(db.count("sentry_controloutbox").await, 0);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_address_that_somebody_inactive_holds_can_be_had_and_a_username_cannot() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let users = db.database().services().users;
    let old = users.get_or_create_by_email(&new("ada@example.com")).await;
    let old = old.unwrap().user;
    db.execute("UPDATE auth_user SET is_active = false").await;
    let result = users.get_or_create_by_email(&new("ada@example.com")).await;
    let result = result.unwrap();
    assert!(result.created);
    assert_ne!(result.user.id, old.id);
    assert_eq!(db.count("auth_user WHERE email_unique IS NULL").await, 1);

    let keyed = NewUser {
        idempotency_key: Some(IdempotencyKey::from_bits(7)),
        ..new("grace@example.com")
    };
    assert!(users.get_or_create_by_email(&keyed).await.unwrap().created);
    assert!(users.get_or_create_by_email(&keyed).await.unwrap().created);
    db.execute("UPDATE auth_user SET is_active = false").await;
    assert!(users.get_or_create_by_email(&keyed).await.is_err());
    assert_eq!(db.count("auth_user").await, 3);
    assert_eq!(db.heard.take_signups().len(), 3);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn whoever_waits_for_the_lock_finds_who_was_created_meanwhile() {
    let db = TestDatabase::with(Contents::Migrated).await;
    // Where nothing is set, a transaction would see nothing that came after its lock was asked for.
    db.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = \
         ''repeatable read''', current_database()); END $$",
    )
    .await;
    let process = open_patiently(db.url()).await;
    let users = process.services().users;
    let other = lock(&db, "ada@example.com").await;
    let waiting = begin(&users, "ada@example.com");
    until_blocked(&db, 1).await;
    other
        .execute_unprepared(
            "INSERT INTO auth_user (password, username, first_name, email, is_staff, is_active, \
             is_superuser, is_managed, is_password_expired, flags, date_joined) VALUES ('', \
             'theirs', '', 'ADA@example.com', false, true, false, false, false, 0, now())",
        )
        .await
        .unwrap();
    other.commit().await.unwrap();
    let result = waiting.await.unwrap().unwrap();
    assert_eq!((&*result.user.username, result.created), ("theirs", false));
    assert_eq!(db.count("auth_user").await, 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_locked_address_delays_no_other_address() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let process = open_patiently(db.url()).await;
    let users = process.services().users;
    let other = lock(&db, "new@example.com").await;
    let waiting: Vec<_> = (0..16).map(|_| begin(&users, "new@example.com")).collect();
    for number in 0..16 {
        let email = format!("user{number}@example.com");
        let created = users.get_or_create_by_email(&new(&email)).await;
        assert!(created.unwrap().created);
    }
    until_blocked(&db, 1).await;
    other.rollback().await.unwrap();
    let mut created = 0;
    for waiting in waiting {
        created += usize::from(waiting.await.unwrap().unwrap().created);
    }
    assert_eq!(created, 1);
    assert_eq!(db.count("auth_user").await, 17);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_creation_whose_asker_has_gone_is_told_of_and_the_connections_are_good() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace", "edsger", "barbara"]).await;
    let users = db.database().services().users;
    let other = lock(&db, "new@example.com").await;
    let waiting: Vec<_> = (0..16).map(|_| begin(&users, "new@example.com")).collect();
    eventually("creations wait", async || {
        let blocked = "pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        db.count(blocked).await > 0
    })
    .await;
    // They keep no look-up waiting.
    assert_answered(look_up(&users, &ids), &ids).await;
    for waiting in waiting {
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
    }
    other.rollback().await.unwrap();
    eventually("the creation is told of", async || {
        !db.heard.take_signups().is_empty()
    })
    .await;
    for id in ids {
        let set = db.options().set_option(&option(id, json!("dark"))).await;
        assert!(set.unwrap().changed);
    }
    assert_eq!(db.count("auth_user").await, 5);
    assert_eq!(db.count("sentry_useroption").await, 4);
    let found = users.get_or_create_by_email(&new("new@example.com")).await;
    assert!(!found.unwrap().created);
    assert!(db.heard.take_signups().is_empty());
    eventually("the rows are gone", async || {
        db.count("sentry_controloutbox").await == 0
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_creation_whose_connection_is_lost_fails_and_what_may_have_been_missed_is_forgotten() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let users = db.database().services().users;
    let other = lock(&db, "ada@example.com").await;
    let waiting = begin(&users, "ada@example.com");
    until_blocked(&db, 1).await;
    let ended = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(db.number(ended).await, 1);
    let failed = waiting.await.unwrap();
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    assert_eq!(db.heard.missed(), 1);
    other.rollback().await.unwrap();
    assert_eq!(db.count("auth_user").await, 0);
    let again = users.get_or_create_by_email(&new("ada@example.com")).await;
    assert!(again.unwrap().created);
    assert_eq!(db.heard.take_signups().len(), 1);
}
