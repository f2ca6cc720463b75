//! A user.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::user_part::{AuthIdentity, Authenticator, Avatar, UserEmail, UserFlags};
use super::{Organization, UserOption};
use crate::auth::VisibleUser;
use crate::domain::{OptionScopeFilter, OrganizationVisibility, UserId};
use crate::graphql::context::request;
use crate::graphql::error::FieldResult;
use crate::graphql::id::GlobalId;
use crate::graphql::input::UserOptionScope;
use crate::graphql::loader::{BatchLoader, Loaders};
use crate::graphql::scalar::{DateTime, Json};

#[derive(Debug, Clone)]
pub(in super::super) struct User(pub(in super::super) Arc<VisibleUser>);

impl User {
    fn user_id(&self) -> UserId {
        self.0.id()
    }

    /// Private things that belong to the user, from one of the loaders.
    async fn part<T: Clone + Send + 'static>(
        &self,
        ctx: &Context<'_>,
        of: fn(&Loaders) -> &BatchLoader<UserId, Vec<T>>,
    ) -> FieldResult<Vec<T>> {
        let request = request(ctx)?;
        request.services.users.check_private(self.user_id())?;
        let loaders = request.loaders();
        Ok(of(&loaders).load(self.user_id()).await?.unwrap_or_default())
    }
}

/// A user of the directory, as far as the caller may see them. Fields that say so are private to
/// the user, to staff and to services with the scope `user:admin`; for anybody else they are null
/// with an error of the code `FORBIDDEN`.
#[Object]
impl User {
    /// The globally unique id, such as `User:1`.
    pub(in super::super) async fn id(&self) -> ID {
        self.user_id().to_global()
    }

    /// The id in the database, such as `1`.
    async fn database_id(&self) -> String {
        self.user_id().to_string()
    }

    /// The unique name, case-sensitive.
    async fn username(&self) -> &str {
        self.0.public().username()
    }

    /// The name for people; empty if there is none.
    async fn name(&self) -> &str {
        self.0.public().name()
    }

    /// The text to show: the name, else the address if the caller may read it, else the username.
    async fn display_name(&self) -> &str {
        self.0.display_name()
    }

    /// The picture.
    async fn avatar(&self, ctx: &Context<'_>) -> FieldResult<Avatar> {
        let stored = request(ctx)?.loaders().avatars.load(self.user_id()).await?;
        Ok(Avatar {
            stored,
            url: self.0.public().avatar_url().map(str::to_owned),
        })
    }

    /// Whether the account may be used.
    async fn is_active(&self) -> bool {
        self.0.public().is_active()
    }

    /// Whether the user may do everything.
    async fn is_superuser(&self) -> bool {
        self.0.public().is_superuser()
    }

    /// Whether the user works for whoever runs the installation.
    async fn is_staff(&self) -> bool {
        self.0.public().is_staff()
    }

    /// Whether the account stands for an integration rather than a person.
    async fn is_sentry_app(&self) -> bool {
        self.0.public().is_sentry_app()
    }

    /// Whether the account was made for somebody who has not claimed it.
    async fn is_unclaimed(&self) -> bool {
        self.0.public().is_unclaimed()
    }

    /// When the account was created.
    async fn date_joined(&self) -> DateTime {
        DateTime(self.0.public().date_joined())
    }

    /// When the user was last seen.
    async fn last_active(&self) -> Option<DateTime> {
        self.0.public().last_active().map(DateTime)
    }

