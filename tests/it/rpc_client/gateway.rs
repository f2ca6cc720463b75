//! A control silo that is a gateway: what the contracts of the services do not say.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use user_gateway::auth::{
    NewToken, NewTokenOwner, Scopes, Subject, TokenKind, TokenOwner, TokenStore, TokenText,
};
use user_gateway::domain::{
    Change, Clock, Code, Email, NewUser, OrganizationId, UserFilter, UserId,
};
use user_gateway::rpc::client::{
    Peer, RegionDelivery, RemoteTokenStore, RemoteUserService, remote_services,
};
use user_gateway::service::{Delivery, UserService};

use super::{Act, StandIn, client, client_with, config};
use crate::harness::{MockClock, TestDatabase};

fn new_token(text: &TokenText, owner: NewTokenOwner) -> NewToken {
    NewToken {
        text: text.clone(),
        owner,
        scopes: Scopes::new(["user:read"]),
        expires_at: None,
    }
}

#[tokio::test]
async fn tokens_are_found_where_they_are_kept_and_made_nowhere_else() {
    let db = TestDatabase::remote().await;
    let ada = db.add_user("ada").await;
    let tokens = RemoteTokenStore::new(db.silo().unwrap().client());
    let of_service = NewTokenOwner::Service("reports".to_owned());
    for (kind, owner) in [
        (TokenKind::User, NewTokenOwner::User(ada)),
        (TokenKind::Service, of_service),
    ] {
        let text = TokenText::generate(kind);
        assert_eq!(tokens.find(&text).await.unwrap(), None);
        let new = new_token(&text, owner);
        db.database().create(&new).await.unwrap();
        let kept = db.database().find(&text).await.unwrap();
        assert!(kept.is_some());
        assert_eq!(tokens.find(&text).await.unwrap(), kept);
        let error = tokens.create(&new).await.unwrap_err();
        assert_eq!(error.code(), Code::NotSupported);
    }
    for (subject, found) in [
        (Subject::Id(ada), true),
        (Subject::Id(UserId(404)), false),
        (Subject::Email("ADA@example.com".to_owned()), true),
        (Subject::Email("nobody@example.com".to_owned()), false),
    ] {
        let owner = tokens.find_owner(&subject).await.unwrap();
        let is_ada = matches!(owner, Some(TokenOwner::User { id, .. }) if id == ada);
        assert_eq!(is_ada, found, "{subject:?}");
    }
    assert_eq!(tokens.list().await.unwrap_err().code(), Code::NotSupported);
    assert_eq!(
        tokens.revoke("user:1").await.unwrap_err().code(),
        Code::NotSupported
    );
}

#[tokio::test]
async fn the_text_of_a_token_does_not_travel() {
    let peer = StandIn::start([Act::gateway(&json!(null))]).await;
    let text = TokenText::generate(TokenKind::User);
    let tokens = RemoteTokenStore::new(client(&peer.url));
    assert_eq!(tokens.find(&text).await.unwrap(), None);
    let body = String::from_utf8(peer.asked()[0].body.clone()).unwrap();
    assert!(body.contains(&text.hash()) && !body.contains(text.expose()));
}

#[tokio::test]
async fn a_client_knows_a_gateway_from_its_first_answer() {
    let db = TestDatabase::remote().await;
    let client = db.silo().unwrap().client();
    let services = remote_services(&client);
    services
        .users
        .get_many_ids(&UserFilter::ids(&[]))
        .await
        .unwrap();
    assert_eq!(client.peer(), Peer::Gateway);
}

#[tokio::test]
async fn more_ids_than_a_call_may_hold_are_asked_for_in_several() {
    let db = TestDatabase::remote().await;
    let ada = db.add_user("ada").await;
    let mut ids: Vec<UserId> = (1..=12_000).map(UserId).collect();
    ids.reverse();
    let users = db.users().get_many_by_id(&ids).await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].profile.id, ada);
    let ids: Vec<_> = (1..=12_000).map(OrganizationId).collect();
    let counts = db.organizations().count_members(&ids).await.unwrap();
    assert_eq!(counts.len(), 12_000);
}

