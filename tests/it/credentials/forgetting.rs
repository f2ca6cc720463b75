//! What a gateway over a database remembers of credentials, and what makes it forget.

use serde_json::json;
use user_gateway::auth::TokenStore;
use user_gateway::domain::{UserId, UserUpdate};

use crate::harness::{Engine, Gateway, eventually};

on_each_engine! {
    a_token_costs_no_statement_once_it_is_known
    a_token_that_another_process_revokes_is_refused
    a_user_whom_another_process_deactivates_is_refused
    a_user_who_is_deactivated_is_refused_at_once
}

const NOTHING: &str = "{ __typename }";

async fn status(gateway: &Gateway, token: &str) -> u16 {
    let response = gateway.post(token, &json!({ "query": NOTHING })).await;
    response.status().as_u16()
}

/// Waits until a token is not honoured any more. The clock stands still: nothing grows old.
async fn is_refused(gateway: &Gateway, token: &str) {
    eventually("the token is refused", async || {
        status(gateway, token).await == 401
    })
    .await;
}

/// A gateway, tokens of a user and of a service that it knows, and the user.
async fn known(engine: Engine) -> (Gateway, [String; 2], UserId) {
    let gateway = Gateway::start(engine).await;
    let ada = gateway.database.add_user("ada").await;
    let tokens = [
        gateway.user_token(ada, &[]).await,
        gateway.service_token("billing", &["user:read"]).await,
    ];
    for token in &tokens {
        assert_eq!(status(&gateway, token).await, 200);
    }
    (gateway, tokens, ada)
}

async fn a_token_costs_no_statement_once_it_is_known(engine: Engine) {
    let (gateway, tokens, _) = known(engine).await;
    let before = gateway.statements();
    for token in &tokens {
        assert_eq!(status(&gateway, token).await, 200);
    }
    assert_eq!(gateway.statements(), before);
}

async fn a_token_that_another_process_revokes_is_refused(engine: Engine) {
    let (gateway, tokens, _) = known(engine).await;
    let other = gateway.database.reopen(false).await;
    for (token, id) in tokens.iter().zip(["user:1", "service:1"]) {
        assert!(other.revoke(id).await.unwrap());
        is_refused(&gateway, token).await;
    }
}

async fn a_user_whom_another_process_deactivates_is_refused(engine: Engine) {
    let (gateway, [of_user, of_service], ada) = known(engine).await;
    let other = gateway.database.reopen(false).await;
    let update = UserUpdate {
        is_active: Some(false),
        ..UserUpdate::default()
    };
    let users = other.services().users;
    assert!(users.update_user(ada, &update).await.unwrap().is_some());
    is_refused(&gateway, &of_user).await;
    assert_eq!(status(&gateway, &of_service).await, 200);
}

async fn a_user_who_is_deactivated_is_refused_at_once(engine: Engine) {
    let (gateway, [of_user, _], ada) = known(engine).await;
    let admin = gateway
        .service_token("admin", &["user:write", "user:read"])
        .await;
    let document = "mutation($id: ID!) { updateUser(input: { userId: $id, isActive: false }) { \
                    errors { message } } }";
    let answer = gateway
        .ask_with(&admin, document, json!({ "id": ada.to_string() }))
        .await;
    assert!(answer.get("errors").is_none(), "{answer}");
    assert_eq!(status(&gateway, &of_user).await, 401);
}
