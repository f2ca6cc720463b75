//! A user.

use macros::object;

use super::user_part::{AuthIdentity, Authenticator, Avatar, UserEmail, UserFlags};
use super::{Organization, UserOption};
use crate::auth::VisibleUser;
use crate::domain::{OrganizationVisibility, UserId};
use crate::graphql::context::RequestContext;
use crate::graphql::error::FieldResult;
use crate::graphql::id::{GlobalId, Id};
use crate::graphql::input::UserOptionScope;
use crate::graphql::loader::{Batch, Loaders, Lookup, Part};
use crate::graphql::scalar::{DateTime, Json};

#[derive(Debug, Clone)]
pub(in super::super) struct User(pub(in super::super) VisibleUser);

impl User {
    fn user_id(&self) -> UserId {
        self.0.id()
    }

    /// Private things that belong to the user, from one of the loaders.
    async fn part<T, B>(
        &self,
        request: &RequestContext,
        of: fn(&Loaders) -> &Lookup<B>,
    ) -> FieldResult<Vec<T>>
    where
        T: Clone,
        B: Batch<Key = UserId, Value = Part<T>>,
    {
        request.services.users.check_private(self.user_id())?;
        let loaders = request.loaders();
        let found = of(&loaders).load(self.user_id()).await?;
        Ok(found.map(|found| found.to_vec()).unwrap_or_default())
    }
}

/// A user of the directory, as far as the caller may see them. Fields that say so are private to
/// the user, to staff and to services with the scope `user:admin`; for anybody else they are null
/// with an error of the code `FORBIDDEN`.
#[object]
impl User {
    /// The globally unique id, such as `User:1`.
    pub(in super::super) fn id(&self) -> Id {
        self.user_id().to_global()
    }

    /// The id in the database, such as `1`.
    fn database_id(&self) -> String {
        self.user_id().to_string()
    }

    /// The unique name, case-sensitive.
    fn username(&self) -> &str {
        self.0.public().username()
    }

    /// The name for people; empty if there is none.
    fn name(&self) -> &str {
        self.0.public().name()
    }

    /// The text to show: the name, else the address if the caller may read it, else the username.
    fn display_name(&self) -> &str {
        self.0.display_name()
    }

    /// The picture.
    #[detail]
    async fn avatar(&self, request: &RequestContext) -> FieldResult<Avatar> {
        let stored = request.loaders().avatars.load(self.user_id()).await?;
        let url = self.0.public().avatar_url()?;
        Ok(Avatar {
            stored,
            url: url.map(str::to_owned),
        })
    }

    /// Whether the account may be used.
    fn is_active(&self) -> bool {
        self.0.public().is_active()
    }

    /// Whether the user may do everything.
    fn is_superuser(&self) -> bool {
        self.0.public().is_superuser()
    }

    /// Whether the user works for whoever runs the installation.
    fn is_staff(&self) -> bool {
        self.0.public().is_staff()
    }

    /// Whether the account stands for an integration rather than a person.
    fn is_sentry_app(&self) -> bool {
        self.0.public().is_sentry_app()
    }

    /// Whether the account was made for somebody who has not claimed it.
    fn is_unclaimed(&self) -> bool {
        self.0.public().is_unclaimed()
    }

    /// When the account was created.
    #[detail]
    fn date_joined(&self) -> FieldResult<DateTime> {
        Ok(DateTime(self.0.public().date_joined()?))
    }

    /// When the user was last seen.
    #[detail]
    fn last_active(&self) -> FieldResult<Option<DateTime>> {
        Ok(self.0.public().last_active()?.map(DateTime))
    }

