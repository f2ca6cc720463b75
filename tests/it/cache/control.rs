//! A control silo of the test's own: users whose name is their version, and a hand on how long an
//! answer takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde_json::{Value, json};
use tokio::sync::watch;
use user_gateway::domain::{
    AuthIdentity, Authenticator, AuthenticatorId, AuthenticatorKind, Avatar, AvatarKind,
    DisplayName, EmailMatch, EmailQuery, Error, JsonText, Membership, NewUser, OptionScope,
    Organization, OrganizationId, OrganizationMember, OrganizationVisibility, Page, PageRequest,
    ProjectId, Result, Role, Secret, SerializeRequest, SetOption, SetOptionResult, SocialAuthQuery,
    StoredValue, User, UserCreateResult, UserEmail, UserEmailId, UserFilter, UserId, UserOption,
    UserOptionFilter, UserOptionId, UserPageQuery, UserProfile, UserUpdate, UsernameQuery,
    VerifyUserEmail,
};
use user_gateway::service::{
    OrganizationService, Services, UserOptionService, UserService, user_parts,
};

use super::history::Dice;
use crate::harness::at;

/// The model. Clones are the same silo.
#[derive(Clone)]
pub(crate) struct Control(Arc<Inner>);

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

struct Inner {
    state: Mutex<State>,
    is_open: watch::Sender<bool>,
}

/// An answer that several callers wait for.
type Joined = Shared<BoxFuture<'static, Result<Vec<User>>>>;

#[derive(Default)]
struct State {
    versions: HashMap<UserId, u64>,
    calls: Vec<Vec<UserId>>,
    option_calls: Vec<Vec<UserId>>,
    failures: usize,
    waiting: usize,
    /// How long an answer takes, and what decides it.
    slowness: Option<(Dice, Duration)>,
    /// Calls under way, if equal ones are answered together.
    joined: Option<HashMap<Vec<UserId>, Joined>>,
}

impl Default for Control {
    fn default() -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            is_open: watch::Sender::new(true),
        }))
    }
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The services of the silo.
    pub(crate) fn services(&self) -> Services {
        Services {
            users: Arc::new(self.clone()),
            user_options: Arc::new(self.clone()),
            organizations: Arc::new(self.clone()),
        }
    }

    /// Changes a user, creating it if it is not there; its version from now on.
    pub(crate) fn change(&self, id: i64) -> u64 {
        let mut state = self.state();
        let version = state.versions.entry(UserId(id)).or_default();
        *version += 1;
        *version
    }

    /// The version of a user; 0 if there is none.
    pub(crate) fn version(&self, id: i64) -> u64 {
        self.state()
            .versions
            .get(&UserId(id))
            .copied()
            .unwrap_or_default()
    }

    /// Whose records each call since the last time asked for, sorted.
    pub(crate) fn take_calls(&self) -> Vec<Vec<i64>> {
        sorted(&mut self.state().calls)
    }

    /// Whose options each call since the last time asked for, sorted.
    pub(crate) fn take_option_calls(&self) -> Vec<Vec<i64>> {
        sorted(&mut self.state().option_calls)
    }

    /// Lets the next answers fail.
    pub(crate) fn fail(&self, times: usize) {
        self.state().failures = times;
    }

    /// Holds answers back. What they say is settled when they are asked for.
    pub(crate) fn hold(&self) {
        self.0.is_open.send_replace(false);
    }

    /// Lets go of the answers.
    pub(crate) fn release(&self) {
        self.0.is_open.send_replace(true);
    }

    /// How many answers are held back.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Lets every answer take a while, before it is settled and after.
    pub(crate) fn slow_down(&self, seed: u64, most: Duration) {
        self.state().slowness = Some((Dice(seed), most));
    }

    /// Answers equal calls together from now on, whatever has changed since the first.
    pub(crate) fn join_calls(&self) {
        self.state().joined = Some(HashMap::new());
    }

    async fn delay(&self) {
        let slowness = self.state().slowness.as_mut().map(|(dice, most)| {
            dice.throw();
            (dice.clone(), *most)
        });
        if let Some((mut dice, most)) = slowness {
            dice.rest(most).await;
        }
    }

    async fn answer(self, ids: Vec<UserId>) -> Result<Vec<User>> {
        self.delay().await;
        let found: Result<Vec<User>> = {
            let mut state = self.state();
            state.calls.push(ids.clone());
            if state.failures > 0 {
                state.failures -= 1;
                Err(failure())
            } else {
                let versions = &state.versions;
                let found = ids
                    .iter()
                    .filter_map(|id| Some(user(*id, *versions.get(id)?)));
                Ok(found.collect())
            }
        };
        self.pause().await;
        found
    }

    async fn pause(&self) {
        self.delay().await;
        self.state().waiting += 1;
        let mut is_open = self.0.is_open.subscribe();
        let _ = is_open.wait_for(|is_open| *is_open).await;
        self.state().waiting -= 1;
    }
}