    /// The organizations of the user that the caller may see, by id: all for the user, for staff
    /// and for services, and for others those they share.
    async fn organizations(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Leave out organizations that are being deleted or moved.",
            default = false
        )]
        only_visible: bool,
    ) -> FieldResult<Vec<Organization>> {
        let key = (self.user_id(), visibility(only_visible));
        let found = request(ctx)?
            .loaders()
            .memberships
            .load(key)
            .await?
            .unwrap_or_default();
        Ok(found
            .into_iter()
            .map(|organization| Organization(Arc::new(organization)))
            .collect())
    }

    /// Private: the primary address; empty if there is none.
    async fn email(&self) -> FieldResult<Option<&str>> {
        Ok(Some(self.0.email()?))
    }

    /// Private: every address, by id.
    async fn emails(&self, ctx: &Context<'_>) -> FieldResult<Option<Vec<UserEmail>>> {
        let found = self.part(ctx, |loaders| &loaders.emails).await?;
        Ok(Some(found.into_iter().map(UserEmail).collect()))
    }

    /// Private: the identities at single sign-on providers, by id.
    async fn identities(&self, ctx: &Context<'_>) -> FieldResult<Option<Vec<AuthIdentity>>> {
        let found = self.part(ctx, |loaders| &loaders.identities).await?;
        Ok(Some(found.into_iter().map(AuthIdentity).collect()))
    }

    /// Private: the second factors, recovery codes included, by id. Never any secret of theirs.
    async fn authenticators(&self, ctx: &Context<'_>) -> FieldResult<Option<Vec<Authenticator>>> {
        let found = self.part(ctx, |loaders| &loaders.authenticators).await?;
        Ok(Some(found.into_iter().map(Authenticator).collect()))
    }

    /// Private: whether the user has a second factor; recovery codes alone are none.
    async fn has_two_factor(&self, ctx: &Context<'_>) -> FieldResult<Option<bool>> {
        let found = self.part(ctx, |loaders| &loaders.authenticators).await?;
        Ok(Some(found.iter().any(|factor| !factor.kind.is_backup())))
    }

    /// Private: the names of the user's roles, sorted.
    async fn roles(&self, ctx: &Context<'_>) -> FieldResult<Option<Vec<String>>> {
        let found = self.part(ctx, |loaders| &loaders.roles).await?;
        Ok(Some(found.into_iter().map(|role| role.name).collect()))
    }

    /// Private: what the user is permitted, directly or by a role, sorted.
    async fn permissions(&self, ctx: &Context<'_>) -> FieldResult<Option<Vec<String>>> {
        let (direct, roles) = futures_util::try_join!(
            self.part(ctx, |loaders| &loaders.permissions),
            self.part(ctx, |loaders| &loaders.roles),
        )?;
        let of_roles = roles.into_iter().flat_map(|role| role.permissions);
        let mut all: Vec<String> = direct.into_iter().chain(of_roles).collect();
        all.sort_unstable();
        all.dedup();
        Ok(Some(all))
    }

    /// Private: what the account remembers of the user's consents.
    async fn flags(&self) -> FieldResult<Option<UserFlags>> {
        Ok(Some(UserFlags(self.0.flags()?)))
    }

    /// Private: the options of one scope, by id; those that apply to everything if none is given.
    async fn options(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the options apply to.")] filter: Option<UserOptionScope>,
    ) -> FieldResult<Option<Vec<UserOption>>> {
        let scope = UserOptionScope::parse(filter, &["filter"])?;
        let request = request(ctx)?;
        request.services.user_options.check_read(self.user_id())?;
        let key = (self.user_id(), OptionScopeFilter::Exactly(scope));
        let found = request
            .loaders()
            .options
            .load(key)
            .await?
            .unwrap_or_default();
        Ok(Some(found.into_iter().map(UserOption).collect()))
    }

    /// Private: the value of one option; null if it is not set.
    async fn option(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The option's key, such as `theme`.")] key: String,
        #[graphql(desc = "What the option applies to; everything if left out.")] scope: Option<
            UserOptionScope,
        >,
    ) -> FieldResult<Option<Json>> {
        let scope = UserOptionScope::parse(scope, &["scope"])?;
        let request = request(ctx)?;
        request.services.user_options.check_read(self.user_id())?;
        let loaded = (self.user_id(), OptionScopeFilter::Exactly(scope));
        let found = request
            .loaders()
            .options
            .load(loaded)
            .await?
            .unwrap_or_default();
        let option = found.into_iter().find(|option| option.key == key);
        Ok(option
            .map(|option| UserOption(option).read())
            .transpose()?
            .flatten())
    }
}

/// Which organizations an `onlyVisible` asks for.
pub(in super::super) fn visibility(only_visible: bool) -> OrganizationVisibility {
    if only_visible {
        OrganizationVisibility::OnlyVisible
    } else {
        OrganizationVisibility::Any
    }
}
