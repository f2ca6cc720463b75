//! The user service with the cache in front of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::record::{Part, Record};
use super::region::RegionCache;
use super::source::Source;
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, EmailMatch, EmailQuery, FuzzyUserQuery, NewUser, Page,
    Result, Role, SerializeRequest, SocialAuthQuery, User, UserBrief, UserCreateResult, UserEmail,
    UserFilter, UserId, UserPageQuery, UserProfile, UserUpdate, UsernameQuery, VerifyUserEmail,
};
use crate::service::{UserService, user_parts};

/// [`UserService`] answered from copies where users are asked for by id. Its users come without
/// the secrets of second factors.
#[derive(Debug)]
pub struct CachedUserService {
    cache: RegionCache,
    inner: Arc<dyn UserService>,
}

impl CachedUserService {
    pub(super) fn new(cache: RegionCache, source: &Source) -> Self {
        Self {
            cache,
            inner: Arc::clone(&source.users),
        }
    }

    /// Makes a change of one user.
    async fn change<T: Send>(
        &self,
        id: UserId,
        change: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let changing = self.cache.change(id);
        let result = change.await;
        changing.end().await;
        result
    }

    /// Ends the creation of a user: that there was none may be remembered.
    async fn created(&self, id: UserId) {
        self.cache.change(id).end().await;
    }
}

#[async_trait]
impl UserService for CachedUserService {
    async fn get_many(&self, filter: &UserFilter) -> Result<Vec<User>> {
        self.inner.get_many(filter).await
    }

    async fn get_many_ids(&self, filter: &UserFilter) -> Result<Vec<UserId>> {
        self.inner.get_many_ids(filter).await
    }

    async fn get_many_profiles(&self, filter: &UserFilter) -> Result<Vec<UserProfile>> {
        self.inner.get_many_profiles(filter).await
    }

    async fn get_many_by_id(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let records = self.cache.get_each(Part::User, ids).await;
        let mut users = Vec::with_capacity(ids.len());
        // They come by id, and are wanted in the order asked.
        for id in ids {
            let Ok(place) = records.binary_search_by_key(id, |(id, _)| *id) else {
                continue;
            };
            match &records[place].1 {
                Ok(Record::User(Some(user))) => users.push(User::clone(user)),
                Ok(_) => {}
                Err(error) => return Err(error.clone()),
            }
        }
        Ok(users)
    }

    async fn get_user_by_social_auth(
        &self,
        query: &SocialAuthQuery,
    ) -> Result<Option<UserProfile>> {
        self.inner.get_user_by_social_auth(query).await
    }

    async fn resolve_fuzzy_user(&self, query: &FuzzyUserQuery) -> Result<Option<UserId>> {
        self.inner.resolve_fuzzy_user(query).await
    }

    async fn page(&self, query: &UserPageQuery) -> Result<Page<UserProfile>> {
        self.inner.page(query).await
    }

    async fn brief_page(&self, query: &UserPageQuery) -> Result<Page<UserBrief>> {
        self.inner.brief_page(query).await
    }

    async fn count(&self, query: &UserPageQuery) -> Result<u64> {
        self.inner.count(query).await
    }

    async fn get_many_by_email(&self, query: &EmailQuery) -> Result<Vec<EmailMatch>> {
        self.inner.get_many_by_email(query).await
    }

    async fn get_by_username(&self, query: &UsernameQuery) -> Result<Vec<User>> {
        self.inner.get_by_username(query).await
    }

    async fn get_existing_usernames(&self, usernames: Vec<String>) -> Result<Vec<String>> {
        self.inner.get_existing_usernames(usernames).await
    }

    async fn serialize_many(&self, request: &SerializeRequest) -> Result<Vec<Value>> {
        self.inner.serialize_many(request).await
    }

    async fn get_user_by_email(
        &self,
        email: &str,
        ident: Option<&str>,
    ) -> Result<Option<UserProfile>> {
        self.inner.get_user_by_email(email, ident).await
    }

    async fn get_or_create_by_email(&self, new: &NewUser) -> Result<UserCreateResult> {
        let result = self.inner.get_or_create_by_email(new).await?;
        if result.created {
            self.created(result.user.id).await;
        }
        Ok(result)
    }

    async fn create_by_username_and_email(
        &self,
        username: &str,
        email: &str,
    ) -> Result<UserProfile> {
        let inner = &self.inner;
        let profile = inner.create_by_username_and_email(username, email).await?;
        self.created(profile.id).await;
        Ok(profile)
    }

    async fn update_user(&self, id: UserId, update: &UserUpdate) -> Result<Option<UserProfile>> {
        self.change(id, self.inner.update_user(id, update)).await
    }

    async fn verify_user_email(&self, id: UserId, email: &str) -> Result<bool> {
        self.change(id, self.inner.verify_user_email(id, email))
            .await
    }

    async fn verify_any_email(&self, email: &str) -> Result<bool> {
        // Whose address it will be is not said, only who has it.
        let query = EmailQuery {
            emails: vec![email.to_owned()],
            only_active: false,
            only_verified: false,
            organization_id: None,
        };
        let matches = self.inner.get_many_by_email(&query).await?;
        let mut owners: Vec<_> = matches.iter().map(|found| found.user.profile.id).collect();
        owners.sort_unstable();
        owners.dedup();
        let changes: Vec<_> = owners.into_iter().map(|id| self.cache.change(id)).collect();
        let result = self.inner.verify_any_email(email).await;
        for change in changes {
            change.end().await;
        }
        result
    }

    async fn verify_user_emails(
        &self,
        addresses: &[(UserId, String)],
        only_verified: bool,
    ) -> Result<BTreeMap<UserId, VerifyUserEmail>> {
        self.inner
            .verify_user_emails(addresses, only_verified)
            .await
    }

    async fn get_first_superuser(&self) -> Result<Option<UserProfile>> {
        self.inner.get_first_superuser().await
    }

    async fn flush_nonce(&self, id: UserId) -> Result<()> {
        self.change(id, self.inner.flush_nonce(id)).await
    }

    async fn trigger_user_consent_email_if_applicable(&self, id: UserId) -> Result<()> {
        let change = self.inner.trigger_user_consent_email_if_applicable(id);
        self.change(id, change).await
    }

    async fn add_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        self.change(id, self.inner.add_permission(id, permission))
            .await
    }

    async fn remove_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        self.change(id, self.inner.remove_permission(id, permission))
            .await
    }

    async fn get_profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>> {
        self.get_many_by_id(ids).await.map(user_parts::profiles)
    }

    async fn get_each_profile(&self, ids: &[UserId]) -> Vec<(UserId, Result<Arc<UserProfile>>)> {
        let records = self.cache.get_each(Part::User, ids).await;
        let found = records.into_iter().filter_map(|(id, record)| match record {
            Ok(Record::User(user)) => Some((id, Ok(Arc::new(user?.profile.clone())))),
            Ok(Record::Profile(_) | Record::Options(_)) => None,
            Err(error) => Some((id, Err(error))),
        });
        found.collect()
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
        self.inner.get_identities(ids).await
    }

    async fn get_roles(&self, ids: &[UserId]) -> Result<Vec<(UserId, Role)>> {
        self.inner.get_roles(ids).await
    }

    async fn get_permissions(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
        self.get_many_by_id(ids).await.map(user_parts::permissions)
    }
}