fn sorted(calls: &mut Vec<Vec<UserId>>) -> Vec<Vec<i64>> {
    let each = |ids: Vec<UserId>| {
        let mut ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    };
    std::mem::take(calls).into_iter().map(each).collect()
}

fn failure() -> Error {
    Error::NotSupported("the model has failed, as it was told to".to_owned())
}

fn not_modelled<T>() -> Result<T> {
    Err(Error::NotSupported("the model does not do this".to_owned()))
}

/// A user of a version, which is its name.
pub(crate) fn user(id: UserId, version: u64) -> User {
    let moment = at("2026-01-01T00:00:00Z");
    User {
        profile: UserProfile {
            id,
            username: format!("user-{id}").into(),
            name: version.to_string().into(),
            email: format!("{id}@example.com").into(),
            is_active: true,
            is_superuser: false,
            is_staff: false,
            is_unclaimed: false,
            is_sentry_app: false,
            password_usable: true,
            is_password_expired: false,
            date_joined: moment,
            last_active: None,
            flags: None,
            avatar_url: None,
            session_nonce: Some(Secret::new("nonce".into())),
        },
        role_permissions: BTreeSet::new(),
        permissions: ["broadcasts.admin".to_owned()].into(),
        avatar: Some(Avatar {
            id: id.0,
            file_id: None,
            ident: "face".to_owned(),
            kind: AvatarKind::Gravatar,
        }),
        emails: vec![UserEmail {
            id: UserEmailId(id.0),
            email: format!("{id}@example.com"),
            is_verified: true,
        }],
        authenticators: vec![Authenticator {
            id: AuthenticatorId(id.0),
            user_id: id,
            kind: AuthenticatorKind::Totp,
            created_at: moment,
            last_used_at: None,
            config: Some(Secret::new(json!({"secret": "seed"}))),
        }],
    }
}

/// The version that a read has seen; 0 for no user.
pub(crate) fn version_of(users: &[User]) -> u64 {
    users
        .first()
        .map_or(0, |user| user.profile.name.parse().unwrap())
}

/// A name for a user, of the form that an update takes.
pub(crate) fn name(text: &str) -> DisplayName {
    DisplayName::parse(text, &[]).unwrap()
}

fn options(id: UserId, version: u64) -> Vec<UserOption> {
    let option = |number: i64, key: &str, value: Value, scope| UserOption {
        id: UserOptionId(id.0 * 10 + number),
        user_id: id,
        key: key.into(),
        value: StoredValue::Json(JsonText::from(&value)),
        scope,
    };
    vec![
        option(1, "version", json!(version), OptionScope::GLOBAL),
        option(2, "theme", json!("dark"), OptionScope::GLOBAL),
        option(
            3,
            "theme",
            json!("light"),
            OptionScope::project(ProjectId(5)),
        ),
    ]
}

