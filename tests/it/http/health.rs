//! Whether the gateway lives and can work, and what it says while it cannot.

use futures_util::future::join_all;
use serde_json::json;

use super::{CREATE, NEW, Open};
use user_gateway::auth::TOKEN_LIFE;

use crate::harness::{Answer, PostgresServer, Process, Scratch, eventually};

/// Words that no answer may hold: what the gateway is built of is nobody's business.
const INTERNALS: [&str; 9] = [
    "sqlx",
    "sqlite",
    "postgres",
    "pool",
    "auth_user",
    "sentry_",
    "select ",
    "socket",
    "panicked",
];

#[track_caller]
fn says_nothing_internal(answer: &Answer) {
    let text = answer.text().to_lowercase();
    for word in INTERNALS {
        assert!(!text.contains(word), "`{word}` in {text}");
    }
}

#[tokio::test]
async fn a_healthy_gateway_lives_and_is_ready() {
    let open = Open::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = Answer::to(open.gateway.get(path)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({ "status": "ok" }));
    }
}

#[tokio::test]
async fn a_gateway_without_its_database_lives_and_is_not_ready() {
    let open = Open::start().await;
    open.gateway.database.database().close().await;
    let health = Answer::to(open.gateway.get("/healthz")).await;
    assert_eq!(health.status, 200);
    let ready = Answer::to(open.gateway.get("/readyz")).await;
    assert_eq!(ready.status, 503);
    let unavailable = json!({ "status": "unavailable", "code": "UNAVAILABLE" });
    assert_eq!(ready.json(), unavailable);

    let answer = open.query("{ viewer { scopes } }").await;
    answer.refuses(503, "UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "1");
    says_nothing_internal(&answer);
}

#[tokio::test]
async fn a_fault_of_ours_names_the_request_and_nothing_else() {
    let open = Open::start().await;
    open.gateway
        .database
        .execute("DROP TABLE sentry_useroption")
        .await;
    let query = r#"{ userOptions(filter: { userIds: ["1"] }) { key } }"#;
    for accept in [NEW, "application/json"] {
        let answer = open.ask(accept, &json!({ "query": query })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.code(), "INTERNAL_SERVER_ERROR");
        assert!(!answer.header("x-request-id").is_empty());
        says_nothing_internal(&answer);
    }
    open.gateway
        .database
        .execute("DROP TABLE sentry_apitoken")
        .await;
    open.gateway.database.clock.advance(TOKEN_LIFE);
    let answer = open.query("{ __typename }").await;
    answer.refuses(500, "INTERNAL_SERVER_ERROR");
    says_nothing_internal(&answer);
}

#[tokio::test]
async fn concurrent_readiness_requests_share_pings_of_the_database() {
    const ASKED: usize = 100;
    let open = Open::start().await;
    let before = open.gateway.statements();
    let asked = (0..ASKED).map(|_| Answer::to(open.gateway.get("/readyz")));
    for answer in join_all(asked).await {
        assert_eq!(answer.status, 200);
    }
    let sent = open.gateway.statements() - before;
    assert!(
        (1..=30).contains(&sent),
        "{sent} statements for {ASKED} requests"
    );
}

async fn is_ready(process: &Process) -> bool {
    let answer = Answer::to(process.get("/readyz")).await;
    says_nothing_internal(&answer);
    answer.status == 200
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_gateway_outlives_its_database_and_works_again_when_it_is_back() {
    let mut server = PostgresServer::start();
    let url = server.url();
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20", "--database-url", &url]);
    let token = scratch.token(&url, &["--user", "1"]);
    let configured = "sure:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08:\
                      user:read,user:write";
    let process = scratch.start(&[
        "serve",
        "--database-url",
        &url,
        "--database-acquire-timeout",
        "500ms",
        "--service-token",
        configured,
    ]);
    let users = "{ users(first: 1) { nodes { username } } }";
    let before = process.data(&token, users, json!({})).await;
    assert!(is_ready(&process).await);

    server.stop();
    eventually("the gateway is not ready", async || {
        !is_ready(&process).await
    })
    .await;
    assert_eq!(Answer::to(process.get("/healthz")).await.status, 200);
    // Who the caller is cannot be found out without the database.
    let answer = process.answer(&token, users, json!({})).await;
    answer.refuses(503, "UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), "1");
    says_nothing_internal(&answer);
    // A caller whom the configuration knows gets as far as the first field.
    for document in [users, CREATE] {
        let answer = process.answer("test", document, json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.code(), "UNAVAILABLE", "{}", answer.text());
        says_nothing_internal(&answer);
    }

    server.resume();
    eventually("the gateway is ready", async || is_ready(&process).await).await;
    assert_eq!(process.data(&token, users, json!({})).await, before);
    let created = process.data("test", CREATE, json!({})).await;
    assert_eq!(created["getOrCreateUserByEmail"]["created"], true);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_gateway_whose_database_is_not_there_does_not_start_and_says_so() {
    let mut server = PostgresServer::start();
    server.stop();
    let said = Scratch::new().must_fail(&[
        "serve",
        "--database-url",
        &server.url(),
        "--database-acquire-timeout",
        "200ms",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert!(said.contains("cannot open the database"), "{said}");
}
