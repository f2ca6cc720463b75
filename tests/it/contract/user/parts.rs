//! Users with all that belongs to them, and each kind of it for many users at a time.

use serde_json::json;
use user_gateway::domain::{
    AuthenticatorKind, AvatarKind, Role, User, UserEmail, UserEmailId, UserFilter, UserFlags,
    UserId,
};

use crate::harness::{Account, TestDatabase, at};

const NOBODY: UserId = UserId(404);

async fn user(db: &TestDatabase, id: UserId) -> User {
    db.users().get_user(id).await.unwrap().unwrap()
}

contract! {
    async fn a_user_comes_with_all_that_is_theirs_and_nothing_of_others(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let second = db.add_email(ada, "second@example.com", false).await;
        db.add_authenticator(ada, 1, r#"{"secret": "seed"}"#).await;
        db.add_authenticator(ada, 0, "[]").await;
        db.add_avatar(ada, 1, Some(77)).await;
        db.users().add_permission(ada, "users.admin").await.unwrap();
        let role = db.add_role("Support", &["b.admin", "a.admin"]).await;
        db.give_role(ada, role).await;

        let found = db.users().get_many(&UserFilter::ids(&[ada, grace])).await.unwrap();
        let [ada_found, grace_found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(ada_found.emails.len(), 2);
        assert_eq!(
            ada_found.emails[1],
            UserEmail {
                id: UserEmailId(second),
                email: "second@example.com".to_owned(),
                is_verified: false,
            },
        );
        assert_eq!(ada_found.verified_emails().into_iter().collect::<Vec<_>>(), ["ada@example.com"]);
        let kinds: Vec<_> = ada_found.authenticators.iter().map(|a| a.kind).collect();
        assert_eq!(kinds, [AuthenticatorKind::Totp, AuthenticatorKind::Recovery]);
        let config = ada_found.authenticators[0].config.as_ref().unwrap();
        assert_eq!(*config.expose(), json!({ "secret": "seed" }));
        let avatar = ada_found.avatar.as_ref().unwrap();
        assert_eq!((avatar.kind, avatar.file_id), (AvatarKind::Upload, Some(77)));
        assert_eq!(ada_found.permissions.iter().collect::<Vec<_>>(), ["users.admin"]);
        assert_eq!(ada_found.role_permissions.iter().collect::<Vec<_>>(), ["a.admin", "b.admin"]);

        assert_eq!(grace_found.emails.len(), 1);
        assert!(grace_found.authenticators.is_empty() && grace_found.avatar.is_none());
        assert!(grace_found.permissions.is_empty() && grace_found.role_permissions.is_empty());
    }

    async fn the_account_row_is_read_whole(db: &TestDatabase) {
        let account = Account {
            username: "ada",
            name: "Ada Lovelace",
            email: "ada@example.com",
            is_superuser: true,
            is_staff: true,
            date_joined: "2025-02-03T04:05:06.000007+00:00",
            ..Account::default()
        };
        let id = db.add(account).await;
        db.execute(
            "UPDATE auth_user SET is_unclaimed = true, is_sentry_app = true, flags = 3, \
             is_password_expired = true, last_active = '2025-03-04T00:00:00+00:00', \
             session_nonce = 'nonce', avatar_url = 'https://example.com/a.png'",
        )
        .await;
        let profile = db.users().get_profiles(&[id]).await.unwrap().remove(0);
        assert_eq!(profile.username, "ada");
        assert_eq!(profile.name, "Ada Lovelace");
        assert_eq!(profile.email, "ada@example.com");
        assert!(profile.is_active && profile.is_superuser && profile.is_staff);
        assert!(profile.is_unclaimed && profile.is_sentry_app && profile.is_password_expired);
        assert!(profile.password_usable);
        assert_eq!(profile.date_joined, at("2025-02-03T04:05:06.000007Z"));
        assert_eq!(profile.last_active, Some(at("2025-03-04T00:00:00Z")));
        assert_eq!(profile.flags, Some(UserFlags { newsletter_consent_prompt: true }));
        assert_eq!(profile.avatar_url.as_deref(), Some("https://example.com/a.png"));
        assert_eq!(profile.session_nonce.unwrap().expose(), "nonce");
    }

    async fn a_password_is_usable_if_set_and_not_marked(db: &TestDatabase) {
        for (username, password, usable) in
            [("a", "", false), ("b", "!", false), ("c", "!abc", false), ("d", "hash", true)]
        {
            let id = db.add(Account { username, password, ..Account::default() }).await;
            assert_eq!(user(db, id).await.profile.password_usable, usable, "{password}");
        }
    }

    async fn users_by_id_come_in_the_order_asked(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let asked = [grace, NOBODY, ada, grace];
        let found = db.users().get_many_by_id(&asked).await.unwrap();
        let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
        assert_eq!(found, [grace, ada, grace]);
        assert!(db.users().get_many_by_id(&[]).await.unwrap().is_empty());
        assert!(db.users().get_user(NOBODY).await.unwrap().is_none());
    }

    async fn profiles_come_by_id(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let profiles = db.users().get_profiles(&[grace, NOBODY, ada, ada]).await.unwrap();
        assert_eq!(profiles.iter().map(|p| p.id).collect::<Vec<_>>(), [ada, grace]);
        assert!(db.users().get_profiles(&[]).await.unwrap().is_empty());
    }

    async fn roles_of_unequal_length_and_empty_ones_unite(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let roles = [
            db.add_role("Support", &["users.admin", "options.admin", "it's \\ \"quoted\""
                .replace('\\', "\\\\").replace('"', "\\\"").as_str()]).await,
            db.add_role("Broadcaster", &["broadcasts.admin"]).await,
            db.add_role("Empty", &[]).await,
        ];
        for role in [roles[0], roles[1], roles[2], roles[0]] {
            db.give_role(ada, role).await;
        }
        db.give_role(grace, roles[2]).await;
        let expected =
            ["broadcasts.admin", "it's \\ \"quoted\"", "options.admin", "users.admin"];
        assert_eq!(user(db, ada).await.role_permissions.into_iter().collect::<Vec<_>>(), expected);
        assert!(user(db, grace).await.role_permissions.is_empty());

        let role = |name: &str, permissions: &[&str]| Role {
            name: name.to_owned(),
            permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
        };
        assert_eq!(
            db.users().get_roles(&[grace, ada, NOBODY]).await.unwrap(),
            [
                (ada, role("Broadcaster", &["broadcasts.admin"])),
                (ada, role("Empty", &[])),
                (ada, role("Support", &["users.admin", "options.admin", "it's \\ \"quoted\""])),
                (grace, role("Empty", &[])),
            ],
        );
    }

    async fn pictures_come_at_most_one_for_a_user(db: &TestDatabase) {
        let [ada, grace, edith] = db.add_users(["ada", "grace", "edith"]).await;
        db.add_avatar(grace, 2, None).await;
        db.add_avatar(ada, 9, None).await;
        let found = db.users().get_avatars(&[edith, grace, ada, NOBODY]).await.unwrap();
        let kinds: Vec<_> = found.iter().map(|(id, avatar)| (*id, avatar.kind)).collect();
        assert_eq!(kinds, [(ada, AvatarKind::Letter), (grace, AvatarKind::Gravatar)]);
        let one = db.users().get_user_avatar(grace).await.unwrap().unwrap();
        assert_eq!(one.ident, format!("ident-{grace}"));
        for without in [edith, NOBODY] {
            assert_eq!(db.users().get_user_avatar(without).await.unwrap(), None);
        }
    }

    async fn addresses_come_by_user_and_id(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(ada, "Second@example.com", false).await;
        let found = db.users().get_emails(&[grace, ada, NOBODY]).await.unwrap();
        let found: Vec<_> =
            found.iter().map(|(id, e)| (*id, e.email.as_str(), e.is_verified)).collect();
        assert_eq!(
            found,
            [
                (ada, "ada@example.com", true),
                (ada, "Second@example.com", false),
                (grace, "grace@example.com", true),
            ],
        );
    }

    async fn second_factors_come_without_their_secrets(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        for (user, kind) in [(grace, 9), (ada, 3), (ada, 0)] {
            db.add_authenticator(user, kind, r#"{"secret": "seed"}"#).await;
        }
        db.execute("UPDATE auth_authenticator SET last_used_at = created_at WHERE type = 3").await;
        let found = db.users().get_authenticators(&[grace, ada, NOBODY]).await.unwrap();
        assert!(found.iter().all(|factor| factor.config.is_none()));
        let kinds: Vec<_> = found.iter().map(|factor| (factor.user_id, factor.kind)).collect();
        assert_eq!(
            kinds,
            [
                (ada, AuthenticatorKind::U2f),
                (ada, AuthenticatorKind::Recovery),
                (grace, AuthenticatorKind::Unknown(9)),
            ],
        );
        assert_eq!(found[0].created_at, at("2025-01-01T00:00:00Z"));
        assert_eq!(found[0].last_used_at, Some(at("2025-01-01T00:00:00Z")));
        assert_eq!(found[1].last_used_at, None);
    }

    async fn identities_come_with_their_providers(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let one = db.add_organization(7, "us", Some(0)).await;
        let two = db.add_organization(8, "de", Some(0)).await;
        let (first, second) = (db.add_provider(one).await, db.add_provider(two).await);
        db.add_identity(grace, first, "grace").await;
        db.add_identity(ada, second, "ada-2").await;
        db.add_identity(ada, first, "ada-1").await;
        let found = db.users().get_identities(&[grace, ada, NOBODY]).await.unwrap();
        let known: Vec<_> = found
            .iter()
            .map(|i| (i.user_id, i.ident.as_str(), i.provider.id, i.provider.organization_id))
            .collect();
        assert_eq!(
            known,
            [
                (ada, "ada-2", second, two),
                (ada, "ada-1", first, one),
                (grace, "grace", first, one),
            ],
        );
        assert_eq!(found[0].provider.provider, "okta");
        assert_eq!(found[0].date_added, at("2025-01-01T00:00:00Z"));
        assert_eq!(found[0].last_verified, at("2025-01-02T00:00:00Z"));
        assert_eq!(found[0].last_synced, at("2025-01-03T00:00:00Z"));
    }

    async fn permissions_come_by_user_and_name(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        for (user, permission) in [(grace, "b"), (ada, "z"), (ada, "a")] {
            db.users().add_permission(user, permission).await.unwrap();
        }
        let found = db.users().get_permissions(&[grace, ada, NOBODY]).await.unwrap();
        let found: Vec<_> = found.iter().map(|(id, p)| (*id, p.as_str())).collect();
        assert_eq!(found, [(ada, "a"), (ada, "z"), (grace, "b")]);
    }

    async fn the_first_superuser_is_the_active_one_with_the_lowest_id(db: &TestDatabase) {
        db.add_user("plain").await;
        assert_eq!(db.users().get_first_superuser().await.unwrap(), None);
        let superuser = |username, is_active| Account {
            username, is_active, is_superuser: true, ..Account::default()
        };
        db.add(superuser("gone", false)).await;
        assert_eq!(db.users().get_first_superuser().await.unwrap(), None);
        let first = db.add(superuser("first", true)).await;
        db.add(superuser("second", true)).await;
        assert_eq!(db.users().get_first_superuser().await.unwrap().unwrap().id, first);
    }
}
