//! Replicas of one region that share a Redis, of which control tells one.

use serde_json::json;

use super::{EVERYTHING, name_of, option_of, rename, set};
use crate::harness::{Answer, Engine, Fleet, Plan, RedisServer, eventually};

/// A control, three replicas of a region over one Redis, and a token of a service.
async fn fleet() -> (Fleet, RedisServer, String) {
    let redis = RedisServer::start();
    let plan = Plan {
        engine: Engine::Sqlite,
        regions: &[("us", 3)],
        redis: Some(&redis.url()),
    };
    let fleet = Fleet::of(&plan, |_| {}).await;
    fleet.database.add_users(["ada", "bob"]).await;
    let token = fleet.service_token(&EVERYTHING).await;
    (fleet, redis, token)
}

/// Makes every replica hold a copy of both users.
async fn warm(fleet: &Fleet, token: &str) {
    for replica in &fleet.regions {
        for id in [1, 2] {
            name_of(replica, token, id).await;
            option_of(replica, token, id, "theme").await;
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn what_one_replica_is_told_every_replica_knows() {
    let (fleet, _redis, token) = fleet().await;
    for round in 0..10 {
        warm(&fleet, &token).await;
        let name = format!("Ada {round}");
        rename(&fleet.control, &token, 1, &name).await;
        set(&fleet.control, &token, 2, "theme", json!(round)).await;
        fleet.delivered().await;
        for replica in &fleet.regions {
            assert_eq!(name_of(replica, &token, 1).await, name);
            assert_eq!(option_of(replica, &token, 2, "theme").await, round);
        }
    }
    // Control tells the first replica alone.
    assert!(fleet.regions[0].calls() > 0);
    assert_eq!(fleet.regions[1].calls() + fleet.regions[2].calls(), 0);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_change_through_one_replica_is_read_there_at_once_and_soon_through_the_others() {
    let (fleet, _redis, token) = fleet().await;
    for round in 0..9 {
        warm(&fleet, &token).await;
        let writer = &fleet.regions[round % 3];
        let name = format!("Ada {round}");
        rename(writer, &token, 1, &name).await;
        assert_eq!(name_of(writer, &token, 1).await, name);
        fleet.delivered().await;
        for replica in &fleet.regions {
            assert_eq!(name_of(replica, &token, 1).await, name);
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn one_replica_fetches_for_all() {
    let (fleet, _redis, token) = fleet().await;
    // Every replica knows the token from here on.
    for replica in &fleet.regions {
        name_of(replica, &token, 2).await;
    }
    let before = fleet.control.calls();
    for replica in &fleet.regions {
        name_of(replica, &token, 1).await;
    }
    assert_eq!(fleet.control.calls_since(before), ["user/get_many"]);
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_dead_redis_breaks_no_read_and_leaves_nothing_stale() {
    let (fleet, mut redis, token) = fleet().await;
    for round in 0..3 {
        warm(&fleet, &token).await;
        redis.save().await;
        redis.kill();
        let name = format!("Ada {round}");
        rename(&fleet.control, &token, 1, &name).await;
        for replica in &fleet.regions {
            let ready = Answer::to(replica.get("/readyz")).await;
            assert_eq!(ready.status, 200);
            // Nobody can tell the replicas of the change; none may rely on its copies for long.
            eventually("the replica reads the change", async || {
                name_of(replica, &token, 1).await == name.as_str()
            })
            .await;
        }
        let through = format!("Ada {round} again");
        rename(&fleet.regions[1], &token, 1, &through).await;
        assert_eq!(name_of(&fleet.regions[1], &token, 1).await, through);
        // What it holds is older than the changes.
        if round % 2 == 0 {
            redis.resume();
        } else {
            redis.lose();
            redis.resume();
        }
        fleet.delivered().await;
        for _ in 0..3 {
            for replica in &fleet.regions {
                assert_eq!(name_of(replica, &token, 1).await, through);
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_redis_that_hangs_breaks_no_read_and_leaves_nothing_stale() {
    let (fleet, redis, token) = fleet().await;
    warm(&fleet, &token).await;
    redis.signal("STOP");
    rename(&fleet.control, &token, 1, "Augusta").await;
    for replica in &fleet.regions {
        eventually("the replica reads the change", async || {
            name_of(replica, &token, 1).await == "Augusta"
        })
        .await;
    }
    redis.signal("CONT");
    fleet.delivered().await;
    for replica in &fleet.regions {
        assert_eq!(name_of(replica, &token, 1).await, "Augusta");
    }
}

#[tokio::test]
#[ignore = "needs Redis"]
async fn a_region_starts_without_its_redis_and_uses_it_once_it_is_there() {
    let (mut fleet, mut redis, token) = fleet().await;
    redis.kill();
    for replica in &mut fleet.regions {
        replica.stop().await;
        replica.start_again().await;
        assert_eq!(name_of(replica, &token, 1).await, "");
    }
    redis.lose();
    redis.resume();
    eventually("what one replica fetches serves another", async || {
        name_of(&fleet.regions[0], &token, 1).await;
        let before = fleet.control.calls();
        name_of(&fleet.regions[1], &token, 1).await;
        fleet.control.calls() == before
    })
    .await;
    rename(&fleet.control, &token, 1, "Augusta").await;
    fleet.delivered().await;
    for replica in &fleet.regions {
        assert_eq!(name_of(replica, &token, 1).await, "Augusta");
    }
}
