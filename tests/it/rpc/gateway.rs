//! What gateways ask each other, to the last field.

use serde_json::{Value, json};
use user_gateway::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore as _, TokenText};
use user_gateway::domain::UserId;

use super::Control;
use super::read::with;
use crate::harness::at;

/// The account row of somebody whom `add_user` has added.
fn account(id: UserId, username: &str) -> Value {
    json!({
        "id": id,
        "username": username,
        "name": "",
        "email": format!("{username}@example.com"),
        "is_active": true,
        "is_superuser": false,
        "is_staff": false,
        "is_unclaimed": false,
        "is_sentry_app": false,
        "password_usable": true,
        "is_password_expired": false,
        "date_joined": "2025-01-01T00:00:00Z",
        "last_active": null,
        "flags": { "newsletter_consent_prompt": false },
        "avatar_url": null,
        "session_nonce": null,
    })
}

fn organization(id: i64, region: &str) -> Value {
    json!({
        "id": id,
        "slug": format!("org-{id}"),
        "name": format!("Organization {id}"),
        "region_name": region,
        "date_created": "2025-01-01T00:00:00Z",
        "customer_id": null,
        "status": 0,
        "flags": {
            "early_adopter": false,
            "require_2fa": false,
            "allow_joinleave": false,
            "enhanced_privacy": false,
            "disable_shared_issues": false,
            "disable_new_visibility_features": false,
            "disable_member_project_creation": false,
            "prevent_superuser_access": false,
            "disable_member_invite": false,
        },
    })
}

fn first(size: u32) -> Value {
    json!({ "after": null, "before": null, "end": "first", "size": size })
}

#[tokio::test]
async fn users_come_in_pages() {
    let control = Control::start().await;
    let [ada, grace, linus] = control.db.add_users(["ada", "grace", "linus"]).await;
    let page = async |members: Value| {
        let args = json!({
            "filter": {},
            "order": { "field": "username", "direction": "descending" },
            "page": first(2),
            "viewer": "all",
        });
        control
            .told("user_gateway/page_users", with(args, members))
            .await
    };
    let expected = json!({
        "rows": [account(linus, "linus"), account(grace, "grace")],
        "has_next": true,
        "has_previous": false,
    });
    assert_eq!(page(json!({})).await, expected);
    let after = json!({ "value": { "username": "grace" }, "id": grace });
    let rest = with(first(2), json!({ "after": after }));
    let expected =
        json!({ "rows": [account(ada, "ada")], "has_next": false, "has_previous": true });
    assert_eq!(page(json!({ "page": rest })).await, expected);

    let order = json!({ "field": "date_joined", "direction": "ascending" });
    let before = json!({ "value": { "date_joined": "2025-01-01T00:00:00Z" }, "id": linus });
    let last = json!({ "after": null, "before": before, "end": "last", "size": 1 });
    let found = page(json!({ "order": order, "page": last })).await;
    assert_eq!(found["rows"], json!([account(grace, "grace")]));

    for (viewer, count) in [
        (json!("all"), 3),
        (json!({ "public": null }), 3),
        (json!({ "public": ada }), 3),
        (json!({ "member": ada }), 1),
        (json!({ "alone": ada }), 1),
    ] {
        let found = page(json!({ "viewer": viewer, "page": first(9) })).await;
        assert_eq!(found["rows"].as_array().unwrap().len(), count, "{viewer}");
        let args = json!({ "filter": {}, "viewer": viewer });
        let counted = control.told("user_gateway/count_users", args).await;
        assert_eq!(counted, json!(count), "{viewer}");
    }
    let filter = json!({ "query": "LIN", "query_usernames": true });
    let found = page(json!({ "filter": filter })).await;
    assert_eq!(found["rows"], json!([account(linus, "linus")]));
    let nobody = json!({ "is_active": null });
    let found = page(json!({ "filter": nobody })).await;
    assert_eq!(
        found,
        json!({ "rows": [], "has_next": false, "has_previous": false })
    );
    let args = json!({ "filter": nobody, "viewer": "all" });
    assert_eq!(
        control.told("user_gateway/count_users", args).await,
        json!(0)
    );
}

