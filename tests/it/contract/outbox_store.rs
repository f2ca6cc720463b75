//! Claims of outbox rows: each shard once, oldest first, and never lost.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::Value;
use user_gateway::database::ServerClock;
use user_gateway::domain::{Clock as _, Error, SystemClock, UserId};
use user_gateway::outbox::{Claim, LEASE, OutboxStore as _, Which};

use crate::harness::{Engine, TestDatabase, at, eventually};

const HOUR: Duration = Duration::from_hours(1);

/// Rows that are not ours to touch, some of them in the shards of users.
const FOREIGN: &str = "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
     object_identifier, scheduled_from, scheduled_for, date_added, region_name) VALUES \
     (0, 1, 2, 1, '2020-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', \
      '2020-01-01T00:00:00+00:00', 'us'), \
     (1, 1, 25, 1, '2020-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', \
      '2020-01-01T00:00:00+00:00', 'us'), \
     (1, 2, 43, 2, '2020-01-01T00:00:00+00:00', '2030-08-01T00:00:00+00:00', \
      '2020-01-01T00:00:00+00:00', 'us'), \
     (11, 1, 0, 1, '2020-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', \
      '2020-01-01T00:00:00+00:00', 'us')";

/// Changes users one after the other, leaving rows for the regions.
async fn change(db: &TestDatabase, users: &[UserId]) {
    let services = db.reopen(false).await.services();
    for user in users {
        services.users.flush_nonce(*user).await.unwrap();
    }
}

async fn claim(db: &TestDatabase, region: &str) -> Vec<Claim> {
    let store = db.database();
    store
        .claim(region, Which::Due, 100, db.clock.now())
        .await
        .unwrap()
}

fn users(claims: &[Claim]) -> Vec<UserId> {
    claims.iter().map(|claim| claim.user_id).collect()
}

async fn left(db: &TestDatabase, region: &str) -> i64 {
    db.count(&format!(
        "sentry_controloutbox WHERE region_name = '{region}'"
    ))
    .await
}

