//! Changes that one statement makes.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};
use user_gateway::domain::{Error, OptionKey, OptionScope, Result, SetOption, UserId};
use user_gateway::service::Services;
use user_gateway::telemetry::metrics;

use super::{
    assert_answered, block, look_up, open_patiently, open_with_lock_timeout, until_blocked,
};
use crate::harness::{Contents, Scratch, TestDatabase, eventually};

/// A lock of another session, and a change that waits for it.
#[derive(Debug, Clone, Copy)]
enum Locked {
    Option,
    OptionToDelete,
    Account,
    Address,
}

impl Locked {
    const fn statement(self) -> &'static str {
        match self {
            Self::Option | Self::OptionToDelete => {
                "UPDATE sentry_useroption SET value = value WHERE user_id = "
            }
            Self::Account => "UPDATE auth_user SET first_name = first_name WHERE id = ",
            Self::Address => "UPDATE sentry_useremail SET email = email WHERE user_id = ",
        }
    }

    /// Makes the change; the number makes it another than the last.
    async fn change(self, services: &Services, ada: UserId, number: usize) -> Result<()> {
        match self {
            Self::Option => {
                let theme = theme(ada, json!(number));
                let set = services.user_options.set_option(&theme);
                set.await.map(|_| ())
            }
            Self::OptionToDelete => {
                let options = services.user_options.get_all(&[ada]).await?;
                let ids: Vec<_> = options.iter().map(|option| option.id).collect();
                services.user_options.delete_options(&ids).await.map(|_| ())
            }
            Self::Account => services.users.flush_nonce(ada).await,
            Self::Address => {
                let verified = services.users.verify_user_email(ada, "new@example.com");
                verified.await.map(|_| ())
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_locked_row_delays_its_user_alone_and_keeps_one_connection() {
    const WAITING: usize = 20;
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace", "edsger", "barbara"]).await;
    let ada = ids[0];
    db.add_email(ada, "new@example.com", false).await;
    let services = open_patiently(db.url()).await.services();
    for id in ids {
        let theme = theme(id, json!("dark"));
        let set = services.user_options.set_option(&theme);
        set.await.unwrap();
    }
    for locked in [
        Locked::Option,
        Locked::Account,
        Locked::Address,
        Locked::OptionToDelete,
    ] {
        let other = db.connection().writer().begin().await.unwrap();
        let statement = format!("{}{ada}", locked.statement());
        other.execute_unprepared(&statement).await.unwrap();
        let waiting: Vec<_> = (0..WAITING)
            .map(|number| {
                let services = services.clone();
                tokio::spawn(async move { locked.change(&services, ada, number).await })
            })
            .collect();
        for round in 0..3 {
            for id in &ids[1..] {
                let set = theme(*id, json!([format!("{locked:?}"), round]));
                let set = services.user_options.set_option(&set).await;
                assert!(set.unwrap().changed);
                services.users.flush_nonce(*id).await.unwrap();
            }
        }
        // One of all waiters waits in the database.
        until_blocked(&db, 1).await;
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        other.rollback().await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_change_waits_for_a_lock_no_longer_than_it_may() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ada = db.add_user("ada").await;
    db.add_email(ada, "new@example.com", false).await;
    let process = open_with_lock_timeout(db.url(), Duration::from_millis(200)).await;
    let services = process.services();
    for locked in [
        Locked::Option,
        Locked::OptionToDelete,
        Locked::Account,
        Locked::Address,
    ] {
        let theme = theme(ada, json!("dark"));
        let set = services.user_options.set_option(&theme);
        set.await.unwrap();
        let other = db.connection().writer().begin().await.unwrap();
        let statement = format!("{}{ada}", locked.statement());
        other.execute_unprepared(&statement).await.unwrap();
        // Those who wait for each other wait no longer either.
        let both = [1, 2].map(|number| locked.change(&services, ada, number));
        for failed in join_all(both).await {
            assert!(matches!(failed, Err(Error::Timeout(_))), "{failed:?}");
        }
        other.rollback().await.unwrap();
        locked.change(&services, ada, 3).await.unwrap();
    }
    let idle = "pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
    eventually("no transaction is left open", async || {
        db.count(idle).await == 0
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn changes_of_locked_rows_use_at_most_half_of_the_pool() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let names: [String; 12] = std::array::from_fn(|number| format!("user{number}"));
    let ids = db.add_users(names.each_ref().map(String::as_str)).await;
    let process = open_patiently(db.url()).await;
    let other = db.connection().writer().begin().await.unwrap();
    let lock = "UPDATE auth_user SET first_name = first_name";
    other.execute_unprepared(lock).await.unwrap();
    let waiting: Vec<_> = ids
        .iter()
        .map(|id| {
            let (users, id) = (process.services().users, *id);
            tokio::spawn(async move { users.flush_nonce(id).await })
        })
        .collect();
    // The pool has four connections.
    until_blocked(&db, 2).await;
    for _ in 0..20 {
        process.ping().await.unwrap();
    }
    until_blocked(&db, 2).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    other.rollback().await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn changes_that_are_refused_are_counted_by_reason() {
    /// More than may wait for one user.
    const CHANGES: usize = 300;
    let db = TestDatabase::with(Contents::Migrated).await;
    let names: [String; 12] = std::array::from_fn(|number| format!("user{number}"));
    let ids = db.add_users(names.each_ref().map(String::as_str)).await;
    let process = open_with_lock_timeout(db.url(), Duration::from_millis(300)).await;
    let users = process.services().users;
    let counted = || {
        let page = metrics().render();
        ["queue_full", "queue_timeout", "pool_share"].map(|reason| {
            let name = format!("user_gateway_changes_refused_total{{reason=\"{reason}\"}} ");
            let value = page.lines().find_map(|line| line.strip_prefix(&*name));
            value.map_or(0, |value| value.parse::<u64>().unwrap())
        })
    };
    let before = counted();
    let other = db.connection().writer().begin().await.unwrap();
    let lock = "UPDATE auth_user SET first_name = first_name";
    other.execute_unprepared(lock).await.unwrap();
    let changed = std::iter::repeat_n(ids[0], CHANGES).chain(ids);
    for refused in join_all(changed.map(|id| users.flush_nonce(id))).await {
        assert!(
            matches!(refused, Err(Error::Unavailable(_) | Error::Timeout(_))),
            "{refused:?}"
        );
    }
    other.rollback().await.unwrap();
    for (before, after) in before.into_iter().zip(counted()) {
        assert!(after > before, "{:?}", counted());
    }
    users.flush_nonce(ids[0]).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_change_of_a_locked_row_times_out_while_others_are_made() {
    const SET: &str = "mutation($user: ID!, $value: JSON) { \
         setUserOption(input: { userId: $user, key: \"theme\", value: $value }) { changed } }";
    const UPDATE: &str = "mutation($user: ID!, $value: String!) { \
         updateUser(input: { userId: $user, name: $value }) { user { name } } }";
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace"]).await;
    let scratch = Scratch::new();
    let gateway = scratch.start(&[
        "serve",
        "--database-url",
        db.url(),
        "--database-lock-timeout",
        "300ms",
    ]);
    let [ada, grace] = ids.map(|id| {
        let id = id.to_string();
        (scratch.token(db.url(), &["--user", &id]), id)
    });
    let variables = |id: &str, value: &str| json!({ "user": id, "value": value });
    for (document, locked) in [(SET, Locked::Option), (UPDATE, Locked::Account)] {
        gateway.data(&ada.0, document, variables(&ada.1, "a")).await;
        let other = db.connection().writer().begin().await.unwrap();
        let statement = format!("{}{}", locked.statement(), ada.1);
        other.execute_unprepared(&statement).await.unwrap();
        let late = gateway.answer(&ada.0, document, variables(&ada.1, "b"));
        let served = async {
            for round in 0..5 {
                let value = format!("{round}");
                let change = gateway.data(&grace.0, document, variables(&grace.1, &value));
                change.await;
            }
        };
        let (late, ()) = tokio::join!(late, served);
        assert_eq!(late.status, 200, "{}", late.text());
        assert_eq!(late.code(), "TIMEOUT", "{}", late.text());
        other.rollback().await.unwrap();
        gateway.data(&ada.0, document, variables(&ada.1, "c")).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_change_that_waits_for_a_table_lock_is_made_once_it_is_released() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ada = db.add_user("ada").await;
    let options = db.database().services().user_options;
    let set = options.set_option(&theme(ada, json!("dark"))).await;
    assert!(set.unwrap().changed);
    let other = block(&db, "sentry_controloutbox").await;
    let waiting = {
        let options = Arc::clone(&options);
        tokio::spawn(async move { options.set_option(&theme(ada, json!("light"))).await })
    };
    until_blocked(&db, 1).await;
    other.rollback().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().changed);
    assert_eq!(db.count("sentry_controloutbox").await, 0);
}

pub(super) fn theme(user_id: UserId, value: Value) -> SetOption {
    SetOption {
        user_id,
        key: OptionKey::parse("theme", &[]).unwrap(),
        value: value.into(),
        scope: OptionScope::GLOBAL,
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_option_is_set_by_one_statement_and_another_removes_its_rows() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ada = db.add_user("ada").await;
    let mut place = None;
    for (value, statements) in [
        (json!("dark"), 2),
        (json!("light"), 2),
        // What is equal already costs the look, and is nothing to tell of.
        (json!("light"), 1),
        (json!({"b": [1, null], "a": 1.5}), 2),
        (json!({"a": 1.5, "b": [1, null]}), 1),
        (json!(null), 2),
        (json!(null), 1),
    ] {
        let before = db.database().statement_count();
        let set = db.options().set_option(&theme(ada, value.clone())).await;
        let set = set.unwrap();
        assert_eq!(
            db.database().statement_count() - before,
            statements,
            "{value}"
        );
        assert_eq!(set.changed, statements == 2, "{value}");
        assert_eq!(*place.get_or_insert(set.option.id), set.option.id);
        let heard = db.heard.take_changes();
        assert_eq!(heard, vec![ada; usize::from(set.changed)], "{value}");
        let found = db.options().get_all(&[ada]).await.unwrap();
        assert_eq!(found, [set.option]);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rows_are_removed_by_index_however_many_came_since_the_outbox_was_empty() {
    const WAITING: i64 = 20_000;
    const CHANGES: i64 = 20;
    let db = TestDatabase::with(Contents::Migrated).await;
    let ada = db.add_user("ada").await;
    let set = async |value: i64| {
        let set = db.options().set_option(&theme(ada, json!(value))).await;
        assert!(set.unwrap().changed);
    };
    // Nothing but the first plan, and what PostgreSQL then knew of the table.
    db.execute("ALTER TABLE sentry_controloutbox SET (autovacuum_enabled = false)")
        .await;
    db.execute("VACUUM ANALYZE sentry_controloutbox").await;
    set(0).await;
    db.execute(&format!(
        "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
             object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
         SELECT 1, 1000 + n, 0, 1000 + n, now(), now(), now(), 'us' \
         FROM generate_series(1, {WAITING}) AS n"
    ))
    .await;
    for value in 1..=CHANGES {
        set(value).await;
    }
    // Two regions, and the first change; PostgreSQL tells a few seconds later.
    let removed = 2 * (CHANGES + 1);
    let table = "pg_stat_user_tables WHERE relname = 'sentry_controloutbox'";
    eventually("PostgreSQL has counted", async || {
        db.number(&format!("SELECT n_tup_del FROM {table}")).await == removed
    })
    .await;
    let by_index = "(SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes \
                     WHERE relname = 'sentry_controloutbox')";
    let read = format!("SELECT (seq_tup_read + {by_index})::bigint FROM {table}");
    let read = db.number(&read).await;
    assert!(read < WAITING, "{read} rows were read to remove {removed}");
    assert_eq!(db.count("sentry_controloutbox").await, WAITING);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_option_of_nobody_is_refused_and_leaves_nothing() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let set = db.options().set_option(&theme(UserId(404), json!(1))).await;
    assert!(matches!(set, Err(Error::Invalid(_))), "{set:?}");
    assert_eq!(db.count("sentry_useroption").await, 0);
    assert_eq!(db.count("sentry_controloutbox").await, 0);
    assert!(db.heard.take_changes().is_empty());
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_change_that_waits_keeps_no_look_up_waiting_and_is_told_of_if_its_asker_has_gone() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = db.add_users(["ada", "grace", "edsger", "barbara"]).await;
    let ada = ids[0];
    let options = db.database().services().user_options;
    options
        .set_option(&theme(ada, json!("dark")))
        .await
        .unwrap();
    assert_eq!(db.heard.take_changes(), [ada]);

    let other = db.connection().writer().begin().await.unwrap();
    let change = "UPDATE sentry_useroption SET value = '\"theirs\"'";
    other.execute_unprepared(change).await.unwrap();
    let waiting = {
        let options = Arc::clone(&options);
        tokio::spawn(async move { options.set_option(&theme(ada, json!("ours"))).await })
    };
    until_blocked(&db, 1).await;
    assert_answered(look_up(&db.database().services().users, &ids), &ids).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    other.commit().await.unwrap();
    eventually("the change is told of", async || {
        !db.heard.take_changes().is_empty()
    })
    .await;
    let found = options.get_all(&[ada]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].value,
        user_gateway::domain::StoredValue::Json(user_gateway::domain::JsonText::from(&json!(
            "ours"
        )))
    );
    eventually("its rows are gone", async || {
        db.count("sentry_controloutbox").await == 0
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rows_whose_changes_come_while_others_are_removed_are_removed_together() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ada = db.add_user("ada").await;
    let names: [String; 20] = std::array::from_fn(|number| format!("user{number}"));
    let ids = db.add_users(names.each_ref().map(String::as_str)).await;
    let foreign = "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
         object_identifier, scheduled_from, scheduled_for, region_name) VALUES \
         (1, 1, 25, 1, now(), now(), 'us'), (1, 1, 0, 1, now(), now(), 'elsewhere')";
    db.execute(foreign).await;
    // Each statement that removes rows is counted, after it has waited for a lock.
    db.execute("CREATE TABLE removal (at timestamptz)").await;
    db.execute(
        "CREATE FUNCTION removes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_advisory_xact_lock(7); INSERT INTO removal VALUES (now()); RETURN NULL; END $$",
    )
    .await;
    db.execute(
        "CREATE TRIGGER removes BEFORE DELETE ON sentry_controloutbox \
         FOR EACH STATEMENT EXECUTE FUNCTION removes()",
    )
    .await;
    let lock = db.connection().writer().begin().await.unwrap();
    lock.execute_unprepared("SELECT pg_advisory_xact_lock(7)")
        .await
        .unwrap();
    let change = |id: UserId| {
        let users = db.database().services().users;
        tokio::spawn(async move { users.flush_nonce(id).await })
    };
    let first = change(ada);
    until_blocked(&db, 1).await;
    let others: Vec<_> = ids.iter().map(|id| change(*id)).collect();
    let heard = Cell::new(0);
    eventually("all changes are told of", async || {
        heard.set(heard.get() + db.heard.take_changes().len());
        heard.get() == 21
    })
    .await;
    assert_eq!(db.count("removal").await, 0);
    lock.commit().await.unwrap();
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(db.count("removal").await, 2);
    assert_eq!(db.count("sentry_controloutbox").await, 2);
}
