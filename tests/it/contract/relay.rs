//! The relay at work: every change reaches every region, whatever happens on the way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use user_gateway::database::{Database, OutboxPolicy};
use user_gateway::domain::{self, Clock, UserId};
use user_gateway::outbox::{
    Claim, Drained, LEASE, MAX_PAUSE, OutboxStore, RegionDepth, Relay, RunningRelay, ShardDepth,
    WakeUp, Which,
};
use user_gateway::service::{Delivery, UserService};
use user_gateway::telemetry::metrics;

use crate::harness::{Engine, FakeRegion, Mood, PATIENCE, TestDatabase, at, eventually};

/// So rarely that no test lives to see it.
const NEVER: Duration = Duration::from_hours(24);
/// So often that a test need not wait.
const ALWAYS: Duration = Duration::from_millis(2);

fn relay(
    db: &TestDatabase,
    poll_interval: Duration,
    regions: &[(&str, &Arc<FakeRegion>)],
) -> Relay {
    let deliveries = regions
        .iter()
        .map(|(name, region)| ((*name).to_owned(), Arc::clone(region) as Arc<dyn Delivery>));
    Relay {
        store: Arc::new(db.database().clone()),
        deliveries: deliveries.collect::<HashMap<_, _>>(),
        wake_up: WakeUp::default(),
        clock: Arc::clone(&db.clock) as Arc<dyn Clock>,
        poll_interval,
    }
}

/// A relay that looks for rows all the time.
fn start(db: &TestDatabase, regions: &[(&str, &Arc<FakeRegion>)]) -> RunningRelay {
    relay(db, ALWAYS, regions).start()
}

/// The users as another process changes them, leaving rows for the regions.
async fn elsewhere(db: &TestDatabase) -> Arc<dyn UserService> {
    db.reopen(false).await.services().users
}

async fn left(db: &TestDatabase, region: &str) -> i64 {
    db.count(&format!(
        "sentry_controloutbox WHERE region_name = '{region}'"
    ))
    .await
}

/// Waits until nothing is left for a region, letting `time` go by between looks.
async fn until_told(db: &TestDatabase, region: &str, time: Duration) {
    eventually("the region has been told of everything", async || {
        db.clock.advance(time);
        left(db, region).await == 0
    })
    .await;
}

/// Waits until the consequences of every delivery have been drawn.
async fn until_settled(db: &TestDatabase) {
    eventually("nothing is in progress", async || {
        let rows = db
            .rows("SELECT scheduled_from FROM sentry_controloutbox")
            .await;
        let now = db.clock.now();
        rows.iter()
            .all(|row| at(row["scheduled_from"].as_str().unwrap()) <= now)
    })
    .await;
}

async fn until_asked(region: &FakeRegion, times: usize) {
    eventually("the region is told", async || region.asked().len() >= times).await;
}

