//! Searching names and addresses for a text, and the members of a large organization.
//!
//! A text may be in one name or in all of them, and nothing tells beforehand. The index of trigrams
//! finds the few names that hold a rare text, but has to fetch all that hold a common one before
//! the first of them is known; reading users one after the other finds a common text at once, and a
//! rare one when all are read. So a search does a little of each, what costs least first:
//!
//! 1. it reads the next [`NEAR`] users of the list, which fills a page if the text is in every tenth;
//! 2. it asks the indexes for those who hold the text, and if they are no more than [`FEW`], the rest
//!    of the search is about them alone;
//! 3. it reads the next [`FAR`] users;
//! 4. it fetches all who hold the text, and sorts them. Then they are many, and far away: the newest
//!    thousands, say, of a list that begins with the oldest.
//!
//! So but for the last case the number of rows that a search fetches is bounded. What it reads of the
//! indexes grows with the directory, a few bytes for each name that shares a trigram with the text. A
//! text without three letters or digits in a row has no trigram; if it is rare, all names are read.
//!
//! The same holds for the members of an organization. Up to [`FEW`] are fetched, sorted, and each is
//! searched for the text. For more, a page is filled from the next users of the list if possible; but
//! no more users are read than the organization has members, so that the cost does not grow with the
//! directory.
//!
//! Searches use at most half of the connections, and at most [`MAX_PER_USER`] pages are read for one user
//! concurrently, or fewer with few connections.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entity::{user, user_email};
use sea_orm::sea_query::{
    Asterisk, CommonTableExpression, Cond, Condition, Expr, ExprTrait, Query, SelectStatement,
    UnionType, WithClause,
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::super::connect::Ownership;
use super::super::dialect::Dialect;
use super::super::statement::fetch;
use super::super::{Database, see_through};
use super::filter::{self, Start};
use super::page::{self, Listed};
use crate::domain::{Error, OrderField, Page, Result, UserFilter, UserId, UserPageQuery, Viewer};

/// How many users of a list are read before the indexes are asked.
const NEAR: u64 = 300;
/// The most index matches of a text that is not common, and the most members of an organization that is
/// not large.
pub(super) const FEW: u64 = 1_000;
/// How many users of a list are read if a text is common, or the organization has at least as many
/// members.
pub(super) const FAR: u64 = 10_000;

/// The most pages read concurrently for one user.
const MAX_PER_USER: usize = 2;

/// What the indexes have found is called so in a statement.
const FOUND: &str = "found";

/// The owner of an address.
const OWNER: (user_email::Entity, user_email::Column) =
    (user_email::Entity, user_email::Column::UserId);

/// A text, and where it is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    dialect: Dialect,
    text: &'a str,
    names: &'static [user::Column],
    viewer: Viewer,
}

impl<'a> Search<'a> {
    /// What a filter searches for, if it does.
    pub(super) fn of(database: &Database, filter: &'a UserFilter, viewer: Viewer) -> Option<Self> {
        let names = if filter.query_spares_usernames {
            &[user::Column::Name][..]
        } else {
            &[user::Column::Name, user::Column::Username]
        };
        Some(Self {
            dialect: database.dialect(),
            text: filter.query.as_deref()?,
            names,
            viewer,
        })
    }

    /// The condition that a name or an address of the user at hand holds the text.
    pub(super) fn is_held(&self) -> Condition {
        let address = filter::one(self.addresses(), OWNER);
        let any = self.any_name();
        match self.whose() {
            Addresses::Everybodys => any.add(address),
            Addresses::Of(me) => {
                let id = Expr::col((user::Entity, user::Column::Id));
                any.add(id.eq(me.0).and(address))
            }
            Addresses::Nobodys => any,
        }
    }

