//! Replicas of a region over one Redis, and what may happen to each of them.

use std::sync::Arc;
use std::time::Duration;

use user_gateway::cache::Timing;
use user_gateway::domain::{Error, UserId, UserUpdate};

use super::control::{Control, name};
use super::{Replica, Setup, TIMING};
use crate::harness::{RedisServer, Wire, eventually};

/// A lease that nobody in a test lives to see the end of.
const LONG_LEASE: Timing = Timing {
    lease: Duration::from_hours(1),
    ..TIMING
};

fn long(url: String) -> Setup {
    Setup {
        timing: LONG_LEASE,
        ..Setup::shared(url)
    }
}

/// The keys of records in Redis.
async fn records(server: &RedisServer) -> Vec<String> {
    server.keys("user-gateway:*:user:*").await
}

/// Waits until the register is trusted, so that an invalidation need not wait for a lease.
async fn settled(server: &RedisServer) {
    eventually("the register is settled", async || {
        for key in server.run::<Vec<String>>(&["KEYS", "*:register"]).await {
            if server.run::<bool>(&["HEXISTS", &key, "settled"]).await {
                return true;
            }
        }
        false
    })
    .await;
}

async fn invalidate(replica: &Replica, id: i64) -> i64 {
    replica.cache.invalidate(UserId(id)).await.unwrap()
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn what_one_replica_fetched_serves_the_others() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup::shared(server.url());
    let (one, two) = (setup.ready(&control).await, setup.ready(&control).await);
    assert_eq!(one.read(1).await, 1);
    eventually("the record is stored", async || {
        let key = records(&server).await.remove(0);
        server.run::<bool>(&["HEXISTS", &key, "record"]).await
    })
    .await;
    assert_eq!(two.read(1).await, 1);
    let user = two.services.users.get_user(UserId(1)).await.unwrap();
    assert_eq!(user, one.services.users.get_user(UserId(1)).await.unwrap());
    assert_eq!(
        two.services
            .user_options
            .get_all(&[UserId(1)])
            .await
            .unwrap()
            .len(),
        3
    );
    assert_eq!(control.take_calls(), [[1]]);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn an_invalidation_reaches_every_replica_before_it_is_acknowledged() {
    let server = RedisServer::start();
    let control = Control::default();
    let setup = Setup::shared(server.url());
    let replicas = [
        setup.ready(&control).await,
        setup.ready(&control).await,
        setup.ready(&control).await,
    ];
    settled(&server).await;
    let mut latest = 0;
    for round in 0..30 {
        let version = control.change(1);
        let done = invalidate(&replicas[round % 3], 1).await;
        assert!(done > latest && done < 1 << 53, "{done} after {latest}");
        latest = done;
        for replica in &replicas {
            assert_eq!(replica.read(1).await, version);
        }
    }
    for replica in &replicas {
        assert_eq!(replica.heard.take_changes(), [UserId(1); 30]);
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_settled_region_waits_for_answers_and_not_for_leases() {
    let server = RedisServer::start();
    let control = Control::default();
    let setup = Setup::shared(server.url());
    let (one, two) = (setup.ready(&control).await, setup.ready(&control).await);
    settled(&server).await;
    drop((one, two));
    // These enter a settled register; with such a lease, whoever waited for its end would not be
    // back.
    let (one, two) = (
        long(server.url()).ready(&control).await,
        long(server.url()).ready(&control).await,
    );
    // The ones before are struck off as those that do not answer.
    let key: Vec<String> = server.run(&["KEYS", "*:register"]).await;
    let fields: Vec<String> = server.run(&["HKEYS", &key[0]]).await;
    let mut replicas = fields.iter().filter(|field| field.starts_with("replica:"));
    assert_eq!(replicas.clone().count(), 4);
    let gone: Vec<_> = replicas.by_ref().take(2).collect();
    for field in gone {
        let _: i64 = server.run(&["HDEL", &key[0], field]).await;
    }
    control.change(1);
    invalidate(&one, 1).await;
    assert_eq!(two.read(1).await, 1);
    two.cache.stop().await;
    control.change(1);
    invalidate(&one, 1).await;
    assert_eq!((one.read(1).await, two.read(1).await), (2, 2));
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_late_fill_is_not_stored_for_the_others() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup::shared(server.url());
    let (one, two) = (
        Arc::new(setup.ready(&control).await),
        setup.ready(&control).await,
    );
    control.hold();
    let slow = tokio::spawn({
        let one = Arc::clone(&one);
        async move { one.read(1).await }
    });
    eventually("the fetch is under way", async || control.waiting() == 1).await;
    control.change(1);
    invalidate(&two, 1).await;
    control.release();
    assert_eq!(slow.await.unwrap(), 1);
    assert_eq!((one.read(1).await, two.read(1).await), (2, 2));
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_lost_version_is_not_taken_for_another() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup::shared(server.url());
    let (one, two) = (
        Arc::new(setup.ready(&control).await),
        setup.ready(&control).await,
    );
    control.hold();
    let slow = tokio::spawn({
        let one = Arc::clone(&one);
        async move { one.read(1).await }
    });
    eventually("the fetch is under way", async || control.waiting() == 1).await;
    control.change(1);
    invalidate(&two, 1).await;
    // The key is evicted at every moment that could matter.
    let _: () = server.run(&["FLUSHALL"]).await;
    control.release();
    assert_eq!(slow.await.unwrap(), 1);
    assert_eq!((one.read(1).await, two.read(1).await), (2, 2));
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_flushed_redis_does_not_excuse_a_replica_from_hearing() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup::shared(server.url());
    let (one, two) = (setup.ready(&control).await, setup.ready(&control).await);
    settled(&server).await;
    for _ in 0..5 {
        let version = control.version(1);
        assert_eq!((one.read(1).await, two.read(1).await), (version, version));
        let _: () = server.run(&["FLUSHALL"]).await;
        let version = control.change(1);
        invalidate(&one, 1).await;
        assert_eq!((one.read(1).await, two.read(1).await), (version, version));
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn without_redis_reads_go_to_control_and_invalidations_fail() {
    let mut server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let one = Setup::shared(server.url()).ready(&control).await;
    assert_eq!(one.read(1).await, 1);
    server.kill();
    control.change(1);
    one.down().await;
    assert_eq!(one.read(1).await, 2);
    let failed = one.cache.invalidate(UserId(1)).await.unwrap_err();
    assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
    control.take_calls();
    assert_eq!((one.read(1).await, one.read(1).await), (2, 2));
    assert_eq!(control.take_calls(), [[1], [1]]);

    server.resume();
    one.live().await;
    control.change(1);
    invalidate(&one, 1).await;
    assert_eq!((one.read(1).await, one.read(1).await), (3, 3));
    assert_eq!(control.take_calls(), [[1]]);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_replica_starts_without_redis() {
    let mut server = RedisServer::start();
    server.kill();
    let control = Control::default();
    control.change(1);
    let one = Setup::shared(server.url()).open(control.services());
    assert_eq!(one.read(1).await, 1);
    server.resume();
    one.live().await;
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn an_old_snapshot_revives_nothing() {
    let mut server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup::shared(server.url());
    let (one, two) = (setup.ready(&control).await, setup.ready(&control).await);
    assert_eq!(one.read(1).await, 1);
    eventually("the record is stored", async || {
        !records(&server).await.is_empty()
    })
    .await;
    server.save().await;
    control.change(1);
    invalidate(&one, 1).await;
    server.kill();
    server.resume();
    assert!(!records(&server).await.is_empty());
    assert_eq!((one.read(1).await, two.read(1).await), (2, 2));
    one.live().await;
    two.live().await;
    assert_eq!((one.read(1).await, two.read(1).await), (2, 2));
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_replica_that_missed_the_restart_of_redis_is_waited_for() {
    let mut server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let wire = Wire::to(&server);
    let one = Setup::shared(server.url()).ready(&control).await;
    let two = Setup::shared(wire.url()).ready(&control).await;
    settled(&server).await;
    assert_eq!((one.read(1).await, two.read(1).await), (1, 1));
    // One replica goes on at the new server, of which the other does not know yet, nor the server
    // of it.
    wire.hold();
    server.kill();
    server.lose();
    server.resume();
    one.down().await;
    one.live().await;
    control.change(1);
    invalidate(&one, 1).await;
    assert_eq!((one.read(1).await, two.read(1).await), (2, 2));
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_stopped_redis_delays_one_read_and_breaks_none() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup {
        timing: Timing {
            command: Duration::from_millis(200),
            connect: Duration::from_millis(200),
            ..TIMING
        },
        ..Setup::shared(server.url())
    };
    let one = setup.ready(&control).await;
    server.signal("STOP");
    assert_eq!(one.read(1).await, 1);
    one.down().await;
    control.change(1);
    assert_eq!(one.read(1).await, 2);
    assert!(one.cache.invalidate(UserId(1)).await.is_err());
    server.signal("CONT");
    one.live().await;
    assert_eq!(one.read(1).await, 2);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_replica_that_hears_nothing_stops_answering_before_others_go_on() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let wire = Wire::to(&server);
    let one = Setup::shared(server.url()).ready(&control).await;
    let two = Setup::shared(wire.url()).ready(&control).await;
    settled(&server).await;
    assert_eq!((one.read(1).await, two.read(1).await), (1, 1));
    wire.hold();
    let version = control.change(1);
    invalidate(&one, 1).await;
    assert_eq!((one.read(1).await, two.read(1).await), (version, version));
    assert!(!two.cache.is_live());
    wire.release();
    two.live().await;
    assert_eq!(two.read(1).await, version);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_replica_that_is_deaf_does_not_renew_its_lease() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let wire = Wire::to(&server);
    let one = Setup::shared(server.url()).ready(&control).await;
    let two = Setup::shared(wire.url()).ready(&control).await;
    settled(&server).await;
    assert_eq!((one.read(1).await, two.read(1).await), (1, 1));
    // It goes on talking to Redis, which answers.
    wire.deafen();
    let version = control.change(1);
    invalidate(&one, 1).await;
    assert_eq!((one.read(1).await, two.read(1).await), (version, version));
    wire.release();
    two.live().await;
    assert_eq!(two.read(1).await, version);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_replica_whose_connection_is_cut_forgets_and_says_so() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let wire = Wire::to(&server);
    let one = Setup::shared(server.url()).ready(&control).await;
    let two = Setup::shared(wire.url()).ready(&control).await;
    assert_eq!((one.read(1).await, two.read(1).await), (1, 1));
    let missed = two.heard.missed();
    wire.cut();
    let version = control.change(1);
    invalidate(&one, 1).await;
    assert_eq!(two.read(1).await, version);
    eventually("it is said that changes were missed", async || {
        two.heard.missed() > missed
    })
    .await;
    two.live().await;
    assert_eq!(two.read(1).await, version);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_change_made_while_redis_was_away_is_not_read_back() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let wire = Wire::to(&server);
    let one = Setup::shared(wire.url()).ready(&control).await;
    assert_eq!(one.read(1).await, 1);
    eventually("the record is stored", async || {
        !records(&server).await.is_empty()
    })
    .await;
    wire.hold();
    wire.cut();
    one.down().await;
    let update = UserUpdate {
        name: Some(name("Ada")),
        ..UserUpdate::default()
    };
    let users = &one.services.users;
    users.update_user(UserId(1), &update).await.unwrap();
    assert_eq!(one.read(1).await, 2);
    // The server was there all along, and holds the record from before the change.
    assert_eq!(records(&server).await.len(), 1);
    wire.release();
    one.live().await;
    assert_eq!(one.read(1).await, 2);
    let two = Setup::shared(server.url()).ready(&control).await;
    assert_eq!(two.read(1).await, 2);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_record_that_cannot_be_read_is_none() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let setup = Setup::shared(server.url());
    let one = setup.ready(&control).await;
    assert_eq!(one.read(1).await, 1);
    eventually("the record is stored", async || {
        let key = records(&server).await.remove(0);
        server.run::<bool>(&["HEXISTS", &key, "record"]).await
    })
    .await;
    let key = records(&server).await.remove(0);
    for record in ["1:{\"half\":", "7:of another release", ""] {
        let _: i64 = server.run(&["HSET", &key, "record", record]).await;
        let two = setup.ready(&control).await;
        control.take_calls();
        assert_eq!(two.read(1).await, 1);
        assert_eq!(control.take_calls(), [[1]], "{record}");
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn regions_and_databases_of_one_server_do_not_meet() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let us = Setup::shared(server.url());
    let de = Setup {
        region: "de".to_owned(),
        ..us.clone()
    };
    let other = Setup::shared(format!("{}?db=1", server.url()));
    let (us, de, other) = (
        us.ready(&control).await,
        de.ready(&control).await,
        other.ready(&control).await,
    );
    for replica in [&us, &de, &other] {
        assert_eq!(replica.read(1).await, 1);
    }
    assert_eq!(control.take_calls(), [[1], [1], [1]]);
    control.change(1);
    invalidate(&us, 1).await;
    assert_eq!(
        (us.read(1).await, de.read(1).await, other.read(1).await),
        (2, 1, 1)
    );
    assert!(de.heard.take_changes().is_empty() && other.heard.take_changes().is_empty());
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_full_redis_keeps_nothing_and_breaks_nothing() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let one = Setup::shared(server.url()).ready(&control).await;
    let _: () = server.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..3 {
        assert_eq!(one.read(1).await, 1);
    }
    let _: () = server.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    one.live().await;
    control.change(1);
    invalidate(&one, 1).await;
    assert_eq!(one.read(1).await, 2);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn copies_in_redis_end_with_their_time() {
    let server = RedisServer::start();
    let control = Control::default();
    control.change(1);
    let one = Setup::shared(server.url()).ready(&control).await;
    assert_eq!((one.read(1).await, one.read(2).await), (1, 0));
    let life = async |id: i64| {
        let keys: Vec<String> = server.run(&["KEYS", &format!("*:user:{id}")]).await;
        server.run::<i64>(&["PTTL", &keys[0]]).await
    };
    eventually("the record is stored", async || life(1).await > 120_000).await;
    assert!(life(1).await <= 300_000);
    eventually("absence is stored", async || life(2).await <= 10_000).await;
}
