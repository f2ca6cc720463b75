//! What a process over a database remembers of users: of its own tests' model, and of real ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use user_gateway::cache::{Hears, LocalCache};
use user_gateway::config::CacheConfig;
use user_gateway::domain::{Change, Event, UserId, UserUpdate};
use user_gateway::service::Listener;

use super::control::{Control, name};
use crate::harness::{Engine, Gateway, MockClock, eventually};

on_each_engine! {
    a_user_that_is_known_costs_no_statement
    a_change_costs_one_statement_and_is_seen_at_once
    options_that_are_known_cost_no_statement_until_one_changes
    changes_of_other_processes_are_seen
}

/// Copies in front of a model.
pub(super) fn local(control: &Control, hears: Hears) -> LocalCache {
    let config = CacheConfig {
        over_database: true,
        redis_url: None,
        ttl: Duration::from_mins(5),
        max_bytes: 1024 * 1024,
    };
    let clock = Arc::new(MockClock::default());
    LocalCache::new(&config, control.services(), hears, clock)
}

#[tokio::test]
async fn while_changes_cannot_be_heard_of_nothing_is_kept_and_no_copy_answers() {
    let control = Control::default();
    control.change(1);
    let listens = Arc::new(AtomicBool::new(true));
    let hears = Arc::clone(&listens);
    let cache = local(&control, Arc::new(move || hears.load(Ordering::SeqCst)));
    let users = cache.services().users;
    let read = async || {
        let found = users.get_profiles(&[UserId(1)]).await.unwrap();
        (found[0].name.clone(), control.take_calls().len())
    };
    assert_eq!(read().await, ("1".into(), 1));
    assert_eq!(read().await, ("1".into(), 0));
    listens.store(false, Ordering::SeqCst);
    cache.notice(&Event::Missed);
    assert_eq!(read().await, ("1".into(), 1));
    control.change(1);
    assert_eq!(read().await, ("2".into(), 1));
    cache.notice(&Event::Missed);
    listens.store(true, Ordering::SeqCst);
    assert_eq!(read().await, ("2".into(), 1));
    assert_eq!(read().await, ("2".into(), 0));
}

#[tokio::test]
async fn a_change_concerns_its_user_alone_and_users_come_by_id_and_once() {
    let control = Control::default();
    control.change(1);
    control.change(2);
    let cache = local(&control, Arc::new(|| true));
    let users = cache.services().users;
    let ids = [2, 1, 2, 3].map(UserId);
    let read = async || {
        let found = users.get_profiles(&ids).await.unwrap();
        let found: Vec<_> = found.iter().map(|profile| profile.id.0).collect();
        assert_eq!(found, [1, 2]);
        let mut calls = control.take_calls();
        for ids in &mut calls {
            ids.sort_unstable();
        }
        calls
    };
    assert_eq!(read().await, [[1, 2, 3]]);
    let user_id = UserId(2);
    cache.notice(&Event::Changed(Change { user_id }));
    assert_eq!(read().await, [[2]]);
    assert!(read().await.is_empty());
}

/// A gateway that keeps copies, a token that may do everything, and a user.
async fn keeping(engine: Engine) -> (Gateway, String, UserId) {
    let gateway = Gateway::with(engine, |config| config.cache.over_database = true).await;
    let ada = gateway.database.add_user("ada").await;
    let scopes = ["user:read", "user:write", "user:admin"];
    let token = gateway.service_token("tests", &scopes).await;
    (gateway, token, ada)
}

/// What a document is answered, and in how many statements.
async fn ask(gateway: &Gateway, token: &str, query: &str, id: UserId) -> (Value, u64) {
    let before = gateway.statements();
    let mut answer = gateway
        .ask_with(token, query, json!({ "id": id.to_string() }))
        .await;
    assert!(answer.get("errors").is_none(), "{query}: {answer}");
    (answer["data"].take(), gateway.statements() - before)
}

const USER: &str = "query($id: ID!) { user(id: $id) { username name email isActive } }";
const RENAME: &str = "mutation($id: ID!) { updateUser(input: { userId: $id, name: \"Augusta\" }) \
                      { user { name } errors { code } } }";

