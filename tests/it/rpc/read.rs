//! Methods that read users: what stands in an answer, to the last field.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::Control;
use crate::harness::{Account, TestDatabase};

/// The account row of somebody whom `add_user` has added.
pub(super) fn profile(id: UserId, username: &str) -> Value {
    let email = format!("{username}@example.com");
    json!({
        "id": id,
        "pk": id,
        "name": "",
        "email": email,
        "username": username,
        "actor_id": null,
        "display_name": email,
        "label": email,
        "is_superuser": false,
        "is_authenticated": true,
        "is_anonymous": false,
        "is_active": true,
        "is_staff": false,
        "is_unclaimed": false,
        "last_active": null,
        "is_sentry_app": false,
        "password_usable": true,
        "is_password_expired": false,
        "session_nonce": null,
    })
}

/// What a gateway is told beyond that.
fn told_profile(id: UserId, username: &str) -> Value {
    with(
        profile(id, username),
        json!({ "date_joined": "2025-01-01T00:00:00Z", "flags": 0, "avatar_url": null }),
    )
}

/// An object with the members of another.
pub(super) fn with(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else {
        panic!("{members} is no object");
    };
    object.as_object_mut().unwrap().extend(members);
    object
}

/// A user of whom Sentry tells little.
pub(super) fn incomplete(profile: Value, emails: &[&str]) -> Value {
    let parts = json!({
        "roles": [],
        "permissions": [],
        "avatar": null,
        "emails": emails,
        "useremails": [],
        "authenticators": [],
    });
    with(profile, parts)
}