database_contract! {
    async fn a_commit_wakes_the_relay(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let us = FakeRegion::new(Mood::Confirms);
        let relay = relay(db, NEVER, &[("us", &us)]);
        let wake_up = relay.wake_up.clone();
        let running = relay.start();
        let users = elsewhere(db).await;
        users.flush_nonce(ada).await.unwrap();
        wake_up.call();
        until_told(db, "us", Duration::ZERO).await;
        // As the gateway has it: what it announces wakes the relay.
        db.announcer.subscribe(Arc::new(wake_up));
        users.flush_nonce(ada).await.unwrap();
        db.users().flush_nonce(grace).await.unwrap();
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
        let confirmed = us.confirmed();
        assert_eq!(confirmed.iter().filter(|user| **user == ada).count(), 2);
        assert_eq!(left(db, "de").await, 2);
    }

    async fn what_nobody_told_of_is_found_by_looking(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let us = FakeRegion::new(Mood::Confirms);
        let running = start(db, &[("us", &us)]);
        elsewhere(db).await.flush_nonce(ada).await.unwrap();
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
        assert_eq!(us.confirmed(), [ada]);
    }

    async fn changes_of_one_user_go_together(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let us = FakeRegion::new(Mood::Silent);
        let running = start(db, &[("us", &us)]);
        let users = elsewhere(db).await;
        users.flush_nonce(ada).await.unwrap();
        until_asked(&us, 1).await;
        for _ in 0..5 {
            users.flush_nonce(ada).await.unwrap();
        }
        us.set(Mood::Confirms);
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
        assert_eq!(us.confirmed(), [ada, ada]);
    }

    async fn a_region_that_says_nothing_keeps_no_other_waiting(db: &TestDatabase) {
        let users = db.add_users(["ada", "grace", "joan"]).await;
        let us = FakeRegion::new(Mood::Silent);
        let de = FakeRegion::new(Mood::Confirms);
        let running = start(db, &[("us", &us), ("de", &de)]);
        let elsewhere = elsewhere(db).await;
        elsewhere.flush_nonce(users[0]).await.unwrap();
        until_asked(&us, 1).await;
        for user in users {
            elsewhere.flush_nonce(user).await.unwrap();
        }
        until_told(db, "de", Duration::ZERO).await;
        assert_eq!(us.confirmed(), []);
        us.set(Mood::Confirms);
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
    }

    async fn a_refused_change_is_told_again_and_keeps_no_other_waiting(db: &TestDatabase) {
        let [ada, grace, joan] = db.add_users(["ada", "grace", "joan"]).await;
        let us = FakeRegion::new(Mood::Refuses(ada));
        let running = start(db, &[("us", &us)]);
        let users = elsewhere(db).await;
        for user in [ada, grace, joan] {
            users.flush_nonce(user).await.unwrap();
        }
        eventually("the others are told of", async || left(db, "us").await == 1).await;
        assert_eq!(us.confirmed().len(), 2);
        until_settled(db).await;
        let asked = us.asked().len();
        db.clock.advance(Duration::from_hours(1));
        until_asked(&us, asked + 1).await;
        us.set(Mood::Confirms);
        until_told(db, "us", Duration::from_hours(1)).await;
        assert!(running.stop(PATIENCE).await);
        assert_eq!(us.confirmed().last(), Some(&ada));
    }

    async fn a_region_that_is_away_is_asked_with_one_change_at_a_time(db: &TestDatabase) {
        let everybody = db.add_users(["ada", "grace", "joan", "mary", "radia"]).await;
        let us = FakeRegion::new(Mood::Away);
        let users = elsewhere(db).await;
        for user in everybody {
            users.flush_nonce(user).await.unwrap();
        }
        let relay = relay(db, ALWAYS, &[("us", &us)]);
        let wake_up = relay.wake_up.clone();
        let running = relay.start();
        for asked in 1..6 {
            until_asked(&us, asked).await;
            until_settled(db).await;
            // However often it is woken, it waits for the end of the pause.
            wake_up.call();
            assert_eq!(us.asked().len(), asked);
            db.clock.advance(MAX_PAUSE);
        }
        assert!(running.stop(PATIENCE).await);
        assert_eq!(us.most_at_once(), 1);
        assert_eq!(left(db, "us").await, 5);
    }

    async fn a_region_that_comes_back_is_told_of_all_that_was_put_off(db: &TestDatabase) {
        let mut everybody = Vec::new();
        for n in 0..50 {
            everybody.push(db.add_user(&format!("user{n}")).await);
        }
        let us = FakeRegion::new(Mood::Confirms);
        let running = start(db, &[("us", &us)]);
        let users = elsewhere(db).await;
        users.flush_nonce(everybody[0]).await.unwrap();
        until_told(db, "us", Duration::ZERO).await;
        // It goes while it is told of many.
        us.set(Mood::Silent);
        for user in &everybody {
            users.flush_nonce(*user).await.unwrap();
        }
        until_asked(&us, 30).await;
        us.set(Mood::Away);
        let asked = us.asked().len();
        eventually("it is asked anew", async || {
            db.clock.advance(MAX_PAUSE);
            us.asked().len() > asked + 10
        })
        .await;
        us.set(Mood::Confirms);
        // What failed last is put off for far longer than one pause.
        until_told(db, "us", MAX_PAUSE / 15).await;
        assert!(running.stop(PATIENCE).await);
        let confirmed = us.confirmed();
        assert!(everybody.iter().all(|user| confirmed[1..].contains(user)));
        assert!(us.most_at_once() <= 32);
    }

    async fn a_new_relay_does_not_wait_for_what_an_old_one_put_off(db: &TestDatabase) {
        let users = db.add_users(["ada", "grace"]).await;
        for user in users {
            elsewhere(db).await.flush_nonce(user).await.unwrap();
        }
        let us = FakeRegion::new(Mood::Away);
        let running = start(db, &[("us", &us)]);
        eventually("everything is put off for long", async || {
            db.clock.advance(MAX_PAUSE);
            us.asked().len() > 20
        })
        .await;
        assert!(running.stop(PATIENCE).await);
        us.set(Mood::Confirms);
        let running = start(db, &[("us", &us)]);
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
    }

    async fn what_a_relay_that_died_had_delivered_or_not_is_delivered_again(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let users = elsewhere(db).await;
        users.flush_nonce(ada).await.unwrap();
        let us = FakeRegion::new(Mood::Silent);
        let running = start(db, &[("us", &us)]);
        until_asked(&us, 1).await;
        drop(running);
        us.set(Mood::Confirms);
        let running = start(db, &[("us", &us)]);
        users.flush_nonce(grace).await.unwrap();
        eventually("the other is told of", async || us.confirmed() == [grace]).await;
        db.clock.advance(LEASE + Duration::from_secs(2));
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
        assert_eq!(us.confirmed(), [grace, ada]);
    }

    async fn to_stop_is_to_end_what_is_in_progress(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let users = elsewhere(db).await;
        users.flush_nonce(ada).await.unwrap();
        let us = FakeRegion::new(Mood::Silent);
        let running = start(db, &[("us", &us)]);
        until_asked(&us, 1).await;
        let stopping = tokio::spawn(running.stop(PATIENCE));
        users.flush_nonce(grace).await.unwrap();
        tokio::task::yield_now().await;
        us.set(Mood::Confirms);
        assert!(stopping.await.unwrap());
        assert_eq!(us.asked(), [ada]);
        assert_eq!(left(db, "us").await, 1);
        // One that does not end is broken off.
        us.set(Mood::Silent);
        let running = start(db, &[("us", &us)]);
        until_asked(&us, 2).await;
        assert!(!running.stop(Duration::ZERO).await);
    }

    async fn a_delivery_with_a_fault_takes_nobody_with_it(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        elsewhere(db).await.flush_nonce(ada).await.unwrap();
        let us = FakeRegion::new(Mood::Breaks);
        let running = start(db, &[("us", &us)]);
        until_asked(&us, 1).await;
        us.set(Mood::Confirms);
        until_told(db, "us", Duration::from_secs(10)).await;
        assert!(running.stop(PATIENCE).await);
    }

    async fn a_store_that_fails_is_asked_again(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        elsewhere(db).await.flush_nonce(ada).await.unwrap();
        db.execute("ALTER TABLE sentry_controloutbox RENAME TO elsewhere").await;
        let us = FakeRegion::new(Mood::Confirms);
        let running = start(db, &[("us", &us)]);
        let asks = db.database().statement_count() + 10;
        eventually("it asks", async || db.database().statement_count() >= asks).await;
        db.execute("ALTER TABLE elsewhere RENAME TO sentry_controloutbox").await;
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
    }

    async fn what_was_told_while_the_store_failed_is_done_once_it_works(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        for user in [ada, grace] {
            elsewhere(db).await.flush_nonce(user).await.unwrap();
        }
        let us = FakeRegion::new(Mood::Silent);
        let running = start(db, &[("us", &us)]);
        until_asked(&us, 1).await;
        db.execute("ALTER TABLE sentry_controloutbox RENAME TO elsewhere").await;
        us.set(Mood::Confirms);
        eventually("it is told", async || us.confirmed().len() == 1).await;
        let asks = db.database().statement_count() + 10;
        eventually("it tries", async || db.database().statement_count() >= asks).await;
        db.execute("ALTER TABLE elsewhere RENAME TO sentry_controloutbox").await;
        // No claim ends meanwhile: the clock stands still.
        until_told(db, "us", Duration::ZERO).await;
        assert!(running.stop(PATIENCE).await);
        assert_eq!(us.confirmed(), [ada, grace]);
    }

    async fn two_relays_share_the_work_and_never_meet(db: &TestDatabase) {
        let mut everybody: Vec<UserId> = Vec::new();
        for n in 0..20 {
            everybody.push(db.add_user(&format!("user{n}")).await);
        }
        let us = FakeRegion::new(Mood::Confirms);
        let one = start(db, &[("us", &us)]);
        let mut other = relay(db, ALWAYS, &[("us", &us)]);
        other.store = Arc::new(db.reopen(true).await);
        let other = other.start();
        let users = elsewhere(db).await;
        let writing = (0..4).map(|n| {
            let (users, everybody) = (Arc::clone(&users), everybody.clone());
            tokio::spawn(async move {
                for m in 0..50 {
                    users.flush_nonce(everybody[(n * 7 + m * 3) % 20]).await.unwrap();
                }
            })
        });
        join_all(writing).await.into_iter().for_each(Result::unwrap);
        until_told(db, "us", Duration::ZERO).await;
        assert!(one.stop(PATIENCE).await && other.stop(PATIENCE).await);
        assert_eq!(us.overlaps(), 0);
        let confirmed = us.confirmed();
        assert!(everybody.iter().all(|user| confirmed.contains(user)));
    }

    async fn to_drain_is_to_deliver_what_is_due(db: &TestDatabase) {
        let users = db.add_users(["ada", "grace", "joan"]).await;
        for user in users {
            elsewhere(db).await.flush_nonce(user).await.unwrap();
        }
        let us = FakeRegion::new(Mood::Refuses(users[0]));
        let de = FakeRegion::new(Mood::Away);
        let relay = relay(db, NEVER, &[("us", &us), ("de", &de)]);
        let drained = relay.drain().await.unwrap();
        let told = |region: &str, delivered, failed| {
            Drained { region: region.to_owned(), delivered, failed }
        };
        assert_eq!(drained, [told("de", 0, 3), told("us", 2, 1)]);
        let drained = relay.drain().await.unwrap();
        assert_eq!(drained, [told("de", 0, 0), told("us", 0, 0)]);
        us.set(Mood::Confirms);
        de.set(Mood::Confirms);
        db.database().make_due(None, db.clock.now()).await.unwrap();
        assert_eq!(relay.drain().await.unwrap(), [told("de", 3, 0), told("us", 1, 0)]);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }
}

