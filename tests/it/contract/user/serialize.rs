//! Users in the forms of Sentry's API, and who is shown what.

use serde_json::{Value, json};
use user_gateway::domain::{SerializeRequest, Serializer, UserFilter, UserId};

use crate::harness::{Account, TestDatabase};

async fn serialized(
    db: &TestDatabase,
    id: UserId,
    as_user: Option<UserId>,
    serializer: Serializer,
) -> Value {
    let request = SerializeRequest {
        filter: UserFilter::ids(&[id]),
        as_user,
        serializer,
    };
    let mut users = db.users().serialize_many(&request).await.unwrap();
    assert_eq!(users.len(), 1);
    users.remove(0)
}

async fn standing(db: &TestDatabase, username: &str, superuser: bool, staff: bool) -> UserId {
    let account = Account {
        username,
        is_superuser: superuser,
        is_staff: staff,
        ..Account::default()
    };
    db.add(account).await
}

/// A user with some of everything.
async fn ada(db: &TestDatabase) -> UserId {
    let account = Account {
        username: "ada",
        name: "Ada Lovelace",
        email: "Ada@example.com",
        date_joined: "2025-02-03T04:05:06.120000+00:00",
        ..Account::default()
    };
    let ada = db.add(account).await;
    db.add_email(ada, "Ada@example.com", true).await;
    db.add_email(ada, "second@example.com", false).await;
    db.add_authenticator(ada, 0, "{}").await;
    db.add_authenticator(ada, 1, r#"{"secret": "seed"}"#).await;
    let organization = db.add_organization(7, "us", Some(0)).await;
    db.join(ada, organization).await;
    let provider = db.add_provider(organization).await;
    db.add_identity(ada, provider, "ada-ident").await;
    let role = db.add_role("Support", &["users.admin"]).await;
    db.give_role(ada, role).await;
    db.users()
        .add_permission(ada, "options.admin")
        .await
        .unwrap();
    for (key, value) in [
        ("theme", r#""dark""#),
        ("clock_24_hours", "true"),
        ("stacktrace_order", r#""2""#),
        ("timezone", "null"),
        ("language", r#""""#),
    ] {
        db.add_option(ada, (None, None), key, value).await;
    }
    db.add_option(ada, (Some(42), None), "theme", r#""light""#)
        .await;
    db.execute(&format!("UPDATE auth_user SET flags = 1 WHERE id = {ada}"))
        .await;
    ada
}

fn keys(user: &Value) -> Vec<&str> {
    user.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

contract! {
    async fn a_stranger_is_shown_the_public_form(db: &TestDatabase) {
        let ada = ada(db).await;
        let stranger = standing(db, "stranger", false, false).await;
        let expected = json!({
            "id": ada.to_string(),
            "name": "Ada Lovelace",
            "username": "ada",
            "email": "Ada@example.com",
            // The digest is of the lower-case address.
            "avatarUrl":
                "https://gravatar.com/avatar/3e3417d7ef77d5932a6734b916515ed5?s=32&d=mm",
            "isActive": true,
            "hasPasswordAuth": true,
            "isManaged": false,
            "dateJoined": "2025-02-03T04:05:06.120000Z",
            "lastLogin": null,
            "lastActive": null,
            "isSuperuser": false,
            "isStaff": false,
            "isSuspended": false,
            "experiments": {},
            "has2fa": true,
            "emails": [],
            "avatar": { "avatarType": "letter_avatar", "avatarUuid": null, "avatarUrl": null },
        });
        for viewer in [Some(stranger), None, Some(UserId(404))] {
            assert_eq!(serialized(db, ada, viewer, Serializer::Simple).await, expected);
        }
    }

    async fn one_is_shown_all_of_ones_own(db: &TestDatabase) {
        let ada = ada(db).await;
        let found = serialized(db, ada, Some(ada), Serializer::Simple).await;
        let emails: Vec<_> = found["emails"].as_array().unwrap().iter().collect();
        assert_eq!(emails.len(), 2);
        assert_eq!(emails[0]["email"], "Ada@example.com");
        assert_eq!(emails[0]["is_verified"], true);
        assert!(emails[0]["id"].is_string());
        assert_eq!(
            found["options"],
            json!({
                "theme": "dark",
                "language": "en",
                "stacktraceOrder": 2,
                "defaultIssueEvent": "recommended",
                "timezone": "UTC",
                "clock24Hours": true,
                "prefersIssueDetailsStreamlinedUI": null,
            }),
        );
        assert_eq!(found["flags"], json!({ "newsletter_consent_prompt": true }));
        let identity = &found["identities"][0];
        assert_eq!(identity["name"], "ada-ident");
        assert_eq!(identity["organization"], json!({ "slug": "org-7", "name": "Organization 7" }));
        assert_eq!(identity["provider"], json!({ "id": "okta", "name": "okta" }));
        assert_eq!(identity["dateVerified"], "2025-01-02T00:00:00Z");
        assert_eq!(identity["dateSynced"], "2025-01-03T00:00:00Z");
        assert!(!found.to_string().contains("seed"));
    }

    async fn superusers_are_shown_addresses_and_identities(db: &TestDatabase) {
        let ada = ada(db).await;
        let superuser = standing(db, "superuser", true, false).await;
        let staff = standing(db, "staff", false, true).await;
        let found = serialized(db, ada, Some(superuser), Serializer::Simple).await;
        assert_eq!(found["emails"].as_array().unwrap().len(), 2);
        assert_eq!(found["identities"].as_array().unwrap().len(), 1);
        assert!(!keys(&found).contains(&"options") && !keys(&found).contains(&"flags"));

        let found = serialized(db, ada, Some(staff), Serializer::Simple).await;
        assert_eq!(found["emails"], json!([]));
        assert!(!keys(&found).contains(&"identities"));
    }

    async fn the_detailed_form_adds_second_factors_for_everybody(db: &TestDatabase) {
        let ada = ada(db).await;
        let found = serialized(db, ada, None, Serializer::Detailed).await;
        let factors = found["authenticators"].as_array().unwrap();
        assert_eq!(factors.len(), 1);
        assert_eq!(factors[0]["type"], "totp");
        assert_eq!(factors[0]["name"], "Authenticator App");
        assert_eq!(factors[0]["dateCreated"], "2025-01-01T00:00:00Z");
        assert_eq!(factors[0]["dateUsed"], Value::Null);
        assert_eq!(found["canReset2fa"], true);
        assert!(!keys(&found).contains(&"permissions"));
        assert!(!found.to_string().contains("seed"));
    }

    async fn a_second_factor_can_be_reset_by_ones_only_active_organization(db: &TestDatabase) {
        let [none, one, two] = db.add_users(["none", "one", "two"]).await;
        let active = db.add_organization(1, "us", Some(0)).await;
        let other = db.add_organization(2, "us", Some(0)).await;
        let pending = db.add_organization(3, "us", Some(1)).await;
        let unknown = db.add_organization(4, "us", None).await;
        for (user, organization) in [
            (none, pending), (one, active), (one, pending), (one, unknown), (two, active),
            (two, other),
        ] {
            db.join(user, organization).await;
        }
        for (user, can) in [(none, false), (one, true), (two, false)] {
            let found = serialized(db, user, None, Serializer::Detailed).await;
            assert_eq!(found["canReset2fa"], can);
        }
    }

    async fn the_form_of_ones_own_adds_permissions(db: &TestDatabase) {
        let ada = ada(db).await;
        let superuser = standing(db, "superuser", true, false).await;
        let staff = standing(db, "staff", false, true).await;
        let stranger = standing(db, "stranger", false, false).await;
        for viewer in [ada, superuser, staff] {
            let found = serialized(db, ada, Some(viewer), Serializer::SelfDetailed).await;
            assert_eq!(found["permissions"], json!(["options.admin", "users.admin"]));
            assert_eq!(found["authenticators"].as_array().unwrap().len(), 1);
        }
        for viewer in [None, Some(stranger)] {
            let found = serialized(db, ada, viewer, Serializer::SelfDetailed).await;
            assert!(!keys(&found).contains(&"permissions"));
            assert!(!keys(&found).contains(&"authenticators"));
        }
    }

    async fn names_passwords_and_pictures_follow_the_account(db: &TestDatabase) {
        let named = |username, name, email, password| Account {
            username, name, email, password, ..Account::default()
        };
        for (account, display, has_password) in [
            (named("a", "", "a@example.com", "!"), "a@example.com", false),
            (named("b", "", "", ""), "b", false),
            (named("c", "C", "c@example.com", "!abc"), "C", true),
        ] {
            let id = db.add(account).await;
            let found = serialized(db, id, None, Serializer::Simple).await;
            assert_eq!(found["name"], display);
            assert_eq!(found["hasPasswordAuth"], has_password);
            assert_eq!(found["has2fa"], false);
        }
        let [upload, gravatar] = db.add_users(["upload", "gravatar"]).await;
        db.add_avatar(upload, 1, Some(7)).await;
        db.add_avatar(gravatar, 2, None).await;
        let found = serialized(db, upload, None, Serializer::Simple).await;
        assert_eq!(found["avatar"]["avatarType"], "upload");
        assert_eq!(found["avatar"]["avatarUuid"], format!("ident-{upload}"));
        let found = serialized(db, gravatar, None, Serializer::Simple).await;
        assert_eq!(found["avatar"]["avatarType"], "gravatar");
        assert_eq!(found["avatar"]["avatarUuid"], Value::Null);
    }

    async fn recovery_codes_alone_are_no_second_factor(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_authenticator(ada, 0, "{}").await;
        let found = serialized(db, ada, None, Serializer::Detailed).await;
        assert_eq!((&found["has2fa"], &found["authenticators"]), (&json!(false), &json!([])));
    }

    async fn users_are_serialized_by_id_and_each_once(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(ada, "second@example.com", true).await;
        let emails =
            ["grace", "ada"].map(|name| format!("{name}@example.com")).into_iter().collect();
        let request = SerializeRequest {
            filter: UserFilter {
                emails: Some(emails), email_verified: Some(true), ..UserFilter::default()
            },
            as_user: Some(grace),
            serializer: Serializer::Simple,
        };
        let users = db.users().serialize_many(&request).await.unwrap();
        let ids: Vec<_> = users.iter().map(|user| user["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [ada.to_string(), grace.to_string()]);
        let request = SerializeRequest { filter: UserFilter::ids(&[]), ..request };
        assert!(db.users().serialize_many(&request).await.unwrap().is_empty());
    }
}
