//! Clients that hang up during changes: nothing of them stays in the database.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use user_gateway::domain::UserId;

use crate::harness::{Account, Contents, Gateway, Raw, TestDatabase, eventually, variable};

/// How many clients hang up unless `USER_GATEWAY_HANGUPS` says otherwise.
const HANGUPS: usize = 600;
/// How many do so at a time.
const AT_A_TIME: usize = 24;
/// The longest that one waits before it hangs up, in microseconds.
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

/// Asks for a change and hangs up after a while.
async fn hang_up(gateway: &Gateway, token: &str, body: Value, after: Duration) {
    let body = body.to_string();
    let mut request = String::new();
    let _ = write!(
        request,
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let raw = Raw::open(&gateway.origin).await;
    if raw.try_send(&request).await.is_ok() {
        tokio::time::sleep(after).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn clients_that_hang_up_during_changes_leave_nothing_in_the_database() {
    let hangups = variable("USER_GATEWAY_HANGUPS").unwrap_or(HANGUPS);
    let seed: u64 = variable("USER_GATEWAY_HANGUPS_SEED").unwrap_or_else(rand::random);
    eprintln!("the seed is {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let gateway = Gateway::over(TestDatabase::with(Contents::Migrated).await, |_| {}).await;
    let db = &gateway.database;
    let admin = db
        .add(Account {
            username: "admin",
            is_superuser: true,
            is_staff: true,
            ..Account::default()
        })
        .await;
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
    while sent < hangups {
        let batch: Vec<_> = (sent..sent + AT_A_TIME)
            .map(|number| {
                let body = change(&mut random, &users, 1_000 + number);
                let after = Duration::from_micros(random.random_range(0..LONGEST_MICROS));
                hang_up(&gateway, &token, body, after)
            })
            .collect();
        sent += batch.len();
        join_all(batch).await;
    }

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
