//! Credentials, and for how long it is remembered whose they are.

mod forgetting;
mod memory;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::watch;
use user_gateway::auth::{
    Authentication, Caller, JwtRules, JwtVerifier, KeySource, NewToken, Scopes, StoredToken,
    Subject, TokenKind, TokenOwner, TokenStore, TokenSummary, TokenText,
};
use user_gateway::domain::{Change, Error, Event, Result, UserId};

use crate::harness::{MockClock, at, key_set, sign};

/// Tokens of the test's own.
#[derive(Debug)]
struct Tokens {
    state: Mutex<State>,
    is_open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    tokens: HashMap<String, StoredToken>,
    owners: HashMap<i64, TokenOwner>,
    calls: usize,
    waiting: usize,
    fails: bool,
    is_away: bool,
}

impl Tokens {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls there were since the last time.
    fn take_calls(&self) -> usize {
        std::mem::take(&mut self.state().calls)
    }

    async fn answer<T>(&self, found: impl FnOnce(&State) -> T) -> Result<T> {
        let found = {
            let mut state = self.state();
            state.calls += 1;
            state.waiting += 1;
            if state.is_away {
                Err(Error::Unavailable(Arc::new(std::io::Error::other("away"))))
            } else if state.fails {
                Err(Error::NotSupported("the model has failed".to_owned()))
            } else {
                Ok(found(&state))
            }
        };
        let mut is_open = self.is_open.subscribe();
        let _ = is_open.wait_for(|is_open| *is_open).await;
        self.state().waiting -= 1;
        found
    }
}

#[async_trait]
impl TokenStore for Tokens {
    async fn find(&self, text: &TokenText) -> Result<Option<StoredToken>> {
        let text = text.expose();
        self.answer(|state| state.tokens.get(text).cloned()).await
    }

    async fn find_by_hash(&self, hash: &str, _: TokenKind) -> Result<Option<StoredToken>> {
        let is_asked = |text: &str| TokenText::new(text).hash() == hash;
        self.answer(|state| {
            let mut tokens = state.tokens.iter();
            let found = tokens.find(|(text, _)| is_asked(text));
            found.map(|(_, token)| token.clone())
        })
        .await
    }

    async fn find_owner(&self, subject: &Subject) -> Result<Option<TokenOwner>> {
        let id = match subject {
            Subject::Id(id) => id.0,
            Subject::Email(email) => email.split('@').next().unwrap().parse().unwrap(),
        };
        self.answer(|state| state.owners.get(&id).cloned()).await
    }

    async fn create(&self, _: &NewToken) -> Result<()> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<TokenSummary>> {
        Ok(Vec::new())
    }

    async fn revoke(&self, text: &str) -> Result<bool> {
        Ok(self.state().tokens.remove(text).is_some())
    }
}

/// The keys of the identity provider.
#[derive(Debug)]
struct Keys;

#[async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<String> {
        Ok(serde_json::to_string(&key_set(&[1])).unwrap())
    }
}

/// How long whoever was found is honoured while nobody can be asked.
const SPARE_LIFE: Duration = Duration::from_mins(5);

/// Authentication against a store with one token of each of the users 1 and 2, and theirs of an
/// identity provider.
struct Remembering {
    tokens: Arc<Tokens>,
    clock: Arc<MockClock>,
    authentication: Authentication,
}

impl Remembering {
    fn new() -> Self {
        let tokens = Arc::new(Tokens {
            state: Mutex::default(),
            is_open: watch::Sender::new(true),
        });
        for id in 1..=2 {
            let token = StoredToken {
                owner: owner(id, true),
                scopes: Scopes::new(["user:read".to_owned()]),
                expires_at: None,
            };
            tokens.state().tokens.insert(format!("token-{id}"), token);
            tokens.state().owners.insert(id, owner(id, true));
        }
        let clock = Arc::new(MockClock::default());
        let rules = JwtRules {
            issuer: "https://id.example".to_owned(),
            audience: "user-gateway".to_owned(),
            user_claim: "sub".to_owned(),
        };
        let provider = JwtVerifier::new(rules, Arc::new(Keys), Arc::clone(&clock) as _);
        let authentication = Authentication::with_spare_life(
            Arc::clone(&tokens) as _,
            Vec::new(),
            Some(provider),
            Arc::clone(&clock) as _,
            SPARE_LIFE,
        );
        Self {
            tokens,
            clock,
            authentication,
        }
    }

    fn notice(&self, event: &Event) {
        self.authentication.listener().notice(event);
    }

    /// Closes the account of a user, and says so.
    fn close(&self, id: i64) {
        let mut state = self.tokens.state();
        state.tokens.get_mut(&format!("token-{id}")).unwrap().owner = owner(id, false);
        state.owners.insert(id, owner(id, false));
        drop(state);
        let user_id = UserId(id);
        self.notice(&Event::Changed(Change { user_id }));
    }

    /// Who the bearer of a token is.
    async fn ask(&self, token: &str) -> Result<Arc<Caller>> {
        let header = format!("Bearer {token}");
        self.authentication.authenticate(Some(&header)).await
    }

    /// Whose token it is, if it is honoured.
    async fn find(&self, token: &str) -> Option<i64> {
        match self.ask(token).await {
            Ok(caller) => Some(caller.user_id().unwrap().0),
            Err(Error::Unauthenticated(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A token of the identity provider for a user, good until some moment.
fn jwt(id: i64, end: &str) -> String {
    let claims = json!({
        "iss": "https://id.example",
        "aud": "user-gateway",
        "sub": id,
        "exp": at(end).timestamp(),
        "scope": "user:read",
    });
    sign(1, &claims)
}

fn owner(id: i64, is_active: bool) -> TokenOwner {
    TokenOwner::User {
        id: UserId(id),
        is_active,
        is_superuser: false,
        is_staff: false,
        application_is_active: true,
    }
}
