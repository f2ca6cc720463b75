//! `user`, and every field of a user.

use serde_json::json;
use user_gateway::domain::UserId;

use super::{ada, assert_outcomes, assert_variable_outcomes};
use crate::harness::Engine;

on_each_engine! {
    every_field_of_a_user_is_read
    a_fresh_account_has_nothing_but_its_name
    both_forms_of_an_id_name_a_user
    a_user_who_is_absent_is_null
    what_is_no_id_of_a_user_is_refused
    ids_in_variables_are_texts_or_whole_numbers
    options_of_another_scope_are_asked_for_by_it
    a_wrong_scope_of_options_is_refused
    the_name_to_show_is_the_first_that_is_not_empty
}

#[expect(clippy::too_many_lines, reason = "most of them are a table")]
async fn every_field_of_a_user_is_read(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let id = UserId(1);
    let update = "UPDATE auth_user SET first_name = 'Ada Lovelace', flags = 1, is_superuser = true, \
                  last_active = '2025-06-01 12:30:00.25+00:00', avatar_url = 'https://a.example/a.png'";
    database.execute(update).await;
    database.add_email(id, "second@example.com", false).await;
    database.add_authenticator(id, 0, "{}").await;
    database.add_authenticator(id, 1, "{}").await;
    let organization = database.add_organization(7, "us", Some(0)).await;
    database.join(id, organization).await;
    let provider = database.add_provider(organization).await;
    database.add_identity(id, provider, "ada@idp").await;
    let role = database
        .add_role("support", &["users.view", "broadcasts.admin"])
        .await;
    database.give_role(id, role).await;
    let grant = "INSERT INTO sentry_userpermission (user_id, permission) VALUES (1, 'users.view'), \
                 (1, 'audit')";
    database.execute(grant).await;
    database.add_avatar(id, 1, Some(9)).await;
    database
        .add_option(id, (None, None), "theme", r#""dark""#)
        .await;
    let answer = gateway
        .ask(
            &token,
            r#"{ user(id: "User:1") {
                id databaseId username name displayName avatar { type ident url }
                isActive isSuperuser isStaff isSentryApp isUnclaimed dateJoined lastActive
                organizations { id databaseId slug name status regionName dateCreated
                    flags { earlyAdopter require2FA } }
                email emails { databaseId email isVerified }
                identities { databaseId ident provider organization { slug }
                    dateAdded lastVerified lastSynced }
                authenticators { databaseId kind isBackup createdAt lastUsedAt }
                hasTwoFactor roles permissions flags { newsletterConsentPrompt }
                options { id key value project organization { id } user { username } }
                option(key: "theme") nothing: option(key: "other")
            } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "user": {
            "id": "User:1",
            "databaseId": "1",
            "username": "ada",
            "name": "Ada Lovelace",
            "displayName": "Ada Lovelace",
            "avatar": { "type": "UPLOAD", "ident": "ident-1", "url": "https://a.example/a.png" },
            "isActive": true,
            "isSuperuser": true,
            "isStaff": false,
            "isSentryApp": false,
            "isUnclaimed": false,
            "dateJoined": "2025-01-01T00:00:00Z",
            "lastActive": "2025-06-01T12:30:00.250Z",
            "organizations": [{
                "id": "Organization:7",
                "databaseId": "7",
                "slug": "org-7",
                "name": "Organization 7",
                "status": "ACTIVE",
                "regionName": "us",
                "dateCreated": "2025-01-01T00:00:00Z",
                "flags": { "earlyAdopter": false, "require2FA": false },
            }],
            "email": "ada@example.com",
            "emails": [
                { "databaseId": "1", "email": "ada@example.com", "isVerified": true },
                { "databaseId": "2", "email": "second@example.com", "isVerified": false },
            ],
            "identities": [{
                "databaseId": "1",
                "ident": "ada@idp",
                "provider": "okta",
                "organization": { "slug": "org-7" },
                "dateAdded": "2025-01-01T00:00:00Z",
                "lastVerified": "2025-01-02T00:00:00Z",
                "lastSynced": "2025-01-03T00:00:00Z",
            }],
            "authenticators": [
                { "databaseId": "1", "kind": "RECOVERY", "isBackup": true,
                  "createdAt": "2025-01-01T00:00:00Z", "lastUsedAt": null },
                { "databaseId": "2", "kind": "TOTP", "isBackup": false,
                  "createdAt": "2025-01-01T00:00:00Z", "lastUsedAt": null },
            ],
            "hasTwoFactor": true,
            "roles": ["support"],
            "permissions": ["audit", "broadcasts.admin", "users.view"],
            "flags": { "newsletterConsentPrompt": true },
            "options": [{
                "id": "UserOption:1",
                "key": "theme",
                "value": "dark",
                "project": null,
                "organization": null,
                "user": { "username": "ada" },
            }],
            "option": "dark",
            "nothing": null,
        } } })
    );
}

