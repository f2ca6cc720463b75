//! Users as one caller may see and change them.

use std::collections::HashSet;
use std::sync::Arc;

use super::Bound;
use super::access::{Detail, PrivateFields, VisibleUser, lacking, private_fields, withheld};
use super::caller::Caller;
use super::organization::AuthorizedOrganizationService;
use super::scope::Capability;
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, Error, NewUser, Page, Result, Role, UserEmail, UserId,
    UserPageQuery, UserProfile, UserUpdate, Viewer,
};
use crate::service::UserService;

/// The user service bound to a caller.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizedUserService<'a>(pub(super) &'a Bound);

impl<'a> AuthorizedUserService<'a> {
    fn inner(self) -> &'a dyn UserService {
        &*self.0.services.users
    }

    fn organizations(self) -> AuthorizedOrganizationService<'a> {
        AuthorizedOrganizationService(self.0)
    }

    fn caller(self) -> &'a Caller {
        &self.0.caller
    }

    /// Those of these users who exist and whom the caller may see, each by itself: where some of
    /// them cannot be told at the moment, the others are.
    pub async fn get_each(self, ids: &[UserId]) -> Result<Vec<(UserId, Result<VisibleUser>)>> {
        self.require_some_sight()?;
        // Both are asked for whoever exists, so that an answer about somebody invisible takes as
        // long as one about nobody.
        let (profiles, visible) =
            futures_util::join!(self.inner().get_each_profile(ids), self.visible_among(ids));
        let is_visible = |id: UserId| match &visible {
            Ok(visible) => visible.as_ref().is_none_or(|seen| seen.contains(&id)),
            Err(_) => self.caller().is(id),
        };
        let seen = profiles.into_iter().filter(|(id, _)| is_visible(*id));
        let seen = seen.map(|(id, profile)| (id, profile.map(|profile| self.view(profile))));
        // Whoever there is and whoever there is not look alike in this, too.
        let untold = visible.as_ref().err().into_iter().flat_map(|error| {
            let others = ids.iter().filter(|id| !self.caller().is(**id));
            others.map(|id| (*id, Err(error.clone())))
        });
        Ok(seen.chain(untold).collect())
    }

    /// A page of the users whom the caller may see. `query.viewer` is set here.
    pub async fn page(self, query: &UserPageQuery, detail: Detail) -> Result<Page<VisibleUser>> {
        let query = self.bind(query).await?;
        let _permit = match query.looked_up() {
            Some(_) => None,
            None => self.0.list_permit().await,
        };
        Ok(match detail {
            Detail::Whole => {
                let page = self.inner().page(&query).await?;
                page.map(|profile| self.view(profile.into()))
            }
            Detail::Brief => {
                let page = self.inner().brief_page(&query).await?;
                page.map(|brief| VisibleUser::in_brief(brief, self.caller()))
            }
        })
    }

    /// How many users the whole list of a page holds.
    pub async fn count(self, query: &UserPageQuery) -> Result<u64> {
        let query = self.bind(query).await?;
        let _permit = self.0.list_permit().await;
        self.inner().count(&query).await
    }

    async fn bind(self, query: &UserPageQuery) -> Result<UserPageQuery> {
        self.require_some_sight()?;
        let sees_all = self.caller().may_for_everybody(Capability::ReadUsers);
        if !sees_all && !query.filter.is_anchored() {
            return Err(Error::Forbidden(
                "listing everybody is for staff and services with the scope `user:read`; name \
                 `ids`, `emails`, `usernames` or an `organizationId` in the filter"
                    .to_owned(),
            ));
        }
        let viewer = match (self.caller(), sees_all) {
            (_, true) if self.caller().may_for_everybody(Capability::ReadPrivate) => Viewer::All,
            (caller, true) => Viewer::Public(caller.user_id()),
            (Caller::Service { .. }, false) => Viewer::Public(None),
            (Caller::User(user), _) if user.scopes.allow(Capability::ReadUsers) => {
                Viewer::Member(user.id)
            }
            (Caller::User(user), _) => Viewer::Alone(user.id),
        };
        let mut query = UserPageQuery {
            viewer,
            ..query.clone()
        };
        // Who belongs to an organization is told to those who see its members.
        if let Some(id) = query.filter.organization_id
            && !self.organizations().shows_members(id).await?
        {
            query.filter.user_ids = Some(Vec::new());
        }
        Ok(query)
    }

    /// Those of `usernames` that belong to somebody.
    pub async fn get_existing_usernames(self, usernames: Vec<String>) -> Result<Vec<String>> {
        match self.caller() {
            Caller::Service { scopes, .. } if !scopes.allow(Capability::ReadUsers) => {
                return Err(lacking(
                    self.caller(),
                    "usernames cannot be looked up",
                    Capability::ReadUsers,
                ));
            }
            Caller::User(_) if !self.caller().may_for_everybody(Capability::ReadUsers) => {
                self.0
                    .limits
                    .check_usernames(self.caller(), usernames.len())?;
            }
            _ => {}
        }
        self.inner().get_existing_usernames(usernames).await
    }

    /// Whether the caller sees these users at all; `None` is everybody.
    async fn visible_among(self, ids: &[UserId]) -> Result<Option<HashSet<UserId>>> {
        let Caller::User(me) = self.caller() else {
            return Ok(None);
        };
        if self.caller().may_for_everybody(Capability::ReadUsers) {
            return Ok(None);
        }
        let others: Vec<UserId> = ids.iter().copied().filter(|id| *id != me.id).collect();
        let mut visible = if others.is_empty() || !me.scopes.allow(Capability::ReadUsers) {
            HashSet::new()
        } else {
            self.organizations().get_colleagues(me.id, &others).await?
        };
        visible.insert(me.id);
        Ok(Some(visible))
    }

    /// Those of these ids whose users the caller sees, whether or not they exist.
    pub async fn get_visible_ids(self, ids: &[UserId]) -> Result<Vec<UserId>> {
        let visible = self.visible_among(ids).await?;
        Ok(ids
            .iter()
            .copied()
            .filter(|id| visible.as_ref().is_none_or(|visible| visible.contains(id)))
            .collect())
    }

    /// The pictures of users whom the caller sees.
    pub async fn get_avatars(self, ids: &[UserId]) -> Result<Vec<(UserId, Avatar)>> {
        self.inner().get_avatars(ids).await
    }

    /// The addresses of those of these users whose private fields the caller may read.
    pub async fn get_emails(self, ids: &[UserId]) -> Result<Vec<(UserId, UserEmail)>> {
        self.inner().get_emails(&self.readable(ids)?).await
    }

    /// The second factors; see [`AuthorizedUserService::get_emails`].
    pub async fn get_authenticators(self, ids: &[UserId]) -> Result<Vec<Authenticator>> {
        self.inner().get_authenticators(&self.readable(ids)?).await
    }

    /// The single sign-on identities; see [`AuthorizedUserService::get_emails`].
    pub async fn get_identities(self, ids: &[UserId]) -> Result<Vec<AuthIdentity>> {
        self.inner().get_identities(&self.readable(ids)?).await
    }

    /// The roles; see [`AuthorizedUserService::get_emails`].
    pub async fn get_roles(self, ids: &[UserId]) -> Result<Vec<(UserId, Role)>> {
        self.inner().get_roles(&self.readable(ids)?).await
    }

    /// The direct permissions; see [`AuthorizedUserService::get_emails`].
    pub async fn get_permissions(self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
        self.inner().get_permissions(&self.readable(ids)?).await
    }

    /// Refuses ids whose private fields the caller may not read. A resolver asks
    /// [`AuthorizedUserService::check_private`] before it adds an id to a batch, so that one
    /// refusal does not spoil the others.
    fn readable(self, ids: &[UserId]) -> Result<Vec<UserId>> {
        ids.iter()
            .map(|id| self.check_private(*id).map(|()| *id))
            .collect()
    }

    /// Whether the caller may read the private fields of a user.
    pub fn check_private(self, id: UserId) -> Result<()> {
        match private_fields(self.caller(), id) {
            PrivateFields::Readable => Ok(()),
            PrivateFields::Withheld => Err(withheld()),
        }
    }

    /// The active user with this address, created if there is none. The flag says whether it was.
    pub async fn get_or_create_by_email(self, new: &NewUser) -> Result<(VisibleUser, bool)> {
        self.require_write_for_everybody("users cannot be created")?;
        let result = self.inner().get_or_create_by_email(new).await?;
        Ok((self.view(result.user.into()), result.created))
    }

    /// Changes a user: people their own name, username and picture, superusers and services
    /// everything of everybody.
    pub async fn update_user(self, id: UserId, update: &UserUpdate) -> Result<Option<VisibleUser>> {
        let for_everybody = self.caller().may_for_everybody(Capability::Write);
        let own = self.caller().is(id) && self.caller().scopes().allow(Capability::Write);
        if !(for_everybody || own && update.is_active.is_none()) {
            return Err(lacking(
                self.caller(),
                "this user cannot be changed in this way",
                Capability::Write,
            ));
        }
        Ok(self
            .inner()
            .update_user(id, update)
            .await?
            .map(|profile| self.view(profile.into())))
    }

    /// Marks an address as verified. True if this call changed it.
    pub async fn verify_user_email(self, id: UserId, email: &str) -> Result<bool> {
        self.require_write_for_everybody("addresses cannot be verified")?;
        self.inner().verify_user_email(id, email).await
    }

    fn require_write_for_everybody(self, what: &str) -> Result<()> {
        if self.caller().may_for_everybody(Capability::Write) {
            return Ok(());
        }
        Err(lacking(self.caller(), what, Capability::Write))
    }

    /// A service without the scope sees nobody and is told so; a person always sees themselves.
    fn require_some_sight(self) -> Result<()> {
        match self.caller() {
            Caller::Service { scopes, .. } if !scopes.allow(Capability::ReadUsers) => Err(lacking(
                self.caller(),
                "users cannot be read",
                Capability::ReadUsers,
            )),
            _ => Ok(()),
        }
    }

    fn view(self, profile: Arc<UserProfile>) -> VisibleUser {
        VisibleUser::new(profile, self.caller())
    }
}
