//! Changes of users that other silos make.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::Control;

#[tokio::test]
async fn a_change_is_shown_to_nobody_in_particular() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    let update = async |attrs: Value| {
        control
            .value(
                "user/update_user",
                json!({ "user_id": ada, "attrs": attrs }),
            )
            .await
    };
    let before = update(json!({})).await;
    assert_eq!(before["id"], ada.to_string());
    assert_eq!(
        (&before["isActive"], &before["emails"]),
        (&json!(true), &json!([]))
    );
    assert!(before.get("options").is_none() && before.get("identities").is_none());
    assert!(control.db.heard.take_changes().is_empty());

    let attrs = json!({ "is_active": "no", "avatar_url": "anything", "actor_id": 3, "name": "x" });
    let after = update(attrs).await;
    let mut expected = before;
    expected["isActive"] = json!(false);
    expected["avatar"]["avatarUrl"] = json!("anything");
    assert_eq!(after, expected);
    assert_eq!(control.db.heard.take_changes(), [ada]);
    let after = update(json!({ "avatar_url": null, "avatar_type": "2" })).await;
    assert_eq!(after["avatar"]["avatarUrl"], json!(null));
    assert_eq!(
        control
            .db
            .number("SELECT CAST(avatar_type AS bigint) FROM auth_user")
            .await,
        2
    );

    for attrs in [
        json!({ "is_active": null }),
        json!({ "avatar_type": null }),
        json!({ "avatar_url": "x".repeat(121) }),
    ] {
        let args = json!({ "user_id": ada, "attrs": attrs });
        control.call("user/update_user", args).await.is_invalid();
    }
    let nobody = json!({ "user_id": 404, "attrs": { "is_active": true } });
    assert_eq!(control.value("user/update_user", nobody).await, json!(null));
}

#[tokio::test]
async fn addresses_are_verified_once() {
    let control = Control::start().await;
    let [ada, grace] = control.db.add_users(["ada", "grace"]).await;
    control.db.add_email(ada, "second@example.com", false).await;
    control
        .db
        .add_email(grace, "second@example.com", false)
        .await;
    let [own, any] = ["user/verify_user_email", "user/verify_any_email"];
    let owned = json!({ "email": "SECOND@example.com", "user_id": grace });
    assert_eq!(control.value(own, owned.clone()).await, json!(true));
    assert_eq!(control.value(own, owned).await, json!(false));
    let stranger = json!({ "email": "ada@example.com", "user_id": grace });
    assert_eq!(control.value(own, stranger).await, json!(false));
    let email = json!({ "email": "second@example.com" });
    assert_eq!(control.value(any, email.clone()).await, json!(true));
    assert_eq!(control.value(any, email).await, json!(false));
    assert_eq!(control.db.heard.take_changes(), [grace, ada]);
}

#[tokio::test]
async fn sessions_end_when_the_nonce_is_flushed() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    for id in [ada, UserId(404)] {
        let value = control
            .value("user/flush_nonce", json!({ "user_id": id }))
            .await;
        assert_eq!(value, json!(null));
    }
    let filter = json!({ "filter": { "user_ids": [ada] } });
    let profiles = control.value("user/get_many_profiles", filter).await;
    assert_eq!(profiles[0]["session_nonce"], "foo");
}

#[tokio::test]
async fn permissions_are_given_and_taken_once() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    let args = json!({ "user_id": ada, "permission": "users.admin" });
    for (method, expected) in [
        ("user/add_permission", true),
        ("user/add_permission", false),
        ("user/remove_permission", true),
        ("user/remove_permission", false),
    ] {
        assert_eq!(
            control.value(method, args.clone()).await,
            json!(expected),
            "{method}"
        );
    }
}

#[tokio::test]
async fn consent_is_asked_for_of_somebody_who_is_there() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    let method = "user/trigger_user_consent_email_if_applicable";
    assert_eq!(
        control.value(method, json!({ "user_id": ada })).await,
        json!(null)
    );
    assert_eq!(control.db.number("SELECT flags FROM auth_user").await, 1);
    control
        .call(method, json!({ "user_id": 404 }))
        .await
        .is_invalid();
}

#[tokio::test]
async fn addresses_are_looked_up_by_user() {
    let control = Control::start().await;
    let [ada, grace] = control.db.add_users(["ada", "grace"]).await;
    control.db.add_email(ada, "second@example.com", false).await;
    let method = "user/verify_user_emails";
    let asked = json!([
        { "user_id": ada, "email": "grace@example.com" },
        { "user_id": ada.to_string(), "email": "SECOND@example.com" },
        { "user_id": grace, "email": "ada@example.com" },
        { "user_id": 404, "email": "ada@example.com" },
    ]);
    let expected = json!({
        "1": { "exists": true, "email": "SECOND@example.com" },
        "2": { "exists": false, "email": "ada@example.com" },
        "404": { "exists": false, "email": "ada@example.com" },
    });
    let args = json!({ "user_id_emails": asked });
    assert_eq!(control.value(method, args.clone()).await, expected);
    assert_eq!(control.told(method, args).await, expected);
    let args = json!({ "user_id_emails": asked, "only_verified": true });
    assert_eq!(control.value(method, args).await["1"]["exists"], false);
}