async fn a_fresh_account_has_nothing_but_its_name(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway
        .database
        .execute("DELETE FROM sentry_useremail")
        .await;
    gateway
        .database
        .execute("UPDATE auth_user SET email = ''")
        .await;
    let answer = gateway
        .ask(
            &token,
            "{ user(id: 1) { name displayName avatar { type ident url } lastActive
                organizations { id } email emails { email } identities { ident }
                authenticators { kind } hasTwoFactor roles permissions options { key } } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "user": {
            "name": "", "displayName": "ada",
            "avatar": { "type": "LETTER_AVATAR", "ident": null, "url": null },
            "lastActive": null, "organizations": [], "email": "", "emails": [], "identities": [],
            "authenticators": [], "hasTwoFactor": false, "roles": [], "permissions": [],
            "options": [],
        } } })
    );
}

async fn both_forms_of_an_id_name_a_user(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ a: user(id: "User:1") { id } b: user(id: "1") { id } c: user(id: 1) { id }
                 d: user(id: "User:0001") { id } }"#,
        )
        .await;
    let user = json!({ "id": "User:1" });
    assert_eq!(
        answer,
        json!({ "data": { "a": user, "b": user, "c": user, "d": user } })
    );
}

async fn a_user_who_is_absent_is_null(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ user(id: "User:9223372036854775807") { id } zero: user(id: 0) { id } }"#,
        )
        .await;
    assert_eq!(answer, json!({ "data": { "user": null, "zero": null } }));
}

