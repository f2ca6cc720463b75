//! The contract of the store of tokens, and of authentication with what it holds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use user_gateway::auth::{
    Authentication, Caller, ConfiguredServiceToken, NewToken, NewTokenOwner, Scopes, TokenKind,
    TokenOwner, TokenStore, TokenText, hash,
};
use user_gateway::domain::{Clock, Error, UserId};

use crate::harness::{TestDatabase, at};

fn token(owner: NewTokenOwner, scopes: &[&str]) -> NewToken {
    let kind = match owner {
        NewTokenOwner::User(_) => TokenKind::User,
        NewTokenOwner::Service(_) => TokenKind::Service,
    };
    NewToken {
        text: TokenText::generate(kind),
        owner,
        scopes: Scopes::new(scopes.iter().copied()),
        expires_at: None,
    }
}

fn service(name: &str) -> NewTokenOwner {
    NewTokenOwner::Service(name.to_owned())
}

fn authentication(db: &TestDatabase, configured: Vec<ConfiguredServiceToken>) -> Authentication {
    let tokens = Arc::new(db.database().clone()) as Arc<dyn TokenStore>;
    let clock = Arc::clone(&db.clock) as Arc<dyn Clock>;
    Authentication::new(tokens, configured, None, clock)
}

/// Who a token's bearer is, or why they are refused.
async fn caller(db: &TestDatabase, text: &TokenText) -> Result<Caller, String> {
    let header = format!("Bearer {}", text.expose());
    match authentication(db, vec![]).authenticate(Some(&header)).await {
        Ok(caller) => Ok(Caller::clone(&caller)),
        Err(Error::Unauthenticated(why)) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

/// Every text in both tables of tokens.
async fn stored(db: &TestDatabase) -> String {
    let mut rows = db.rows("SELECT * FROM sentry_apitoken").await;
    rows.extend(db.rows("SELECT * FROM user_gateway_servicetoken").await);
    serde_json::to_string(&rows).unwrap()
}

database_contract! {
    async fn a_token_is_found_by_its_hash_alone(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let of_user = token(NewTokenOwner::User(ada), &["user:read"]);
        let of_service = token(service("billing"), &["org:read"]);
        for new in [&of_user, &of_service] {
            db.database().create(new).await.unwrap();
            let whole = db.database().find(&new.text).await.unwrap().unwrap();
            let hash = new.text.hash();
            let found = db.database().find_by_hash(&hash, new.text.kind()).await.unwrap();
            assert_eq!(found, Some(whole));
            let text = new.text.expose();
            assert_eq!(db.database().find_by_hash(text, new.text.kind()).await.unwrap(), None);
        }
        let hash = of_user.text.hash();
        assert_eq!(db.database().find_by_hash(&hash, TokenKind::Service).await.unwrap(), None);
    }

    async fn a_token_is_found_by_its_text_and_kept_as_a_hash(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.execute("UPDATE auth_user SET is_superuser = true").await;
        let new = token(NewTokenOwner::User(ada), &["user:read", "org:read"]);
        db.database().create(&new).await.unwrap();
        let found = db.database().find(&new.text).await.unwrap().unwrap();
        let owner = TokenOwner::User {
            id: ada,
            is_active: true,
            is_superuser: true,
            is_staff: false,
            application_is_active: true,
        };
        assert_eq!((found.owner, found.scopes, found.expires_at), (owner, new.scopes, None));

        let of_service = token(service("worker"), &["user:admin"]);
        db.database().create(&of_service).await.unwrap();
        let found = db.database().find(&of_service.text).await.unwrap().unwrap();
        assert_eq!(found.owner, TokenOwner::Service("worker".to_owned()));
        assert_eq!(found.scopes, of_service.scopes);

        let stored = stored(db).await;
        for text in [&new.text, &of_service.text] {
            assert!(!stored.contains(text.expose()));
            assert!(stored.contains(&text.hash()));
        }
    }

    async fn what_is_kept_of_a_token_does_not_work_as_one(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        for owner in [NewTokenOwner::User(ada), service("worker")] {
            let new = token(owner, &["user:read"]);
            db.database().create(&new).await.unwrap();
            for prefix in ["", "hashed ", "sntryu_", "ugsvc_"] {
                let kept = TokenText::new(&format!("{prefix}{}", new.text.hash()));
                assert_eq!(db.database().find(&kept).await.unwrap(), None);
            }
        }
        assert_eq!(db.database().find(&TokenText::new("")).await.unwrap(), None);
        // A Sentry on the same table would take a text that it finds there for a token.
        let kept = db.rows("SELECT token FROM sentry_apitoken").await.remove(0);
        assert!(kept["token"].as_str().unwrap().contains(' '));
    }

    async fn a_plaintext_token_of_an_old_sentry_is_found(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let text = "0123456789abcdef".repeat(4);
        db.execute(&format!(
            "INSERT INTO sentry_apitoken (user_id, token, scopes, scope_list, date_added) VALUES \
             ({ada}, '{text}', 9216, '{{}}', '2025-01-01T00:00:00+00:00')"
        ))
        .await;
        let found = db.database().find(&TokenText::new(&text)).await.unwrap().unwrap();
        assert_eq!(found.scopes.iter().collect::<Vec<_>>(), ["member:read", "org:read"]);
        let other_case = TokenText::new(&text.to_uppercase());
        assert_eq!(db.database().find(&other_case).await.unwrap(), None);
    }

    async fn tokens_are_listed_and_revoked(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let end: DateTime<Utc> = at("2027-01-01T00:00:00Z");
        let mut first = token(NewTokenOwner::User(ada), &["user:read", "org:read"]);
        first.expires_at = Some(end);
        let second = token(NewTokenOwner::User(ada), &[]);
        let third = token(service("worker"), &["user:write"]);
        for new in [&third, &first, &second] {
            db.database().create(new).await.unwrap();
        }
        let list = db.database().list().await.unwrap();
        let owners: Vec<_> = list.iter().map(|token| token.owner.as_str()).collect();
        let user = format!("user {ada}");
        assert_eq!(owners, [user.as_str(), user.as_str(), "service worker"]);
        assert_eq!(list[0].last_characters, first.text.last_characters());
        assert_eq!(list[0].scopes, first.scopes);
        assert_eq!(list[0].expires_at, Some(end));
        assert_eq!(list[0].date_added, at("2026-01-01T12:00:00Z"));
        assert_eq!((list[2].expires_at, &list[2].scopes), (None, &third.scopes));
        assert_eq!(list[2].last_characters, third.text.last_characters());

        for (listed, new) in list.iter().zip([&first, &second, &third]) {
            assert!(db.database().find(&new.text).await.unwrap().is_some());
            assert!(db.database().revoke(&listed.id).await.unwrap());
            assert!(!db.database().revoke(&listed.id).await.unwrap());
            assert!(db.database().find(&new.text).await.unwrap().is_none());
        }
        for nonsense in ["", "1", "user:", "user:x", "service:404", "other:1", ":"] {
            assert!(!db.database().revoke(nonsense).await.unwrap(), "{nonsense}");
        }
        assert!(db.database().list().await.unwrap().is_empty());
    }

    async fn a_token_that_nobody_can_have_is_refused(db: &TestDatabase) {
        let result = db.database().create(&token(NewTokenOwner::User(UserId(404)), &[])).await;
        assert!(matches!(result, Err(Error::NotFound(_))), "{result:?}");
        db.database().create(&token(service("worker"), &[])).await.unwrap();
        let result = db.database().create(&token(service("worker"), &[])).await;
        assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
        assert_eq!(db.database().list().await.unwrap().len(), 1);
    }

    async fn a_token_works_until_it_expires(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        for owner in [NewTokenOwner::User(ada), service("worker")] {
            let mut new = token(owner, &["user:read"]);
            let end = at("2026-06-01T00:00:00Z");
            new.expires_at = Some(end);
            db.database().create(&new).await.unwrap();
            db.clock.set(at("2026-05-31T23:59:59.999999Z"));
            assert!(caller(db, &new.text).await.is_ok());
            db.clock.set(end);
            assert!(caller(db, &new.text).await.unwrap_err().contains("expired"));
            db.clock.set(at("2026-01-01T00:00:00Z"));
            assert!(caller(db, &new.text).await.is_ok());
        }
    }

    async fn a_token_works_while_its_user_may_sign_in(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let new = token(NewTokenOwner::User(ada), &["user:read"]);
        db.database().create(&new).await.unwrap();
        let Ok(Caller::User(user)) = caller(db, &new.text).await else { panic!("no user") };
        assert_eq!((user.id, &user.scopes), (ada, &new.scopes));
        for state in ["is_active = false", "is_suspended = true"] {
            db.execute(&format!("UPDATE auth_user SET {state}")).await;
            assert!(caller(db, &new.text).await.unwrap_err().contains("inactive"), "{state}");
            db.execute("UPDATE auth_user SET is_active = true, is_suspended = false").await;
        }
        assert!(caller(db, &new.text).await.is_ok());
    }

    async fn a_service_may_be_known_by_configuration_alone(db: &TestDatabase) {
        let text = TokenText::generate(TokenKind::Service);
        let configured = ConfiguredServiceToken {
            name: "worker".to_owned(),
            hash: hash(text.expose()),
            scopes: Scopes::new(["user:read"]),
        };
        let authentication = authentication(db, vec![configured]);
        let bearer = format!("bearer  {}", text.expose());
        let caller = authentication.authenticate(Some(&bearer)).await.unwrap();
        assert_eq!(caller.key(), "service:worker");
        let by_hash = format!("Bearer {}", text.hash());
        for header in [
            None,
            Some(""),
            Some("Bearer"),
            Some(text.expose()),
            Some("Basic dXNlcjpwYXNz"),
            Some("Bearer one two"),
            Some(by_hash.as_str()),
        ] {
            let result = authentication.authenticate(header).await;
            assert!(matches!(result, Err(Error::Unauthenticated(_))), "{header:?}");
        }
    }
}