    /// The ids of all users of whom a name or an address holds the text; some of them repeatedly.
    /// A union of two look-ups and not one with OR over two tables, so that each can use its index.
    pub(super) fn holders(&self) -> SelectStatement {
        let mut holders = Query::select();
        holders
            .column(user::Column::Id)
            .from(user::Entity)
            .cond_where(self.any_name());
        let mut addresses = self.addresses().column(OWNER).take();
        match self.whose() {
            Addresses::Everybodys => {}
            Addresses::Of(me) => {
                addresses.and_where(Expr::col(OWNER).eq(me.0));
            }
            Addresses::Nobodys => return holders,
        }
        holders.union(UnionType::All, addresses).take()
    }

    fn any_name(&self) -> Condition {
        self.names.iter().fold(Cond::any(), |any, name| {
            let column = (user::Entity, *name);
            any.add(self.dialect.contains_folded(column, self.text))
        })
    }

    /// The addresses that contain the text.
    fn addresses(&self) -> SelectStatement {
        let column = (user_email::Entity, user_email::Column::Email);
        Query::select()
            .from(user_email::Entity)
            .and_where(self.dialect.contains_folded(column, self.text))
            .take()
    }

    /// Whose addresses the viewer may search.
    const fn whose(&self) -> Addresses {
        match self.viewer {
            Viewer::All => Addresses::Everybodys,
            Viewer::Public(None) => Addresses::Nobodys,
            Viewer::Public(Some(me)) | Viewer::Member(me) | Viewer::Alone(me) => Addresses::Of(me),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Addresses {
    Everybodys,
    Of(UserId),
    Nobodys,
}

/// A page of the users that contain the text of a query, or of the members of a large organization.
pub(super) async fn page<T: Listed>(
    database: &Database,
    query: &UserPageQuery,
    start: Start,
    place: Option<Place>,
) -> Result<Page<T>> {
    let (owned, query) = (database.clone(), query.clone());
    let search = async move {
        let database = &owned;
        let far = match start {
            Start::ManyMembers(_) if !has_index(database, &query) => 0,
            Start::ManyMembers(members) => Ord::min(members, FAR),
            _ => FAR,
        };
        if query.filter.query.is_some() {
            if far > 0
                && let Some(page) = among_next(NEAR, database, &query).await?
            {
                return Ok(page);
            }
            if let Some(few) = few(database, &query).await? {
                return page::list(database, &few, Start::Ids).await;
            }
        }
        if far > 0
            && let Some(page) = among_next(far, database, &query).await?
        {
            return Ok(page);
        }
        page::list(database, &query, start).await
    };
    database.searches().run(search, place).await
}

/// The number of users that contain the text of a query, or of the members of its organization.
pub(super) async fn count(
    database: &Database,
    query: &UserPageQuery,
    start: Start,
    place: Option<Place>,
) -> Result<u64> {
    let (owned, query) = (database.clone(), query.clone());
    let search = async move {
        match few(&owned, &query).await? {
            Some(few) => page::number(&owned, &few, Start::Ids).await,
            None => page::number(&owned, &query, start).await,
        }
    };
    database.searches().run(search, place).await
}

/// Whether an index provides the order of a list. Sentry has none on the date of joining.
fn has_index(database: &Database, query: &UserPageQuery) -> bool {
    query.order.field != OrderField::DateJoined || database.facts().ownership == Ownership::Ours
}

/// The page, if the next `reach` users of the list fill it.
async fn among_next<T: Listed>(
    reach: u64,
    database: &Database,
    query: &UserPageQuery,
) -> Result<Option<Page<T>>> {
    let next = user::Entity::find().select_only().expr(Expr::col(Asterisk));
    let next = page::ordered(page::between(next, query), query).limit(reach);
    let mut select = T::select();
    // In the place of the table, so that what is said of its columns is said of theirs.
    QuerySelect::query(&mut select)
        .from_clear()
        .from_subquery(next.into_query(), user::Entity);
    let condition = filter::condition(database, &query.filter, query.viewer, Start::Next);
    let size = u64::from(query.page.size);
    let select = page::ordered(select.filter(condition), query).limit(size + 1);
    let accounts = fetch(database.reader(), &select, T::read).await?;
    let is_full = accounts.len() as u64 > size;
    Ok(is_full.then(|| Page::from_overfull(accounts, &query.page)))
}

/// The query with the ids of those who hold the text in its place, if the text is rare.
async fn few(database: &Database, query: &UserPageQuery) -> Result<Option<UserPageQuery>> {
    let Some(search) = Search::of(database, &query.filter, query.viewer) else {
        return Ok(None);
    };
    // PostgreSQL plans what stands in such a clause as if all of it were wanted, and then takes no
    // more of it than is. In a subquery it would expect to come upon enough by reading the table.
    let found = CommonTableExpression::new()
        .query(search.holders())
        .column(user::Column::Id)
        .materialized(database.dialect() == Dialect::Postgres)
        .table_name(FOUND)
        .to_owned();
    let select = Query::select()
        .column(user::Column::Id)
        .from(FOUND)
        .limit(FEW + 1)
        .to_owned()
        .with(WithClause::new().cte(found).to_owned());
    let rows = database.reader().query_all(&select).await?;
    if rows.len() as u64 > FEW {
        return Ok(None);
    }
    let ids = rows.iter().map(|row| row.try_get_by_index(0).map(UserId));
    let mut ids = ids.collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(UserPageQuery {
        filter: UserFilter {
            query: None,
            user_ids: Some(ids),
            ..query.filter.clone()
        },
        ..query.clone()
    }))
}

/// The free places of each user for whom pages are being read.
type Users = Mutex<HashMap<UserId, Arc<Semaphore>>>;

/// The searches that run at a time.
#[derive(Debug)]
pub(in super::super) struct Searches {
    places: Arc<Semaphore>,
    users: Arc<Users>,
    places_of_user: usize,
    patience: Duration,
}

/// A search has waited for others as long as it may.
#[derive(Debug, thiserror::Error)]
#[error("as many searches as may run at a time are under way")]
struct NoPlace;

/// One of the places of a user.
#[derive(Debug)]
pub(super) struct Place {
    users: Arc<Users>,
    user: UserId,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Permits and waiters hold references to the semaphore, too.
        self.permit = None;
        if let Entry::Occupied(entry) = lock(&self.users).entry(self.user)
            && Arc::strong_count(entry.get()) == 1
        {
            entry.remove();
        }
    }
}

fn lock(users: &Users) -> MutexGuard<'_, HashMap<UserId, Arc<Semaphore>>> {
    users.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Searches {
    /// Allows searches half of `connections`, and one user half of that. A search waits no longer than
    /// `patience` for its place.
    pub(in super::super) fn over(connections: u32, patience: Duration) -> Self {
        let places = usize::try_from(connections / 2).unwrap_or(usize::MAX);
        Self {
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            users: Arc::default(),
            places_of_user: (places / 2).clamp(1, MAX_PER_USER),
            patience,
        }
    }

    /// Waits until another page may be read for the viewer, if that is a user, so that the requests of one
    /// user do not delay those of others.
    pub(super) async fn admit(&self, viewer: Viewer) -> Result<Option<Place>> {
        let (Viewer::Member(user) | Viewer::Alone(user) | Viewer::Public(Some(user))) = viewer
        else {
            return Ok(None);
        };
        let places = || Arc::new(Semaphore::new(self.places_of_user));
        let places = Arc::clone(lock(&self.users).entry(user).or_insert_with(places));
        let mut place = Place {
            users: Arc::clone(&self.users),
            user,
            permit: None,
        };
        place.permit = Some(self.wait(places).await?);
        Ok(Some(place))
    }

    async fn wait(&self, places: Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
        let permit = timeout(self.patience, places.acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok);
        permit.ok_or_else(|| Error::Unavailable(Arc::new(NoPlace)))
    }

    /// Searches when there is a place. Whoever does not wait for the end leaves statements behind
    /// that go on, so the places, the user's own too, are kept until then.
    async fn run<T: Send + 'static>(
        &self,
        search: impl Future<Output = Result<T>> + Send + 'static,
        of_user: Option<Place>,
    ) -> Result<T> {
        let place = self.wait(Arc::clone(&self.places)).await?;
        see_through(async move {
            let found = search.await;
            drop((place, of_user));
            found
        })
        .await
    }
}
