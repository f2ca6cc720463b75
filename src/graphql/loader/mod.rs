//! Look-ups of one request, batched: a level of the query costs one statement however many rows
//! it fans out to, and a look-up that stands alone waits for nobody.

mod batch;
mod lookup;

use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;
use futures_util::future::BoxFuture;

pub(super) use batch::Batch;
pub(super) use lookup::{Driver, Lookup};

use crate::auth::{AuthorizedServices, OrganizationMembers, VisibleUser};
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, OptionScopeFilter, Organization, OrganizationId,
    OrganizationVisibility, PageRequest, Result, Role, UserEmail, UserId, UserOption,
    UserOptionFilter, UserOptionId,
};
use batch::{Found, Map};

/// Defines the loaders of a request, each with the keys it takes, the values it finds, and the
/// call of a service that finds them.
macro_rules! loaders {
    ($(
        $(#[$doc:meta])*
        $visibility:vis $loader:ident = $batch:ident($key:ty => $value:ty)
            |$services:ident, $keys:ident| $fetch:expr;
    )*) => {
        $(
            #[derive(Debug)]
            pub(super) struct $batch;

            impl Batch for $batch {
                type Key = $key;
                type Value = $value;

                async fn fetch(
                    $services: &AuthorizedServices,
                    $keys: Vec<Self::Key>,
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
                max_batch: usize,
                driver: Driver,
            ) -> Self {
                Self {
                    $($loader: Lookup::new(services, max_batch, driver),)*
                }
            }

            /// The batches of what is wanted by now, where a plan drives them.
            pub(super) fn wanted<'a>(
                self: &Arc<Self>,
                services: &'a AuthorizedServices,
                max_batch: usize,
            ) -> Vec<BoxFuture<'a, ()>> {
                let mut batches: Vec<BoxFuture<'a, ()>> = Vec::new();
                $(
                    for keys in self.$loader.wanted(max_batch) {
                        let loaders = Arc::clone(self);
                        batches.push(Box::pin(async move {
                            loaders.$loader.fill(services, keys).await;
                        }));
                    }
                )*
                batches
            }
        }
    };
}

loaders! {
    /// Users, each by itself; see [`Loaders::user`].
    users = Users(UserId => Result<Arc<VisibleUser>>) |services, ids| {
        let found = services.users.get_each(&ids).await?.into_iter();
        Ok(found.map(|(id, user)| (id, user.map(Arc::new))).collect())
    };
    pub(super) avatars = Avatars(UserId => Avatar) |services, ids| {
        Ok(services.users.get_avatars(&ids).await?.into_iter().collect())
    };
    pub(super) emails = Emails(UserId => Arc<[UserEmail]>) |services, ids| {
        Ok(grouped(services.users.get_emails(&ids).await?))
    };
    pub(super) authenticators = Authenticators(UserId => Arc<[Authenticator]>) |services, ids| {
        let found = services.users.get_authenticators(&ids).await?;
        Ok(grouped(found.into_iter().map(|factor| (factor.user_id, factor))))
    };
    pub(super) identities = Identities(UserId => Arc<[AuthIdentity]>) |services, ids| {
        let found = services.users.get_identities(&ids).await?;
        Ok(grouped(found.into_iter().map(|identity| (identity.user_id, identity))))
    };
    pub(super) roles = Roles(UserId => Arc<[Role]>) |services, ids| {
        Ok(grouped(services.users.get_roles(&ids).await?))
    };
    pub(super) permissions = Permissions(UserId => Arc<[String]>) |services, ids| {
        Ok(grouped(services.users.get_permissions(&ids).await?))
    };
    pub(super) options = Options((UserId, OptionScopeFilter) => Arc<[Arc<UserOption>]>)
        |services, keys| {
            let mut found = Map::with_capacity_and_hasher(keys.len(), RandomState::default());
            for (scope, user_ids) in by_argument(keys) {
                let filter = UserOptionFilter { user_ids, keys: None, scope };
                let options = services.user_options.get_many(&filter).await?.into_iter();
                let options = options.map(|option| {
                    ((option.user_id, filter.scope.clone()), Arc::new(option))
                });
                found.extend(grouped(options));
            }
            Ok(found)
        };
    pub(super) user_options = UserOptions(UserOptionId => Arc<UserOption>) |services, ids| {
        let found = services.user_options.get_many_by_id(&ids).await?.into_iter();
        Ok(found.map(|option| (option.id, Arc::new(option))).collect())
    };
    pub(super) organizations = Organizations(OrganizationId => Arc<Organization>)
        |services, ids| {
            let found = services.organizations.get_many_by_id(&ids).await?.into_iter();
            Ok(found.map(|organization| (organization.id, Arc::new(organization))).collect())
        };
    pub(super) memberships =
        Memberships((UserId, OrganizationVisibility) => Arc<[Arc<Organization>]>)
        |services, keys| {
            let mut found = Map::with_capacity_and_hasher(keys.len(), RandomState::default());
            for (visibility, ids) in by_argument(keys) {
                let memberships = services.organizations.get_memberships(&ids, visibility).await?;
                let memberships = memberships
                    .into_iter()
                    .map(|(id, organization)| ((id, visibility), Arc::new(organization)));
                found.extend(grouped(memberships));
            }
            Ok(found)
        };
    pub(super) members = Members((OrganizationId, PageRequest) => OrganizationMembers)
        |services, keys| {
            let mut found = Map::with_capacity_and_hasher(keys.len(), RandomState::default());
            for (page, ids) in by_argument(keys) {
                let members = services.organizations.get_members(&ids, &page).await?.into_iter();
                found.extend(members.map(|(id, members)| ((id, page.clone()), members)));
            }
            Ok(found)
        };
    pub(super) member_counts = MemberCounts(OrganizationId => u64) |services, ids| {
        Ok(services.organizations.count_members(&ids).await?.into_iter().collect())
    };
}

impl Loaders {
    /// The user with this id, if the caller sees one.
    pub(super) async fn user(&self, id: UserId) -> Result<Option<Arc<VisibleUser>>> {
        self.users.load(id).await?.transpose()
    }

    /// Makes users known that were found in another way.
    pub(super) async fn know_users(&self, found: impl IntoIterator<Item = Arc<VisibleUser>>) {
        let found = found.into_iter().map(|user| (user.id(), Ok(user)));
        self.users.prime(found).await;
    }
}

/// Values by key, in the order they came.
fn grouped<K: Eq + Hash, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Map<K, Arc<[V]>> {
    let mut groups: Map<K, Vec<V>> = Map::default();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    let groups = groups.into_iter();
    groups.map(|(key, values)| (key, values.into())).collect()
}

/// The ids of keys by what is asked of them, for one call can ask only one thing.
fn by_argument<I, A: Eq + Hash>(keys: Vec<(I, A)>) -> Map<A, Vec<I>> {
    let mut ids: Map<A, Vec<I>> = Map::default();
    for (id, argument) in keys {
        ids.entry(argument).or_default().push(id);
    }
    ids
}