database_contract! {
    async fn shards_are_claimed_oldest_first_and_for_their_region_alone(db: &TestDatabase) {
        let [ada, grace, joan] = db.add_users(["ada", "grace", "joan"]).await;
        change(db, &[joan, ada, joan, grace]).await;
        let (store, now) = (db.database(), db.clock.now());
        let first = store.claim("us", Which::Due, 2, now).await.unwrap();
        assert_eq!(users(&first), [joan, ada]);
        assert_eq!(first[0].rows.len(), 2);
        assert_eq!(users(&claim(db, "us").await), [grace]);
        assert_eq!(users(&claim(db, "us").await), []);
        assert_eq!(users(&claim(db, "de").await), [joan, ada, grace]);
        assert_eq!(users(&claim(db, "jp").await), []);
    }

    async fn what_is_delivered_is_gone_and_what_came_meanwhile_is_not(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        change(db, &[ada, ada, grace]).await;
        let claims = claim(db, "us").await;
        change(db, &[ada]).await;
        // An id is given out when a row is written, not when it commits.
        db.execute(
            "INSERT INTO sentry_controloutbox (id, shard_scope, shard_identifier, category, \
             object_identifier, scheduled_from, scheduled_for, date_added, region_name) VALUES \
             (-1, 1, 2, 0, 2, '2026-01-01T12:00:00+00:00', '2016-08-01T00:00:00+00:00', \
             '2026-01-01T12:00:00+00:00', 'us')",
        )
        .await;
        db.database().delivered(&claims).await.unwrap();
        assert_eq!(left(db, "us").await, 2);
        assert_eq!(left(db, "de").await, 4);
        let claims = claim(db, "us").await;
        assert_eq!(users(&claims), [grace, ada]);
        db.database().delivered(&claims).await.unwrap();
        assert_eq!(left(db, "us").await, 0);
    }

    async fn a_claimed_shard_is_nobody_elses_until_the_claim_ends(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        change(db, &[ada]).await;
        assert_eq!(users(&claim(db, "us").await), [ada]);
        change(db, &[ada]).await;
        db.clock.advance(LEASE / 2);
        assert_eq!(claim(db, "us").await, []);
        let store = db.database();
        assert_eq!(store.claim("us", Which::Any, 1, db.clock.now()).await.unwrap(), []);
        assert_eq!(store.make_due(None, db.clock.now()).await.unwrap(), 0);
        // The new row is due; the old one lies behind the claim, which ends with the lease.
        db.clock.advance(LEASE / 2);
        let claims = claim(db, "us").await;
        assert_eq!(users(&claims), [ada]);
        assert_eq!(claims[0].rows.len(), 2);
    }

    async fn a_broken_off_claim_comes_due_by_itself(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        change(db, &[ada]).await;
        assert_eq!(claim(db, "us").await[0].delay, TimeDelta::seconds(2));
        db.clock.advance(LEASE + Duration::from_secs(1));
        assert_eq!(claim(db, "us").await, []);
        db.clock.advance(Duration::from_secs(1));
        assert_eq!(claim(db, "us").await[0].delay, TimeDelta::seconds(4));
    }

    async fn the_wait_after_failures_doubles_up_to_an_hour(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        change(db, &[ada]).await;
        let store = db.database();
        let mut waits = Vec::new();
        for _ in 0..13 {
            let claims = claim(db, "us").await;
            let wait = claims[0].delay;
            store.failed(&claims, db.clock.now()).await.unwrap();
            let row = db
                .rows("SELECT scheduled_from, scheduled_for FROM sentry_controloutbox \
                       WHERE region_name = 'us'")
                .await
                .remove(0);
            assert_eq!(at(row["scheduled_from"].as_str().unwrap()), db.clock.now());
            assert_eq!(at(row["scheduled_for"].as_str().unwrap()), db.clock.now() + wait);
            db.clock.advance((wait - TimeDelta::milliseconds(1)).to_std().unwrap());
            assert_eq!(claim(db, "us").await, []);
            db.clock.advance(Duration::from_millis(1));
            waits.push(wait.num_seconds());
        }
        assert_eq!(waits[..4], [2, 4, 8, 16]);
        assert_eq!(waits[10..], [2_048, 3_600, 3_600]);
    }

    async fn a_new_change_makes_what_was_put_off_due_at_once(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        change(db, &[ada, grace]).await;
        let store = db.database();
        store.failed(&claim(db, "us").await, db.clock.now()).await.unwrap();
        assert_eq!(claim(db, "us").await, []);
        change(db, &[ada]).await;
        let claims = claim(db, "us").await;
        assert_eq!(users(&claims), [ada]);
        assert_eq!((claims[0].rows.len(), claims[0].delay), (2, TimeDelta::seconds(4)));
    }

    async fn what_was_put_off_is_made_due(db: &TestDatabase) {
        let [ada, grace, joan] = db.add_users(["ada", "grace", "joan"]).await;
        change(db, &[ada, grace]).await;
        let store = db.database();
        for region in ["us", "de"] {
            store.failed(&claim(db, region).await, db.clock.now()).await.unwrap();
        }
        change(db, &[joan]).await;
        let now = db.clock.now();
        assert_eq!(users(&store.claim("us", Which::Any, 1, now).await.unwrap()), [joan]);
        assert_eq!(store.make_due(Some("us"), now).await.unwrap(), 2);
        assert_eq!(users(&claim(db, "us").await), [ada, grace]);
        assert_eq!(users(&claim(db, "de").await), [joan]);
        assert_eq!(store.make_due(None, now).await.unwrap(), 2);
        assert_eq!(users(&claim(db, "de").await), [ada, grace]);
    }

    async fn rows_written_claimed_or_postponed_by_a_clock_ahead_are_due_at_once(db: &TestDatabase) {
        let [ada, grace, joan] = db.add_users(["ada", "grace", "joan"]).await;
        let store = db.database();
        let noon = db.clock.now();
        db.clock.advance(HOUR);
        change(db, &[ada, grace]).await;
        let claims = claim(db, "us").await;
        assert_eq!(users(&claims), [ada, grace]);
        store.failed(&claims[1..], db.clock.now()).await.unwrap();
        change(db, &[joan]).await;
        db.clock.set(noon);
        let depth = store.depth().await.unwrap();
        assert!(depth.iter().all(|depth| depth.next < noon), "{depth:?}");
        let claims = claim(db, "us").await;
        assert_eq!(users(&claims), [joan, grace, ada]);
        assert_eq!(claim(db, "us").await, []);
        // From here on its failures are put off as those of others are.
        store.failed(&claims, noon).await.unwrap();
        assert_eq!(claim(db, "us").await, []);
        db.clock.advance(Duration::from_secs(2));
        assert_eq!(users(&claim(db, "us").await), [joan]);
        db.clock.advance(Duration::from_secs(2));
        assert_eq!(users(&claim(db, "us").await), [ada, grace]);
    }

    async fn rows_claimed_or_postponed_by_a_clock_behind_are_due_at_once(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let store = db.database();
        let noon = db.clock.now();
        db.clock.set(noon - TimeDelta::hours(1));
        change(db, &[ada, grace]).await;
        let claims = claim(db, "us").await;
        store.failed(&claims[1..], db.clock.now()).await.unwrap();
        db.clock.set(noon);
        assert_eq!(users(&claim(db, "us").await), [grace, ada]);
    }

    async fn rows_postponed_by_a_clock_ahead_are_made_due(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let store = db.database();
        let noon = db.clock.now();
        db.clock.advance(HOUR);
        change(db, &[ada]).await;
        store.failed(&claim(db, "us").await, db.clock.now()).await.unwrap();
        db.clock.set(noon);
        assert_eq!(store.make_due(Some("us"), noon).await.unwrap(), 1);
        assert_eq!(users(&claim(db, "us").await), [ada]);
    }

    async fn the_clock_of_the_server_is_followed_where_there_is_one(db: &TestDatabase) {
        let clock = ServerClock::new(db.database().clone());
        let same = clock.clone();
        assert_eq!(clock.now(), db.clock.now());
        clock.adjust().await.unwrap();
        let off = match db.engine() {
            Engine::Postgres => same.now() - SystemClock.now(),
            Engine::Sqlite => same.now() - db.clock.now(),
        };
        assert!(off.abs() < TimeDelta::minutes(1), "{off}");
        // It goes on by itself.
        let before = same.now();
        db.clock.advance(HOUR);
        assert_eq!(same.now() - before, TimeDelta::hours(1));
    }

    async fn what_has_been_put_off_can_be_tried_nevertheless(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        change(db, &[ada]).await;
        let store = db.database();
        let now = db.clock.now();
        for delay in [2, 4, 8] {
            let claims = store.claim("us", Which::Any, 1, now).await.unwrap();
            assert_eq!((users(&claims), claims[0].delay), (vec![ada], TimeDelta::seconds(delay)));
            store.failed(&claims, now).await.unwrap();
        }
    }

    async fn a_failure_after_the_claim_has_ended_changes_nothing_of_the_next(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        change(db, &[ada]).await;
        let slow = claim(db, "us").await;
        db.clock.advance(LEASE + Duration::from_secs(2));
        assert_eq!(users(&claim(db, "us").await), [ada]);
        db.database().failed(&slow, db.clock.now()).await.unwrap();
        assert_eq!(db.database().claim("us", Which::Any, 1, db.clock.now()).await.unwrap(), []);
    }

    async fn of_many_who_claim_at_once_each_shard_has_one(db: &TestDatabase) {
        let mut everybody = Vec::new();
        for n in 0..40 {
            everybody.push(db.add_user(&format!("user{n}")).await);
        }
        for _ in 0..3 {
            change(db, &everybody).await;
        }
        let stores = [db.database().clone(), db.reopen(true).await];
        let now = db.clock.now();
        let claiming = (0..16).map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                let mut all = Vec::new();
                loop {
                    let claims = store.claim("us", Which::Due, 3, now).await.unwrap();
                    if claims.is_empty() {
                        return all;
                    }
                    all.extend(claims);
                }
            })
        });
        let claims: Vec<Claim> =
            join_all(claiming).await.into_iter().flat_map(Result::unwrap).collect();
        let distinct: BTreeSet<UserId> = claims.iter().map(|claim| claim.user_id).collect();
        assert_eq!((claims.len(), distinct.len()), (40, 40));
        assert!(claims.iter().all(|claim| claim.rows.len() == 3), "{claims:?}");
    }

    async fn rows_of_other_kinds_are_neither_read_nor_touched(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.execute(FOREIGN).await;
        let foreign = "SELECT * FROM sentry_controloutbox \
                       WHERE category <> 0 OR shard_scope <> 1 ORDER BY id";
        let before: Vec<Value> = db.rows(foreign).await;
        assert_eq!(before.len(), 4);
        let store = db.database();
        let now = db.clock.now();
        assert_eq!(store.claim("us", Which::Any, 10, now).await.unwrap(), []);
        assert_eq!(store.depth().await.unwrap(), []);
        assert_eq!(store.shards(10).await.unwrap(), []);
        assert_eq!(store.make_due(None, now).await.unwrap(), 0);
        change(db, &[ada, grace]).await;
        let claims = claim(db, "us").await;
        store.failed(&claims, now).await.unwrap();
        store.make_due(None, now).await.unwrap();
        let claims = claim(db, "us").await;
        assert_eq!(users(&claims), [ada, grace]);
        store.delivered(&claims).await.unwrap();
        assert_eq!(db.rows(foreign).await, before);
        assert_eq!(left(db, "us").await, 4);
    }

    async fn what_waits_is_told_by_region_and_by_shard(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let store = db.database();
        let noon = db.clock.now();
        change(db, &[ada]).await;
        store.failed(&claim(db, "us").await, noon).await.unwrap();
        db.clock.advance(Duration::from_secs(1));
        change(db, &[grace, grace]).await;
        store.delivered(&claim(db, "de").await).await.unwrap();
        let depth = store.depth().await.unwrap();
        assert_eq!(depth.len(), 1);
        let us = &depth[0];
        assert_eq!((&*us.region, us.rows, us.users, us.oldest), ("us", 3, 2, noon));
        assert!(us.next < noon);
        let shards = store.shards(10).await.unwrap();
        let told: Vec<_> = shards.iter().map(|shard| (shard.user_id, shard.rows)).collect();
        assert_eq!(told, [(grace, 2), (ada, 1)]);
        assert_eq!(shards[1].next, noon + TimeDelta::seconds(2));
        assert_eq!(store.shards(1).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_delivery_that_cannot_be_recorded_fails_readiness() {
    let db = TestDatabase::open(Engine::Sqlite).await;
    let ada = db.add_user("ada").await;
    change(&db, &[ada]).await;
    let claims = claim(&db, "us").await;
    db.database().ready().await.unwrap();
    // Simulates a read-only file.
    db.execute("PRAGMA query_only = 1").await;
    let failed = db.database().delivered(&claims).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    let ready = db.database().ready().await;
    assert!(matches!(ready, Err(Error::Unavailable(_))), "{ready:?}");
    db.execute("PRAGMA query_only = 0").await;
    db.database().delivered(&claims).await.unwrap();
    eventually("changes can be stored again", async || {
        db.database().ready().await.is_ok()
    })
    .await;
}