async fn what_is_no_id_of_a_user_is_refused(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let long = "9".repeat(50_000);
    let wrong = "executed: BAD_USER_INPUT at id";
    for id in [
        "",
        " ",
        "User:",
        ":1",
        "User",
        "User:x",
        "user:1",
        "USER:1",
        "User:1:2",
        "User::1",
        "-1",
        "User:-1",
        "+1",
        "1.0",
        "1e3",
        "0x1",
        " 1",
        "1 ",
        "User: 1",
        "９",
        "9223372036854775808",
        "Organization:1",
        "UserOption:1",
        "Project:1",
        "😀",
        "%00",
        "' OR 1=1 --",
        &long,
    ] {
        let query = format!("{{ user(id: {}) {{ id }} }}", json!(id));
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(super::outcome(&answer), wrong, "{id}");
        assert_eq!(answer["data"], json!({ "user": null }));
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(
            message.len() < 300 && message.contains("`User:1`"),
            "{message}"
        );
    }
    let cases = [
        ("{ user { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: null) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: true) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: 1.5) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: [1]) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: {id: 1}) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: User) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ user(id: 1, name: \"\") { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (r#"{ user(id: "1\u0000") { id } }"#, "BAD_USER_INPUT"),
        (r#"{ user(id: "\uD800") { id } }"#, "GRAPHQL_PARSE_FAILED"),
        (
            "{ user(id: 99999999999999999999) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
}

async fn ids_in_variables_are_texts_or_whole_numbers(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let query = "query ($id: ID!) { user(id: $id) { id } }";
    for id in [json!("1"), json!(1), json!("User:1")] {
        let answer = gateway.ask_with(&token, query, json!({ "id": id })).await;
        assert_eq!(answer, json!({ "data": { "user": { "id": "User:1" } } }));
    }
    let cases = [
        (json!({}), "BAD_USER_INPUT"),
        (json!({ "id": null }), "BAD_USER_INPUT"),
        (json!({ "id": 1.5 }), "BAD_USER_INPUT"),
        (json!({ "id": true }), "BAD_USER_INPUT"),
        (json!({ "id": ["1"] }), "BAD_USER_INPUT"),
        (json!({ "id": { "id": 1 } }), "BAD_USER_INPUT"),
        (json!({ "id": "1\0" }), "BAD_USER_INPUT"),
        (json!({ "id": -1 }), "executed: BAD_USER_INPUT at id"),
        (json!({ "id": u64::MAX }), "executed: BAD_USER_INPUT at id"),
    ];
    assert_variable_outcomes(&gateway, &token, query, &cases).await;
}

async fn options_of_another_scope_are_asked_for_by_it(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let id = UserId(1);
    for (scope, value) in [
        ((None, None), "1"),
        ((Some(5), None), "2"),
        ((None, Some(6)), "3"),
    ] {
        database.add_option(id, scope, "k", value).await;
    }
    database.add_organization(6, "us", Some(0)).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ user(id: 1) {
                everywhere: option(key: "k") same: option(key: "k", scope: {global: true})
                project: option(key: "k", scope: {projectId: "Project:5"})
                organization: option(key: "k", scope: {organizationId: 6})
                none: option(key: "k", scope: {projectId: 6})
                a: options(filter: {projectId: 5}) { value project organization { id } }
                b: options(filter: {organizationId: 6}) { value project organization { id } }
                c: options(filter: null) { value }
            } }"#,
        )
        .await;
    // She is no member of the organization, and so does not see it.
    assert_eq!(
        answer,
        json!({ "data": { "user": {
            "everywhere": 1, "same": 1, "project": 2, "organization": 3, "none": null,
            "a": [{ "value": 2, "project": "Project:5", "organization": null }],
            "b": [{ "value": 3, "project": null, "organization": null }],
            "c": [{ "value": 1 }],
        } } })
    );
}

async fn a_wrong_scope_of_options_is_refused(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let field =
        |filter: &str| format!("{{ user(id: 1) {{ options(filter: {filter}) {{ key }} }} }}");
    for (filter, expected) in [
        (
            "{global: false}",
            "executed: BAD_USER_INPUT at filter.global",
        ),
        (
            "{projectId: \"User:1\"}",
            "executed: BAD_USER_INPUT at filter.projectId",
        ),
        (
            "{organizationId: \"x\"}",
            "executed: BAD_USER_INPUT at filter.organizationId",
        ),
        ("{}", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{projectId: 1, organizationId: 1}",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{projectId: null}", "GRAPHQL_VALIDATION_FAILED"),
        ("{team: 1}", "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let answer = gateway.ask(&token, &field(filter)).await;
        assert_eq!(super::outcome(&answer), expected, "{filter}");
    }
}

async fn the_name_to_show_is_the_first_that_is_not_empty(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let shown = async || gateway.ask(&token, "{ user(id: 1) { displayName } }").await;
    assert_eq!(
        shown().await["data"]["user"]["displayName"],
        "ada@example.com"
    );
    gateway
        .database
        .execute("UPDATE auth_user SET first_name = 'Ada'")
        .await;
    assert_eq!(shown().await["data"]["user"]["displayName"], "Ada");
    gateway
        .database
        .execute("UPDATE auth_user SET first_name = '', email = ''")
        .await;
    assert_eq!(shown().await["data"]["user"]["displayName"], "ada");
}