#[async_trait]
impl UserService for Control {
    async fn get_many_by_id(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let answer = {
            let mut state = self.state();
            let begin = || self.clone().answer(ids.to_vec()).boxed().shared();
            match &mut state.joined {
                None => begin(),
                Some(joined) => {
                    let answer = joined.entry(ids.to_vec()).or_insert_with(begin);
                    if answer.peek().is_some() {
                        *answer = begin();
                    }
                    answer.clone()
                }
            }
        };
        answer.await
    }

    async fn get_many_by_email(&self, query: &EmailQuery) -> Result<Vec<EmailMatch>> {
        let versions = self.state().versions.clone();
        let all = versions.into_iter().map(|(id, version)| user(id, version));
        let found = all.filter(|user| {
            query
                .emails
                .iter()
                .any(|email| user.profile.email == *email)
        });
        Ok(found
            .map(|user| EmailMatch {
                email: user.profile.email.to_string(),
                user,
            })
            .collect())
    }

    async fn update_user(&self, id: UserId, _: &UserUpdate) -> Result<Option<UserProfile>> {
        let version = self.change(id.0);
        self.pause().await;
        let mut state = self.state();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(failure());
        }
        Ok(Some(user(id, version).profile))
    }

    async fn get_or_create_by_email(&self, new: &NewUser) -> Result<UserCreateResult> {
        let id = new
            .email
            .as_str()
            .split('@')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let created = self.version(id) == 0;
        let version = if created {
            self.change(id)
        } else {
            self.version(id)
        };
        let user = user(UserId(id), version).profile;
        Ok(UserCreateResult { user, created })
    }

    async fn create_by_username_and_email(&self, _: &str, email: &str) -> Result<UserProfile> {
        let id = email.split('@').next().unwrap().parse().unwrap();
        Ok(user(UserId(id), self.change(id)).profile)
    }

    async fn verify_user_email(&self, id: UserId, _: &str) -> Result<bool> {
        self.change(id.0);
        Ok(true)
    }

    async fn verify_any_email(&self, email: &str) -> Result<bool> {
        self.change(email.split('@').next().unwrap().parse().unwrap());
        Ok(true)
    }

    async fn flush_nonce(&self, id: UserId) -> Result<()> {
        self.change(id.0);
        Ok(())
    }

    async fn add_permission(&self, id: UserId, _: &str) -> Result<bool> {
        self.change(id.0);
        Ok(true)
    }

    async fn remove_permission(&self, id: UserId, _: &str) -> Result<bool> {
        self.change(id.0);
        Ok(true)
    }

    async fn get_many(&self, _: &UserFilter) -> Result<Vec<User>> {
        not_modelled()
    }

    async fn get_many_ids(&self, _: &UserFilter) -> Result<Vec<UserId>> {
        not_modelled()
    }

    async fn get_many_profiles(&self, _: &UserFilter) -> Result<Vec<UserProfile>> {
        not_modelled()
    }

    async fn page(&self, _: &UserPageQuery) -> Result<Page<UserProfile>> {
        not_modelled()
    }

    async fn count(&self, _: &UserPageQuery) -> Result<u64> {
        not_modelled()
    }

    async fn get_by_username(&self, _: &UsernameQuery) -> Result<Vec<User>> {
        not_modelled()
    }

    async fn get_existing_usernames(&self, _: Vec<String>) -> Result<Vec<String>> {
        not_modelled()
    }

    async fn serialize_many(&self, _: &SerializeRequest) -> Result<Vec<Value>> {
        not_modelled()
    }

    async fn get_user_by_email(&self, _: &str, _: Option<&str>) -> Result<Option<UserProfile>> {
        not_modelled()
    }

    async fn verify_user_emails(
        &self,
        _: &[(UserId, String)],
        _: bool,
    ) -> Result<BTreeMap<UserId, VerifyUserEmail>> {
        not_modelled()
    }

    async fn get_user_by_social_auth(&self, _: &SocialAuthQuery) -> Result<Option<UserProfile>> {
        not_modelled()
    }

    async fn trigger_user_consent_email_if_applicable(&self, _: UserId) -> Result<()> {
        not_modelled()
    }

    async fn get_first_superuser(&self) -> Result<Option<UserProfile>> {
        not_modelled()
    }

    async fn get_profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>> {
        let users = UserService::get_many_by_id(self, ids).await;
        users.map(user_parts::profiles)
    }

    async fn get_avatars(&self, _: &[UserId]) -> Result<Vec<(UserId, Avatar)>> {
        not_modelled()
    }

    async fn get_emails(&self, _: &[UserId]) -> Result<Vec<(UserId, UserEmail)>> {
        not_modelled()
    }

    async fn get_authenticators(&self, _: &[UserId]) -> Result<Vec<Authenticator>> {
        not_modelled()
    }

    async fn get_identities(&self, _: &[UserId]) -> Result<Vec<AuthIdentity>> {
        not_modelled()
    }

    async fn get_roles(&self, _: &[UserId]) -> Result<Vec<(UserId, Role)>> {
        not_modelled()
    }

    async fn get_permissions(&self, _: &[UserId]) -> Result<Vec<(UserId, String)>> {
        not_modelled()
    }
}