async fn a_user_that_is_known_costs_no_statement(engine: Engine) {
    let (gateway, token, ada) = keeping(engine).await;
    let (first, _) = ask(&gateway, &token, USER, ada).await;
    assert_eq!(first["user"]["username"], "ada");
    assert_eq!(ask(&gateway, &token, USER, ada).await, (first, 0));
    // That there is no such user is known for a while too.
    let nobody = UserId(404);
    let (absent, _) = ask(&gateway, &token, USER, nobody).await;
    assert_eq!(absent["user"], Value::Null);
    assert_eq!(ask(&gateway, &token, USER, nobody).await, (absent, 0));
}

async fn a_change_costs_one_statement_and_is_seen_at_once(engine: Engine) {
    let (gateway, token, ada) = keeping(engine).await;
    ask(&gateway, &token, USER, ada).await;
    let (changed, _) = ask(&gateway, &token, RENAME, ada).await;
    assert_eq!(
        changed["updateUser"]["user"]["name"], "Augusta",
        "{changed}"
    );
    let (after, statements) = ask(&gateway, &token, USER, ada).await;
    assert_eq!((&after["user"]["name"], statements), (&json!("Augusta"), 1));
    assert_eq!(ask(&gateway, &token, USER, ada).await, (after, 0));
}

async fn options_that_are_known_cost_no_statement_until_one_changes(engine: Engine) {
    const OPTIONS: &str =
        "query($id: ID!) { userOptions(filter: { userIds: [$id] }) { key value } }";
    const SET: &str = "mutation($id: ID!) { setUserOption(input: { userId: $id, key: \"theme\", \
                       value: \"dark\" }) { changed } }";
    let (gateway, token, ada) = keeping(engine).await;
    let (none, _) = ask(&gateway, &token, OPTIONS, ada).await;
    assert_eq!(none["userOptions"], json!([]));
    assert_eq!(ask(&gateway, &token, OPTIONS, ada).await, (none, 0));
    let (set, _) = ask(&gateway, &token, SET, ada).await;
    assert_eq!(set["setUserOption"]["changed"], true, "{set}");
    let (some, statements) = ask(&gateway, &token, OPTIONS, ada).await;
    assert_eq!(
        some["userOptions"],
        json!([{ "key": "theme", "value": "dark" }])
    );
    assert_eq!(statements, 1);
    assert_eq!(ask(&gateway, &token, OPTIONS, ada).await, (some, 0));
}

async fn changes_of_other_processes_are_seen(engine: Engine) {
    let (gateway, token, ada) = keeping(engine).await;
    ask(&gateway, &token, USER, ada).await;
    let other = gateway.database.reopen(false).await.services().users;
    let update = UserUpdate {
        name: Some(name("Lovelace")),
        ..UserUpdate::default()
    };
    other.update_user(ada, &update).await.unwrap();
    // The clock stands still: no copy grows old.
    eventually("the change is seen", async || {
        ask(&gateway, &token, USER, ada).await.0["user"]["name"] == "Lovelace"
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_is_changed_while_the_connection_is_lost_is_seen() {
    let (gateway, token, ada) = keeping(Engine::Postgres).await;
    let database = &gateway.database;
    ask(&gateway, &token, USER, ada).await;
    let ended = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(database.number(ended).await, 1);
    eventually("the loss is noticed", async || !database.database().hears()).await;
    // Nobody is told of this at all.
    database
        .execute("UPDATE auth_user SET first_name = 'Byron'")
        .await;
    let (answer, _) = ask(&gateway, &token, USER, ada).await;
    assert_eq!(answer["user"]["name"], "Byron");
}

#[tokio::test]
async fn a_mutation_that_nobody_waits_for_any_more_is_announced_all_the_same() {
    let (gateway, token, ada) = keeping(Engine::Sqlite).await;
    ask(&gateway, &token, USER, ada).await;
    let users = gateway.database.database().services().users;
    for round in 0..50_u32 {
        let update = UserUpdate {
            name: Some(name(&round.to_string())),
            ..UserUpdate::default()
        };
        let changing = users.update_user(ada, &update);
        // Given up at any point, the commit included.
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(round) * 40), changing).await;
        let query = "SELECT first_name AS name FROM auth_user WHERE id = 1";
        eventually("the copy is as new as the row", async || {
            let stored = gateway.database.rows(query).await;
            ask(&gateway, &token, USER, ada).await.0["user"]["name"] == stored[0]["name"]
        })
        .await;
    }
}
