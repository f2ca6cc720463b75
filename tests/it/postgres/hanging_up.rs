//! Clients that disconnect during changes leave no transaction or lock in the database.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use user_gateway::domain::UserId;

use crate::harness::{
    Account, Contents, Engine, Fleet, Gateway, Plan, Raw, Silo, TestDatabase, eventually, variable,
};

/// The clients that disconnect, unless `USER_GATEWAY_HANGUPS` sets another number.
const HANGUPS: usize = 600;
/// The clients at a time.
const AT_A_TIME: usize = 24;
/// The longest wait before disconnecting, in microseconds.
const LONGEST_MICROS: u64 = 6_000;

const SET: &str = "mutation($user: ID!, $key: String!, $value: JSON, $scope: UserOptionScope) { \
     setUserOption(input: { userId: $user, key: $key, value: $value, scope: $scope }) { changed } }";
const UPDATE: &str = "mutation($user: ID!, $name: String!) { \
     updateUser(input: { userId: $user, name: $name }) { user { id } } }";
const CREATE: &str = "mutation($email: String!) { \
     getOrCreateUserByEmail(input: { email: $email }) { created } }";

/// A change of one kind or another.
fn change(random: &mut StdRng, users: &[UserId], number: usize) -> Value {
    let user = users[random.random_range(0..users.len())].to_string();
    match random.random_range(0..4) {
        0 => json!({ "query": SET, "variables": {
            "user": user, "key": "theme", "value": number } }),
        1 => json!({ "query": SET, "variables": {
            "user": user, "key": "theme", "value": number, "scope": { "projectId": "7" } } }),
        2 => json!({ "query": UPDATE, "variables": { "user": user, "name": format!("{number}") } }),
        // Several ask for the same address.
        _ => json!({ "query": CREATE, "variables": {
            "email": format!("new-{}@example.com", number / 3) } }),
    }
}

/// Requests a change and disconnects after a while.
async fn hang_up(origin: &str, token: &str, body: Value, after: Duration) {
    let body = body.to_string();
    let mut request = String::new();
    let _ = write!(
        request,
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let raw = Raw::open(origin).await;
    if raw.try_send(&request).await.is_ok() {
        tokio::time::sleep(after).await;
    }
}

/// Some clients request changes and disconnect; how many.
async fn hang_up_together(
    origin: &str,
    token: &str,
    users: &[UserId],
    random: &mut StdRng,
    sent: usize,
) -> usize {
    let batch: Vec<_> = (sent..sent + AT_A_TIME)
        .map(|number| {
            let body = change(random, users, 1_000 + number);
            let after = Duration::from_micros(random.random_range(0..LONGEST_MICROS));
            hang_up(origin, token, body, after)
        })
        .collect();
    join_all(batch).await.len()
}

fn hangups() -> usize {
    variable("USER_GATEWAY_HANGUPS").unwrap_or(HANGUPS)
}

fn random() -> StdRng {
    let seed: u64 = variable("USER_GATEWAY_HANGUPS_SEED").unwrap_or_else(rand::random);
    eprintln!("the seed is {seed}");
    StdRng::seed_from_u64(seed)
}

async fn admin(db: &TestDatabase) -> UserId {
    let account = Account {
        username: "admin",
        is_superuser: true,
        is_staff: true,
        ..Account::default()
    };
    db.add(account).await
}

/// Waits until no transaction is open, no lock is held, and the outbox is empty.
async fn nothing_is_left(db: &TestDatabase) {
    let mine = "datname = current_database() AND pid <> pg_backend_pid()";
    let open = format!("pg_stat_activity WHERE {mine} AND state <> 'idle'");
    let locked = "pg_locks WHERE locktype = 'advisory' AND database = \
                  (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually("nothing is left", async || {
        db.count(&open).await == 0
            && db.count(locked).await == 0
            && db.count("sentry_controloutbox").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn clients_that_hang_up_during_changes_leave_nothing_in_the_database() {
    let mut random = random();
    let gateway = Gateway::over(TestDatabase::with(Contents::Migrated).await, |_| {}).await;
    let db = &gateway.database;
    let admin = admin(db).await;
    let token = gateway.user_token(admin, &[]).await;
    let users = db.add_users(["ada", "grace", "edsger", "barbara"]).await;

    // All kinds are accepted, or nothing would be shown.
    for number in 0..40 {
        let answer = gateway
            .post(&token, &change(&mut random, &users, number))
            .await;
        let answer: Value = answer.json().await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
    }
    let mut sent = 0;
    while sent < hangups() {
        sent += hang_up_together(&gateway.origin, &token, &users, &mut random, sent).await;
    }
    nothing_is_left(db).await;
    for user in users {
        let body = json!({ "query": SET, "variables": {
            "user": user.to_string(), "key": "last", "value": 1, "scope": { "projectId": "7" } } });
        let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
        assert_eq!(answer["data"]["setUserOption"]["changed"], true, "{answer}");
    }
    let twice = "(SELECT email FROM auth_user WHERE email <> '' GROUP BY email \
                 HAVING COUNT(*) > 1) AS twice";
    assert_eq!(db.count(twice).await, 0);
}

/// The answers of a silo about each of these users.
async fn answers(silo: &Silo, token: &str, ids: &[i64]) -> Vec<Value> {
    const ASK: &str = "query($id: ID!) { user(id: $id) { \
         name username emails { email } options { key value } } }";
    let mut answers = Vec::new();
    for id in ids {
        answers.push(silo.data(token, ASK, json!({ "id": id })).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_region_answers_as_its_control_does_after_clients_have_hung_up() {
    let mut random = random();
    let plan = Plan {
        engine: Engine::Postgres,
        regions: &[("us", 1)],
        redis: None,
    };
    let fleet = Fleet::of(&plan, |_| {}).await;
    let (db, control, region) = (&fleet.database, &fleet.control, &fleet.regions[0]);
    let admin = admin(db).await;
    let token = fleet.user_token(admin).await;
    let users = db.add_users(["ada", "grace", "edsger", "barbara"]).await;
    let mut sent = 0;
    while sent < hangups() / 2 {
        // Fills the region's cache with the users about to change.
        answers(region, &token, &users.map(|user| user.0)).await;
        sent += hang_up_together(&control.origin, &token, &users, &mut random, sent).await;
    }
    nothing_is_left(db).await;
    let ids = db.rows("SELECT id FROM auth_user ORDER BY id").await;
    let ids: Vec<i64> = ids.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    // A stale copy would be kept for longer than this waits.
    eventually("the region answers as control does", async || {
        answers(region, &token, &ids).await == answers(control, &token, &ids).await
    })
    .await;
    fleet.delivered().await;
}