/// Adds a user with something of everything, and says what of it stands in an answer.
async fn add_everything(db: &TestDatabase) -> (UserId, Value) {
    let ada = db.add_user("ada").await;
    let second = db.add_email(ada, "ada@work.example", false).await;
    let recovery = db.add_authenticator(ada, 0, r#"{"codes": ["1"]}"#).await;
    let totp = db.add_authenticator(ada, 1, r#"{"secret": "s"}"#).await;
    db.execute(&format!(
        "UPDATE auth_authenticator SET last_used_at = '2025-02-03T04:05:06.700000+00:00' \
         WHERE id = {totp}"
    ))
    .await;
    for (name, permissions) in [
        ("one", &["a", "b"][..]),
        ("two", &["b", "c", "d"]),
        ("no", &[]),
    ] {
        let role = db.add_role(name, permissions).await;
        db.give_role(ada, role).await;
    }
    db.users().add_permission(ada, "users.admin").await.unwrap();
    db.add_avatar(ada, 1, Some(77)).await;
    let primary = db.number("SELECT MIN(id) FROM sentry_useremail").await;
    let parts = json!({
        "roles": ["a", "b", "c", "d"],
        "permissions": ["users.admin"],
        "avatar": { "id": 1, "file_id": 77, "ident": "ident-1", "avatar_type": "upload" },
        "emails": ["ada@example.com"],
        "useremails": [
            { "id": primary, "email": "ada@example.com", "is_verified": true },
            { "id": second, "email": "ada@work.example", "is_verified": false },
        ],
        "authenticators": [
            {
                "id": recovery,
                "user_id": ada,
                "created_at": "2025-01-01T00:00:00Z",
                "last_used_at": null,
                "type": 0,
                "config": { "codes": ["1"] },
            },
            {
                "id": totp,
                "user_id": ada,
                "created_at": "2025-01-01T00:00:00Z",
                "last_used_at": "2025-02-03T04:05:06.700000Z",
                "type": 1,
                "config": { "secret": "s" },
            },
        ],
    });
    (ada, parts)
}

#[tokio::test]
async fn a_whole_user_has_every_field_of_sentrys() {
    let control = Control::start().await;
    let (ada, parts) = add_everything(&control.db).await;
    let args = json!({ "filter": { "user_ids": [ada] } });
    let expected = with(profile(ada, "ada"), parts.clone());
    assert_eq!(
        control.value("user/get_many", args.clone()).await,
        json!([expected])
    );
    let expected = with(told_profile(ada, "ada"), parts);
    assert_eq!(control.told("user/get_many", args).await, json!([expected]));
}

#[tokio::test]
async fn an_answer_has_no_white_space_and_its_letters_as_they_are() {
    let control = Control::start().await;
    let account = Account {
        username: "jörg",
        ..Account::default()
    };
    control.db.add(account).await;
    let answer = control
        .signed(
            "user/get_existing_usernames",
            r#"{"meta": {}, "args": {"usernames": ["j\u00f6rg", "nobody"]}}"#,
        )
        .await;
    assert_eq!(answer.text(), r#"{"meta":{},"value":["jörg"]}"#);
}

#[tokio::test]
async fn an_account_row_is_what_its_columns_say() {
    let control = Control::start().await;
    let db = &control.db;
    let odd = Account {
        username: "odd",
        name: "Odd Name",
        password: "!unusable",
        is_active: false,
        is_superuser: true,
        is_staff: true,
        ..Account::default()
    };
    let odd = db.add(odd).await;
    db.execute(
        "UPDATE auth_user SET is_unclaimed = true, is_sentry_app = true, \
         is_password_expired = true, session_nonce = 'nonce', flags = 1, \
         last_active = '2025-02-03T04:05:06.007000+00:00', avatar_url = 'https://x.example/y'",
    )
    .await;
    let bare = db
        .add(Account {
            username: "",
            password: "",
            ..Account::default()
        })
        .await;
    let args = json!({ "filter": { "user_ids": [odd, bare] } });
    let of_odd = json!({
        "id": odd,
        "pk": odd,
        "name": "Odd Name",
        "email": "",
        "username": "odd",
        "actor_id": null,
        "display_name": "Odd Name",
        "label": "odd",
        "is_superuser": true,
        "is_authenticated": true,
        "is_anonymous": false,
        "is_active": false,
        "is_staff": true,
        "is_unclaimed": true,
        "last_active": "2025-02-03T04:05:06.007000Z",
        "is_sentry_app": true,
        "password_usable": false,
        "is_password_expired": true,
        "session_nonce": "nonce",
    });
    let of_bare = with(
        profile(bare, ""),
        json!({
            "email": "",
            "display_name": "",
            "label": bare.to_string(),
            "password_usable": false,
        }),
    );
    let method = "user/get_many_profiles";
    assert_eq!(
        control.value(method, args.clone()).await,
        json!([of_odd, of_bare])
    );
    let more = json!({
        "date_joined": "2025-01-01T00:00:00Z",
        "flags": 1,
        "avatar_url": "https://x.example/y",
    });
    assert_eq!(control.told(method, args).await[0], with(of_odd, more));
}

#[tokio::test]
async fn a_user_found_by_an_address_carries_that_address() {
    let control = Control::start().await;
    let (ada, parts) = add_everything(&control.db).await;
    let method = "user/get_many_by_email";
    let args = json!({
        "emails": ["ADA@work.example", "Ada@Example.com"],
        "is_active": true,
        "is_verified": false,
        "organization_id": null,
    });
    let primary = with(profile(ada, "ada"), parts.clone());
    let second = with(primary.clone(), json!({ "email": "ada@work.example" }));
    assert_eq!(
        control.value(method, args.clone()).await,
        json!([primary, second])
    );

    let primary = with(told_profile(ada, "ada"), parts);
    let primary = with(primary, json!({ "primary_email": "ada@example.com" }));
    let second = with(primary.clone(), json!({ "email": "ada@work.example" }));
    assert_eq!(control.told(method, args).await, json!([primary, second]));

    // The defaults are active users and verified addresses.
    for (args, count) in [
        (
            json!({ "emails": ["ada@example.com", "ada@work.example"] }),
            1,
        ),
        (
            json!({ "emails": ["ada@example.com"], "organization_id": 7 }),
            0,
        ),
        (json!({ "emails": [] }), 0),
    ] {
        let found = control.value(method, args).await;
        assert_eq!(found.as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn users_are_found_by_username_or_else_by_primary_address() {
    let control = Control::start().await;
    let db = &control.db;
    let ada = db.add_user("ada").await;
    let unusable = Account {
        username: "nopass",
        password: "!",
        is_active: false,
        ..Account::default()
    };
    let unusable = db.add(unusable).await;
    let ids = async |args: Value| -> Vec<UserId> {
        let users = control.value("user/get_by_username", args).await;
        let users = users.as_array().unwrap().iter();
        users
            .map(|user| UserId(user["id"].as_i64().unwrap()))
            .collect()
    };
    assert_eq!(ids(json!({ "username": "ADA" })).await, [ada]);
    assert_eq!(ids(json!({ "username": "Ada@Example.com" })).await, [ada]);
    assert_eq!(ids(json!({ "username": "nobody" })).await, []);
    assert_eq!(ids(json!({ "username": "nopass" })).await, []);
    let any = json!({ "username": "nopass", "with_valid_password": false });
    assert_eq!(ids(any).await, [unusable]);
    let active = json!({ "username": "nopass", "with_valid_password": "no", "is_active": "yes" });
    assert_eq!(ids(active).await, []);
}

#[tokio::test]
async fn single_users_are_told_of_in_part() {
    let control = Control::start().await;
    let db = &control.db;
    let method = "user/get_first_superuser";
    assert_eq!(control.value(method, json!({})).await, json!(null));
    let (ada, parts) = add_everything(db).await;
    db.execute("UPDATE auth_user SET is_superuser = true").await;
    let organization = db.add_organization(7, "us", Some(0)).await;
    db.join(ada, organization).await;
    db.add_social_auth(ada, "github", "1815").await;
    let account = with(profile(ada, "ada"), json!({ "is_superuser": true }));
    let expected = incomplete(account, &["ada@example.com"]);
    let expected = with(expected, json!({ "avatar": parts["avatar"] }));
    let social = json!({ "organization_id": 7, "provider": "github", "uid": "1815" });
    for (method, args) in [
        (method, json!({})),
        (
            "user/get_user_by_email",
            json!({ "email": "ADA@example.com" }),
        ),
        ("user/get_user_by_social_auth", social),
    ] {
        assert_eq!(
            control.value(method, args.clone()).await,
            expected,
            "{method}"
        );
        let more = json!({
            "date_joined": "2025-01-01T00:00:00Z", "flags": 0, "avatar_url": null,
        });
        assert_eq!(
            control.told(method, args).await,
            with(expected.clone(), more),
            "{method}"
        );
    }
    for (method, args) in [
        (
            "user/get_user_by_email",
            json!({ "email": "ada@work.example", "ident": null }),
        ),
        (
            "user/get_user_by_social_auth",
            json!({ "organization_id": 7, "provider": "github", "uid": "1816" }),
        ),
    ] {
        assert_eq!(control.value(method, args).await, json!(null), "{method}");
    }
}

#[tokio::test]
async fn pictures_are_told_of_alone() {
    let control = Control::start().await;
    let [ada, grace] = control.db.add_users(["ada", "grace"]).await;
    control.db.add_avatar(ada, 2, None).await;
    let avatar = async |id: UserId| {
        control
            .value("user/get_user_avatar", json!({ "user_id": id }))
            .await
    };
    let expected =
        json!({ "id": 1, "file_id": null, "ident": "ident-1", "avatar_type": "gravatar" });
    assert_eq!(avatar(ada).await, expected);
    assert_eq!(avatar(grace).await, json!(null));
    assert_eq!(avatar(UserId(404)).await, json!(null));
}
