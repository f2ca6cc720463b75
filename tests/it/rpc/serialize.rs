//! Users in the form of Sentry's REST API, over the wire.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::Control;
use super::read::with;

#[tokio::test]
async fn the_api_shows_a_user_to_somebody() {
    let control = Control::start().await;
    let db = &control.db;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let shown = async |args: Value| {
        let filter = json!({ "filter": { "user_ids": [ada] } });
        let mut users = control
            .value("user/serialize_many", with(filter, args))
            .await;
        users[0].take()
    };
    let nobody = shown(json!({})).await;
    let expected = json!({
        "id": ada.to_string(),
        "name": "ada@example.com",
        "username": "ada",
        "email": "ada@example.com",
        "avatarUrl": nobody["avatarUrl"],
        "isActive": true,
        "hasPasswordAuth": true,
        "isManaged": false,
        "dateJoined": "2025-01-01T00:00:00Z",
        "lastLogin": null,
        "lastActive": null,
        "isSuperuser": false,
        "isStaff": false,
        "isSuspended": false,
        "experiments": {},
        "has2fa": false,
        "emails": [],
        "avatar": { "avatarType": "letter_avatar", "avatarUuid": null, "avatarUrl": null },
    });
    assert_eq!(nobody, expected);
    assert_eq!(
        shown(json!({ "serializer": "0", "as_user": null })).await,
        expected
    );

    let user = async |id: UserId| {
        let args = json!({ "filter": { "user_ids": [id] } });
        control.value("user/get_many", args).await[0].take()
    };
    let own = shown(json!({ "as_user": user(ada).await })).await;
    assert_eq!(own["emails"].as_array().unwrap().len(), 1);
    assert!(own["options"].is_object() && own["identities"].is_array());
    let context = json!({ "auth": null, "user": user(ada).await });
    assert_eq!(shown(json!({ "auth_context": context })).await, own);
    let both = json!({ "auth_context": context, "as_user": user(grace).await });
    assert_eq!(shown(both).await, expected);

    let detailed = shown(json!({ "serializer": 1 })).await;
    assert_eq!(detailed["canReset2fa"], false);
    let full = shown(json!({ "serializer": 2, "as_user": user(ada).await })).await;
    assert_eq!(full["permissions"], json!([]));
    let unfit = json!({ "filter": {}, "serializer": 0 });
    control
        .call("user/serialize_many", unfit)
        .await
        .is_invalid();
}
