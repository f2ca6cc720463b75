//! The outbox of an existing installation: a Sentry drains it, or we do, and each leaves the other
//! what is the other's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, TransactionTrait};
use user_gateway::database::{Database, OutboxPolicy};
use user_gateway::domain::{Clock, UserId};
use user_gateway::outbox::{Relay, WakeUp};
use user_gateway::service::Delivery;

use super::Form;
use crate::harness::{FakeRegion, Mood, TestDatabase};

const ADA: UserId = UserId(2);
const GRACE: UserId = UserId(3);

const OF_OTHER_KINDS: &str =
    "SELECT to_jsonb(o) AS o FROM sentry_controloutbox o WHERE category <> 0 ORDER BY id";

/// A shard, as Sentry names it.
type Shard = (String, i32, i64);

/// What a Sentry does with one shard until nothing is left of it, and what it would signal: the
/// category, the object and how many rows that stood for.
async fn drain_shard(db: &TestDatabase, shard: &Shard) -> Vec<(i32, i64, u64)> {
    let mut signals = Vec::new();
    loop {
        let tx = db.connection().writer().begin().await.unwrap();
        let of_shard = format!(
            "region_name = '{}' AND shard_scope = {} AND shard_identifier = {}",
            shard.0, shard.1, shard.2
        );
        let lowest = format!(
            "SELECT category, object_identifier FROM sentry_controloutbox WHERE {of_shard} \
             ORDER BY id LIMIT 1 FOR UPDATE"
        );
        let Some(row) = one(&tx, &lowest).await else {
            tx.rollback().await.unwrap();
            return signals;
        };
        let category: i32 = row.try_get_by_index(0).unwrap();
        let object: i64 = row.try_get_by_index(1).unwrap();
        let group =
            format!("{of_shard} AND category = {category} AND object_identifier = {object}");
        let newest =
            format!("SELECT id FROM sentry_controloutbox WHERE {group} ORDER BY id DESC LIMIT 1");
        let newest: i64 = one(&tx, &newest)
            .await
            .unwrap()
            .try_get_by_index(0)
            .unwrap();
        let older = format!("DELETE FROM sentry_controloutbox WHERE {group} AND id < {newest}");
        let older = tx.execute_unprepared(&older).await.unwrap().rows_affected();
        let itself = format!("DELETE FROM sentry_controloutbox WHERE id = {newest}");
        tx.execute_unprepared(&itself).await.unwrap();
        tx.commit().await.unwrap();
        signals.push((category, object, older + 1));
    }
}

async fn one(tx: &DatabaseTransaction, sql: &str) -> Option<sea_orm::QueryResult> {
    let statement = Statement::from_string(tx.get_database_backend(), sql);
    tx.query_one_raw(statement).await.unwrap()
}

/// The shards that a Sentry finds due, and its claim of each: everything in it is put off.
async fn find_and_claim(db: &TestDatabase) -> Vec<Shard> {
    let found = db
        .rows(
            "SELECT region_name, shard_scope, shard_identifier FROM sentry_controloutbox \
             WHERE scheduled_for <= now() GROUP BY 1, 2, 3 ORDER BY MIN(scheduled_for), MAX(id)",
        )
        .await;
    let mut shards = Vec::new();
    for row in found {
        let shard = (
            row["region_name"].as_str().unwrap().to_owned(),
            i32::try_from(row["shard_scope"].as_i64().unwrap()).unwrap(),
            row["shard_identifier"].as_i64().unwrap(),
        );
        db.execute(&format!(
            "UPDATE sentry_controloutbox SET scheduled_from = now(), \
             scheduled_for = now() + LEAST(2 * GREATEST(scheduled_for - scheduled_from, \
             interval '1 second'), interval '1 hour') \
             WHERE region_name = '{}' AND shard_scope = {} AND shard_identifier = {}",
            shard.0, shard.1, shard.2
        ))
        .await;
        shards.push(shard);
    }
    shards
}