#[tokio::test]
async fn identities_and_roles_are_told_of() {
    let control = Control::start().await;
    let db = &control.db;
    let ada = db.add_user("ada").await;
    let organization = db.add_organization(7, "us", Some(0)).await;
    let provider = db.add_provider(organization).await;
    let identity = db.add_identity(ada, provider, "ada@okta").await;
    let role = db.add_role("support", &["users.admin", "a"]).await;
    db.give_role(ada, role).await;
    let args = json!({ "user_ids": [ada, "404"] });
    let expected = json!([{
        "id": identity,
        "user_id": ada,
        "ident": "ada@okta",
        "provider": { "id": provider, "provider": "okta", "organization_id": 7 },
        "date_added": "2025-01-01T00:00:00Z",
        "last_verified": "2025-01-02T00:00:00Z",
        "last_synced": "2025-01-03T00:00:00Z",
    }]);
    assert_eq!(
        control
            .told("user_gateway/get_identities", args.clone())
            .await,
        expected
    );
    let expected = json!([[ada, { "name": "support", "permissions": ["users.admin", "a"] }]]);
    assert_eq!(control.told("user_gateway/get_roles", args).await, expected);
}

#[tokio::test]
async fn a_user_is_changed_in_every_way() {
    let control = Control::start().await;
    let [ada, _] = control.db.add_users(["ada", "grace"]).await;
    let method = "user_gateway/update_user";
    let update = |attrs: Value| json!({ "user_id": ada, "attrs": attrs });
    let attrs = json!({
        "name": "Ada Lovelace",
        "username": "countess",
        "is_active": false,
        "avatar_type": 2,
        "avatar_url": "https://example.com/ada.png",
    });
    let changed = json!({
        "name": "Ada Lovelace",
        "username": "countess",
        "is_active": false,
        "avatar_url": "https://example.com/ada.png",
    });
    let expected = with(account(ada, "ada"), changed);
    assert_eq!(control.told(method, update(attrs)).await, expected);
    assert_eq!(control.told(method, update(json!({}))).await, expected);
    let expected = with(expected, json!({ "avatar_url": null }));
    assert_eq!(
        control
            .told(method, update(json!({ "avatar_url": null })))
            .await,
        expected
    );
    let nobody = json!({ "user_id": 404, "attrs": { "name": "x" } });
    assert_eq!(control.told(method, nobody).await, json!(null));
    for (attrs, argument, invalid_code) in [
        (json!({ "username": "grace" }), "username", "TAKEN"),
        (json!({ "username": "" }), "username", "REQUIRED"),
        (json!({ "name": "x".repeat(201) }), "name", "TOO_LONG"),
        (
            json!({ "avatar_url": "nowhere" }),
            "avatarUrl",
            "INVALID_FORMAT",
        ),
    ] {
        let answer = control.call_as_gateway(method, update(attrs)).await;
        assert_eq!(answer.status, 422);
        let told = answer.json();
        assert_eq!(told["code"], "BAD_USER_INPUT");
        assert_eq!(told["argument"], json!([argument]));
        assert_eq!(told["invalid_code"], invalid_code);
    }
}

#[tokio::test]
async fn options_are_told_of_whatever_their_scope() {
    let control = Control::start().await;
    let db = &control.db;
    let ada = db.add_user("ada").await;
    let pickled = db.add_option(ada, (Some(5), None), "old", "gAJYBA==").await;
    let set = json!({ "user_id": ada, "key": "theme", "value": "dark", "organization_id": 7 });
    let option = |id: i64| {
        json!({
            "id": id,
            "user_id": ada,
            "key": "theme",
            "value": { "json": "dark" },
            "scope": { "project_id": null, "organization_id": 7 },
        })
    };
    let method = "user_gateway/set_user_option";
    let result = control.told(method, set.clone()).await;
    let id = result["option"]["id"].as_i64().unwrap();
    assert_eq!(result, json!({ "option": option(id), "changed": true }));
    let result = control.told(method, set).await;
    assert_eq!(result, json!({ "option": option(id), "changed": false }));

    let old = json!({
        "id": pickled,
        "user_id": ada,
        "key": "old",
        "value": "unreadable",
        "scope": { "project_id": 5, "organization_id": null },
    });
    let args = json!({ "user_ids": [ada] });
    let all = control
        .told("user_gateway/get_all_user_options", args)
        .await;
    assert_eq!(all, json!([old, option(id)]));
    let args = json!({ "option_ids": [id, 404] });
    let found = control
        .told("user_gateway/get_user_options_by_id", args.clone())
        .await;
    assert_eq!(found, json!([option(id)]));
    let method = "user_gateway/delete_user_options";
    assert_eq!(control.told(method, args.clone()).await, json!([id]));
    assert_eq!(control.told(method, args).await, json!([]));
}

