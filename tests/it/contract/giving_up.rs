//! Changes that are cancelled at each await point.
//!
//! A change is made completely, with its outbox rows, or not at all; no transaction stays open and no lock
//! is held, so the next change does not wait.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::FutureExt as _;
use sea_orm::TransactionTrait as _;
use serde_json::json;
use user_gateway::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore as _, TokenText};
use user_gateway::database::Database;
use user_gateway::domain::{
    Clock as _, DisplayName, Email, Error, NewUser, OptionKey, OptionScope, ProjectId, SetOption,
    UserId, UserOptionId, UserUpdate,
};
use user_gateway::outbox::{LEASE, OutboxStore as _, Which};
use user_gateway::service::SiloCache as _;

use crate::harness::{Engine, TestDatabase, eventually};

/// No change waits more often than this.
const MOST_POLLS: usize = 500;

/// Polls a future at most this many times and then drops it.
async fn give_up_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    if polls == 0 {
        return None;
    }
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The user of a change. Each attempt has its own.
#[derive(Debug, Clone)]
struct Subject {
    id: UserId,
    name: String,
    option: UserOptionId,
    token: String,
}

impl Subject {
    async fn new(db: &TestDatabase, name: String) -> Self {
        let id = db.add_user(&name).await;
        db.add_email(id, &format!("second-{name}@example.com"), false)
            .await;
        let option = db.add_option(id, (None, None), "old", "1").await;
        db.execute(&format!(
            "INSERT INTO sentry_userpermission (user_id, permission) VALUES ({id}, 'old')"
        ))
        .await;
        db.database().create(&token(id)).await.unwrap();
        let token = db
            .number(&format!(
                "SELECT id FROM sentry_apitoken WHERE user_id = {id}"
            ))
            .await;
        Self {
            id,
            name,
            option: UserOptionId(option),
            token: format!("user:{token}"),
        }
    }
}

fn token(id: UserId) -> NewToken {
    NewToken {
        text: TokenText::generate(TokenKind::User),
        owner: NewTokenOwner::User(id),
        scopes: Scopes::new(["user:read"]),
        expires_at: None,
    }
}

fn set(subject: &Subject, scope: OptionScope) -> SetOption {
    SetOption {
        user_id: subject.id,
        key: OptionKey::parse("new", &[]).unwrap(),
        value: json!("value").into(),
        scope,
    }
}

type Change = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A kind of change.
struct Kind {
    name: &'static str,
    change: fn(Database, Subject) -> Change,
    /// A query that counts how often it was made; `ID` and `NAME` are those of the subject.
    made: &'static str,
    /// Whose outbox rows come with it, if any.
    rows_of: Option<&'static str>,
}

