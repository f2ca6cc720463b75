//! `seed` and `schema`: what comes out is always the same.

use std::fs;
use std::path::Path;

use super::{FILE, rows};
use crate::harness::{Scratch, look_into};

async fn usernames(scratch: &Scratch) -> Vec<serde_json::Value> {
    let url = format!("sqlite://{}/user-gateway.db", scratch.path().display());
    let database = look_into(&url).await;
    rows(
        &database,
        "SELECT id, username, email FROM auth_user ORDER BY id",
    )
    .await
}

#[tokio::test]
async fn seeding_makes_as_many_users_as_asked_and_always_the_same() {
    let folders = [Scratch::new(), Scratch::new()];
    for scratch in &folders {
        let said = scratch.must(&["seed", "--users", "500"]);
        assert!(said.starts_with("seeded 500 users, "), "{said}");
        let said = scratch.must(&["check"]);
        assert!(said.contains("ours, up to date"), "{said}");
        assert!(said.lines().all(|line| line.starts_with("ok ")), "{said}");
    }
    let users = usernames(&folders[0]).await;
    assert_eq!(users.len(), 500);
    assert_eq!(users, usernames(&folders[1]).await);
}

#[tokio::test]
async fn a_directory_that_is_not_empty_is_not_seeded() {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "30"]);
    let before = usernames(&scratch).await;
    let said = scratch.must_fail(&["seed", "--users", "60"]);
    assert!(
        !said.contains("panicked") && said.contains("empty"),
        "{said}"
    );
    assert_eq!(usernames(&scratch).await, before);
}

#[tokio::test]
async fn what_is_created_after_seeding_gets_ids_of_its_own() {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "30"]);
    let token = scratch.token(FILE, &["--user", "1"]);
    let gateway = scratch.start(&["serve"]);
    let new = super::of("new@example.com");
    let data = gateway.data(&token, super::GET_OR_CREATE, new).await;
    assert_eq!(data["getOrCreateUserByEmail"]["user"]["id"], "User:31");
}

#[test]
fn the_schema_is_printed_as_it_is_kept_and_touches_nothing() {
    let scratch = Scratch::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    assert_eq!(scratch.must(&["schema"]), fs::read_to_string(kept).unwrap());
    assert_eq!(scratch.files(), [""; 0]);
}
