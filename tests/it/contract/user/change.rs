//! Changes of a user and of what belongs to one.

use user_gateway::domain::{
    AvatarKind, DisplayName, Error, InvalidCode, PictureUrl, UserId, UserProfile, UserUpdate,
    Username,
};

use super::invalid;
use crate::harness::{Engine, TestDatabase};

const NOBODY: UserId = UserId(404);

fn username(text: &str) -> UserUpdate {
    UserUpdate {
        username: Some(Username::parse(text, &[]).unwrap()),
        ..UserUpdate::default()
    }
}

async fn verified(db: &TestDatabase, user: UserId) -> Vec<(String, bool)> {
    let emails = db.users().get_emails(&[user]).await.unwrap();
    emails
        .into_iter()
        .map(|(_, email)| (email.email, email.is_verified))
        .collect()
}

contract! {
    async fn an_update_changes_what_it_names_and_nothing_else(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let before = db.users().get_profiles(&[ada]).await.unwrap().remove(0);
        let picture = PictureUrl::parse("https://example.com/ada.png", &[]).unwrap();
        let update = UserUpdate {
            name: Some(DisplayName::parse("Ada Lovelace", &[]).unwrap()),
            username: Some(Username::parse("countess", &[]).unwrap()),
            is_active: Some(false),
            avatar_type: Some(AvatarKind::Gravatar),
            avatar_url: Some(Some(picture)),
        };
        let after = db.users().update_user(ada, &update).await.unwrap().unwrap();
        let expected = UserProfile {
            name: "Ada Lovelace".into(),
            username: "countess".into(),
            is_active: false,
            avatar_url: Some("https://example.com/ada.png".into()),
            ..before
        };
        assert_eq!(after, expected);
        assert_eq!(db.users().get_profiles(&[ada]).await.unwrap(), [expected]);
        assert_eq!(db.number("SELECT CAST(avatar_type AS bigint) FROM auth_user").await, 2);
        assert_eq!(db.heard.take_changes(), [ada]);

        let without = UserUpdate { avatar_url: Some(None), ..UserUpdate::default() };
        let after = db.users().update_user(ada, &without).await.unwrap().unwrap();
        assert_eq!((after.avatar_url, after.username.as_str()), (None, "countess"));
    }

    async fn an_empty_update_writes_nothing(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let empty = UserUpdate::default();
        let user = db.users().update_user(ada, &empty).await.unwrap().unwrap();
        assert_eq!(user.id, ada);
        assert_eq!(db.users().update_user(NOBODY, &empty).await.unwrap(), None);
        assert_eq!(db.heard.take_changes(), []);
    }

    async fn nobody_cannot_be_updated(db: &TestDatabase) {
        assert_eq!(db.users().update_user(NOBODY, &username("ada")).await.unwrap(), None);
        assert_eq!(db.heard.take_changes(), []);
    }

    async fn a_username_of_somebody_else_is_refused(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let result = db.users().update_user(grace, &username("ada")).await;
        assert_eq!(invalid(result), Some(InvalidCode::Taken));
        assert_eq!(db.heard.take_changes(), []);
        // One's own is not somebody else's, and another case is another username.
        for (user, name) in [(ada, "ada"), (grace, "ADA")] {
            let updated = db.users().update_user(user, &username(name)).await.unwrap().unwrap();
            assert_eq!(updated.username, name);
        }
    }

    async fn an_address_is_verified_once(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(ada, "Second@example.com", false).await;
        db.add_email(grace, "second@example.com", false).await;
        let users = db.users();
        assert!(users.verify_user_email(ada, "SECOND@example.com").await.unwrap());
        assert!(!users.verify_user_email(ada, "SECOND@example.com").await.unwrap());
        assert!(!users.verify_user_email(ada, "grace@example.com").await.unwrap());
        assert!(!users.verify_user_email(NOBODY, "second@example.com").await.unwrap());
        assert_eq!(db.heard.take_changes(), [ada]);
        let second = |email: &str, is| (email.to_owned(), is);
        assert_eq!(verified(db, ada).await[1], second("Second@example.com", true));
        assert_eq!(verified(db, grace).await[1], second("second@example.com", false));
    }

    async fn of_equal_addresses_the_oldest_alone_is_looked_at(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_email(ada, "Second@example.com", false).await;
        db.add_email(ada, "second@example.com", false).await;
        let users = db.users();
        assert!(users.verify_user_email(ada, "second@example.com").await.unwrap());
        assert!(!users.verify_user_email(ada, "second@example.com").await.unwrap());
        let states: Vec<_> = verified(db, ada).await.into_iter().map(|(_, is)| is).collect();
        assert_eq!(states, [true, true, false]);
    }

    async fn an_address_of_anybody_can_be_verified(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(grace, "Shared@example.com", false).await;
        db.add_email(ada, "shared@example.com", false).await;
        let users = db.users();
        assert!(users.verify_any_email("SHARED@example.com").await.unwrap());
        assert_eq!(db.heard.take_changes(), [grace]);
        assert!(!users.verify_any_email("SHARED@example.com").await.unwrap());
        assert!(!users.verify_any_email("nobody@example.com").await.unwrap());
        assert_eq!(db.heard.take_changes(), []);
        assert!(!verified(db, ada).await[1].1);
    }

    async fn owners_of_addresses_can_be_told_from_others(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(grace, "Юлия@example.com", false).await;
        let asked = [
            (ada, "grace@example.com".to_owned()),
            (grace, "юлия@EXAMPLE.com".to_owned()),
            (NOBODY, "nobody@example.com".to_owned()),
            (ada, "ADA@example.com".to_owned()),
        ];
        for (only_verified, grace_owns) in [(false, true), (true, false)] {
            let answer = db.users().verify_user_emails(&asked, only_verified).await.unwrap();
            let answer: Vec<_> =
                answer.iter().map(|(id, v)| (*id, v.exists, v.email.as_str())).collect();
            assert_eq!(
                answer,
                [
                    (ada, true, "ADA@example.com"),
                    (grace, grace_owns, "юлия@EXAMPLE.com"),
                    (NOBODY, false, "nobody@example.com"),
                ],
            );
        }
        let crossed = [
            (ada, "grace@example.com".to_owned()), (grace, "ada@example.com".to_owned()),
        ];
        let answer = db.users().verify_user_emails(&crossed, false).await.unwrap();
        assert!(answer.values().all(|v| !v.exists));
        assert!(db.users().verify_user_emails(&[], false).await.unwrap().is_empty());
    }

    async fn sessions_end_when_the_nonce_is_flushed(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.execute("UPDATE auth_user SET session_nonce = 'before'").await;
        db.users().flush_nonce(ada).await.unwrap();
        db.users().flush_nonce(NOBODY).await.unwrap();
        let users = db.users().get_profiles(&[ada, grace]).await.unwrap();
        let nonce = |i: usize| users[i].session_nonce.as_ref().unwrap().expose().as_str();
        assert_eq!((nonce(0), nonce(1)), ("foo", "before"));
        assert_eq!(db.heard.take_changes(), [ada]);
    }

    async fn consent_to_newsletters_is_asked_for_again(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.execute("UPDATE auth_user SET flags = 4").await;
        for _ in 0..2 {
            db.users().trigger_user_consent_email_if_applicable(ada).await.unwrap();
        }
        assert_eq!(db.number("SELECT flags FROM auth_user").await, 5);
        assert_eq!(db.heard.take_changes(), [ada]);
        let result = db.users().trigger_user_consent_email_if_applicable(NOBODY).await;
        assert!(matches!(result, Err(Error::NotFound(_))), "{result:?}");
    }

    async fn permissions_are_given_once_and_taken_once(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let users = db.users();
        assert!(users.add_permission(ada, "users.admin").await.unwrap());
        assert!(!users.add_permission(ada, "users.admin").await.unwrap());
        assert!(users.add_permission(ada, "options.admin").await.unwrap());
        assert_eq!(db.heard.take_changes(), [ada, ada]);
        assert!(users.remove_permission(ada, "users.admin").await.unwrap());
        assert!(!users.remove_permission(ada, "users.admin").await.unwrap());
        assert!(!users.remove_permission(NOBODY, "options.admin").await.unwrap());
        assert_eq!(db.heard.take_changes(), [ada]);
        let left = users.get_permissions(&[ada]).await.unwrap();
        assert_eq!(left, [(ada, "options.admin".to_owned())]);
    }

    async fn nobody_cannot_be_permitted_anything(db: &TestDatabase) {
        let result = db.users().add_permission(NOBODY, "users.admin").await;
        assert!(matches!(result, Err(Error::NotFound(_))), "{result:?}");
        assert_eq!(db.count("sentry_userpermission").await, 0);
        assert_eq!(db.heard.take_changes(), []);
    }

    async fn a_text_that_the_engine_cannot_hold_is_bad_input(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let nul = db.users().verify_user_email(ada, "a\0@example.com").await;
        let long = db.users().add_permission(ada, &"x".repeat(33)).await;
        if db.engine() == Engine::Postgres {
            assert_eq!(invalid(nul), Some(InvalidCode::InvalidFormat));
            assert_eq!(invalid(long), Some(InvalidCode::TooLong));
        } else {
            assert!(!nul.unwrap());
            assert!(long.unwrap());
        }
    }
}
