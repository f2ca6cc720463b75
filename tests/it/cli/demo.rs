//! `demo`: something to look at in a second.

use serde_json::{Value, json};

use crate::harness::{Answer, Process, Scratch};

const USERS: &str = "query($after: String) {
    users(first: 500, after: $after) {
        totalCount
        nodes {
            id username name email isActive isSuperuser dateJoined lastActive hasTwoFactor roles
            emails { email isVerified }
        }
        pageInfo { hasNextPage endCursor }
    }
}";

async fn users(process: &Process, token: &str) -> Vec<Value> {
    let mut users = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut data = process.data(token, USERS, json!({ "after": after })).await;
        let page = &mut data["users"];
        users.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            assert_eq!(page["totalCount"], users.len());
            return users;
        }
        after = page["pageInfo"]["endCursor"].take();
    }
}

#[tokio::test]
async fn the_demo_says_where_it_is_and_lets_a_superuser_in() {
    let scratch = Scratch::new();
    let mut demo = scratch.start(&["demo"]);
    let graphiql = demo.said("graphiql");
    let token = demo.said("token");
    assert!(demo.origin.starts_with("http://127.0.0.1:"));
    let (prefix, random) = token.split_at("sntryu_".len());
    assert_eq!(prefix, "sntryu_");
    assert_eq!(random.len(), 64);
    // What stands behind # is never sent; it reaches no log and no proxy.
    assert_eq!(graphiql, format!("{}/graphiql#token={token}", demo.origin));

    let viewer = "{ viewer { user { id isSuperuser } } }";
    let data = demo.data(&token, viewer, json!({})).await;
    assert_eq!(
        data,
        json!({ "viewer": { "user": { "id": "User:1", "isSuperuser": true } } })
    );
    let page = Answer::to(demo.get("/graphiql/")).await;
    assert_eq!(page.status, 200);
    assert!(!demo.log().contains(&token), "{}", demo.log());
    assert_eq!(scratch.files(), [""; 0]);
}

#[tokio::test]
async fn two_demos_show_the_same_directory_and_let_in_different_tokens() {
    let scratch = Scratch::new();
    let mut first = scratch.start(&["demo"]);
    let mut second = scratch.start(&["demo"]);
    let tokens = [&mut first, &mut second].map(|demo| {
        demo.said("graphiql");
        demo.said("token")
    });
    assert_ne!(tokens[0], tokens[1]);
    let of_first = users(&first, &tokens[0]).await;
    assert_eq!(of_first.len(), 1_000);
    assert_eq!(of_first, users(&second, &tokens[1]).await);
    let answer = first.answer(&tokens[1], "{ __typename }", json!({})).await;
    answer.refuses(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_demo_without_graphiql_does_not_speak_of_it() {
    let scratch = Scratch::new();
    let mut demo = scratch.start(&["demo", "--graphiql", "off"]);
    let token = demo.said("token");
    assert_eq!(Answer::to(demo.get("/graphiql/")).await.status, 404);
    demo.data(&token, "{ __typename }", json!({})).await;
}

#[tokio::test]
async fn a_demo_leaves_the_database_of_the_environment_alone() {
    let scratch = Scratch::new();
    let demo = scratch.start_with(
        &["demo", "--listen", "127.0.0.1:0"],
        &[("DATABASE_URL", "sqlite://precious.db?mode=rwc")],
    );
    assert!(!demo.origin.is_empty());
    assert_eq!(scratch.files(), [""; 0]);
}
