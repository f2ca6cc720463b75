//! The user service over the tables.

mod change;
mod creation;
mod filter;
mod lookup;
mod page;
mod parts;
mod provision;
mod read;
mod search;
mod serialize;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use super::Database;
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, EmailMatch, EmailQuery, NewUser, Page, Result, Role,
    SerializeRequest, SocialAuthQuery, User, UserBrief, UserCreateResult, UserEmail, UserFilter,
    UserId, UserPageQuery, UserProfile, UserUpdate, UsernameQuery, VerifyUserEmail,
};
use crate::service::UserService;

pub(super) use creation::Creation;
pub(super) use filter::colleagues;
pub(super) use lookup::Lookups;
pub(super) use search::Searches;

/// [`UserService`] answered by the database.
#[derive(Debug)]
pub(super) struct DatabaseUserService {
    database: Database,
}

impl DatabaseUserService {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    async fn verify(&self, id: Option<UserId>, email: &str) -> Result<bool> {
        let email = email.to_owned();
        let change = self
            .database
            .change(|database| async move { change::verify_email(&database, id, &email).await });
        change.await
    }
}

#[async_trait]
impl UserService for DatabaseUserService {
    async fn get_many(&self, filter: &UserFilter) -> Result<Vec<User>> {
        read::many(&self.database, filter).await
    }

    async fn get_many_ids(&self, filter: &UserFilter) -> Result<Vec<UserId>> {
        read::ids(&self.database, filter).await
    }

    async fn get_many_profiles(&self, filter: &UserFilter) -> Result<Vec<UserProfile>> {
        read::profiles(&self.database, filter).await
    }

    async fn get_many_by_id(&self, ids: &[UserId]) -> Result<Vec<User>> {
        read::by_id(&self.database, ids).await
    }

    async fn page(&self, query: &UserPageQuery) -> Result<Page<UserProfile>> {
        page::page(&self.database, query).await
    }

    async fn brief_page(&self, query: &UserPageQuery) -> Result<Page<UserBrief>> {
        page::page(&self.database, query).await
    }

    async fn count(&self, query: &UserPageQuery) -> Result<u64> {
        page::count(&self.database, query).await
    }

    async fn get_many_by_email(&self, query: &EmailQuery) -> Result<Vec<EmailMatch>> {
        read::by_email(&self.database, query).await
    }

    async fn get_by_username(&self, query: &UsernameQuery) -> Result<Vec<User>> {
        read::by_username(&self.database, query).await
    }

    async fn get_existing_usernames(&self, usernames: Vec<String>) -> Result<Vec<String>> {
        read::existing_usernames(&self.database, usernames).await
    }

    async fn serialize_many(&self, request: &SerializeRequest) -> Result<Vec<Value>> {
        serialize::many(&self.database, request).await
    }

    async fn get_user_by_email(
        &self,
        email: &str,
        ident: Option<&str>,
    ) -> Result<Option<UserProfile>> {
        provision::find(&self.database, email, ident).await
    }

    async fn get_user_by_social_auth(
        &self,
        query: &SocialAuthQuery,
    ) -> Result<Option<UserProfile>> {
        read::by_social_auth(&self.database, query).await
    }

    async fn get_or_create_by_email(&self, new: &NewUser) -> Result<UserCreateResult> {
        provision::get_or_create(&self.database, new).await
    }

    async fn create_by_username_and_email(
        &self,
        username: &str,
        email: &str,
    ) -> Result<UserProfile> {
        let (username, email) = (username.to_owned(), email.to_owned());
        let change = self.database.change(|database| async move {
            provision::create(&database, &username, &email).await
        });
        change.await
    }

    async fn update_user(&self, id: UserId, update: &UserUpdate) -> Result<Option<UserProfile>> {
        let update = update.clone();
        let change = self
            .database
            .change(|database| async move { change::update(&database, id, &update).await });
        change.await
    }

    async fn verify_user_email(&self, id: UserId, email: &str) -> Result<bool> {
        self.verify(Some(id), email).await
    }

    async fn verify_any_email(&self, email: &str) -> Result<bool> {
        self.verify(None, email).await
    }

    async fn verify_user_emails(
        &self,
        addresses: &[(UserId, String)],
        only_verified: bool,
    ) -> Result<BTreeMap<UserId, VerifyUserEmail>> {
        read::verify_emails(&self.database, addresses, only_verified).await
    }

    async fn get_first_superuser(&self) -> Result<Option<UserProfile>> {
        read::first_superuser(&self.database).await
    }

    async fn flush_nonce(&self, id: UserId) -> Result<()> {
        let change = self
            .database
            .change(|database| async move { change::flush_nonce(&database, id).await });
        change.await
    }

    async fn trigger_user_consent_email_if_applicable(&self, id: UserId) -> Result<()> {
        let change = self.database.change(|database| async move {
            change::prompt_newsletter_consent(&database, id).await
        });
        change.await
    }

    async fn add_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        let permission = permission.to_owned();
        let change = self.database.change(|database| async move {
            change::add_permission(&database, id, &permission).await
        });
        change.await
    }

    async fn remove_permission(&self, id: UserId, permission: &str) -> Result<bool> {
        let permission = permission.to_owned();
        let change = self.database.change(|database| async move {
            change::remove_permission(&database, id, &permission).await
        });
        change.await
    }

    async fn get_profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>> {
        read::profiles_by_id(&self.database, ids).await
    }

    async fn get_avatars(&self, ids: &[UserId]) -> Result<Vec<(UserId, Avatar)>> {
        parts::avatars(&self.database, ids).await
    }

    async fn get_emails(&self, ids: &[UserId]) -> Result<Vec<(UserId, UserEmail)>> {
        parts::emails(&self.database, ids).await
    }

    async fn get_authenticators(&self, ids: &[UserId]) -> Result<Vec<Authenticator>> {
        parts::authenticators(&self.database, ids, parts::Secrets::Withheld).await
    }

    async fn get_identities(&self, ids: &[UserId]) -> Result<Vec<AuthIdentity>> {
        parts::identities(&self.database, ids).await
    }

    async fn get_roles(&self, ids: &[UserId]) -> Result<Vec<(UserId, Role)>> {
        parts::roles(&self.database, ids).await
    }

    async fn get_permissions(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
        parts::permissions(&self.database, ids).await
    }
}