async fn open(db: &TestDatabase, remote: &[&str], foreign: &[&str]) -> Database {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let policy = OutboxPolicy {
        local: Vec::new(),
        remote: owned(remote),
        foreign: owned(foreign),
    };
    db.reopen_with(policy, &db.heard).await
}

existing! {
    async fn a_sentry_drains_what_we_leave(db: &TestDatabase, _form: Form) {
        let theirs = open(db, &[], &["us", "de"]).await;
        let users = theirs.services().users;
        for user in [ADA, GRACE, ADA, ADA] {
            users.flush_nonce(user).await.unwrap();
        }
        // Neither the commit nor a sweep takes a row away.
        assert_eq!(theirs.deliver_pending().await.unwrap(), 0);
        assert_eq!(db.count("sentry_controloutbox WHERE category = 0").await, 8);

        let mut of_users = Vec::new();
        for shard in find_and_claim(db).await {
            for (category, object, rows) in drain_shard(db, &shard).await {
                if category == 0 {
                    assert_eq!((shard.1, shard.2), (1, object));
                    of_users.push((shard.0.clone(), UserId(object), rows));
                }
            }
        }
        of_users.sort();
        let told = |region: &str, user, rows| (region.to_owned(), user, rows);
        assert_eq!(
            of_users,
            [told("de", ADA, 3), told("de", GRACE, 1), told("us", ADA, 3), told("us", GRACE, 1)]
        );
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }

    async fn what_a_sentry_has_put_off_is_due_again_with_a_change_of_ours(
        db: &TestDatabase, _form: Form
    ) {
        let theirs = open(db, &[], &["us"]).await;
        let users = theirs.services().users;
        users.flush_nonce(ADA).await.unwrap();
        let ada: Shard = ("us".to_owned(), 1, ADA.0);
        assert!(find_and_claim(db).await.contains(&ada));
        assert_eq!(find_and_claim(db).await, []);
        users.flush_nonce(ADA).await.unwrap();
        assert_eq!(find_and_claim(db).await, std::slice::from_ref(&ada));
        assert_eq!(drain_shard(db, &ada).await, [(0, ADA.0, 2)]);
    }

    async fn a_relay_of_ours_takes_the_changes_of_users_in_its_regions_alone(
        db: &TestDatabase, _form: Form
    ) {
        let mixed = open(db, &["us"], &["de"]).await;
        let before = db.rows(OF_OTHER_KINDS).await;
        assert_eq!(before.len(), 3);
        // In the very shard of a user, and of the newest id.
        db.execute(
            "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
             object_identifier, scheduled_from, scheduled_for, date_added, region_name) VALUES \
             (1, 2, 25, 2, now(), '2016-08-01', now(), 'us')",
        )
        .await;
        let before = [before, db.rows(&format!("{OF_OTHER_KINDS} OFFSET 3")).await].concat();
        let users = mixed.services().users;
        for user in [ADA, GRACE, ADA] {
            users.flush_nonce(user).await.unwrap();
        }
        // What a Sentry wrote is delivered as well.
        db.execute(
            "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
             object_identifier, scheduled_from, scheduled_for, date_added, region_name) VALUES \
             (1, 7, 0, 7, now(), '2016-08-01', now(), 'us')",
        )
        .await;
        let us = FakeRegion::new(Mood::Confirms);
        let delivery = Arc::clone(&us) as Arc<dyn Delivery>;
        let relay = Relay {
            store: Arc::new(mixed),
            deliveries: HashMap::from([("us".to_owned(), delivery)]),
            wake_up: WakeUp::default(),
            clock: Arc::clone(&db.clock) as Arc<dyn Clock>,
            poll_interval: Duration::from_secs(1),
        };
        relay.drain().await.unwrap();
        let mut confirmed = us.confirmed();
        confirmed.sort_unstable();
        assert_eq!(confirmed, [ADA, GRACE, UserId(7)]);
        assert_eq!(db.rows(OF_OTHER_KINDS).await, before);
        assert_eq!(db.count("sentry_controloutbox WHERE category = 0").await, 3);
        assert_eq!(db.count("sentry_controloutbox WHERE region_name = 'de'").await, 4);
    }
}
