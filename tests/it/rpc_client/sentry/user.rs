//! Users, found in every way that Sentry has.

use user_gateway::domain::{
    AuthenticatorKind, AvatarKind, Code, EmailQuery, FuzzyUserQuery, OrganizationId,
    SocialAuthQuery, UserId, UsernameQuery,
};
use user_gateway::rpc::client::Peer;

use super::{ADA, ALAN, Control, GRACE, code, texts};
use crate::harness::at;

#[tokio::test]
#[ignore = "needs Python"]
async fn a_user_is_whole_with_the_time_of_joining_from_the_api_form() {
    let control = Control::start();
    let users = &control.services.users;
    let ada = users.get_user(ADA).await.unwrap().unwrap();
    assert_eq!(control.client.peer(), Peer::Sentry);
    let profile = &ada.profile;
    assert_eq!(
        (&*profile.username, &*profile.name),
        ("ada", "Ada Lovelace")
    );
    assert_eq!(profile.email, "ada@example.com");
    assert_eq!(profile.date_joined, at("2025-03-01T10:00:00.25Z"));
    assert_eq!(profile.last_active, Some(at("2025-06-01T00:00:00Z")));
    assert!(profile.is_superuser && profile.password_usable && profile.flags.is_none());
    assert_eq!(
        ada.role_permissions,
        texts(["options.admin", "users.admin"])
            .into_iter()
            .collect()
    );
    assert_eq!(
        ada.permissions,
        texts(["broadcasts.admin"]).into_iter().collect()
    );
    assert_eq!(ada.avatar.unwrap().kind, AvatarKind::Gravatar);
    assert_eq!(ada.emails.len(), 2);
    assert_eq!(ada.authenticators.len(), 2);
    assert!(
        ada.authenticators
            .iter()
            .all(|factor| factor.config.is_some())
    );

    let asked = [GRACE, UserId(404), ADA, GRACE];
    let found = users.get_many_by_id(&asked).await.unwrap();
    let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
    assert_eq!(found, [GRACE, ADA, GRACE]);
    assert!(users.get_many_by_id(&[]).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs Python"]
async fn the_parts_of_users_come_from_whole_users() {
    let control = Control::start();
    let users = &control.services.users;
    let ids = [GRACE, ADA, ADA];
    let profiles = users.get_profiles(&ids).await.unwrap();
    assert_eq!(
        profiles.iter().map(|p| p.id).collect::<Vec<_>>(),
        [ADA, GRACE]
    );
    let emails = users.get_emails(&ids).await.unwrap();
    let emails: Vec<_> = emails
        .iter()
        .map(|(id, email)| (*id, &*email.email))
        .collect();
    assert_eq!(
        emails,
        [
            (ADA, "ada@example.com"),
            (ADA, "Ada@Work.example"),
            (GRACE, "grace@example.com"),
            (GRACE, "shared@example.com"),
        ]
    );
    let factors = users.get_authenticators(&ids).await.unwrap();
    let kinds: Vec<_> = factors.iter().map(|factor| factor.kind).collect();
    assert_eq!(
        kinds,
        [AuthenticatorKind::Totp, AuthenticatorKind::Recovery]
    );
    assert!(factors.iter().all(|factor| factor.config.is_none()));
    assert_eq!(users.get_avatars(&ids).await.unwrap().len(), 1);
    assert_eq!(users.get_user_avatar(ADA).await.unwrap().unwrap().id, 5);
    let permissions = users.get_permissions(&ids).await.unwrap();
    assert_eq!(permissions, [(ADA, "broadcasts.admin".to_owned())]);
}

#[tokio::test]
#[ignore = "needs Python"]
async fn a_match_by_address_keeps_the_primary_address() {
    let control = Control::start();
    let users = &control.services.users;
    let query = EmailQuery {
        emails: texts(["ada@WORK.example", "ADA@example.com", "alan@example.com"]),
        only_active: true,
        only_verified: false,
        organization_id: None,
    };
    let found = users.get_many_by_email(&query).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|m| (m.user.profile.id, &*m.user.profile.email, &*m.email))
        .collect();
    let primary = "ada@example.com";
    assert_eq!(
        found,
        [(ADA, primary, primary), (ADA, primary, "Ada@Work.example")]
    );
    let in_one = EmailQuery {
        organization_id: Some(OrganizationId(1)),
        only_verified: true,
        ..query
    };
    assert_eq!(users.get_many_by_email(&in_one).await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_found_by_name_and_by_address() {
    let control = Control::start();
    let users = &control.services.users;
    let query = |username: &str, with_valid_password| UsernameQuery {
        username: username.to_owned(),
        with_valid_password,
        is_active: None,
    };
    for (query, expected) in [
        (query("ADA", true), vec![ADA]),
        (query("alan", true), vec![]),
        (query("alan", false), vec![ALAN]),
        (query("Grace@example.com", true), vec![GRACE]),
        (query("nobody", true), vec![]),
    ] {
        let found = users.get_by_username(&query).await.unwrap();
        let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
        assert_eq!(found, expected, "{query:?}");
    }
    let asked = texts(["grace", "nobody", "ada", "GRACE", "grace"]);
    let existing = users.get_existing_usernames(asked).await.unwrap();
    assert_eq!(existing, ["grace", "ada"]);
    let by_email = async |email: &str| {
        let user = users.get_user_by_email(email, Some("ident")).await.unwrap();
        user.map(|user| (user.id, user.date_joined.to_rfc3339()))
    };
    let joined = "2025-02-01T00:00:00+00:00".to_owned();
    assert_eq!(by_email("GRACE@example.com").await, Some((GRACE, joined)));
    assert_eq!(by_email("alan@example.com").await, None);
    let superuser = users.get_first_superuser().await.unwrap().unwrap();
    assert_eq!(superuser.id, ADA);
    let social = |organization, uid: &str| SocialAuthQuery {
        organization_id: OrganizationId(organization),
        provider: "github".to_owned(),
        uid: uid.to_owned(),
    };
    let found = users
        .get_user_by_social_auth(&social(1, "1234"))
        .await
        .unwrap();
    assert_eq!(found.map(|user| user.id), Some(GRACE));
    for wrong in [social(2, "1234"), social(1, "123")] {
        assert!(
            users
                .get_user_by_social_auth(&wrong)
                .await
                .unwrap()
                .is_none()
        );
    }
    // An older Sentry does not have this at all.
    let fuzzy = FuzzyUserQuery {
        organization_id: OrganizationId(1),
        email: Some("ada@example.com".to_owned()),
        name: None,
    };
    assert_eq!(
        code(users.resolve_fuzzy_user(&fuzzy).await),
        Some(Code::NotSupported)
    );
}
