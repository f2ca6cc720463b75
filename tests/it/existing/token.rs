//! Tokens that Sentry issued, and ours beside them.

use std::sync::Arc;

use user_gateway::auth::{
    Authentication, Caller, NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore, TokenText,
};
use user_gateway::domain::{Clock, Error, UserId};

use super::Form;
use super::snapshot::Snapshot;
use crate::harness::TestDatabase;

async fn caller(db: &TestDatabase, text: &str) -> Result<Caller, String> {
    let tokens = Arc::new(db.database().clone()) as Arc<dyn TokenStore>;
    let clock = Arc::clone(&db.clock) as Arc<dyn Clock>;
    let authentication = Authentication::new(tokens, vec![], None, clock);
    match authentication
        .authenticate(Some(&format!("Bearer {text}")))
        .await
    {
        Ok(caller) => Ok(Caller::clone(&caller)),
        Err(Error::Unauthenticated(why)) => Err(why),
        Err(other) => panic!("{other:?}"),
    }
}

/// The text of one of the fixture's tokens, all of whose digits are the same.
fn of(digit: char) -> String {
    format!("sntryu_{}", String::from(digit).repeat(64))
}

existing! {
    async fn the_tokens_of_sentry_work(db: &TestDatabase, _form: Form) {
        let before = Snapshot::take(db).await;
        let old_style = "0123456789abcdef".repeat(4);
        let members = ["member:read", "member:write", "org:read"];
        let admins = [
            "member:admin", "member:read", "member:write", "org:admin", "org:read", "org:write",
        ];
        for (text, id, scopes, superuser) in [
            (of('b'), 1, &admins[..], true),
            (of('a'), 2, &members[..], false),
            // Bits instead of names.
            (of('f'), 3, &["member:read", "org:read"][..], false),
            (old_style, 2, &members[..], false),
        ] {
            let Caller::User(user) = caller(db, &text).await.unwrap() else { panic!("{text}") };
            assert_eq!(user.id, UserId(id));
            assert_eq!(user.scopes.iter().collect::<Vec<_>>(), scopes);
            assert_eq!((user.is_superuser, user.is_staff), (superuser, superuser));
        }
        // Unlike Sentry, we do not add the hash where it is missing.
        assert_eq!(Snapshot::take(db).await, before);
    }

    async fn the_tokens_that_sentry_refuses_are_refused(db: &TestDatabase, _form: Form) {
        let hash = TokenText::new(&of('a')).hash();
        for (text, why) in [
            (of('c'), "expired"),
            (of('d'), "user is inactive"),
            (of('e'), "application is inactive"),
            (of('0'), "invalid"),
            (hash, "invalid"),
            (of('a').to_uppercase(), "invalid"),
            (of('a')[7..].to_owned(), "invalid"),
        ] {
            let refused = caller(db, &text).await.unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    async fn a_token_of_ours_stands_beside_them(db: &TestDatabase, _form: Form) {
        let before = Snapshot::take(db).await;
        let new = NewToken {
            text: TokenText::generate(TokenKind::User),
            owner: NewTokenOwner::User(UserId(2)),
            scopes: Scopes::new(["user:read"]),
            expires_at: None,
        };
        db.database().create(&new).await.unwrap();
        let found = caller(db, new.text.expose()).await.unwrap();
        assert_eq!(found.user_id(), Some(UserId(2)));
        let list = db.database().list().await.unwrap();
        assert_eq!(list.len(), 8);
        let after = Snapshot::take(db).await;
        assert_eq!(after.catalogue, before.catalogue);
        assert_eq!(before.changed(&after).into_iter().collect::<Vec<_>>(), ["sentry_apitoken"]);

        assert!(db.database().revoke(&list[7].id).await.unwrap());
        assert!(caller(db, new.text.expose()).await.is_err());
        assert_eq!(Snapshot::take(db).await, before);
    }

    async fn services_have_no_tokens_there(db: &TestDatabase, _form: Form) {
        let new = NewToken {
            text: TokenText::generate(TokenKind::Service),
            owner: NewTokenOwner::Service("worker".to_owned()),
            scopes: Scopes::new(["user:read"]),
            expires_at: None,
        };
        let result = db.database().create(&new).await;
        assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
        assert!(caller(db, new.text.expose()).await.is_err());
        assert!(!db.database().revoke("service:1").await.unwrap());
    }
}
