//! The methods of Sentry's `user` service.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::wire::user::{
    AddPermission, CreateByUsernameAndEmail, FlushNonce, GetByUsername, GetExistingUsernames,
    GetFirstSuperuser, GetMany, GetManyByEmail, GetManyIds, GetManyProfiles, GetMemberCellNames,
    GetMemberRegionNames, GetOrCreateByEmail, GetOrganizations, GetUserAvatar, GetUserByEmail,
    GetUserBySocialAuth, RemovePermission, ResolveFuzzyUser, SerializeMany,
    TriggerUserConsentEmailIfApplicable, UpdateUser, VerifyAnyEmail, VerifyUserEmail,
    VerifyUserEmails,
};
use super::super::wire::{
    RpcAvatar, RpcOrganizationMapping, RpcUser, RpcUserProfile, RpcVerifyUserEmail,
    UserCreateResult,
};
use super::gateway::visibility;
use super::method::{Context, Method};
use crate::domain::{
    Email, EmailQuery, FuzzyUserQuery, NewUser, Result, SerializeRequest, Serializer,
    SocialAuthQuery, UserFilter, UserId, UsernameQuery,
};

impl Method for SerializeMany {
    async fn answer(self, context: &Context) -> Result<Vec<Value>> {
        let Some(filter) = context.filter(self.filter)? else {
            return Ok(Vec::new());
        };
        let requester = self
            .as_user
            .or_else(|| self.auth_context.and_then(|context| context.user));
        let request = SerializeRequest {
            filter,
            as_user: requester.map(|user| user.profile.id),
            serializer: self.serializer.map(|form| form.0).unwrap_or_default(),
        };
        context.users()?.serialize_many(&request).await
    }
}

impl Method for GetMany {
    async fn answer(self, context: &Context) -> Result<Vec<RpcUser>> {
        let Some(filter) = context.filter(self.filter)? else {
            return Ok(Vec::new());
        };
        let users = context.users()?.get_many(&filter).await?;
        Ok(users.into_iter().map(|user| context.user(user)).collect())
    }
}

