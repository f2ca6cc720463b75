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

#[tokio::test]
async fn organizations_are_told_of_as_sentry_maps_them() {
    let control = Control::start().await;
    let db = &control.db;
    let ada = db.add_user("ada").await;
    for (id, region, status) in [(7, "us", Some(0)), (8, "de", Some(1)), (9, "us", None)] {
        let organization = db.add_organization(id, region, status).await;
        db.add_membership(organization, Some(ada), "member", Some(1))
            .await;
    }
    db.execute(
        "UPDATE sentry_organizationmapping SET require_2fa = true, customer_id = 'c' \
         WHERE organization_id = 7",
    )
    .await;
    let flags = json!({
        "early_adopter": false,
        "require_2fa": true,
        "allow_joinleave": false,
        "enhanced_privacy": false,
        "disable_shared_issues": false,
        "disable_new_visibility_features": false,
        "disable_member_project_creation": false,
        "prevent_superuser_access": false,
        "disable_member_invite": false,
    });
    let first = json!({
        "id": 7,
        "slug": "org-7",
        "name": "Organization 7",
        "region_name": "us",
        "date_created": "2025-01-01T00:00:00Z",
        "verified": false,
        "customer_id": "c",
        "status": 0,
        "flags": flags,
    });
    let method = "user/get_organizations";
    let args = json!({ "user_id": ada, "only_visible": true });
    assert_eq!(control.value(method, args.clone()).await, json!([first]));
    assert_eq!(control.told(method, args).await, json!([first]));
    let all = control.value(method, json!({ "user_id": ada })).await;
    let statuses: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|o| &o["status"])
        .collect();
    assert_eq!(json!(statuses), json!([0, 1, null]));
    for nobody in [json!(null), json!(404)] {
        assert_eq!(
            control.value(method, json!({ "user_id": nobody })).await,
            json!([])
        );
    }
    for method in ["user/get_member_cell_names", "user/get_member_region_names"] {
        let names = control.value(method, json!({ "user_id": ada })).await;
        assert_eq!(names, json!(["de", "us"]), "{method}");
    }
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

#[tokio::test]
async fn hints_point_to_a_member() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    let organization = control.db.add_organization(7, "us", Some(0)).await;
    control.db.join(ada, organization).await;
    let method = "user/resolve_fuzzy_user";
    for (args, expected) in [
        (
            json!({ "organization_id": 7, "email": "ada@other.example" }),
            json!(ada),
        ),
        (
            json!({ "organization_id": 7, "email": null, "name": "Ada Lovelace" }),
            json!(null),
        ),
        (
            json!({ "organization_id": 8, "email": "ada@other.example" }),
            json!(null),
        ),
        (json!({ "organization_id": 7 }), json!(null)),
    ] {
        assert_eq!(control.value(method, args).await, expected);
    }
}

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
