//! A user.

use macros::object;

use super::user_part::{AuthIdentity, Authenticator, Avatar, UserEmail, UserFlags};
use super::{Organization, UserOption};
use crate::auth::VisibleUser;
use crate::domain::{self, JsonText, OrganizationVisibility, UserId};
use crate::graphql::context::RequestContext;
use crate::graphql::error::FieldResult;
use crate::graphql::id::{GlobalId, Id};
use crate::graphql::input::UserOptionScope;
use crate::graphql::loader::{
    Authenticators, Batch, Emails, Identities, Load, Memberships, Options, Part, Roles,
};
use crate::graphql::scalar::DateTime;

#[derive(Debug, Clone)]
pub(in super::super) struct User(pub(in super::super) VisibleUser);

impl User {
    fn user_id(&self) -> UserId {
        self.0.id()
    }

    /// Private things that belong to the user, as `answer` makes them of what is found.
    fn private<B, V, T>(
        &self,
        request: &RequestContext,
        answer: fn(Option<Part<V>>) -> FieldResult<T>,
    ) -> FieldResult<Load<B, T>>
    where
        B: Batch<Key = UserId, Value = Part<V>>,
    {
        request.services.users().check_private(self.user_id())?;
        Ok(Load::new(self.user_id(), answer))
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
    fn organizations(
        &self,
        request: &RequestContext,
        #[graphql(
            desc = "Leave out organizations that are being deleted or moved.",
            default = false
        )]
        only_visible: bool,
    ) -> FieldResult<Load<Memberships, Part<Organization>>> {
        let wanted = (visibility(only_visible), request.details.organizations);
        let key = (self.user_id(), wanted);
        Ok(Load::new(key, |found| Ok(found.unwrap_or_default())))
    }

    /// Private: the primary address; empty if there is none.
    #[detail]
    fn email(&self) -> FieldResult<Option<&str>> {
        Ok(Some(self.0.email()?))
    }

    /// Private: every address, by id.
    fn emails(
        &self,
        request: &RequestContext,
    ) -> FieldResult<Load<Emails, Option<Vec<UserEmail>>>> {
        self.private(request, |found| Ok(Some(each(found, UserEmail))))
    }

    /// Private: the identities at single sign-on providers, by id.
    fn identities(
        &self,
        request: &RequestContext,
    ) -> FieldResult<Load<Identities, Option<Vec<AuthIdentity>>>> {
        self.private(request, |found| Ok(Some(each(found, AuthIdentity))))
    }

    /// Private: the second factors, recovery codes included, by id. Never any secret of theirs.
    fn authenticators(
        &self,
        request: &RequestContext,
    ) -> FieldResult<Load<Authenticators, Option<Vec<Authenticator>>>> {
        self.private(request, |found| Ok(Some(each(found, Authenticator))))
    }

    /// Private: whether the user has a second factor; recovery codes alone are none.
    fn has_two_factor(
        &self,
        request: &RequestContext,
    ) -> FieldResult<Load<Authenticators, Option<bool>>> {
        self.private(request, |found| {
            let factors = found.unwrap_or_default();
            Ok(Some(factors.iter().any(
                |factor: &domain::Authenticator| !factor.kind.is_backup(),
            )))
        })
    }

    /// Private: the names of the user's roles, sorted.
    fn roles(&self, request: &RequestContext) -> FieldResult<Load<Roles, Option<Vec<String>>>> {
        self.private(request, |found| {
            Ok(Some(each(found, |role: domain::Role| role.name)))
        })
    }

    /// Private: what the user is permitted, directly or by a role, sorted.
    async fn permissions(&self, request: &RequestContext) -> FieldResult<Option<Vec<String>>> {
        request.services.users().check_private(self.user_id())?;
        let loaders = request.loaders();
        let (direct, roles) = futures_util::try_join!(
            loaders.permissions.load(self.user_id()),
            loaders.roles.load(self.user_id()),
        )?;
        let (direct, roles) = (direct.unwrap_or_default(), roles.unwrap_or_default());
        let of_roles = roles.iter().flat_map(|role| &role.permissions);
        let mut all: Vec<String> = direct.iter().chain(of_roles).cloned().collect();
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
    fn options(
        &self,
        request: &RequestContext,
        #[graphql(desc = "What the options apply to.")] filter: Option<UserOptionScope>,
    ) -> FieldResult<Load<Options, Option<Part<UserOption>>>> {
        let scope = UserOptionScope::parse(filter, &["filter"])?;
        request.services.user_options().check_read(self.user_id())?;
        let key = (self.user_id(), scope);
        Ok(Load::new(key, |found| Ok(Some(found.unwrap_or_default()))))
    }

    /// Private: the value of one option; null if it is not set.
    async fn option(
        &self,
        request: &RequestContext,
        #[graphql(desc = "The option's key, such as `theme`.")] key: String,
        #[graphql(desc = "What the option applies to; everything if left out.")] scope: Option<
            UserOptionScope,
        >,
    ) -> FieldResult<Option<JsonText>> {
        let scope = UserOptionScope::parse(scope, &["scope"])?;
        request.services.user_options().check_read(self.user_id())?;
        let of = (self.user_id(), scope);
        let found = request.loaders().options.load(of).await?;
        let found = found.unwrap_or_default();
        let option = found.iter().find(|option| option.0.key == key);
        Ok(option.map(UserOption::read).transpose()?.flatten().cloned())
    }
}

/// What `make` makes of each part that is found.
fn each<V: Clone, T>(found: Option<Part<V>>, make: fn(V) -> T) -> Vec<T> {
    let found = found.unwrap_or_default();
    found.iter().cloned().map(make).collect()
}

/// Which organizations an `onlyVisible` asks for.
pub(in super::super) fn visibility(only_visible: bool) -> OrganizationVisibility {
    if only_visible {
        OrganizationVisibility::OnlyVisible
    } else {
        OrganizationVisibility::Any
    }
}
