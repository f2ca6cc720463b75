//! What a request costs, in instructions: a count that no other work on the machine disturbs.

use std::fs;

use serde_json::json;

use super::{FILE, seeded};
use crate::harness::Scratch;

/// What a request may cost, without optimizations. It costs two thirds of it; whoever has a reason
/// to make it cost more may raise this.
const BOUND: u64 = 500_000;

/// How many instructions the gateway carries out from its start to its end if it answers so many
/// requests, which no database is asked for but the first.
async fn instructions(scratch: &Scratch, token: &str, requests: u64) -> u64 {
    let count = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=count",
    ];
    let arguments = ["serve", "--database-url", FILE, "--user-cache", "on"];
    let mut gateway = scratch.start_under(&count, &arguments);
    let query = "query User($id: ID!) { user(id: $id) { id username name isActive } }";
    for _ in 0..requests {
        let data = gateway.data(token, query, json!({ "id": "User:1" })).await;
        assert_eq!(data["user"]["id"], "User:1");
    }
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
    let counted = fs::read_to_string(scratch.path().join("count")).unwrap();
    let summary = counted
        .lines()
        .find_map(|line| line.strip_prefix("summary:"));
    summary.unwrap().trim().parse().unwrap()
}

#[tokio::test]
#[ignore = "needs valgrind"]
async fn a_request_costs_no_more_instructions_than_it_should() {
    let (scratch, token) = seeded();
    let few = instructions(&scratch, &token, 50).await;
    let many = instructions(&scratch, &token, 350).await;
    let each = (many - few) / 300;
    assert!(each < BOUND, "a request costs {each} instructions");
}