const KINDS: [Kind; 13] = [
    Kind {
        name: "set an option",
        change: |database, subject| {
            Box::pin(async move {
                let options = database.services().user_options;
                let option = set(&subject, OptionScope::GLOBAL);
                options.set_option(&option).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM sentry_useroption WHERE user_id = ID AND key = 'new'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "set an option of a project",
        change: |database, subject| {
            Box::pin(async move {
                let options = database.services().user_options;
                let scope = OptionScope {
                    project_id: Some(ProjectId(7)),
                    organization_id: None,
                };
                options.set_option(&set(&subject, scope)).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM sentry_useroption WHERE user_id = ID AND key = 'new'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "delete options",
        change: |database, subject| {
            Box::pin(async move {
                let options = database.services().user_options;
                options.delete_options(&[subject.option]).await.unwrap();
            })
        },
        made: "SELECT 1 - COUNT(*) FROM sentry_useroption WHERE user_id = ID AND key = 'old'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "update a user",
        change: |database, subject| {
            Box::pin(async move {
                let update = UserUpdate {
                    name: Some(DisplayName::parse("New", &[]).unwrap()),
                    ..UserUpdate::default()
                };
                let users = database.services().users;
                users.update_user(subject.id, &update).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM auth_user WHERE id = ID AND first_name = 'New'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "verify an address",
        change: |database, subject| {
            Box::pin(async move {
                let email = format!("second-{}@example.com", subject.name);
                let users = database.services().users;
                users.verify_user_email(subject.id, &email).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM sentry_useremail WHERE user_id = ID AND is_verified \
               AND email LIKE 'second-%'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "end the sessions of a user",
        change: |database, subject| {
            Box::pin(async move {
                let users = database.services().users;
                users.flush_nonce(subject.id).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM auth_user WHERE id = ID AND session_nonce = 'foo'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "ask for consent",
        change: |database, subject| {
            Box::pin(async move {
                let users = database.services().users;
                let asked = users.trigger_user_consent_email_if_applicable(subject.id);
                asked.await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM auth_user WHERE id = ID AND flags <> 0",
        rows_of: Some("ID"),
    },
    Kind {
        name: "add a permission",
        change: |database, subject| {
            Box::pin(async move {
                let users = database.services().users;
                users.add_permission(subject.id, "new").await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM sentry_userpermission WHERE user_id = ID \
               AND permission = 'new'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "remove a permission",
        change: |database, subject| {
            Box::pin(async move {
                let users = database.services().users;
                users.remove_permission(subject.id, "old").await.unwrap();
            })
        },
        made: "SELECT 1 - COUNT(*) FROM sentry_userpermission WHERE user_id = ID \
               AND permission = 'old'",
        rows_of: Some("ID"),
    },
    Kind {
        name: "create the user of an address",
        change: |database, subject| {
            Box::pin(async move {
                let email = format!("new-{}@example.com", subject.name);
                let new = NewUser {
                    email: Email::parse(&email, &[]).unwrap(),
                    ident: None,
                    referrer: None,
                    idempotency_key: None,
                };
                let users = database.services().users;
                users.get_or_create_by_email(&new).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM auth_user WHERE email = 'new-NAME@example.com'",
        rows_of: Some("(SELECT id FROM auth_user WHERE email = 'new-NAME@example.com')"),
    },
    Kind {
        name: "create a user",
        change: |database, subject| {
            Box::pin(async move {
                let name = format!("new-{}", subject.name);
                let users = database.services().users;
                let created = users.create_by_username_and_email(&name, "");
                created.await.unwrap();
            })
        },
        made: "SELECT COUNT(*) FROM auth_user WHERE username = 'new-NAME'",
        rows_of: Some("(SELECT id FROM auth_user WHERE username = 'new-NAME')"),
    },
    Kind {
        name: "create a token",
        change: |database, subject| {
            Box::pin(async move {
                database.create(&token(subject.id)).await.unwrap();
            })
        },
        made: "SELECT COUNT(*) - 1 FROM sentry_apitoken WHERE user_id = ID",
        rows_of: None,
    },
    Kind {
        name: "revoke a token",
        change: |database, subject| {
            Box::pin(async move {
                database.revoke(&subject.token).await.unwrap();
            })
        },
        made: "SELECT 1 - COUNT(*) FROM sentry_apitoken WHERE user_id = ID",
        rows_of: Some("ID"),
    },
];

/// How often a change was made, and the number of its outbox rows, at one moment.
async fn seen(db: &TestDatabase, kind: &Kind, subject: &Subject) -> (i64, i64) {
    let rows = kind.rows_of.map_or_else(
        || "0".to_owned(),
        |owner| {
            format!("(SELECT COUNT(*) FROM sentry_controloutbox WHERE shard_identifier = {owner})")
        },
    );
    // One number, as both must be of the same moment.
    let query = format!("SELECT ({}) * 100 + {rows}", kind.made);
    let query = query
        .replace("ID", &subject.id.to_string())
        .replace("NAME", &subject.name);
    let number = db.number(&query).await;
    (number / 100, number % 100)
}

/// Waits until no other session of the database is in a transaction or holds an advisory lock.
async fn nothing_stays_open(db: &TestDatabase) {
    if db.engine() == Engine::Sqlite {
        return;
    }
    let open = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                AND state <> 'idle'";
    let locked = "pg_locks WHERE locktype = 'advisory' AND database = \
                  (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually("no transaction is open and no lock is held", async || {
        db.count(open).await == 0 && db.count(locked).await == 0
    })
    .await;
}

/// Cancels a kind of change at every await point, until it completes before.
async fn give_up_everywhere(db: &TestDatabase, database: &Database, kind: &Kind, number: usize) {
    for polls in 0..MOST_POLLS {
        let what = format!("{}, given up after {polls} polls", kind.name);
        let subject = Subject::new(db, format!("user-{number}-{polls}")).await;
        let change = (kind.change)(database.clone(), subject.clone());
        let is_made = give_up_after(polls, change).await.is_some();
        let as_a_whole = async || {
            let (made, rows) = seen(db, kind, &subject).await;
            let regions = if kind.rows_of.is_some() { 2 } else { 0 };
            assert!(made == 0 || made == 1, "{what}: made {made} times");
            assert_eq!(rows, made * regions, "{what}");
            made == 1
        };
        as_a_whole().await;
        nothing_stays_open(db).await;
        assert!(as_a_whole().await || !is_made, "{what}");
        // The next change succeeds, even if the cancelled one is still running.
        let next = db.database().services().users;
        assert!(next.add_permission(subject.id, "next").await.unwrap());
        if is_made {
            return;
        }
    }
    panic!("{} is never made", kind.name);
}

database_contract! {
    async fn a_change_cancelled_at_any_point_is_made_completely_or_not_at_all(db: &TestDatabase) {
        // Its regions are others, so that their rows stay to be counted.
        let database = db.reopen(false).await;
        for (number, kind) in KINDS.iter().enumerate() {
            give_up_everywhere(db, &database, kind, number).await;
        }
    }

    async fn a_claim_that_is_given_up_at_any_point_ends_by_itself(db: &TestDatabase) {
        let database = db.reopen(false).await;
        let ada = db.add_user("ada").await;
        database.services().users.flush_nonce(ada).await.unwrap();
        let mut now = db.clock.now();
        for polls in 0..MOST_POLLS {
            let claim = database.claim("us", Which::Due, 10, now);
            let is_made = give_up_after(polls, claim).await.is_some();
            nothing_stays_open(db).await;
            // By then a claim that was made has come to its end, and the row is due again.
            now += LEASE + LEASE;
            let claims = db.database().claim("us", Which::Any, 10, now).await.unwrap();
            assert_eq!(claims.len(), 1, "after {polls} polls");
            db.database().failed(&claims, now).await.unwrap();
            now += LEASE + LEASE;
            db.database().make_due(None, now).await.unwrap();
            if is_made {
                return;
            }
        }
        panic!("a claim is never made");
    }

    async fn a_key_whose_clearing_is_cancelled_at_any_point_can_be_cleared(db: &TestDatabase) {
        for polls in 0..MOST_POLLS {
            let key = format!("key:{polls}");
            let is_made = give_up_after(polls, db.database().clear_key(&key)).await.is_some();
            nothing_stays_open(db).await;
            let version = db.reopen(true).await.clear_key(&key).await.unwrap();
            let is_right = version == 2 || (version == 1 && !is_made);
            assert!(is_right, "version {version} after {polls} polls");
            if is_made {
                return;
            }
        }
        panic!("a key is never cleared");
    }
}

#[tokio::test]
async fn cancelled_changes_that_wait_are_not_made_and_free_their_permits() {
    // Beyond any bound.
    const MANY: usize = 100_000;
    let db = TestDatabase::open(Engine::Sqlite).await;
    let ada = db.add_user("ada").await;
    let users = db.database().services().users;
    // SQLite has one connection for changes, and it is taken.
    let other = db.connection().writer().begin().await.unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        let mut change = users.flush_nonce(ada);
        match (&mut change).now_or_never() {
            None => waiting.push(change),
            Some(refused) => break refused,
        }
        assert!(waiting.len() < MANY, "changes are not limited");
    };
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    drop(waiting);
    eventually("permits are free again", async || {
        users.flush_nonce(ada).now_or_never().is_none()
    })
    .await;
    other.rollback().await.unwrap();
    users.flush_nonce(ada).await.unwrap();
    assert_eq!(db.heard.take_changes(), [ada]);
}
