//! The user service, asked of another silo.

mod find;
mod page;
mod sentry;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use serde_json::Value;

use super::super::wire::gateway::{GetIdentities, GetRoles, UpdateUser};
use super::super::wire::user::{
    self as wire, AddPermission, CreateByUsernameAndEmail, FlushNonce, GetByUsername,
    GetExistingUsernames, GetFirstSuperuser, GetManyByEmail, GetOrCreateByEmail, GetUserByEmail,
    GetUserBySocialAuth, RemovePermission, ResolveFuzzyUser, TriggerUserConsentEmailIfApplicable,
    UserIdEmailArgs, UserUpdateArgs, VerifyAnyEmail, VerifyUserEmails,
};
use super::super::wire::{Key, RpcUser};
use super::batch::{BATCH, filters, gather};
use super::peer::Peer;
use super::transport::{RpcClient, not_offered};
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, EmailMatch, EmailQuery, Error, FuzzyUserQuery,
    IdempotencyKey, Invalid, InvalidCode, NewUser, Page, Result, Role, SerializeRequest,
    SocialAuthQuery, User, UserCreateResult, UserEmail, UserFilter, UserId, UserPageQuery,
    UserProfile, UserUpdate, UsernameQuery, VerifyUserEmail,
};
use crate::service::{UserService, user_parts};

pub(super) use sentry::accounts;

/// [`UserService`] answered by another silo.
///
/// A gateway answers everything as its own database does. A silo of Sentry's has its own methods
/// alone: what they cannot tell is not offered, and what they tell in another way is put right
/// here. The flags of an account are then unknown, and an account counts as found, not created,
/// if the answer to the attempt that created it was lost.
#[derive(Debug, Clone)]
pub struct RemoteUserService {
    client: RpcClient,
}

impl RemoteUserService {
    /// The users of the silo that `client` asks.
    #[must_use]
    pub const fn new(client: RpcClient) -> Self {
        Self { client }
    }

    /// The account rows of users that an answer has brought.
    async fn profile(&self, user: Option<RpcUser>) -> Result<Option<UserProfile>> {
        let found = user.into_iter().map(|user| user.profile).collect();
        let mut profiles = sentry::complete_profiles(&self.client, found).await?;
        Ok(profiles.pop())
    }
}

#[async_trait]
impl UserService for RemoteUserService {
    async fn get_many(&self, filter: &UserFilter) -> Result<Vec<User>> {
        find::users(&self.client, filter).await
    }

    async fn get_many_ids(&self, filter: &UserFilter) -> Result<Vec<UserId>> {
        find::ids(&self.client, filter).await
    }

    async fn get_many_profiles(&self, filter: &UserFilter) -> Result<Vec<UserProfile>> {
        find::profiles(&self.client, filter).await
    }

