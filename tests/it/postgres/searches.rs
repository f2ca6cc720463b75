//! Searches that take long leave connections to others.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use user_gateway::domain::{
    Error, Page, PageEnd, PageRequest, Result, UserFilter, UserId, UserOrder, UserPageQuery,
    UserProfile, Viewer,
};
use user_gateway::service::UserService;

use super::{block, open, until_blocked};
use crate::harness::{Contents, PATIENCE, TestDatabase, eventually};

/// How many searches [`open`]'s eight connections let run at a time: four are not look-ups' or changes'
/// own, and searches get half of them.
const PLACES: usize = 2;

fn page_of(query: Option<&str>) -> UserPageQuery {
    UserPageQuery {
        filter: UserFilter {
            query: query.map(str::to_owned),
            ..UserFilter::default()
        },
        order: UserOrder::default(),
        page: PageRequest {
            after: None,
            before: None,
            end: PageEnd::First,
            size: 10,
        },
        viewer: Viewer::All,
    }
}

/// Begins so many searches.
fn search(
    users: &Arc<dyn UserService>,
    count: usize,
) -> Vec<JoinHandle<Result<Page<UserProfile>>>> {
    let one = |_| {
        let users = Arc::clone(users);
        tokio::spawn(async move { users.page(&page_of(Some("ada"))).await })
    };
    (0..count).map(one).collect()
}

async fn listed(users: &Arc<dyn UserService>, query: Option<&str>) -> Result<Vec<UserId>> {
    let page = users.page(&page_of(query)).await?;
    Ok(page.rows.iter().map(|user| user.id).collect())
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn searches_leave_connections_to_others() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let other = open(db.url(), Duration::from_millis(500), PATIENCE).await;
    let users = other.services().users;

    let lock = block(&db, "sentry_useremail").await;
    let searches = search(&users, PLACES + 10);
    until_blocked(&db, PLACES).await;
    let (mut found, mut refused) = (0, 0);
    for _ in 0..20 {
        assert_eq!(listed(&users, None).await.unwrap(), [ada, grace]);
    }
    eventually("all but those that run are refused", async || {
        searches
            .iter()
            .filter(|search| search.is_finished())
            .count()
            == 10
    })
    .await;
    lock.rollback().await.unwrap();
    for search in searches {
        match search.await.unwrap() {
            Ok(page) => found += usize::from(page.rows.len() == 1 && page.rows[0].id == ada),
            Err(Error::Unavailable(_)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((found, refused), (PLACES, 10));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_search_that_nobody_waits_for_keeps_its_place_until_it_ends() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let other = open(db.url(), Duration::from_millis(500), PATIENCE).await;
    let users = other.services().users;

    let lock = block(&db, "sentry_useremail").await;
    for round in 0..3 {
        let searches = search(&users, PLACES);
        if round == 0 {
            until_blocked(&db, PLACES).await;
        }
        for search in searches {
            search.abort();
            assert!(search.await.unwrap_err().is_cancelled());
        }
    }
    let refused = listed(&users, Some("ada")).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!(listed(&users, None).await.unwrap(), [ada, grace]);
    until_blocked(&db, PLACES).await;
    lock.rollback().await.unwrap();
    eventually("there is a place again", async || {
        listed(&users, Some("ada"))
            .await
            .is_ok_and(|found| found == [ada])
    })
    .await;
}
