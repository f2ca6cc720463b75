//! Look-ups of one request, batched: a level of the query costs one statement however many rows
//! it fans out to, and a look-up that stands alone waits for nobody.

mod batch;
mod load;
mod lookup;
mod part;

use std::hash::Hash;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub(super) use batch::Batch;
pub(super) use load::Load;
pub(super) use lookup::Driver;
pub(super) use part::Part;

use super::budget::{Budget, SEARCH, STATEMENT};
use super::object::{Organization, User, UserOption};
use crate::auth::{AuthorizedServices, Detail, OrganizationMembers, VisibleUser};
use crate::domain::{
    self, AuthIdentity, Authenticator, Avatar, OptionScope, OptionScopeFilter, OrganizationId,
    OrganizationVisibility, Page, PageRequest, Result, Role, UserEmail, UserId, UserOptionFilter,
    UserOptionId,
};
use batch::{Found, Map, Size};
use lookup::Lookup;
use part::{parts, parts_of};

/// What a call of a batch costs: a statement, if nothing else is said.
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
            /// Loaders whose batches have at most `max_batch` keys and leave as `driver` says.
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

            /// The batches of what is wanted by now, where a plan drives them.
            pub(super) fn wanted<'a>(
                self: &Arc<Self>,
                services: &'a AuthorizedServices,
                budget: &'a Budget,
                max_batch: usize,
            ) -> Vec<BoxFuture<'a, ()>> {
                let mut batches: Vec<BoxFuture<'a, ()>> = Vec::new();
                $(
                    self.$loader.send(max_batch, |keys| {
                        let loaders = Arc::clone(self);
                        batches.push(Box::pin(async move {
                            loaders.$loader.fill(services, budget, keys).await;
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
        let mut found = Vec::with_capacity(keys.len());
        for (scope, user_ids) in by_argument(keys) {
            let exactly = OptionScopeFilter::Exactly(scope);
            let filter = UserOptionFilter { user_ids, keys: None, scope: exactly };
            let options = services.user_options().get_many(&filter).await?.into_iter();
            let options = options.map(UserOption).collect();
            let options = parts_of(options, |option: &UserOption| option.0.user_id).into_iter();
            found.extend(options.map(|(id, options)| ((id, scope), options)));
        }
        Ok(found)
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
            let mut found = Vec::with_capacity(keys.len());
            for (wanted, ids) in by_argument(keys) {
                let (visibility, detail) = wanted;
                let organizations = services.organizations();
                let memberships = organizations.get_memberships(&ids, visibility, detail).await?;
                let memberships = memberships.into_iter().map(|(id, of)| (id, Organization(of)));
                let memberships = parts(memberships).into_iter();
                found.extend(memberships.map(|(id, of)| ((id, wanted), of)));
            }
            Ok(found)
        };
    pub(super) members = Members((OrganizationId, PageRequest) => OrganizationMembers)
        |services, keys| {
            let mut found = Vec::with_capacity(keys.len());
            for (page, ids) in by_argument(keys) {
                let members = services.organizations().get_members(&ids, &page).await?.into_iter();
                found.extend(members.map(|(id, members)| ((id, page.clone()), members)));
            }
            Ok(found)
        };
    member_counts = MemberCounts(OrganizationId => u64) costs SEARCH |services, ids| {
        services.organizations().count_members(ids).await
    };
}

impl Size for VisibleUser {}
impl Size for Avatar {}
impl Size for domain::UserOption {}
impl Size for domain::Organization {}
impl Size for u64 {}

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

/// The ids of keys by what is asked of them, for one call can ask only one thing.
fn by_argument<I: Copy, A: Eq + Hash + Clone>(keys: &[(I, A)]) -> Map<A, Vec<I>> {
    let mut ids: Map<A, Vec<I>> = Map::default();
    // A field asks the same of all objects of a level, one after the other.
    for same in keys.chunk_by(|one, next| one.1 == next.1) {
        let of_argument = ids.entry(same[0].1.clone()).or_default();
        of_argument.extend(same.iter().map(|(id, _)| *id));
    }
    ids
}
