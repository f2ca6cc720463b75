//! Many who want the same at once: one of them makes it.

use std::collections::HashSet;

use serde_json::json;

use super::{GET_OR_CREATE, of};
use crate::harness::{Contents, Engine, PostgresServer, Process, Scratch, TestDatabase};

const CALLS: usize = 64;

/// The same address, in another mixture of cases for each number.
fn spelled(number: usize) -> String {
    let letters = "newcomer@example.com".chars().enumerate();
    let cased = letters.map(|(place, letter)| {
        if number >> (place % 6) & 1 == 1 {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    });
    cased.collect()
}

/// Asks all gateways at once for the user of one address; the user's id.
async fn one_is_created(gateways: &[Process], token: &str) -> String {
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let gateway = &gateways[number % gateways.len()];
        let body = json!({ "query": GET_OR_CREATE, "variables": of(&spelled(number)) });
        let request = gateway.graphql().bearer_auth(token).json(&body);
        calls.push(tokio::spawn(async move {
            let response = request.send().await.unwrap();
            response.json::<serde_json::Value>().await.unwrap()
        }));
    }
    let mut created = 0;
    let mut ids = HashSet::new();
    for call in calls {
        let answer = call.await.unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
        let payload = &answer["data"]["getOrCreateUserByEmail"];
        created += usize::from(payload["created"] == true);
        ids.insert(payload["user"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(created, 1);
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids.into_iter().next().unwrap()
}

/// Two gateways on one database; there is one row of the user, and one of the address.
async fn through_two_gateways(database: TestDatabase, token: &str, arguments: &[&str]) {
    let scratch = Scratch::new();
    let arguments = [&["serve", "--database-url", database.url()], arguments].concat();
    let gateways = [scratch.start(&arguments), scratch.start(&arguments)];
    let id = one_is_created(&gateways, token).await;
    for (table, column) in [("auth_user", "id"), ("sentry_useremail", "user_id")] {
        let found = database
            .rows(&format!(
                "SELECT {column} AS id FROM {table} WHERE upper(email) = 'NEWCOMER@EXAMPLE.COM'"
            ))
            .await;
        assert_eq!(found.len(), 1, "{table}: {found:?}");
        assert_eq!(id, format!("User:{}", found[0]["id"]));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn one_of_many_creates_a_user_through_two_gateways() {
    let database = TestDatabase::open(Engine::Postgres).await;
    let token = Scratch::new().token(
        database.url(),
        &[
            "--service",
            "signup",
            "--scope",
            "user:write",
            "--scope",
            "user:admin",
        ],
    );
    through_two_gateways(database, &token, &[]).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn one_of_many_creates_a_user_on_an_existing_sentry_database() {
    for script in super::installation::FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        // The SHA-256 of `test`.
        let configured = "signup:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08:\
                          user:write,user:admin";
        through_two_gateways(database, "test", &["--service-token", configured]).await;
    }
}

#[tokio::test]
async fn one_of_many_creates_a_user_through_one_gateway_on_sqlite() {
    let (scratch, token) = super::seeded();
    let gateway = scratch.start(&["serve"]);
    one_is_created(&[gateway], &token).await;
}

#[tokio::test]
async fn one_of_many_creates_a_user_through_two_gateways_on_one_sqlite_file() {
    let (scratch, token) = super::seeded();
    let gateways = [scratch.start(&["serve"]), scratch.start(&["serve"])];
    one_is_created(&gateways, &token).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn gateways_that_start_at_once_on_an_empty_database_all_come_up() {
    let server = PostgresServer::start();
    let url = server.url();
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || {
                let scratch = Scratch::new();
                let gateway = scratch.start(&["serve", "--database-url", &url]);
                drop(gateway);
            })
        })
        .collect();
    for start in starts {
        start.join().unwrap();
    }
    let status = Scratch::new().must(&["migrate", "status", "--database-url", &url]);
    assert!(
        status.lines().all(|line| line.starts_with("applied")),
        "{status}"
    );
}
