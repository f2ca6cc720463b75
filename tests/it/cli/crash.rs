//! What outlives a process that is killed: everything it has acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::RequestBuilder;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{SET_OPTION, rows};
use crate::harness::{Engine, Scratch, TestDatabase, eventually, look_into};

const WRITERS: u64 = 4;
const CHANGES: u64 = 60;

/// One writer, who sets one option after the other until the gateway is gone; the number of those
/// that were acknowledged goes up.
async fn write(asking: RequestBuilder, user: u64, acknowledged: Arc<AtomicU64>) {
    for value in 1_u64.. {
        let input = json!({ "userId": user.to_string(), "key": "count", "value": value });
        let body = json!({ "query": SET_OPTION, "variables": { "input": input } });
        let request = asking.try_clone().unwrap().json(&body);
        let Ok(response) = request.send().await else {
            return;
        };
        let Ok(answer) = response.json::<Value>().await else {
            return;
        };
        assert_eq!(answer["data"]["setUserOption"]["changed"], true, "{answer}");
        acknowledged.store(value, Ordering::SeqCst);
    }
}

async fn survives(url: &str) {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20", "--database-url", url]);
    let token = scratch.token(url, &["--user", "1"]);
    let mut gateway = scratch.start(&["serve", "--database-url", url]);
    let writers: Vec<_> = (1..=WRITERS)
        .map(|user| {
            let acknowledged = Arc::new(AtomicU64::new(0));
            let asking = gateway.graphql().bearer_auth(&token);
            let writing = write(asking, user, Arc::clone(&acknowledged));
            (user, acknowledged, tokio::spawn(writing))
        })
        .collect();
    eventually("enough is written", async || {
        let all = writers
            .iter()
            .map(|(_, count, _)| count.load(Ordering::SeqCst));
        all.sum::<u64>() >= CHANGES
    })
    .await;
    gateway.signal("KILL");
    let mut acknowledged = Vec::new();
    for (user, count, writing) in writers {
        writing.await.unwrap();
        acknowledged.push((user, count.load(Ordering::SeqCst)));
    }
    assert_eq!(gateway.ended(), None, "killed, not ended");

    // Such a row is left when the process goes between the commit and the delivery.
    let database = look_into(url).await;
    let left = "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
                object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
                VALUES (1, 3, 0, 3, '2026-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', \
                '2026-01-01T00:00:00+00:00', '--monolith--')";
    database.writer().execute_unprepared(left).await.unwrap();

    let gateway = scratch.start(&["serve", "--database-url", url]);
    for (user, count) in acknowledged {
        let ask = "query($id: ID!) { user(id: $id) { option(key: \"count\") } }";
        let data = gateway.data(&token, ask, json!({ "id": user })).await;
        // The last change may have been committed and its answer lost.
        let kept = data["user"]["option"].as_u64().unwrap();
        assert!(
            kept == count || kept == count + 1,
            "user {user}: {count} acknowledged, {kept} kept"
        );
    }
    let left = rows(&database, "SELECT id FROM sentry_controloutbox").await;
    assert_eq!(left, [json!(null); 0]);
    assert!(gateway.log().contains("delivered"), "{}", gateway.log());
}

#[tokio::test]
async fn a_killed_gateway_has_lost_nothing_it_acknowledged_on_sqlite() {
    let folder = Scratch::new();
    let url = format!("sqlite://{}/crash.db?mode=rwc", folder.path().display());
    survives(&url).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_killed_gateway_has_lost_nothing_it_acknowledged_on_postgresql() {
    let database = TestDatabase::open(Engine::Postgres).await;
    survives(database.url()).await;
}
