//! The user service of a database with copies of accounts in front of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::record::{Part, Record};
use super::super::source::Source;
use super::LocalCache;
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, EmailMatch, EmailQuery, FuzzyUserQuery, NewUser, Page,
    Result, Role, SerializeRequest, SocialAuthQuery, User, UserBrief, UserCreateResult, UserEmail,
    UserFilter, UserId, UserPageQuery, UserProfile, UserUpdate, UsernameQuery, VerifyUserEmail,
};
use crate::service::UserService;

/// [`UserService`] answered from copies where accounts are asked for by id.
#[derive(Debug)]
pub(super) struct LocalUserService {
    cache: LocalCache,
    inner: Arc<dyn UserService>,
}

impl LocalUserService {
    pub(super) fn new(cache: LocalCache, source: &Source) -> Self {
        Self {
            cache,
            inner: Arc::clone(&source.users),
        }
    }
}

#[async_trait]
impl UserService for LocalUserService {
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
        self.inner.get_many_by_id(ids).await
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
        self.inner.get_or_create_by_email(new).await
    }

    async fn create_by_username_and_email(
        &self,
        username: &str,
        email: &str,
    ) -> Result<UserProfile> {
        self.inner
            .create_by_username_and_email(username, email)
            .await
    }

    async fn update_user(&self, id: UserId, update: &UserUpdate) -> Result<Option<UserProfile>> {
        self.inner.update_user(id, update).await
    }

    async fn verify_user_email(&self, id: UserId, email: &str) -> Result<bool> {
        self.inner.verify_user_email(id, email).await
    }

    async fn verify_any_email(&self, email: &str) -> Result<bool> {
        self.inner.verify_any_email(email).await
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
        self.inner.flush_nonce(id).await
    }

    async fn trigger_user_consent_email_if_applicable(&self, id: UserId) -> Result<()> {
        self.inner
            .trigger_user_consent_email_if_applicable(id)
            .await
    }

    async fn add_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        self.inner.add_permission(id, permission).await
    }

    async fn remove_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        self.inner.remove_permission(id, permission).await
    }

    async fn get_profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>> {
        let mut profiles = Vec::with_capacity(ids.len());
        for (_, record) in self.cache.get_each(Part::Profile, ids).await {
            if let Record::Profile(Some(profile)) = record? {
                profiles.push(UserProfile::clone(&profile));
            }
        }
        Ok(profiles)
    }

    async fn get_each_profile(&self, ids: &[UserId]) -> Vec<(UserId, Result<Arc<UserProfile>>)> {
        let records = self.cache.get_each(Part::Profile, ids).await.into_iter();
        let found = records.filter_map(|(id, record)| match record {
            Ok(Record::Profile(profile)) => Some((id, Ok(profile?))),
            Ok(_) => None,
            Err(error) => Some((id, Err(error))),
        });
        found.collect()
    }

    async fn get_avatars(&self, ids: &[UserId]) -> Result<Vec<(UserId, Avatar)>> {
        self.inner.get_avatars(ids).await
    }

    async fn get_emails(&self, ids: &[UserId]) -> Result<Vec<(UserId, UserEmail)>> {
        self.inner.get_emails(ids).await
    }

    async fn get_authenticators(&self, ids: &[UserId]) -> Result<Vec<Authenticator>> {
        self.inner.get_authenticators(ids).await
    }

    async fn get_identities(&self, ids: &[UserId]) -> Result<Vec<AuthIdentity>> {
        self.inner.get_identities(ids).await
    }

    async fn get_roles(&self, ids: &[UserId]) -> Result<Vec<(UserId, Role)>> {
        self.inner.get_roles(ids).await
    }

    async fn get_permissions(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
        self.inner.get_permissions(ids).await
    }
}
