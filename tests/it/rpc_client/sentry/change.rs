//! Users who are created and changed.

use user_gateway::domain::{
    AvatarKind, Code, Email, NewUser, PictureUrl, UserId, UserUpdate, Username,
};

use super::{ADA, Control, GRACE, code};

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_created_once() {
    let control = Control::start();
    let users = &control.services.users;
    let new = NewUser {
        email: Email::parse("New.One@example.com", &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    };
    let first = users.get_or_create_by_email(&new).await.unwrap();
    assert!(first.created && first.user.username.starts_with("newone-"));
    let second = users.get_or_create_by_email(&new).await.unwrap();
    assert_eq!((second.created, second.user.id), (false, first.user.id));

    let created = users
        .create_by_username_and_email("fresh", "fresh@example.com")
        .await;
    assert_eq!(created.unwrap().email, "fresh@example.com");
    let taken = users
        .create_by_username_and_email("fresh", "other@example.com")
        .await;
    assert_eq!(code(taken), Some(Code::BadUserInput));
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_changed_as_far_as_sentry_changes_them() {
    let control = Control::start();
    let users = &control.services.users;
    let update = UserUpdate {
        is_active: Some(false),
        avatar_type: Some(AvatarKind::Gravatar),
        avatar_url: Some(Some(
            PictureUrl::parse("https://example.com/a.png", &[]).unwrap(),
        )),
        ..UserUpdate::default()
    };
    let grace = users.update_user(GRACE, &update).await.unwrap().unwrap();
    assert!(!grace.is_active);
    let removal = UserUpdate {
        avatar_url: Some(None),
        ..UserUpdate::default()
    };
    assert!(users.update_user(GRACE, &removal).await.unwrap().is_some());
    assert!(
        users
            .update_user(GRACE, &UserUpdate::default())
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(users.update_user(UserId(404), &update).await.unwrap(), None);
    assert_eq!(
        users
            .update_user(UserId(404), &UserUpdate::default())
            .await
            .unwrap(),
        None
    );
    let rename = UserUpdate {
        is_active: Some(true),
        username: Some(Username::parse("amazing", &[]).unwrap()),
        ..UserUpdate::default()
    };
    assert_eq!(
        code(users.update_user(GRACE, &rename).await),
        Some(Code::NotSupported)
    );
    assert!(
        !users
            .get_user(GRACE)
            .await
            .unwrap()
            .unwrap()
            .profile
            .is_active
    );

    assert!(
        users
            .verify_user_email(ADA, "ada@work.EXAMPLE")
            .await
            .unwrap()
    );
    assert!(
        !users
            .verify_user_email(ADA, "ada@work.example")
            .await
            .unwrap()
    );
    assert!(!users.verify_any_email("nobody@example.com").await.unwrap());
    let pairs = [
        (ADA, "grace@example.com".to_owned()),
        (ADA, "ADA@example.com".to_owned()),
    ];
    let owned = users.verify_user_emails(&pairs, true).await.unwrap();
    assert_eq!(owned.len(), 1);
    assert!(owned[&ADA].exists && owned[&ADA].email == "ADA@example.com");

    assert!(users.add_permission(GRACE, "users.admin").await.unwrap());
    assert!(!users.add_permission(GRACE, "users.admin").await.unwrap());
    assert!(users.remove_permission(GRACE, "users.admin").await.unwrap());
    assert!(!users.remove_permission(GRACE, "users.admin").await.unwrap());
    assert_eq!(
        code(users.add_permission(UserId(404), "users.admin").await),
        Some(Code::InternalServerError)
    );
    users.flush_nonce(ADA).await.unwrap();
    let ada = users.get_user(ADA).await.unwrap().unwrap();
    assert_eq!(ada.profile.session_nonce.unwrap().expose(), "foo");
    users
        .trigger_user_consent_email_if_applicable(ADA)
        .await
        .unwrap();
    assert!(
        users
            .trigger_user_consent_email_if_applicable(UserId(404))
            .await
            .is_err()
    );
}
