//! The contract of the user service.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::{
    AuthIdentity, Authenticator, Avatar, EmailMatch, EmailQuery, FuzzyMember, FuzzyUserQuery,
    NewUser, Page, Result, Role, SerializeRequest, SocialAuthQuery, User, UserBrief,
    UserCreateResult, UserEmail, UserFilter, UserId, UserPageQuery, UserProfile, UserUpdate,
    UsernameQuery, VerifyUserEmail, resolve_fuzzy_user,
};

/// Users and what belongs to them, after Sentry's `user` service.
///
/// Lists of users come by id, each user once, unless a method says otherwise. The methods that
/// take a [`UserFilter`] refuse one that is not anchored (see [`UserFilter::is_anchored`]), since
/// they answer the whole list; [`UserService::page`] takes any. Inactive users are found unless
/// the filter says otherwise. Keys that do not exist are absent from the answer.
#[async_trait]
pub trait UserService: Debug + Send + Sync + 'static {
    /// The users of a filter with all that belongs to them.
    async fn get_many(&self, filter: &UserFilter) -> Result<Vec<User>>;

    /// The ids of the users of a filter.
    async fn get_many_ids(&self, filter: &UserFilter) -> Result<Vec<UserId>>;

    /// The account rows of the users of a filter.
    async fn get_many_profiles(&self, filter: &UserFilter) -> Result<Vec<UserProfile>>;

    /// The users with these ids, in the order of `ids`; a repeated id repeats its user.
    async fn get_many_by_id(&self, ids: &[UserId]) -> Result<Vec<User>>;

    /// The user with this id.
    async fn get_user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.get_many_by_id(&[id]).await?.pop())
    }

    /// A page of account rows.
    async fn page(&self, query: &UserPageQuery) -> Result<Page<UserProfile>>;

    /// The same page in brief.
    async fn brief_page(&self, query: &UserPageQuery) -> Result<Page<UserBrief>> {
        Ok(self.page(query).await?.map(UserBrief::from))
    }

    /// How many users the whole list of a page holds.
    async fn count(&self, query: &UserPageQuery) -> Result<u64>;

    /// One match per user and address, by user and address id.
    async fn get_many_by_email(&self, query: &EmailQuery) -> Result<Vec<EmailMatch>>;

    /// The user with exactly this username; else those whose username is equal ignoring case;
    /// else, if it is an address, those whose primary address is equal ignoring case.
    async fn get_by_username(&self, query: &UsernameQuery) -> Result<Vec<User>>;

    /// Those of `usernames` that belong to somebody, case-sensitively, active or not, each once
    /// and in the order asked.
    async fn get_existing_usernames(&self, usernames: Vec<String>) -> Result<Vec<String>>;

    /// Users in Sentry's API form.
    async fn serialize_many(&self, request: &SerializeRequest) -> Result<Vec<Value>>;

    /// The active user with this primary address, ignoring case. Of several the one that `ident`
    /// identifies, else the one with the lowest id.
    async fn get_user_by_email(
        &self,
        email: &str,
        ident: Option<&str>,
    ) -> Result<Option<UserProfile>>;

    /// The user who signs in with an account of another service. Of several the one with the
    /// lowest id.
    async fn get_user_by_social_auth(&self, query: &SocialAuthQuery)
    -> Result<Option<UserProfile>>;

    /// The active member of an organization, invited ones counted, whom hints point to; see
    /// [`resolve_fuzzy_user`]. All of the organization's active members are looked at.
    async fn resolve_fuzzy_user(&self, query: &FuzzyUserQuery) -> Result<Option<UserId>> {
        let filter = UserFilter {
            organization_id: Some(query.organization_id),
            is_active: Some(true),
            ..UserFilter::default()
        };
        let profiles = self.get_many_profiles(&filter).await?;
        let ids: Vec<UserId> = profiles.iter().map(|profile| profile.id).collect();
        let mut emails: BTreeMap<UserId, Vec<String>> = BTreeMap::new();
        for (id, email) in self.get_emails(&ids).await? {
            emails.entry(id).or_default().push(email.email);
        }
        let members = profiles.into_iter().map(|profile| FuzzyMember {
            emails: emails.remove(&profile.id).unwrap_or_default(),
            id: profile.id,
            username: profile.username.into(),
            name: profile.name.into(),
        });
        Ok(resolve_fuzzy_user(query, &members.collect::<Vec<_>>()))
    }

    /// As [`UserService::get_user_by_email`]; if there is none, creates the user. Of any number of
    /// concurrent calls with one address, in any case and from any process, exactly one creates.
    async fn get_or_create_by_email(&self, new: &NewUser) -> Result<UserCreateResult>;

    /// Creates a user. A username that is taken is an error.
    async fn create_by_username_and_email(
        &self,
        username: &str,
        email: &str,
    ) -> Result<UserProfile>;

    /// Changes fields of a user; `None` if there is no such user. An empty update writes nothing.
    async fn update_user(&self, id: UserId, update: &UserUpdate) -> Result<Option<UserProfile>>;

    /// Marks an address of a user as verified. True if this call changed it.
    async fn verify_user_email(&self, id: UserId, email: &str) -> Result<bool>;

    /// Marks the address with the lowest id among all users' equal addresses as verified. True if
    /// this call changed it.
    async fn verify_any_email(&self, email: &str) -> Result<bool>;

    /// Whether each user owns the address beside it, ignoring case; of a repeated user the last
    /// address counts.
    async fn verify_user_emails(
        &self,
        addresses: &[(UserId, String)],
        only_verified: bool,
    ) -> Result<BTreeMap<UserId, VerifyUserEmail>>;

    /// The picture of a user.
    async fn get_user_avatar(&self, id: UserId) -> Result<Option<Avatar>> {
        Ok(self
            .get_avatars(&[id])
            .await?
            .pop()
            .map(|(_, avatar)| avatar))
    }

    /// The active superuser with the lowest id.
    async fn get_first_superuser(&self) -> Result<Option<UserProfile>>;

    /// Makes the sessions of a user invalid. No effect on an unknown user.
    async fn flush_nonce(&self, id: UserId) -> Result<()>;

    /// Makes a user be asked whether newsletters are welcome; no mail is sent. An unknown user is an
    /// error.
    async fn trigger_user_consent_email_if_applicable(&self, id: UserId) -> Result<()>;

    /// Permits something to a user. True if it was not permitted before.
    async fn add_permission(&self, id: UserId, permission: &str) -> Result<bool>;

    /// Takes a permission from a user. True if it was permitted before.
    async fn remove_permission(&self, id: UserId, permission: &str) -> Result<bool>;

    /// The account rows with these ids.
    async fn get_profiles(&self, ids: &[UserId]) -> Result<Vec<UserProfile>>;

    /// As [`UserService::get_profiles`], each user by itself: where some of them cannot be told at
    /// the moment, the others are. Those that do not exist are absent, as ever.
    async fn get_each_profile(&self, ids: &[UserId]) -> Vec<(UserId, Result<Arc<UserProfile>>)> {
        match self.get_profiles(ids).await {
            Ok(profiles) => profiles
                .into_iter()
                .map(|p| (p.id, Ok(Arc::new(p))))
                .collect(),
            Err(error) => ids.iter().map(|id| (*id, Err(error.clone()))).collect(),
        }
    }

    /// The pictures of these users, at most one each.
    async fn get_avatars(&self, ids: &[UserId]) -> Result<Vec<(UserId, Avatar)>>;

    /// The addresses of these users, by user and id.
    async fn get_emails(&self, ids: &[UserId]) -> Result<Vec<(UserId, UserEmail)>>;

    /// The second factors of these users, by user and id, without their secrets.
    async fn get_authenticators(&self, ids: &[UserId]) -> Result<Vec<Authenticator>>;

    /// The single sign-on identities of these users, by user and id.
    async fn get_identities(&self, ids: &[UserId]) -> Result<Vec<AuthIdentity>>;

    /// The roles of these users, by user and name, each once.
    async fn get_roles(&self, ids: &[UserId]) -> Result<Vec<(UserId, Role)>>;

    /// What these users are permitted directly, by user and permission.
    async fn get_permissions(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>>;
}