#[tokio::test]
async fn every_attempt_at_creating_somebody_carries_the_same_key() {
    let user = json!({"id": 7, "username": "ada-1", "date_joined": "2025-01-01T00:00:00Z"});
    let peer = StandIn::start([
        Act::Half,
        Act::status(503),
        Act::gateway(&json!({"user": user, "created": true})),
    ])
    .await;
    let users = RemoteUserService::new(client(&peer.url));
    let new = NewUser {
        email: Email::parse("ada@example.com", &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    };
    let result = users.get_or_create_by_email(&new).await.unwrap();
    assert!(result.created);
    let keys = || {
        let asked = peer.asked();
        let key = |json: serde_json::Value| {
            let key = &json["meta"]["user_gateway"]["idempotency_key"];
            key.as_str().unwrap().to_owned()
        };
        asked
            .iter()
            .map(|asked| key(asked.json()))
            .collect::<Vec<_>>()
    };
    assert_eq!(keys().len(), 3);
    assert!(
        keys()
            .iter()
            .all(|key| key.len() == 32 && *key == keys()[0])
    );
    users.get_or_create_by_email(&new).await.unwrap();
    assert_ne!(keys()[3], keys()[0]);
}

#[tokio::test]
async fn a_region_is_told_of_a_change_by_its_name_and_the_user() {
    let change = Change {
        user_id: UserId(42),
    };
    let keys = |peer: &StandIn| -> Vec<serde_json::Value> {
        peer.asked()
            .iter()
            .map(|asked| asked.json()["args"].clone())
            .collect()
    };
    let cleared = |function: &str| {
        json!({
            "cell_name": "us",
            "region_name": "us",
            "key": format!("user_service.{function}:42"),
        })
    };
    // A gateway forgets everything of the user at once.
    let gateway = StandIn::start([Act::gateway(&json!(1))]).await;
    let delivery = RegionDelivery::new(client(&gateway.url), "us".to_owned());
    delivery.deliver(change).await.unwrap();
    assert_eq!(keys(&gateway), [cleared("get_many_by_id")]);
    assert_eq!(
        gateway.asked()[0].path,
        "/api/0/internal/rpc/region_caching/clear_key/"
    );

    let sentry = StandIn::start([Act::sentry(&json!(1))]).await;
    let delivery = RegionDelivery::new(client(&sentry.url), "us".to_owned());
    delivery.deliver(change).await.unwrap();
    assert_eq!(
        keys(&sentry),
        [cleared("get_many_by_id"), cleared("get_user")]
    );

    // Neither is told if only one of two keys is cleared.
    let failing = StandIn::start([Act::sentry(&json!(1)), Act::status(500)]).await;
    let delivery = RegionDelivery::new(client(&failing.url), "us".to_owned());
    assert!(delivery.deliver(change).await.is_err());
}

#[tokio::test]
async fn an_upgrade_of_a_peer_is_noticed_without_another_call() {
    let clock = Arc::new(MockClock::default());
    let peer = StandIn::start([Act::status(404)]).await;
    let client = client_with(&peer.url, config(), Arc::clone(&clock) as Arc<dyn Clock>);
    let users = RemoteUserService::new(client.clone());
    let code = async || users.get_roles(&[UserId(1)]).await.err().map(|e| e.code());
    assert_eq!(code().await, Some(Code::NotSupported));
    assert_eq!(client.peer(), Peer::Sentry);

    peer.change(Act::gateway(&json!([])));
    assert_eq!(code().await, Some(Code::NotSupported));
    assert_eq!(peer.asked().len(), 1);
    clock.set(clock.now() + TimeDelta::minutes(1));
    assert_eq!(code().await, None);
    assert_eq!(client.peer(), Peer::Gateway);
}

#[tokio::test]
async fn an_answer_to_a_filter_that_was_not_understood_is_not_trusted() {
    // The first answer only shows that it is a gateway.
    let peer = StandIn::start([Act::gateway(&json!([])), Act::gateway(&json!([1]))]).await;
    let users = RemoteUserService::new(client(&peer.url));
    let filter = UserFilter {
        usernames: Some(vec!["ada".to_owned()]),
        ..UserFilter::ids(&[UserId(1), UserId(2)])
    };
    assert_eq!(users.get_many_ids(&filter).await.unwrap(), [UserId(1)]);

    // The gateway is replaced; its successor drops the condition and finds both.
    let ada = json!({"id": 1, "username": "ada", "date_joined": "2025-01-01T00:00:00Z"});
    let grace = json!({"id": 2, "username": "grace", "date_joined": "2025-01-01T00:00:00Z"});
    peer.script([
        Act::sentry(&json!([1, 2])),
        Act::sentry(&json!([ada, grace])),
    ]);
    assert_eq!(users.get_many_ids(&filter).await.unwrap(), [UserId(1)]);
    let asked = peer.asked().pop().unwrap();
    assert_eq!(asked.path, "/api/0/internal/rpc/user/get_many/");
    assert_eq!(asked.json()["args"]["filter"], json!({"user_ids": [1, 2]}));
}

#[tokio::test]
async fn a_peer_that_does_not_understand_is_asked_again_what_it_is() {
    let peer = StandIn::start([Act::gateway(&json!([]))]).await;
    let client = client(&peer.url);
    let users = RemoteUserService::new(client.clone());
    users.get_many_ids(&UserFilter::ids(&[])).await.unwrap();
    peer.change(Act::status(400));
    users.get_many_ids(&UserFilter::ids(&[])).await.unwrap_err();
    assert_eq!(client.peer(), Peer::Unknown);
}