/// A store whose first claim panics, as nothing should.
#[derive(Debug)]
struct Faulty {
    store: Database,
    has_panicked: AtomicBool,
}

#[async_trait::async_trait]
impl OutboxStore for Faulty {
    async fn claim(
        &self,
        region: &str,
        which: Which,
        limit: usize,
        now: DateTime<Utc>,
    ) -> domain::Result<Vec<Claim>> {
        assert!(self.has_panicked.swap(true, Ordering::SeqCst), "a fault");
        self.store.claim(region, which, limit, now).await
    }

    async fn delivered(&self, claims: &[Claim]) -> domain::Result<()> {
        self.store.delivered(claims).await
    }

    async fn failed(&self, claims: &[Claim], now: DateTime<Utc>) -> domain::Result<()> {
        self.store.failed(claims, now).await
    }

    async fn make_due(&self, region: Option<&str>, now: DateTime<Utc>) -> domain::Result<u64> {
        self.store.make_due(region, now).await
    }

    async fn depth(&self) -> domain::Result<Vec<RegionDepth>> {
        self.store.depth().await
    }

    async fn shards(&self, limit: u64) -> domain::Result<Vec<ShardDepth>> {
        self.store.shards(limit).await
    }
}

#[tokio::test]
async fn a_relay_that_panics_is_started_again_and_counted() {
    let db = TestDatabase::open(Engine::Sqlite).await;
    let ada = db.add_user("ada").await;
    let metrics = metrics();
    elsewhere(&db).await.flush_nonce(ada).await.unwrap();
    let us = FakeRegion::new(Mood::Confirms);
    let mut relay = relay(&db, ALWAYS, &[("us", &us)]);
    relay.store = Arc::new(Faulty {
        store: db.database().clone(),
        has_panicked: AtomicBool::new(false),
    });
    let running = relay.start();
    until_told(&db, "us", Duration::ZERO).await;
    assert_eq!(us.confirmed(), [ada]);
    let counted = "user_gateway_task_restarts_total{task=\"relay\"}";
    assert!(metrics.render().contains(counted));
    assert!(running.stop(PATIENCE).await);
}

/// The metrics are those of the whole process, so the region has a name that no other test knows.
#[tokio::test]
async fn what_the_relay_does_can_be_counted() {
    let db = TestDatabase::open(Engine::Sqlite).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let policy = OutboxPolicy {
        remote: vec!["counted".to_owned()],
        ..OutboxPolicy::default()
    };
    let users = db.reopen_with(policy, &db.heard).await.services().users;
    for user in [ada, ada, ada, grace] {
        users.flush_nonce(user).await.unwrap();
    }
    let metrics = metrics();
    let says = |name: &str, value: u64| {
        let line = format!("user_gateway_outbox_{name}{{region=\"counted\"}} {value}");
        metrics.render().lines().any(|said| said == line)
    };
    db.clock.advance(Duration::from_secs(7));
    let region = FakeRegion::new(Mood::Silent);
    let running = start(&db, &[("counted", &region)]);
    eventually("what waits is counted", async || {
        says("pending", 4) && says("oldest_seconds", 7)
    })
    .await;
    region.set(Mood::Refuses(grace));
    eventually("what fails is counted", async || {
        says("failures_total", 1) && says("delivered_total", 1) && says("coalesced_total", 2)
    })
    .await;
    assert!(running.stop(PATIENCE).await);
}
