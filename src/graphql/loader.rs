//! Look-ups of one request, batched: a level of the query costs one statement however many rows
//! it fans out to, and a look-up that stands alone waits for nobody.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use ::dataloader::BatchFn;
use ::dataloader::cached::Loader;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::auth::{AuthorizedServices, OrganizationMembers, VisibleUser};
use crate::domain::{
    AuthIdentity, Authenticator, Avatar, Error, OptionScopeFilter, Organization, OrganizationId,
    OrganizationVisibility, PageRequest, Result, Role, UserEmail, UserId, UserOption,
    UserOptionFilter, UserOptionId,
};
use crate::telemetry::carry;

type Found<K, V> = Result<HashMap<K, V>>;
type Fetch<K, V> = Arc<dyn Fn(Vec<K>) -> BoxFuture<'static, Found<K, V>> + Send + Sync>;

/// Fetches the values of many keys. The work is a task of its own: a waiter whose field is
/// cancelled must not take the others' keys with it.
struct Batch<K, V>(Fetch<K, V>);

impl<K, V> BatchFn<K, Result<Option<V>>> for Batch<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    async fn load(&mut self, keys: &[K]) -> HashMap<K, Result<Option<V>>> {
        let fetched = tokio::spawn(carry((self.0)(keys.to_vec()))).await;
        let mut found = match fetched.map_err(Error::internal).and_then(|found| found) {
            Ok(found) => found,
            Err(error) => {
                return keys
                    .iter()
                    .map(|key| (key.clone(), Err(error.clone())))
                    .collect();
            }
        };
        keys.iter()
            .map(|key| (key.clone(), Ok(found.remove(key))))
            .collect()
    }
}

/// Look-ups of one kind.
pub(super) struct BatchLoader<K, V>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    inner: Loader<K, Result<Option<V>>, Batch<K, V>>,
}

impl<K, V> BatchLoader<K, V>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    fn new<F>(max_batch: usize, fetch: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Found<K, V>> + Send + 'static,
    {
        let fetch: Fetch<K, V> = Arc::new(move |keys| fetch(keys).boxed());
        Self {
            inner: Loader::new(Batch(fetch)).with_max_batch_size(max_batch),
        }
    }

    /// The value of `key`, if there is one.
    pub(super) async fn load(&self, key: K) -> Result<Option<V>> {
        // `load` of the crate panics on a key without an answer; every key has one here.
        self.inner.try_load(key).await.map_err(Error::internal)?
    }

    /// Makes values known that were found in another way.
    pub(super) async fn prime(&self, found: impl IntoIterator<Item = (K, V)>) {
        let found = found.into_iter().map(|(key, value)| (key, Ok(Some(value))));
        self.inner.prime_many(found).await;
    }
}

impl<K, V> Debug for BatchLoader<K, V>
where
    K: Eq + Hash + Clone + Debug + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchLoader").finish_non_exhaustive()
    }
}

/// The loaders of one request, bound to its caller.
#[derive(Debug)]
pub(super) struct Loaders {
    /// Users, each by itself; see [`Loaders::user`].
    users: BatchLoader<UserId, Result<Arc<VisibleUser>>>,
    pub(super) avatars: BatchLoader<UserId, Avatar>,
    pub(super) emails: BatchLoader<UserId, Vec<UserEmail>>,
    pub(super) authenticators: BatchLoader<UserId, Vec<Authenticator>>,
    pub(super) identities: BatchLoader<UserId, Vec<AuthIdentity>>,
    pub(super) roles: BatchLoader<UserId, Vec<Role>>,
    pub(super) permissions: BatchLoader<UserId, Vec<String>>,
    pub(super) options: BatchLoader<(UserId, OptionScopeFilter), Vec<UserOption>>,
    pub(super) user_options: BatchLoader<UserOptionId, UserOption>,
    pub(super) organizations: BatchLoader<OrganizationId, Organization>,
    pub(super) memberships: BatchLoader<(UserId, OrganizationVisibility), Vec<Organization>>,
    pub(super) members: BatchLoader<(OrganizationId, PageRequest), OrganizationMembers>,
    pub(super) member_counts: BatchLoader<OrganizationId, u64>,
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