    async fn get_many_by_id(&self, ids: &[UserId]) -> Result<Vec<User>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut distinct = ids.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let users = find::users(&self.client, &UserFilter::ids(&distinct)).await?;
        if *distinct == *ids && users.len() == ids.len() {
            return Ok(users);
        }
        let users: HashMap<UserId, User> = users.into_iter().map(|u| (u.profile.id, u)).collect();
        Ok(ids.iter().filter_map(|id| users.get(id).cloned()).collect())
    }

    async fn page(&self, query: &UserPageQuery) -> Result<Page<UserProfile>> {
        page::page(&self.client, query).await
    }

    async fn count(&self, query: &UserPageQuery) -> Result<u64> {
        page::count(&self.client, query).await
    }

    async fn get_many_by_email(&self, query: &EmailQuery) -> Result<Vec<EmailMatch>> {
        let mut matches = Vec::new();
        let mut found: BTreeMap<UserId, BTreeSet<String>> = BTreeMap::new();
        for emails in query.emails.chunks(BATCH) {
            let call = GetManyByEmail {
                emails: emails.to_vec(),
                is_active: query.only_active,
                is_verified: query.only_verified,
                organization_id: query.organization_id,
            };
            let answer = self.client.ask(&call).await?;
            for user in answer.value {
                let (id, email) = (user.profile.id, user.profile.email.to_string());
                if answer.peer == Peer::Gateway {
                    let user = sentry::complete(&self.client, vec![user]).await?.pop();
                    matches.extend(user.map(|user| EmailMatch { user, email }));
                } else {
                    found.entry(id).or_default().insert(email);
                }
            }
        }
        // Sentry puts the address in place of the primary one, which is thereby lost.
        let ids: Vec<UserId> = found.keys().copied().collect();
        for user in self.get_many_by_id(&ids).await? {
            let emails = found.remove(&user.profile.id).unwrap_or_default();
            matches.extend(emails.into_iter().map(|email| EmailMatch {
                user: user.clone(),
                email,
            }));
        }
        let place = |found: &EmailMatch| {
            let mut emails = found.user.emails.iter();
            let address = emails.position(|email| email.email == found.email);
            (found.user.profile.id, address)
        };
        matches.sort_by_key(place);
        matches.dedup_by_key(|found| place(found));
        Ok(matches)
    }

    async fn get_by_username(&self, query: &UsernameQuery) -> Result<Vec<User>> {
        let call = GetByUsername {
            username: query.username.clone(),
            with_valid_password: query.with_valid_password,
            is_active: query.is_active,
        };
        let found = self.client.call(&call).await?;
        let mut users = sentry::complete(&self.client, found).await?;
        users.sort_by_key(|user| user.profile.id);
        Ok(users)
    }

    async fn get_existing_usernames(&self, mut usernames: Vec<String>) -> Result<Vec<String>> {
        let mut existing = HashSet::new();
        for part in usernames.chunks(BATCH) {
            let call = GetExistingUsernames {
                usernames: part.to_vec(),
            };
            existing.extend(self.client.call(&call).await?);
        }
        usernames.retain(|name| existing.remove(name));
        Ok(usernames)
    }

    async fn serialize_many(&self, request: &SerializeRequest) -> Result<Vec<Value>> {
        let as_user = match request.as_user {
            Some(id) => self.get_user(id).await?,
            None => None,
        };
        let filter = &request.filter;
        find::require_anchor(filter)?;
        let parts = if sentry::keeps_to(filter) {
            filters(filter)
        } else {
            // The ids are found by what every kind of silo understands.
            let ids = find::ids(&self.client, filter).await?;
            filters(&UserFilter::ids(&ids))
        };
        let mut users = BTreeMap::new();
        for part in parts {
            let as_user = as_user.clone();
            for user in sentry::serialize(&self.client, &part, as_user, request.serializer).await? {
                let id = user["id"].as_str().and_then(|id| id.parse::<i64>().ok());
                users.insert(id, user);
            }
        }
        Ok(users.into_values().collect())
    }

    async fn get_user_by_email(
        &self,
        email: &str,
        ident: Option<&str>,
    ) -> Result<Option<UserProfile>> {
        let call = GetUserByEmail {
            email: email.to_owned(),
            ident: ident.map(str::to_owned),
        };
        let user = self.client.call(&call).await?;
        self.profile(user).await
    }

    async fn get_user_by_social_auth(
        &self,
        query: &SocialAuthQuery,
    ) -> Result<Option<UserProfile>> {
        let call = GetUserBySocialAuth {
            organization_id: query.organization_id,
            provider: query.provider.clone(),
            uid: query.uid.clone(),
        };
        let user = self.client.call(&call).await?;
        self.profile(user).await
    }

    async fn resolve_fuzzy_user(&self, query: &FuzzyUserQuery) -> Result<Option<UserId>> {
        let call = ResolveFuzzyUser {
            organization_id: query.organization_id,
            email: query.email.clone(),
            name: query.name.clone(),
        };
        self.client.call(&call).await
    }

    async fn get_or_create_by_email(&self, new: &NewUser) -> Result<UserCreateResult> {
        let call = GetOrCreateByEmail {
            email: new.email.as_str().to_owned(),
            ident: new.ident.clone(),
            referrer: new.referrer.clone(),
        };
        let key = new.idempotency_key.clone();
        let key = key.unwrap_or_else(|| IdempotencyKey::from_bits(rand::random()));
        let result = self.client.ask_once(&call, key).await?.value;
        let user = self.profile(Some(result.user)).await?;
        let user = user.ok_or_else(|| gone("user.get_or_create_by_email"))?;
        Ok(UserCreateResult {
            user,
            created: result.created,
        })
    }

    async fn create_by_username_and_email(
        &self,
        username: &str,
        email: &str,
    ) -> Result<UserProfile> {
        // Sentry does not say why it has refused; a gateway would say this.
        if !self.client.is_gateway().await? {
            let existing = self
                .get_existing_usernames(vec![username.to_owned()])
                .await?;
            if !existing.is_empty() {
                return Err(Error::Invalid(Invalid::new(
                    InvalidCode::Taken,
                    format!("the username `{username}` is taken; choose another"),
                    &["username"],
                )));
            }
        }
        let call = CreateByUsernameAndEmail {
            email: email.to_owned(),
            username: username.to_owned(),
        };
        let user = self.client.call(&call).await?;
        let user = self.profile(Some(user)).await?;
        user.ok_or_else(|| gone("user.create_by_username_and_email"))
    }

    async fn update_user(&self, id: UserId, update: &UserUpdate) -> Result<Option<UserProfile>> {
        let call = UpdateUser {
            user_id: id,
            attrs: update.into(),
        };
        if let Some(user) = self.client.ask_gateway(&call).await? {
            return Ok(user);
        }
        if update.name.is_some() || update.username.is_some() {
            return Err(not_offered("changing names and usernames"));
        }
        if !update.is_empty() {
            let attrs = UserUpdateArgs {
                avatar_url: match &update.avatar_url {
                    None => Key::Absent,
                    Some(None) => Key::Null,
                    Some(Some(url)) => Key::Given(url.as_str().to_owned()),
                },
                avatar_type: update.avatar_type.map(|kind| kind.stored().into()).into(),
                actor_id: Key::Absent,
                is_active: update.is_active.into(),
            };
            let call = wire::UpdateUser { user_id: id, attrs };
            if self.client.call(&call).await?.is_none() {
                return Ok(None);
            }
        }
        let mut profiles = find::profiles(&self.client, &UserFilter::ids(&[id])).await?;
        Ok(profiles.pop())
    }

    async fn verify_user_email(&self, id: UserId, email: &str) -> Result<bool> {
        let call = wire::VerifyUserEmail {
            email: email.to_owned(),
            user_id: id,
        };
        self.client.call(&call).await
    }

    async fn verify_any_email(&self, email: &str) -> Result<bool> {
        let email = email.to_owned();
        self.client.call(&VerifyAnyEmail { email }).await
    }

    async fn verify_user_emails(
        &self,
        addresses: &[(UserId, String)],
        only_verified: bool,
    ) -> Result<BTreeMap<UserId, VerifyUserEmail>> {
        let mut verified = BTreeMap::new();
        for part in addresses.chunks(BATCH) {
            let pairs = part.iter().map(|(user_id, email)| UserIdEmailArgs {
                user_id: *user_id,
                email: email.clone(),
            });
            let call = VerifyUserEmails {
                user_id_emails: pairs.collect(),
                only_verified,
            };
            let answer = self.client.call(&call).await?;
            verified.extend(answer.into_iter().map(|(id, is)| (id, is.into())));
        }
        Ok(verified)
    }

    async fn get_first_superuser(&self) -> Result<Option<UserProfile>> {
        let user = self.client.call(&GetFirstSuperuser {}).await?;
        self.profile(user).await
    }

    async fn flush_nonce(&self, id: UserId) -> Result<()> {
        self.client.call(&FlushNonce { user_id: id }).await
    }

    async fn trigger_user_consent_email_if_applicable(&self, id: UserId) -> Result<()> {
        let call = TriggerUserConsentEmailIfApplicable { user_id: id };
        self.client.call(&call).await
    }

    async fn add_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        let call = AddPermission {
            user_id: id,
            permission: permission.to_owned(),
        };
        self.client.call(&call).await
    }

    async fn remove_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        let call = RemovePermission {
            user_id: id,
            permission: permission.to_owned(),
        };
        self.client.call(&call).await
    }

    async fn get_profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>> {
        self.get_many_by_id(ids).await.map(user_parts::profiles)
    }

    async fn get_avatars(&self, ids: &[UserId]) -> Result<Vec<(UserId, Avatar)>> {
        self.get_many_by_id(ids).await.map(user_parts::avatars)
    }

    async fn get_emails(&self, ids: &[UserId]) -> Result<Vec<(UserId, UserEmail)>> {
        self.get_many_by_id(ids).await.map(user_parts::emails)
    }

    async fn get_authenticators(&self, ids: &[UserId]) -> Result<Vec<Authenticator>> {
        let users = self.get_many_by_id(ids).await;
        users.map(user_parts::authenticators)
    }

    async fn get_identities(&self, ids: &[UserId]) -> Result<Vec<AuthIdentity>> {
        let call = |user_ids| GetIdentities { user_ids };
        let mut identities = gather(&self.client, ids, "reading identities", call).await?;
        identities.sort_by_key(|identity| (identity.user_id, identity.id));
        identities.dedup();
        Ok(identities)
    }

    async fn get_roles(&self, ids: &[UserId]) -> Result<Vec<(UserId, Role)>> {
        let call = |user_ids| GetRoles { user_ids };
        let mut roles = gather(&self.client, ids, "reading roles", call).await?;
        roles.sort_by(|(a, left), (b, right)| (a, &left.name).cmp(&(b, &right.name)));
        roles.dedup();
        Ok(roles)
    }

    async fn get_permissions(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
        self.get_many_by_id(ids).await.map(user_parts::permissions)
    }
}

/// A user that a call has just brought is there no more.
fn gone(method: &str) -> Error {
    Error::Conflict(format!(
        "the user that {method} has found was deleted in the meantime; try again"
    ))
}
