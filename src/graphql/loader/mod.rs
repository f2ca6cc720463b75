//! Look-ups of one request, batched: a level of the query costs one statement however many rows
//! it fans out to, and a look-up that stands alone waits for nobody.

mod batch;
mod load;
mod lookup;
mod part;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub(super) use batch::{Batch, Size};
pub(super) use load::Load;
pub(super) use lookup::Driver;
pub(super) use part::Part;

use super::budget::{Budget, SEARCH, STATEMENT};
use super::object::{Organization, User, UserOption};
use crate::auth::{AuthorizedServices, Detail, OrganizationMembers, VisibleUser};
use crate::domain::{
    self, AuthIdentity, Authenticator, Avatar, OptionScope, OptionScopeFilter, OrganizationId,
    OrganizationVisibility, Page, PageRequest, Result, Role, StoredValue, UserEmail, UserId,
    UserOptionFilter, UserOptionId,
};
use batch::{CallArgument, Found, Key, MAX_ROWS_PER_CALL};
use lookup::Lookup;
use part::{parts, parts_of};

/// The cost of a call of a batch: by default that of a statement.
macro_rules! cost {
    () => {
        STATEMENT
    };
    ($cost:ident) => {
        $cost
    };
}

/// Defines the loaders of a request, each with the keys it takes, the values it finds, and the
/// call of a service that finds them.
macro_rules! loaders {
    ($(
        $(#[$doc:meta])*
        $visibility:vis $loader:ident = $batch:ident($key:ty => $value:ty) $(costs $cost:ident)?
            |$services:ident, $keys:ident| $fetch:expr;
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(super) struct $batch;

            impl Batch for $batch {
                type Key = $key;
                type Value = $value;

                const COST: u64 = cost!($($cost)?);

                fn lookup(loaders: &Loaders) -> &Lookup<Self> {
                    &loaders.$loader
                }

                async fn fetch(
                    $services: &AuthorizedServices,
                    $keys: &[Self::Key],
                ) -> Result<Found<Self>> {
                    $fetch
                }
            }
        )*

        /// The loaders of one request, bound to its caller.
        #[derive(Debug)]
        pub(super) struct Loaders {
            $($(#[$doc])* $visibility $loader: Lookup<$batch>,)*
        }

        impl Loaders {
            /// Loaders whose calls have at most `max_batch` keys and leave as `driver` says.
            pub(super) fn new(
                services: &AuthorizedServices,
                budget: &Arc<Budget>,
                max_batch: usize,
                driver: Driver,
            ) -> Self {
                Self {
                    $($loader: Lookup::new(services, budget, max_batch, driver),)*
                }
            }

            /// The batches of what is wanted by now, one of each kind, where a plan drives them.
            /// Their calls have at most `max_batch` keys.
            pub(super) fn wanted<'a>(
                self: &Arc<Self>,
                services: &'a AuthorizedServices,
                budget: &'a Budget,
                max_batch: usize,
            ) -> Vec<BoxFuture<'a, ()>> {
                let mut batches: Vec<BoxFuture<'a, ()>> = Vec::new();
                $(
                    self.$loader.send(|keys| {
                        let loaders = Arc::clone(self);
                        batches.push(Box::pin(async move {
                            loaders.$loader.fill(services, budget, keys, max_batch).await;
                        }));
                    });
                )*
                batches
            }
        }
    };
}

loaders! {
    /// Users, each by itself; see [`Loaders::user`].
    users = Users(UserId => Result<VisibleUser>) |services, ids| {
        services.users().get_each(ids).await
    };
    pub(super) avatars = Avatars(UserId => Avatar) |services, ids| {
        services.users().get_avatars(ids).await
    };
    emails = Emails(UserId => Part<UserEmail>) |services, ids| {
        Ok(parts(services.users().get_emails(ids).await?))
    };
    authenticators = Authenticators(UserId => Part<Authenticator>) |services, ids| {
        let found = services.users().get_authenticators(ids).await?;
        Ok(parts_of(found, |factor| factor.user_id))
    };
    identities = Identities(UserId => Part<AuthIdentity>) |services, ids| {
        let found = services.users().get_identities(ids).await?;
        Ok(parts_of(found, |identity| identity.user_id))
    };
    pub(super) roles = Roles(UserId => Part<Role>) |services, ids| {
        Ok(parts(services.users().get_roles(ids).await?))
    };
    pub(super) permissions = Permissions(UserId => Part<String>) |services, ids| {
        Ok(parts(services.users().get_permissions(ids).await?))
    };
    /// Options of one scope, by id.
    pub(super) options = Options((UserId, OptionScope) => Part<UserOption>) |services, keys| {
        let Some((user_ids, scope)) = ids_and_argument(keys) else { return Ok(Vec::new()) };
        let exactly = OptionScopeFilter::Exactly(scope);
        let filter = UserOptionFilter { user_ids, keys: None, scope: exactly };
        let options = services.user_options().get_many(&filter).await?.into_iter();
        let options = options.map(UserOption).collect();
        let options = parts_of(options, |option: &UserOption| option.0.user_id).into_iter();
        Ok(options.map(|(id, options)| ((id, scope), options)).collect())
    };
    pub(super) user_options = UserOptions(UserOptionId => domain::UserOption) |services, ids| {
        let found = services.user_options().get_many_by_id(ids).await?.into_iter();
        Ok(found.map(|option| (option.id, option)).collect())
    };
    pub(super) organizations = Organizations(OrganizationId => domain::Organization)
        |services, ids| {
            let found = services.organizations().get_many_by_id(ids).await?.into_iter();
            Ok(found.map(|organization| (organization.id, organization)).collect())
        };
    /// Organizations of users, by id.
    pub(super) memberships =
        Memberships((UserId, (OrganizationVisibility, Detail)) => Part<Organization>)
        |services, keys| {
            let Some((ids, wanted)) = ids_and_argument(keys) else { return Ok(Vec::new()) };
            let (visibility, detail) = wanted;
            let organizations = services.organizations();
            let memberships = organizations.get_memberships(&ids, visibility, detail).await?;
            let memberships = memberships.into_iter().map(|(id, of)| (id, Organization(of)));
            let memberships = parts(memberships).into_iter();
            Ok(memberships.map(|(id, of)| ((id, wanted), of)).collect())
        };
    pub(super) members = Members((OrganizationId, PageRequest) => OrganizationMembers)
        |services, keys| {
            let Some((ids, page)) = ids_and_argument(keys) else { return Ok(Vec::new()) };
            let members = services.organizations().get_members(&ids, &page).await?.into_iter();
            Ok(members.map(|(id, members)| ((id, page.clone()), members)).collect())
        };
    member_counts = MemberCounts(OrganizationId => u64) costs SEARCH |services, ids| {
        services.organizations().count_members(ids).await
    };
}

/// The most members that are read by one call. Each has all columns of a user, and pages are often full.
const MAX_MEMBERS_PER_CALL: usize = 5_000;

/// The most users whose options are read by one call. Those of one user may have some megabytes.
pub(super) const MAX_USERS_PER_OPTIONS_CALL: usize = 50;

impl Key for UserId {}
impl Key for OrganizationId {}

impl Key for UserOptionId {
    /// Values set by the gateway have at most 64 KiB.
    fn max_keys(&self) -> usize {
        250
    }
}

impl CallArgument for OptionScope {
    fn max_ids(&self) -> usize {
        MAX_USERS_PER_OPTIONS_CALL
    }
}

impl CallArgument for (OrganizationVisibility, Detail) {
    /// Few users have more than 40 organizations.
    fn max_ids(&self) -> usize {
        MAX_ROWS_PER_CALL / 40
    }
}

impl CallArgument for PageRequest {
    fn max_ids(&self) -> usize {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        MAX_MEMBERS_PER_CALL / size.max(1)
    }
}

impl Size for VisibleUser {}
impl Size for Avatar {}
impl Size for UserEmail {}
impl Size for Authenticator {}
impl Size for AuthIdentity {}
impl Size for Role {}
impl Size for String {}
impl Size for domain::Organization {}
impl Size for Organization {}
impl Size for u64 {}

impl Size for domain::UserOption {
    fn bytes(&self) -> usize {
        match &self.value {
            StoredValue::Json(value) => value.as_str().len(),
            StoredValue::Unreadable => 0,
        }
    }
}

impl Size for UserOption {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Size for OrganizationMembers {
    fn rows(&self) -> usize {
        self.rows.len()
    }
}

impl Loaders {
    /// The user with this id, if the caller sees one.
    pub(super) async fn user(&self, id: UserId) -> Result<Option<VisibleUser>> {
        self.users.load(id).await?.transpose()
    }

    /// Makes the users of a page known.
    pub(super) async fn know_users(&self, page: Arc<Page<User>>) {
        let found = move || {
            let users = page.rows.iter();
            users
                .map(|user| (user.0.id(), Ok(user.0.clone())))
                .collect()
        };
        self.users.prime(found).await;
    }
}

/// The ids of keys that share a call, and their argument.
fn ids_and_argument<I: Copy, A: CallArgument>(keys: &[(I, A)]) -> Option<(Vec<I>, A)> {
    let (_, argument) = keys.first()?;
    Some((keys.iter().map(|(id, _)| *id).collect(), argument.clone()))
}
