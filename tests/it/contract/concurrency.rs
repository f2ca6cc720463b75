//! What holds when many ask at once, from two processes that share a database.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use user_gateway::database::{Connection, Database, DatabaseOptions, OutboxPolicy};
use user_gateway::domain::{
    Email, Error, InvalidCode, NewUser, OptionBounds, OptionKey, OptionScope, ProjectId, SetOption,
    SystemClock, UserId,
};
use user_gateway::service::Announcer;

use crate::harness::{Engine, PATIENCE, TestDatabase, look_into};

/// A connection like that of a serving process.
async fn connect(url: &str) -> Connection {
    let options = DatabaseOptions {
        url: url.to_owned(),
        max_connections: 8,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        lock_timeout: PATIENCE,
    };
    Connection::open(&options).await.unwrap()
}

/// The `n`th spelling of a text: each letter is in upper case if its bit is set.
fn spelling(text: &str, n: usize) -> String {
    text.chars()
        .enumerate()
        .map(|(i, c)| {
            if n >> (i % 6) & 1 == 1 {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect()
}

database_contract! {
    async fn of_many_who_create_one_address_exactly_one_does(db: &TestDatabase) {
        let services = [db.database().services(), db.reopen(true).await.services()];
        let calls = (0..64).map(|n| {
            let users = services[n % 2].users.clone();
            tokio::spawn(async move {
                let email = spelling("newcomer@example.com", n / 2);
                let new = NewUser {
                    email: Email::parse(&email, &[]).unwrap(),
                    ident: None,
                    referrer: None,
                    idempotency_key: None,
                };
                users.get_or_create_by_email(&new).await.unwrap()
            })
        });
        let results: Vec<_> =
            join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results.iter().filter(|result| result.created).count(), 1);
        let ids: BTreeSet<UserId> = results.iter().map(|result| result.user.id).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(db.count("auth_user").await, 1);
        assert_eq!(db.count("sentry_useremail").await, 1);
        assert_eq!(db.heard.take_signups().len(), 1);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }

    async fn of_many_who_set_one_option_one_inserts(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        // The lock must do without the index, which an existing database has not.
        db.execute("DROP INDEX user_gateway_useroption_global").await;
        let services = [db.database().services(), db.reopen(true).await.services()];
        let calls = (0..32).map(|n| {
            let options = services[n % 2].user_options.clone();
            tokio::spawn(async move {
                let option = SetOption {
                    user_id: ada,
                    key: OptionKey::parse("theme", &[]).unwrap(),
                    value: json!(n).into(),
                    scope: OptionScope::GLOBAL,
                };
                options.set_option(&option).await.unwrap()
            })
        });
        let results: Vec<_> =
            join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(results.iter().all(|result| result.changed));
        assert_eq!(db.count("sentry_useroption").await, 1);
        assert_eq!(db.heard.take_changes().len(), 32);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }

    async fn of_many_who_permit_the_same_one_does(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let services = [db.database().services(), db.reopen(true).await.services()];
        let calls = (0..16).map(|n| {
            let users = services[n % 2].users.clone();
            tokio::spawn(async move { users.add_permission(ada, "users.admin").await.unwrap() })
        });
        let added = join_all(calls).await.into_iter().map(Result::unwrap);
        assert_eq!(added.filter(|added| *added).count(), 1);
    }

    async fn concurrent_changes_add_no_more_options_than_allowed(db: &TestDatabase) {
        const MOST: i64 = 10;
        const PROCESSES: i64 = 2;
        let ada = db.add_user("ada").await;
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            let connection = connect(db.url()).await.bounding_options(OptionBounds {
                count: MOST.unsigned_abs(),
                ..OptionBounds::default()
            });
            let clock = Arc::new(SystemClock);
            let policy = OutboxPolicy::default();
            let opened = Database::open(connection, policy, Announcer::default(), clock).await;
            processes.push(opened.unwrap());
        }
        let calls = (0..64_usize).map(|n| {
            let options = processes[n % 2].services().user_options;
            tokio::spawn(async move {
                let option = SetOption {
                    user_id: ada,
                    key: OptionKey::parse(&format!("key-{n}"), &[]).unwrap(),
                    value: json!(n).into(),
                    // Half of them by one statement, and half step by step.
                    scope: if n % 4 < 2 {
                        OptionScope::GLOBAL
                    } else {
                        OptionScope::project(ProjectId(7))
                    },
                };
                match options.set_option(&option).await {
                    Ok(set) => set.changed,
                    Err(Error::Invalid(invalid)) if invalid.code == InvalidCode::TooMany => false,
                    Err(error) => panic!("{error:?}"),
                }
            })
        });
        let set = join_all(calls).await.into_iter().map(Result::unwrap);
        let set = i64::try_from(set.filter(|set| *set).count()).unwrap();
        assert_eq!(db.count("sentry_useroption").await, set);
        // Changes of one process queue; on PostgreSQL concurrent ones of another are not seen.
        let beyond = if db.engine() == Engine::Sqlite { 0 } else { PROCESSES - 1 };
        assert!((MOST..=MOST + beyond).contains(&set), "{set} options were added");
    }

    async fn readers_and_writers_do_not_stop_each_other(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let services = [db.database().services(), db.reopen(true).await.services()];
        let calls = (0..32).map(|n| {
            let services = services[n % 2].clone();
            tokio::spawn(async move {
                if n % 4 < 2 {
                    services.users.flush_nonce(ada).await.unwrap();
                }
                services.users.get_user(ada).await.unwrap().unwrap();
            })
        });
        for result in join_all(calls).await {
            result.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_sqlite_file_is_opened_by_many_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/new.db?mode=rwc", folder.path().display());
        let opening = (0..16).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { look_into(&url).await })
        });
        for opened in join_all(opening).await {
            assert!(!opened.unwrap().has_table("auth_user").await.unwrap());
        }
    }
}
