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
use crate::harness::{Contents, Engine, Gateway, PATIENCE, TestDatabase, eventually};

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
    search_as(users, Viewer::All, count)
}

fn search_as(
    users: &Arc<dyn UserService>,
    viewer: Viewer,
    count: usize,
) -> Vec<JoinHandle<Result<Page<UserProfile>>>> {
    let one = |_| {
        let users = Arc::clone(users);
        let query = UserPageQuery {
            viewer,
            ..page_of(Some("ada"))
        };
        tokio::spawn(async move { users.page(&query).await })
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

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_searches_of_one_user_leave_places_to_those_of_others() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let users = open(db.url(), PATIENCE, PATIENCE).await.services().users;

    let lock = block(&db, "sentry_useremail").await;
    let many = search_as(&users, Viewer::Member(ada), 10);
    until_blocked(&db, 1).await;
    // Later requests of other users do not wait behind them.
    let one = search_as(&users, Viewer::Public(Some(grace)), 1);
    until_blocked(&db, PLACES).await;
    // Cancelled waiters do not hold a place, either.
    for search in &many[5..] {
        search.abort();
    }
    assert_eq!(listed(&users, None).await.unwrap(), [ada, grace]);
    lock.rollback().await.unwrap();
    for search in one.into_iter().chain(many) {
        match search.await {
            Ok(page) => assert_eq!(page.unwrap().rows[0].id, ada),
            Err(left) => assert!(left.is_cancelled()),
        }
    }
    let again = search_as(&users, Viewer::Alone(ada), 3);
    for search in again {
        assert_eq!(search.await.unwrap().unwrap().rows.len(), 1);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_lists_of_one_request_leave_connections_to_others() {
    let gateway = Gateway::start(Engine::Postgres).await;
    let organization = gateway.database.add_organization(7, "us", Some(0)).await;
    let ada = gateway.database.add_user("ada").await;
    gateway.database.join(ada, organization).await;
    let token = gateway
        .service_token("tests", &["user:read", "org:read"])
        .await;
    let slug = gateway
        .ask(&token, "{ organization(by: {id: 7}) { slug } }")
        .await;
    let slug = slug["data"]["organization"]["slug"].as_str().unwrap();
    let other = format!("{{ organization(by: {{slug: \"{slug}\"}}) {{ id }} }}");

    for (field, under_way) in [
        (
            "users(orderBy: {field: USERNAME}, first: SIZE) { nodes { id } }",
            2,
        ),
        (
            "users(filter: {organizationId: 7}, first: SIZE) { totalCount }",
            2,
        ),
        (
            "organization(by: {id: 7}) { members(first: SIZE) { nodes { id } } }",
            1,
        ),
    ] {
        let alias = |n: usize| format!("a{n}: {}", field.replace("SIZE", &n.to_string()));
        let fields = (1..=20).map(alias);
        let many = format!("{{ {} }}", fields.collect::<Vec<_>>().join(" "));
        let lock = block(&gateway.database, "auth_user").await;
        let others = async {
            until_blocked(&gateway.database, under_way).await;
            for _ in 0..20 {
                let answer = gateway.ask(&token, &other).await;
                assert_eq!(answer["data"]["organization"]["id"], "Organization:7");
            }
            until_blocked(&gateway.database, under_way).await;
            lock.rollback().await.unwrap();
        };
        let (answer, ()) = tokio::join!(gateway.ask(&token, &many), others);
        assert!(answer.get("errors").is_none(), "{field}: {answer}");
    }
}