#[tokio::test]
async fn organizations_and_members_are_told_of() {
    let control = Control::start().await;
    let db = &control.db;
    let [ada, grace, linus] = db.add_users(["ada", "grace", "linus"]).await;
    let ours = db.add_organization(7, "us", Some(0)).await;
    let theirs = db.add_organization(8, "de", Some(0)).await;
    db.add_organization(9, "de", Some(1)).await;
    db.join(ada, ours).await;
    db.join(grace, ours).await;
    db.join(linus, theirs).await;
    db.add_membership(theirs, Some(ada), "member", Some(1))
        .await;
    let told = async |method: &str, args: Value| {
        control.told(&format!("user_gateway/{method}"), args).await
    };
    let membership =
        |user, id, region| json!({ "user_id": user, "organization": organization(id, region) });
    let args = json!({ "user_ids": [ada, linus], "only_visible": true });
    let expected = json!([
        membership(ada, 7, "us"),
        membership(ada, 8, "de"),
        membership(linus, 8, "de")
    ]);
    assert_eq!(told("get_memberships", args).await, expected);
    let args = json!({ "organization_ids": [8, 7, 404] });
    let expected = json!([organization(7, "us"), organization(8, "de")]);
    assert_eq!(told("get_organizations_by_id", args).await, expected);
    let found = told("get_organization_by_slug", json!({ "slug": "org-9" })).await;
    assert_eq!(found, with(organization(9, "de"), json!({ "status": 1 })));
    let found = told("get_organization_by_slug", json!({ "slug": "nothing" })).await;
    assert_eq!(found, json!(null));

    let args = json!({ "organization_ids": [7, 8], "page": first(1) });
    let member = |id, name| json!({ "user": account(id, name), "role": "member", "date_added": "2025-01-01T00:00:00Z" });
    let expected = json!([
        [7, { "rows": [member(ada, "ada")], "has_next": true, "has_previous": false }],
        [8, { "rows": [member(linus, "linus")], "has_next": false, "has_previous": false }],
    ]);
    assert_eq!(told("get_members", args).await, expected);
    let args = json!({ "organization_ids": [7, 8] });
    assert_eq!(told("count_members", args).await, json!([[7, 2], [8, 1]]));
    assert_eq!(
        told("get_joined", json!({ "user_id": ada })).await,
        json!([7])
    );
    let args = json!({ "user_id": ada, "others": [grace, linus] });
    assert_eq!(told("get_colleagues", args).await, json!([grace]));
}

#[tokio::test]
async fn tokens_are_found_by_their_hash() {
    let control = Control::start().await;
    let db = &control.db;
    let ada = db.add_user("ada").await;
    let mut hashes = Vec::new();
    for (kind, owner, expires_at) in [
        (
            TokenKind::User,
            NewTokenOwner::User(ada),
            Some(at("2026-01-02T03:04:05Z")),
        ),
        (
            TokenKind::Service,
            NewTokenOwner::Service("billing".to_owned()),
            None,
        ),
    ] {
        let text = TokenText::generate(kind);
        hashes.push(text.hash());
        let scopes = Scopes::new(["user:read", "org:read"]);
        let token = NewToken {
            text,
            owner,
            scopes,
            expires_at,
        };
        db.database().create(&token).await.unwrap();
    }
    let found = async |hash: &str, kind: &str| {
        let args = json!({ "hash": hash, "kind": kind });
        control.told("user_gateway/find_token", args).await
    };
    let user = json!({
        "id": ada,
        "is_active": true,
        "is_superuser": false,
        "is_staff": false,
        "application_is_active": true,
    });
    let expected = json!({
        "owner": { "user": user },
        "scopes": ["org:read", "user:read"],
        "expires_at": "2026-01-02T03:04:05Z",
    });
    assert_eq!(found(&hashes[0], "user").await, expected);
    let expected = json!({
        "owner": { "service": "billing" },
        "scopes": ["org:read", "user:read"],
        "expires_at": null,
    });
    assert_eq!(found(&hashes[1], "service").await, expected);
    assert_eq!(found(&hashes[0], "service").await, json!(null));
    assert_eq!(found(&"0".repeat(64), "user").await, json!(null));

    let method = "user_gateway/find_token_owner";
    for subject in [json!({ "id": ada }), json!({ "email": "ADA@example.com" })] {
        let owner = control.told(method, json!({ "subject": subject })).await;
        assert_eq!(owner, json!({ "user": user }));
    }
    let nobody = json!({ "subject": { "id": 404 } });
    assert_eq!(control.told(method, nobody).await, json!(null));
}

#[tokio::test]
async fn tokens_are_not_looked_up_where_there_are_none() {
    let control = Control::with(|server| server.tokens = None).await;
    let args = json!({ "hash": "0", "kind": "user" });
    let answer = control
        .call_as_gateway("user_gateway/find_token", args)
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["code"], "NOT_SUPPORTED");
}
