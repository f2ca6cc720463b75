//! What gateways ask each other.

use super::super::wire::gateway::{
    CountMembers, CountUsers, DeleteUserOptions, FindToken, FindTokenOwner, GetAllUserOptions,
    GetColleagues, GetIdentities, GetJoined, GetMembers, GetMemberships, GetOrganizationBySlug,
    GetOrganizationsById, GetRoles, GetUserOptionsById, PageUsers, SetUserOption, UpdateUser,
};
use super::method::{Context, Method};
use crate::auth::{StoredToken, TokenOwner, TokenStore};
use crate::domain::{
    AuthIdentity, Error, Invalid, InvalidCode, Membership, OptionKey, OptionScope, Organization,
    OrganizationId, OrganizationMember, OrganizationVisibility, Page, PageEnd, PageRequest, Result,
    Role, SetOption, SetOptionResult, UserId, UserOption, UserOptionId, UserOrder, UserPageQuery,
    UserProfile,
};

impl Context {
    /// Refuses a page of more rows than a list may have.
    fn check_size(&self, page: &PageRequest) -> Result<()> {
        let max = self.server.limits.max_list_length;
        if usize::try_from(page.size).is_ok_and(|size| size <= max) {
            return Ok(());
        }
        Err(Error::Invalid(Invalid::new(
            InvalidCode::TooLong,
            format!("a page has at most {max} rows"),
            &["page", "size"],
        )))
    }

    fn tokens(&self) -> Result<&dyn TokenStore> {
        self.server.tokens.as_deref().ok_or_else(|| {
            Error::NotSupported("tokens cannot be looked up in this silo".to_owned())
        })
    }
}

impl Method for PageUsers {
    async fn answer(self, context: &Context) -> Result<Page<UserProfile>> {
        context.check_size(&self.page)?;
        let Some(filter) = self.filter.into_domain()? else {
            return Ok(Page::default());
        };
        let query = UserPageQuery {
            filter,
            order: self.order,
            page: self.page,
            viewer: self.viewer,
        };
        context.users()?.page(&query).await
    }
}

impl Method for CountUsers {
    async fn answer(self, context: &Context) -> Result<u64> {
        let Some(filter) = self.filter.into_domain()? else {
            return Ok(0);
        };
        let query = UserPageQuery {
            filter,
            order: UserOrder::default(),
            page: PageRequest {
                after: None,
                before: None,
                end: PageEnd::First,
                size: 0,
            },
            viewer: self.viewer,
        };
        context.users()?.count(&query).await
    }
}

impl Method for GetIdentities {
    async fn answer(self, context: &Context) -> Result<Vec<AuthIdentity>> {
        context.users()?.get_identities(&self.user_ids).await
    }
}

impl Method for GetRoles {
    async fn answer(self, context: &Context) -> Result<Vec<(UserId, Role)>> {
        context.users()?.get_roles(&self.user_ids).await
    }
}

impl Method for UpdateUser {
    async fn answer(self, context: &Context) -> Result<Option<UserProfile>> {
        let update = self.attrs.try_into()?;
        context.users()?.update_user(self.user_id, &update).await
    }
}

impl Method for GetAllUserOptions {
    async fn answer(self, context: &Context) -> Result<Vec<UserOption>> {
        context.user_options()?.get_all(&self.user_ids).await
    }
}

impl Method for GetUserOptionsById {
    async fn answer(self, context: &Context) -> Result<Vec<UserOption>> {
        let options = context.user_options()?;
        options.get_many_by_id(&self.option_ids).await
    }
}

impl Method for SetUserOption {
    async fn answer(self, context: &Context) -> Result<SetOptionResult> {
        let option = SetOption {
            user_id: self.user_id,
            key: OptionKey::parse(&self.key, &["key"])?,
            value: self.value.into(),
            scope: OptionScope {
                project_id: self.project_id,
                organization_id: self.organization_id,
            },
        };
        context.user_options()?.set_option(&option).await
    }
}

impl Method for DeleteUserOptions {
    async fn answer(self, context: &Context) -> Result<Vec<UserOptionId>> {
        let options = context.user_options()?;
        options.delete_options(&self.option_ids).await
    }
}

impl Method for GetMemberships {
    async fn answer(self, context: &Context) -> Result<Vec<Membership>> {
        let visibility = visibility(self.only_visible);
        let organizations = context.organizations()?;
        organizations
            .get_memberships(&self.user_ids, visibility)
            .await
    }
}

impl Method for GetOrganizationsById {
    async fn answer(self, context: &Context) -> Result<Vec<Organization>> {
        let organizations = context.organizations()?;
        organizations.get_many_by_id(&self.organization_ids).await
    }
}

impl Method for GetOrganizationBySlug {
    async fn answer(self, context: &Context) -> Result<Option<Organization>> {
        context.organizations()?.get_by_slug(&self.slug).await
    }
}

impl Method for GetMembers {
    async fn answer(
        self,
        context: &Context,
    ) -> Result<Vec<(OrganizationId, Page<OrganizationMember>)>> {
        context.check_size(&self.page)?;
        let organizations = context.organizations()?;
        organizations
            .get_members(&self.organization_ids, &self.page)
            .await
    }
}

impl Method for CountMembers {
    async fn answer(self, context: &Context) -> Result<Vec<(OrganizationId, u64)>> {
        let organizations = context.organizations()?;
        organizations.count_members(&self.organization_ids).await
    }
}

impl Method for GetJoined {
    async fn answer(self, context: &Context) -> Result<Vec<OrganizationId>> {
        context.organizations()?.get_joined(self.user_id).await
    }
}

impl Method for GetColleagues {
    async fn answer(self, context: &Context) -> Result<Vec<UserId>> {
        let organizations = context.organizations()?;
        organizations
            .get_colleagues(self.user_id, &self.others)
            .await
    }
}

impl Method for FindToken {
    async fn answer(self, context: &Context) -> Result<Option<StoredToken>> {
        context.tokens()?.find_by_hash(&self.hash, self.kind).await
    }
}

impl Method for FindTokenOwner {
    async fn answer(self, context: &Context) -> Result<Option<TokenOwner>> {
        context.tokens()?.find_owner(&self.subject).await
    }
}

/// Which organizations of a user are wanted, as Sentry says it.
pub(super) const fn visibility(only_visible: bool) -> OrganizationVisibility {
    if only_visible {
        OrganizationVisibility::OnlyVisible
    } else {
        OrganizationVisibility::Any
    }
}