    /// The organizations of the user that the caller may see, by id: all for the user, for staff
    /// and for services, and for others those they share.
    async fn organizations(
        &self,
        request: &RequestContext,
        #[graphql(
            desc = "Leave out organizations that are being deleted or moved.",
            default = false
        )]
        only_visible: bool,
    ) -> FieldResult<Part<Organization>> {
        let wanted = (visibility(only_visible), request.details.organizations);
        let key = (self.user_id(), wanted);
        let found = request.loaders().memberships.load(key).await?;
        Ok(found.unwrap_or_default())
    }

    /// Private: the primary address; empty if there is none.
    #[detail]
    fn email(&self) -> FieldResult<Option<&str>> {
        Ok(Some(self.0.email()?))
    }

    /// Private: every address, by id.
    async fn emails(&self, request: &RequestContext) -> FieldResult<Option<Vec<UserEmail>>> {
        let found = self.part(request, |loaders| &loaders.emails).await?;
        Ok(Some(found.into_iter().map(UserEmail).collect()))
    }

    /// Private: the identities at single sign-on providers, by id.
    async fn identities(&self, request: &RequestContext) -> FieldResult<Option<Vec<AuthIdentity>>> {
        let found = self.part(request, |loaders| &loaders.identities).await?;
        Ok(Some(found.into_iter().map(AuthIdentity).collect()))
    }

    /// Private: the second factors, recovery codes included, by id. Never any secret of theirs.
    async fn authenticators(
        &self,
        request: &RequestContext,
    ) -> FieldResult<Option<Vec<Authenticator>>> {
        let found = self
            .part(request, |loaders| &loaders.authenticators)
            .await?;
        Ok(Some(found.into_iter().map(Authenticator).collect()))
    }

    /// Private: whether the user has a second factor; recovery codes alone are none.
    async fn has_two_factor(&self, request: &RequestContext) -> FieldResult<Option<bool>> {
        let found = self
            .part(request, |loaders| &loaders.authenticators)
            .await?;
        Ok(Some(found.iter().any(|factor| !factor.kind.is_backup())))
    }

    /// Private: the names of the user's roles, sorted.
    async fn roles(&self, request: &RequestContext) -> FieldResult<Option<Vec<String>>> {
        let found = self.part(request, |loaders| &loaders.roles).await?;
        Ok(Some(found.into_iter().map(|role| role.name).collect()))
    }

    /// Private: what the user is permitted, directly or by a role, sorted.
    async fn permissions(&self, request: &RequestContext) -> FieldResult<Option<Vec<String>>> {
        let (direct, roles) = futures_util::try_join!(
            self.part(request, |loaders| &loaders.permissions),
            self.part(request, |loaders| &loaders.roles),
        )?;
        let of_roles = roles.into_iter().flat_map(|role| role.permissions);
        let mut all: Vec<String> = direct.into_iter().chain(of_roles).collect();
        all.sort_unstable();
        all.dedup();
        Ok(Some(all))
    }

    /// Private: what the account remembers of the user's consents.
    #[detail]
    fn flags(&self) -> FieldResult<Option<UserFlags>> {
        Ok(Some(UserFlags(self.0.flags()?)))
    }

    /// Private: the options of one scope, by id; those that apply to everything if none is given.
    async fn options(
        &self,
        request: &RequestContext,
        #[graphql(desc = "What the options apply to.")] filter: Option<UserOptionScope>,
    ) -> FieldResult<Option<Part<UserOption>>> {
        let scope = UserOptionScope::parse(filter, &["filter"])?;
        request.services.user_options.check_read(self.user_id())?;
        let key = (self.user_id(), scope);
        let found = request.loaders().options.load(key).await?;
        Ok(Some(found.unwrap_or_default()))
    }

    /// Private: the value of one option; null if it is not set.
    async fn option(
        &self,
        request: &RequestContext,
        #[graphql(desc = "The option's key, such as `theme`.")] key: String,
        #[graphql(desc = "What the option applies to; everything if left out.")] scope: Option<
            UserOptionScope,
        >,
    ) -> FieldResult<Option<Json>> {
        let scope = UserOptionScope::parse(scope, &["scope"])?;
        request.services.user_options.check_read(self.user_id())?;
        let of = (self.user_id(), scope);
        let found = request.loaders().options.load(of).await?;
        let found = found.unwrap_or_default();
        let option = found.iter().find(|option| option.0.key == key);
        Ok(option.map(UserOption::read).transpose()?.flatten())
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