    #[expect(
        clippy::too_many_lines,
        reason = "one entry a kind of look-up, and nothing between them"
    )]
    pub(super) fn new(services: &AuthorizedServices, max_batch: usize) -> Self {
        let users = &services.users;
        let organizations = &services.organizations;
        let user_options = &services.user_options;
        /// A loader whose values are fetched by a method of a service.
        macro_rules! loader {
            ($service:expr, |$bound:ident, $keys:ident| $fetch:expr) => {{
                let service = $service.clone();
                BatchLoader::new(max_batch, move |$keys| {
                    let $bound = service.clone();
                    async move { $fetch }
                })
            }};
        }
        Self {
            users: loader!(users, |users, ids| {
                let found = users.get_each(&ids).await?.into_iter();
                Ok(found.map(|(id, user)| (id, user.map(Arc::new))).collect())
            }),
            avatars: loader!(users, |users, ids| {
                Ok(users.get_avatars(&ids).await?.into_iter().collect())
            }),
            emails: loader!(users, |users, ids| Ok(grouped(
                users.get_emails(&ids).await?
            ))),
            authenticators: loader!(users, |users, ids| {
                let found = users.get_authenticators(&ids).await?;
                Ok(grouped(
                    found.into_iter().map(|factor| (factor.user_id, factor)),
                ))
            }),
            identities: loader!(users, |users, ids| {
                let found = users.get_identities(&ids).await?;
                Ok(grouped(
                    found
                        .into_iter()
                        .map(|identity| (identity.user_id, identity)),
                ))
            }),
            roles: loader!(users, |users, ids| Ok(grouped(
                users.get_roles(&ids).await?
            ))),
            permissions: loader!(users, |users, ids| {
                Ok(grouped(users.get_permissions(&ids).await?))
            }),
            options: loader!(user_options, |options, keys| {
                let mut found = HashMap::new();
                let by_scope = keys
                    .into_iter()
                    .map(|(id, scope): (UserId, OptionScopeFilter)| (scope, id));
                for (scope, user_ids) in grouped(by_scope) {
                    let filter = UserOptionFilter {
                        user_ids,
                        keys: None,
                        scope: scope.clone(),
                    };
                    let options = options.get_many(&filter).await?;
                    let options = options.into_iter().map(|o| ((o.user_id, scope.clone()), o));
                    found.extend(grouped(options));
                }
                Ok(found)
            }),
            user_options: loader!(user_options, |options, ids| {
                let found = options.get_many_by_id(&ids).await?;
                Ok(found
                    .into_iter()
                    .map(|option| (option.id, option))
                    .collect())
            }),
            organizations: loader!(organizations, |organizations, ids| {
                let found = organizations.get_many_by_id(&ids).await?;
                Ok(found
                    .into_iter()
                    .map(|organization| (organization.id, organization))
                    .collect())
            }),
            memberships: loader!(organizations, |organizations, keys| {
                let mut found = HashMap::new();
                for (visibility, ids) in grouped(keys.into_iter().map(|(id, v)| (v, id))) {
                    let memberships = organizations.get_memberships(&ids, visibility).await?;
                    let memberships = memberships.into_iter().map(|(id, o)| ((id, visibility), o));
                    found.extend(grouped(memberships));
                }
                Ok(found)
            }),
            members: loader!(organizations, |organizations, keys| {
                let mut found = HashMap::new();
                for (page, ids) in grouped(keys.into_iter().map(|(id, page)| (page, id))) {
                    let members = organizations.get_members(&ids, &page).await?;
                    found.extend(
                        members
                            .into_iter()
                            .map(|(id, members)| ((id, page.clone()), members)),
                    );
                }
                Ok(found)
            }),
            member_counts: loader!(organizations, |organizations, ids| {
                Ok(organizations
                    .count_members(&ids)
                    .await?
                    .into_iter()
                    .collect())
            }),
        }
    }
}

/// Values by key, in the order they came.
fn grouped<K: Eq + Hash, V>(pairs: impl IntoIterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}