impl Method for GetManyIds {
    async fn answer(self, context: &Context) -> Result<Vec<UserId>> {
        match context.filter(self.filter)? {
            Some(filter) => context.users()?.get_many_ids(&filter).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Method for GetManyProfiles {
    async fn answer(self, context: &Context) -> Result<Vec<RpcUserProfile>> {
        let Some(filter) = context.filter(self.filter)? else {
            return Ok(Vec::new());
        };
        let profiles = context.users()?.get_many_profiles(&filter).await?;
        let profiles = profiles.into_iter().map(|user| context.profile(user));
        Ok(profiles.collect())
    }
}

impl Method for GetManyByEmail {
    async fn answer(self, context: &Context) -> Result<Vec<RpcUser>> {
        let query = EmailQuery {
            emails: self.emails,
            only_active: self.is_active,
            only_verified: self.is_verified,
            organization_id: self.organization_id,
        };
        let matches = context.users()?.get_many_by_email(&query).await?;
        let users = matches.into_iter().map(|found| {
            let mut user = context.user(found.user);
            let primary = std::mem::replace(&mut user.profile.email, found.email.into());
            user.primary_email = context.is_gateway().then_some(primary.into());
            user
        });
        Ok(users.collect())
    }
}

impl Method for GetByUsername {
    async fn answer(self, context: &Context) -> Result<Vec<RpcUser>> {
        let query = UsernameQuery {
            username: self.username,
            with_valid_password: self.with_valid_password,
            is_active: self.is_active,
        };
        let users = context.users()?.get_by_username(&query).await?;
        Ok(users.into_iter().map(|user| context.user(user)).collect())
    }
}

impl Method for GetExistingUsernames {
    async fn answer(self, context: &Context) -> Result<Vec<String>> {
        let users = context.users()?;
        users.get_existing_usernames(self.usernames).await
    }
}

impl Method for GetOrganizations {
    async fn answer(self, context: &Context) -> Result<Vec<RpcOrganizationMapping>> {
        let Some(user_id) = self.user_id else {
            return Ok(Vec::new());
        };
        let found = context
            .organizations()?
            .get_organizations(user_id, visibility(self.only_visible))
            .await?;
        let mappings = found.into_iter().map(RpcOrganizationMapping::from);
        Ok(mappings.collect())
    }
}

impl Method for GetMemberCellNames {
    async fn answer(self, context: &Context) -> Result<Vec<String>> {
        let organizations = context.organizations()?;
        organizations.get_member_region_names(self.user_id).await
    }
}

impl Method for GetMemberRegionNames {
    async fn answer(self, context: &Context) -> Result<Vec<String>> {
        let organizations = context.organizations()?;
        organizations.get_member_region_names(self.user_id).await
    }
}

impl Method for UpdateUser {
    async fn answer(self, context: &Context) -> Result<Option<Value>> {
        let users = context.users()?;
        let update = self.attrs.try_into()?;
        if users.update_user(self.user_id, &update).await?.is_none() {
            return Ok(None);
        }
        let request = SerializeRequest {
            filter: UserFilter::ids(&[self.user_id]),
            as_user: None,
            serializer: Serializer::Simple,
        };
        Ok(users.serialize_many(&request).await?.pop())
    }
}

impl Method for FlushNonce {
    async fn answer(self, context: &Context) -> Result<()> {
        context.users()?.flush_nonce(self.user_id).await
    }
}

impl Method for GetUserBySocialAuth {
    async fn answer(self, context: &Context) -> Result<Option<RpcUser>> {
        let query = SocialAuthQuery {
            organization_id: self.organization_id,
            provider: self.provider,
            uid: self.uid,
        };
        let found = context.users()?.get_user_by_social_auth(&query).await?;
        context.maybe_incomplete(found).await
    }
}

impl Method for GetFirstSuperuser {
    async fn answer(self, context: &Context) -> Result<Option<RpcUser>> {
        let found = context.users()?.get_first_superuser().await?;
        context.maybe_incomplete(found).await
    }
}

impl Method for GetOrCreateByEmail {
    async fn answer(self, context: &Context) -> Result<UserCreateResult> {
        let email = if context.is_gateway() {
            Email::parse(&self.email, &["email"])?
        } else {
            Email::as_given(self.email)
        };
        let extension = context.extension.as_ref();
        let new = NewUser {
            email,
            ident: self.ident,
            referrer: self.referrer,
            idempotency_key: extension.and_then(|caller| caller.idempotency_key.clone()),
        };
        let result = context.users()?.get_or_create_by_email(&new).await?;
        Ok(UserCreateResult {
            user: context.incomplete(result.user).await?,
            created: result.created,
        })
    }
}

impl Method for GetUserByEmail {
    async fn answer(self, context: &Context) -> Result<Option<RpcUser>> {
        let users = context.users()?;
        let ident = self.ident.as_deref();
        let found = users.get_user_by_email(&self.email, ident).await?;
        context.maybe_incomplete(found).await
    }
}

impl Method for VerifyUserEmail {
    async fn answer(self, context: &Context) -> Result<bool> {
        let users = context.users()?;
        users.verify_user_email(self.user_id, &self.email).await
    }
}

impl Method for VerifyAnyEmail {
    async fn answer(self, context: &Context) -> Result<bool> {
        context.users()?.verify_any_email(&self.email).await
    }
}

impl Method for CreateByUsernameAndEmail {
    async fn answer(self, context: &Context) -> Result<RpcUser> {
        let users = context.users()?;
        let created = users
            .create_by_username_and_email(&self.username, &self.email)
            .await?;
        context.incomplete(created).await
    }
}

impl Method for TriggerUserConsentEmailIfApplicable {
    async fn answer(self, context: &Context) -> Result<()> {
        let users = context.users()?;
        users
            .trigger_user_consent_email_if_applicable(self.user_id)
            .await
    }
}

impl Method for VerifyUserEmails {
    async fn answer(self, context: &Context) -> Result<BTreeMap<UserId, RpcVerifyUserEmail>> {
        let asked = self.user_id_emails.into_iter();
        let asked: Vec<_> = asked.map(|pair| (pair.user_id, pair.email)).collect();
        let users = context.users()?;
        let found = users.verify_user_emails(&asked, self.only_verified).await?;
        let found = found.into_iter().map(|(id, email)| (id, email.into()));
        Ok(found.collect())
    }
}

impl Method for GetUserAvatar {
    async fn answer(self, context: &Context) -> Result<Option<RpcAvatar>> {
        let avatar = context.users()?.get_user_avatar(self.user_id).await?;
        Ok(avatar.map(RpcAvatar::from))
    }
}

impl Method for AddPermission {
    async fn answer(self, context: &Context) -> Result<bool> {
        let users = context.users()?;
        users.add_permission(self.user_id, &self.permission).await
    }
}

impl Method for RemovePermission {
    async fn answer(self, context: &Context) -> Result<bool> {
        let users = context.users()?;
        users
            .remove_permission(self.user_id, &self.permission)
            .await
    }
}

impl Method for ResolveFuzzyUser {
    async fn answer(self, context: &Context) -> Result<Option<UserId>> {
        let query = FuzzyUserQuery {
            organization_id: self.organization_id,
            email: self.email,
            name: self.name,
        };
        context.users()?.resolve_fuzzy_user(&query).await
    }
}
