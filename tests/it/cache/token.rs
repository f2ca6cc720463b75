//! Tokens that a region remembers for a few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinSet;
use user_gateway::auth::{
    NewToken, Scopes, StoredToken, Subject, TokenKind, TokenOwner, TokenStore, TokenSummary,
    TokenText,
};
use user_gateway::cache::CachedTokenStore;
use user_gateway::domain::{Change, Error, Event, Result, UserId};
use user_gateway::service::Listener;

use crate::harness::{MockClock, at, eventually};

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

/// How long what was found is honoured while nobody can be asked.
const SPARE_LIFE: Duration = Duration::from_mins(5);

/// A store with one token of each of the users 1 and 2, and the owners of theirs.
struct Remembering {
    tokens: Arc<Tokens>,
    clock: Arc<MockClock>,
    store: CachedTokenStore,
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
        let store = CachedTokenStore::new(
            Arc::clone(&tokens) as _,
            Arc::clone(&clock) as _,
            SPARE_LIFE,
        );
        Self {
            tokens,
            clock,
            store,
        }
    }

    /// Closes the account of a user, and says so.
    fn close(&self, id: i64) {
        let mut state = self.tokens.state();
        state.tokens.get_mut(&format!("token-{id}")).unwrap().owner = owner(id, false);
        state.owners.insert(id, owner(id, false));
        drop(state);
        let user_id = UserId(id);
        self.store.notice(&Event::Changed(Change { user_id }));
    }

    async fn find(&self, text: &str) -> Option<TokenOwner> {
        let found = self.store.find(&TokenText::new(text)).await.unwrap();
        found.map(|token| token.owner)
    }
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

#[tokio::test]
async fn a_token_and_an_owner_are_looked_for_once() {
    let it = Remembering::new();
    for _ in 0..3 {
        assert_eq!(it.find("token-1").await, Some(owner(1, true)));
        for subject in [
            Subject::Id(UserId(1)),
            Subject::Email("1@example.com".to_owned()),
        ] {
            let found = it.store.find_owner(&subject).await.unwrap();
            assert_eq!(found, Some(owner(1, true)));
        }
    }
    assert_eq!(it.tokens.take_calls(), 3);
}

#[tokio::test]
async fn a_token_is_remembered_for_ten_seconds() {
    let it = Remembering::new();
    it.find("token-1").await;
    it.clock.set(at("2026-01-01T12:00:09Z"));
    it.find("token-1").await;
    assert_eq!(it.tokens.take_calls(), 1);
    it.clock.set(at("2026-01-01T12:00:10Z"));
    it.find("token-1").await;
    assert_eq!(it.tokens.take_calls(), 1);
}

#[tokio::test]
async fn a_token_is_not_remembered_beyond_its_end() {
    let it = Remembering::new();
    let end = at("2026-01-01T12:00:03Z");
    it.tokens
        .state()
        .tokens
        .get_mut("token-1")
        .unwrap()
        .expires_at = Some(end);
    it.find("token-1").await;
    it.tokens.state().tokens.clear();
    it.clock.set(at("2026-01-01T12:00:02Z"));
    assert!(it.find("token-1").await.is_some());
    it.clock.set(end);
    assert!(it.find("token-1").await.is_none());
}

#[tokio::test]
async fn unknown_tokens_and_failures_are_not_remembered() {
    let it = Remembering::new();
    it.tokens.state().fails = true;
    assert!(it.store.find(&TokenText::new("token-1")).await.is_err());
    it.tokens.state().fails = false;
    assert_eq!(it.find("token-1").await, Some(owner(1, true)));
    assert_eq!(it.find("token-3").await, None);
    assert_eq!(it.find("token-3").await, None);
    assert_eq!(it.tokens.take_calls(), 4);
}

#[tokio::test]
async fn a_change_of_a_user_is_honoured_at_once() {
    let it = Remembering::new();
    it.find("token-1").await;
    it.find("token-2").await;
    it.store.find_owner(&Subject::Id(UserId(1))).await.unwrap();
    it.close(1);
    it.tokens.take_calls();
    assert_eq!(it.find("token-1").await, Some(owner(1, false)));
    let found = it.store.find_owner(&Subject::Id(UserId(1))).await.unwrap();
    assert_eq!(found, Some(owner(1, false)));
    assert_eq!(it.tokens.take_calls(), 2);
    it.find("token-2").await;
    assert_eq!(it.tokens.take_calls(), 0);
}

#[tokio::test]
async fn after_a_gap_and_after_a_revocation_everything_is_asked_anew() {
    let it = Remembering::new();
    it.find("token-1").await;
    it.store.notice(&Event::Missed);
    it.find("token-1").await;
    assert_eq!(it.tokens.take_calls(), 2);
    assert!(it.store.revoke("token-1").await.unwrap());
    assert_eq!(it.find("token-1").await, None);
}

#[tokio::test]
async fn concurrent_look_ups_of_one_token_make_one_call() {
    let it = Arc::new(Remembering::new());
    it.tokens.is_open.send_replace(false);
    let mut look_ups = JoinSet::new();
    for _ in 0..1000 {
        let it = Arc::clone(&it);
        look_ups.spawn(async move { it.find("token-1").await });
    }
    eventually("the call is under way", async || {
        it.tokens.state().waiting == 1
    })
    .await;
    it.tokens.is_open.send_replace(true);
    assert!(look_ups.join_all().await.iter().all(Option::is_some));
    assert_eq!(it.tokens.take_calls(), 1);
}

#[tokio::test]
async fn a_look_up_from_before_a_change_is_neither_joined_nor_remembered() {
    let it = Arc::new(Remembering::new());
    it.tokens.is_open.send_replace(false);
    let ask = || {
        let it = Arc::clone(&it);
        tokio::spawn(async move { it.find("token-1").await })
    };
    let before = ask();
    eventually("the call is under way", async || {
        it.tokens.state().waiting == 1
    })
    .await;
    it.close(1);
    let after = ask();
    eventually("another call is under way", async || {
        it.tokens.state().waiting == 2
    })
    .await;
    it.tokens.is_open.send_replace(true);
    assert_eq!(before.await.unwrap(), Some(owner(1, true)));
    assert_eq!(after.await.unwrap(), Some(owner(1, false)));
    assert_eq!(it.find("token-1").await, Some(owner(1, false)));
}

#[tokio::test]
async fn who_was_known_is_known_for_longer_while_nobody_can_be_asked() {
    let it = Remembering::new();
    it.find("token-1").await;
    it.find("token-2").await;
    it.clock.set(at("2026-01-01T12:00:10Z"));
    it.tokens.state().tokens.remove("token-2");
    assert_eq!(it.find("token-2").await, None);

    it.tokens.state().is_away = true;
    it.clock.set(at("2026-01-01T12:04:59Z"));
    assert_eq!(it.find("token-1").await, Some(owner(1, true)));
    let ask = async |text: &str| it.store.find(&TokenText::new(text)).await;
    assert!(ask("token-2").await.is_err(), "it was revoked before");
    assert!(ask("token-3").await.is_err(), "it was never known");
    it.clock.set(at("2026-01-01T12:05:00Z"));
    assert!(ask("token-1").await.is_err());

    it.tokens.state().is_away = false;
    it.clock.set(at("2026-01-01T12:05:01Z"));
    assert_eq!(it.find("token-1").await, Some(owner(1, true)));
    let user_id = UserId(1);
    it.store.notice(&Event::Changed(Change { user_id }));
    it.tokens.state().is_away = true;
    assert!(ask("token-1").await.is_err(), "the account may be closed");
}
