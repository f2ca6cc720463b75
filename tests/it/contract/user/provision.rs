//! Finding a user by address, and creating the one who is not there.

use user_gateway::domain::{
    Email, IdempotencyKey, InvalidCode, NewUser, UserCreateResult, UserFlags, UserId, UserProfile,
};

use super::invalid;
use crate::harness::{Account, TestDatabase, at};

fn new(email: &str) -> NewUser {
    NewUser {
        email: Email::parse(email, &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    }
}

async fn get_or_create(db: &TestDatabase, email: &str) -> UserCreateResult {
    db.users()
        .get_or_create_by_email(&new(email))
        .await
        .unwrap()
}

async fn get(db: &TestDatabase, email: &str, ident: Option<&str>) -> Option<UserId> {
    let user = db.users().get_user_by_email(email, ident).await.unwrap();
    user.map(|user| user.id)
}

/// Adds accounts with one address and no row for it.
async fn sharing<const N: usize>(db: &TestDatabase, email: &str) -> [UserId; N] {
    let mut ids = [UserId(0); N];
    for (i, id) in ids.iter_mut().enumerate() {
        let username = format!("shared-{i}");
        *id = db
            .add(Account {
                username: &username,
                email,
                ..Account::default()
            })
            .await;
    }
    ids
}

contract! {
    async fn the_primary_address_of_an_active_user_is_found_ignoring_case(db: &TestDatabase) {
        let ada = db.add_user("Ada").await;
        db.add_email(ada, "second@example.com", true).await;
        let gone = Account {
            username: "gone", email: "gone@example.com", is_active: false, ..Account::default()
        };
        db.add(gone).await;
        assert_eq!(get(db, "aDA@EXAMPLE.com", None).await, Some(ada));
        assert_eq!(get(db, "second@example.com", None).await, None);
        assert_eq!(get(db, "gone@example.com", None).await, None);
        assert_eq!(get(db, "nobody@example.com", Some("ident")).await, None);
    }

    async fn of_several_accounts_the_lowest_id_is_taken_unless_ident_picks(db: &TestDatabase) {
        let [first, second, third] = sharing(db, "shared@example.com").await;
        let outsider = db.add_user("outsider").await;
        let mut providers = [0; 2];
        for (i, provider) in providers.iter_mut().enumerate() {
            let id = i64::try_from(i).unwrap() + 1;
            let organization = db.add_organization(id, "us", Some(0)).await;
            *provider = db.add_provider(organization).await;
        }
        let [one, two] = providers;
        db.add_identity(third, one, "third").await;
        db.add_identity(second, two, "both").await;
        db.add_identity(outsider, one, "outsider").await;
        let shared = "SHARED@example.com";
        assert_eq!(get(db, shared, None).await, Some(first));
        assert_eq!(get(db, shared, Some("third")).await, Some(third));
        for unknown in ["THIRD", "outsider", "nobody", ""] {
            assert_eq!(get(db, shared, Some(unknown)).await, Some(first), "{unknown}");
        }
        // The same name at two providers: again the lowest id.
        db.execute("UPDATE sentry_authidentity SET ident = 'both' WHERE ident = 'third'").await;
        assert_eq!(get(db, shared, Some("both")).await, Some(second));

        // Where one account has the address, ident has no say.
        assert_eq!(get(db, "outsider@example.com", Some("both")).await, Some(outsider));

        let picked = NewUser { ident: Some("both".to_owned()), ..new(shared) };
        let result = db.users().get_or_create_by_email(&picked).await.unwrap();
        assert_eq!((result.user.id, result.created), (second, false));
    }

    async fn whoever_is_not_there_is_created(db: &TestDatabase) {
        let now = at("2026-03-04T05:06:07.890123Z");
        db.clock.set(now);
        let UserCreateResult { user, created } = get_or_create(db, "John.Doe@Example.com").await;
        assert!(created);
        let (slug, random) = user.username.split_once('-').unwrap();
        assert_eq!(slug, "johndoe");
        assert_eq!(random.len(), 32);
        assert!(random.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        let expected = UserProfile {
            id: user.id,
            username: user.username.clone(),
            name: "John.Doe@Example.com".into(),
            email: "John.Doe@Example.com".into(),
            is_active: true,
            is_superuser: false,
            is_staff: false,
            is_unclaimed: false,
            is_sentry_app: false,
            password_usable: false,
            is_password_expired: false,
            date_joined: now,
            last_active: Some(now),
            flags: Some(UserFlags { newsletter_consent_prompt: true }),
            avatar_url: None,
            session_nonce: None,
        };
        assert_eq!(user, expected);

        let stored = db.users().get_user(user.id).await.unwrap().unwrap();
        assert_eq!(stored.profile, expected);
        let addresses: Vec<_> =
            stored.emails.iter().map(|e| (e.email.as_str(), e.is_verified)).collect();
        assert_eq!(addresses, [("John.Doe@Example.com", false)]);
        let row = db.rows("SELECT password, flags, email_unique FROM auth_user").await.remove(0);
        assert_eq!(row["password"], "");
        assert_eq!(row["flags"], 1);
        assert_eq!(row["email_unique"], "John.Doe@Example.com");
        let row = db.rows("SELECT validation_hash FROM sentry_useremail").await.remove(0);
        assert_eq!(row["validation_hash"].as_str().unwrap().len(), 32);
    }

    async fn a_signup_is_heard_once(db: &TestDatabase) {
        let referred = NewUser { referrer: Some("friend".to_owned()), ..new("b@example.com") };
        let first = get_or_create(db, "a@example.com").await.user;
        let second = db.users().get_or_create_by_email(&referred).await.unwrap().user;
        assert!(!get_or_create(db, "A@example.com").await.created);
        assert!(!db.users().get_or_create_by_email(&referred).await.unwrap().created);

        let heard = db.heard.take_signups();
        let heard: Vec<_> =
            heard.iter().map(|s| (s.user.id, s.source, s.referrer.as_str())).collect();
        assert_eq!(heard, [(first.id, "api", "unknown"), (second.id, "api", "friend")]);
        assert_eq!(db.heard.take_changes(), [first.id, second.id]);
    }

    async fn a_call_made_again_with_its_key_answers_as_it_did(db: &TestDatabase) {
        let key = IdempotencyKey::from_bits(0x0123_4567_89ab_cdef);
        let call = NewUser { idempotency_key: Some(key.clone()), ..new("Ada@example.com") };
        let first = db.users().get_or_create_by_email(&call).await.unwrap();
        assert!(first.created);
        assert_eq!(first.user.username, format!("ada-{key}"));
        assert_eq!(db.users().get_or_create_by_email(&call).await.unwrap(), first);
        assert_eq!(db.heard.take_signups().len(), 1);

        let key = Some(IdempotencyKey::from_bits(7));
        let other = NewUser { idempotency_key: key, ..new("ada@example.com") };
        for call in [other, new("ada@example.com")] {
            let again = db.users().get_or_create_by_email(&call).await.unwrap();
            assert_eq!((again.user, again.created), (first.user.clone(), false));
        }
    }

    async fn an_address_in_another_case_is_the_same_address(db: &TestDatabase) {
        let created = get_or_create(db, "Юлия@Пример.example").await;
        let again = get_or_create(db, "юЛИЯ@ПРИМЕР.EXAMPLE").await;
        assert_eq!((again.user, again.created), (created.user, false));
        assert_eq!(db.count("auth_user").await, 1);
        assert_eq!(db.count("sentry_useremail").await, 1);
    }

    async fn an_existing_user_is_returned_as_they_are(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let result = get_or_create(db, "ADA@example.com").await;
        assert_eq!((result.user.id, result.created), (ada, false));
        assert_eq!(result.user.email, "ada@example.com");
        assert_eq!(db.heard.take_changes(), []);
        assert!(db.heard.take_signups().is_empty());
    }

    async fn an_inactive_account_does_not_hold_its_address(db: &TestDatabase) {
        let gone = Account { email: "gone@example.com", is_active: false, ..Account::default() };
        let gone = db.add(gone).await;
        // Sentry has claimed the address for the account in the unique column.
        db.execute("UPDATE auth_user SET email_unique = email").await;
        let result = get_or_create(db, "gone@example.com").await;
        assert!(result.created);
        assert!(result.user.id > gone);
        assert!(!get_or_create(db, "GONE@example.com").await.created);
        assert_eq!(db.heard.take_signups().len(), 1);
        assert_eq!(db.count("auth_user").await, 2);
    }

    async fn a_generated_username_fits_its_column(db: &TestDatabase) {
        // A sign that takes three bytes of an address and becomes five letters of a slug.
        let email = format!("{}@example.com", "㎯".repeat(21));
        let user = get_or_create(db, &email).await.user;
        assert_eq!(user.username.chars().count(), 128);
        assert!(user.username.starts_with("rads2rads2"));

        let user = get_or_create(db, &format!("{}@example.com", "a".repeat(64))).await.user;
        assert_eq!(user.username.chars().count(), 64 + 33);

        let user = get_or_create(db, "张伟@example.com").await.user;
        assert_eq!(user.username.len(), 33);
        assert!(user.username.starts_with('-'));
    }

    async fn the_longest_address_is_stored_whole(db: &TestDatabase) {
        let labels = format!("{}.", "b".repeat(59)).repeat(3);
        let email = format!("{}@{labels}com", "a".repeat(16));
        assert_eq!(email.len(), 200);
        let user = get_or_create(db, &email).await.user;
        assert_eq!((&*user.email, &*user.name), (&*email, &*email));
    }

    async fn a_user_is_created_under_a_chosen_username(db: &TestDatabase) {
        let users = db.users();
        let user = users.create_by_username_and_email("ada", "Ada@example.com").await.unwrap();
        assert_eq!((user.username.as_str(), user.email.as_str()), ("ada", "Ada@example.com"));
        assert_eq!((user.name.as_str(), user.display_name()), ("", "Ada@example.com"));
        assert!(user.is_active && !user.password_usable);
        assert!(!user.flags.unwrap().newsletter_consent_prompt);
        assert_eq!(user.date_joined, at("2026-01-01T12:00:00Z"));
        let stored = users.get_user(user.id).await.unwrap().unwrap();
        assert_eq!(stored.emails.len(), 1);
        assert!(!stored.emails[0].is_verified);
        assert_eq!(db.heard.take_changes(), [user.id]);
        assert!(db.heard.take_signups().is_empty());

        // Unlike a username, an address may be somebody else's too.
        let twin = users.create_by_username_and_email("Ada", "Ada@example.com").await.unwrap();
        assert!(twin.id > user.id);
        let nameless = users.create_by_username_and_email("bot", "").await.unwrap();
        assert!(users.get_user(nameless.id).await.unwrap().unwrap().emails.is_empty());
    }

    async fn a_taken_username_creates_nobody(db: &TestDatabase) {
        db.add_user("ada").await;
        let result = db.users().create_by_username_and_email("ada", "new@example.com").await;
        assert_eq!(invalid(result), Some(InvalidCode::Taken));
        assert_eq!(db.count("auth_user").await, 1);
        assert_eq!(db.count("sentry_useremail").await, 1);
        assert_eq!(db.heard.take_changes(), []);
        // The connection that failed is of use again.
        assert!(get_or_create(db, "new@example.com").await.created);
    }
}