#[async_trait]
impl UserOptionService for Control {
    async fn get_many(&self, _: &UserOptionFilter) -> Result<Vec<UserOption>> {
        not_modelled()
    }

    async fn get_all(&self, user_ids: &[UserId]) -> Result<Vec<UserOption>> {
        let mut found = Vec::new();
        {
            let mut state = self.state();
            state.option_calls.push(user_ids.to_vec());
            for id in user_ids {
                if let Some(version) = state.versions.get(id) {
                    found.extend(options(*id, *version));
                }
            }
        }
        self.pause().await;
        Ok(found)
    }

    async fn get_many_by_id(&self, ids: &[UserOptionId]) -> Result<Vec<UserOption>> {
        let owner = |id: UserOptionId| UserId(id.0 / 10);
        let found = ids
            .iter()
            .flat_map(|id| options(owner(*id), self.version(owner(*id).0)));
        Ok(found.filter(|option| ids.contains(&option.id)).collect())
    }

    async fn set_option(&self, option: &SetOption) -> Result<SetOptionResult> {
        let version = self.change(option.user_id.0);
        let option = options(option.user_id, version).remove(0);
        Ok(SetOptionResult {
            option,
            changed: true,
        })
    }

    async fn delete_options(&self, ids: &[UserOptionId]) -> Result<Vec<UserOptionId>> {
        let owners: BTreeSet<i64> = ids.iter().map(|id| id.0 / 10).collect();
        for owner in owners {
            self.change(owner);
        }
        Ok(ids.to_vec())
    }
}

#[async_trait]
impl OrganizationService for Control {
    async fn get_memberships(
        &self,
        _: &[UserId],
        _: OrganizationVisibility,
    ) -> Result<Vec<Membership>> {
        not_modelled()
    }

    async fn get_many_by_id(&self, _: &[OrganizationId]) -> Result<Vec<Organization>> {
        not_modelled()
    }

    async fn get_by_slug(&self, _: &str) -> Result<Option<Organization>> {
        not_modelled()
    }

    async fn get_members(
        &self,
        _: &[OrganizationId],
        _: &PageRequest,
    ) -> Result<Vec<(OrganizationId, Page<OrganizationMember>)>> {
        not_modelled()
    }

    async fn count_members(&self, _: &[OrganizationId]) -> Result<Vec<(OrganizationId, u64)>> {
        not_modelled()
    }

    async fn get_joined(&self, _: UserId) -> Result<Vec<OrganizationId>> {
        not_modelled()
    }

    async fn get_colleagues(&self, _: UserId, _: &[UserId]) -> Result<Vec<UserId>> {
        not_modelled()
    }
}
