//! A region of one process: what is kept, for how long, and what makes it worthless.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use user_gateway::domain::{
    Email, NewUser, OptionKey, OptionScope, OptionScopeFilter, ProjectId, SetOption, UserId,
    UserOptionFilter, UserOptionId, UserUpdate,
};
use user_gateway::service::{GET_MANY_BY_ID, GET_USER, SiloCache, logical_key};

use super::control::{Control, name};
use super::{Replica, Setup};
use crate::harness::{at, eventually};

fn alone(control: &Control) -> Replica {
    Setup::default().open(control.services())
}

fn update() -> UserUpdate {
    UserUpdate {
        name: Some(name("Ada")),
        ..UserUpdate::default()
    }
}

#[tokio::test]
async fn a_user_is_fetched_once_and_serves_all_its_parts() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    let users = &replica.services.users;
    let id = UserId(1);
    assert_eq!(replica.read(1).await, 1);
    assert_eq!(users.get_user(id).await.unwrap().unwrap().profile.name, "1");
    assert_eq!(users.get_profiles(&[id]).await.unwrap().len(), 1);
    assert_eq!(users.get_avatars(&[id]).await.unwrap().len(), 1);
    assert!(users.get_user_avatar(id).await.unwrap().is_some());
    assert_eq!(users.get_emails(&[id]).await.unwrap().len(), 1);
    assert_eq!(users.get_authenticators(&[id]).await.unwrap().len(), 1);
    assert_eq!(users.get_permissions(&[id]).await.unwrap().len(), 1);
    assert_eq!(control.take_calls(), [[1]]);
}

#[tokio::test]
async fn what_is_kept_holds_no_secrets_and_neither_does_the_first_answer() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    for _ in 0..2 {
        let user = replica
            .services
            .users
            .get_user(UserId(1))
            .await
            .unwrap()
            .unwrap();
        assert!(
            user.authenticators
                .iter()
                .all(|factor| factor.config.is_none())
        );
    }
}

#[tokio::test]
async fn a_batch_fetches_only_what_is_missing_and_keeps_the_order_asked() {
    let control = Control::default();
    for id in 1..=4 {
        control.change(id);
    }
    let replica = alone(&control);
    let read = async |ids: &[i64]| {
        let ids: Vec<_> = ids.iter().copied().map(UserId).collect();
        let users = replica.services.users.get_many_by_id(&ids).await.unwrap();
        users
            .iter()
            .map(|user| user.profile.id.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&[2, 1]).await, [2, 1]);
    assert_eq!(read(&[4, 2, 9, 3, 2]).await, [4, 2, 3, 2]);
    assert_eq!(control.take_calls(), [vec![1, 2], vec![3, 4, 9]]);
    assert_eq!(read(&[4, 3, 2, 1]).await, [4, 3, 2, 1]);
    assert!(read(&[]).await.is_empty());
    assert!(control.take_calls().is_empty());
}

#[tokio::test]
async fn a_thousand_concurrent_reads_make_one_call() {
    let control = Control::default();
    control.change(1);
    control.hold();
    let replica = Arc::new(alone(&control));
    let mut reads = JoinSet::new();
    for _ in 0..1000 {
        let replica = Arc::clone(&replica);
        reads.spawn(async move { replica.read(1).await });
    }
    eventually("the call is under way", async || control.waiting() == 1).await;
    control.release();
    assert!(reads.join_all().await.iter().all(|version| *version == 1));
    assert_eq!(control.take_calls(), [[1]]);
}

#[tokio::test]
async fn a_batch_waits_for_what_others_fetch_and_fetches_the_rest() {
    let control = Control::default();
    control.change(1);
    control.change(2);
    control.hold();
    let replica = Arc::new(alone(&control));
    let first = tokio::spawn({
        let replica = Arc::clone(&replica);
        async move { replica.read(1).await }
    });
    eventually("the first is under way", async || control.waiting() == 1).await;
    let batch = tokio::spawn({
        let users = Arc::clone(&replica.services.users);
        async move {
            users
                .get_many_by_id(&[UserId(1), UserId(2)])
                .await
                .unwrap()
                .len()
        }
    });
    eventually("the batch is under way", async || control.waiting() == 2).await;
    control.release();
    assert_eq!((first.await.unwrap(), batch.await.unwrap()), (1, 2));
    assert_eq!(control.take_calls(), [[1], [2]]);
}

#[tokio::test]
async fn who_asked_first_may_leave() {
    let control = Control::default();
    control.change(1);
    control.hold();
    let replica = Arc::new(alone(&control));
    let ask = || {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move { replica.read(1).await })
    };
    let first = ask();
    eventually("the call is under way", async || control.waiting() == 1).await;
    let second = ask();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    control.release();
    assert_eq!(second.await.unwrap(), 1);
    assert_eq!(control.take_calls(), [[1]]);
}

#[tokio::test]
async fn a_failure_is_the_answer_of_all_who_waited_and_is_not_kept() {
    let control = Control::default();
    control.change(1);
    control.hold();
    control.fail(1);
    let replica = Arc::new(alone(&control));
    let ask = || {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move { replica.try_read(1).await })
    };
    let first = ask();
    eventually("the call is under way", async || control.waiting() == 1).await;
    let second = ask();
    tokio::task::yield_now().await;
    control.release();
    assert!(first.await.unwrap().is_err());
    // It waited for the same call, or it came too late for it and made the next.
    let _ = second.await.unwrap();
    assert_eq!(replica.read(1).await, 1);
}

#[tokio::test]
async fn an_invalidation_is_seen_by_the_next_read() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    assert_eq!(replica.read(1).await, 1);
    control.change(1);
    assert_eq!(replica.read(1).await, 1);
    replica
        .cache
        .clear_key(&logical_key(GET_MANY_BY_ID, UserId(1)))
        .await
        .unwrap();
    assert_eq!(replica.read(1).await, 2);
    assert_eq!(replica.heard.take_changes(), [UserId(1)]);
}

#[tokio::test]
async fn a_fetch_that_began_before_an_invalidation_is_neither_kept_nor_joined() {
    let control = Control::default();
    control.change(1);
    control.hold();
    let replica = Arc::new(alone(&control));
    let ask = || {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move { replica.read(1).await })
    };
    let before = ask();
    eventually("the call is under way", async || control.waiting() == 1).await;
    control.change(1);
    replica.cache.invalidate(UserId(1)).await.unwrap();
    let after = ask();
    eventually("a second call is under way", async || {
        control.waiting() == 2
    })
    .await;
    control.release();
    assert_eq!((before.await.unwrap(), after.await.unwrap()), (1, 2));
    assert_eq!(replica.read(1).await, 2);
    assert_eq!(control.take_calls().len(), 2);
}

#[tokio::test]
async fn copies_are_bounded_in_bytes() {
    let control = Control::default();
    for id in 1..=500 {
        control.change(id);
    }
    let setup = Setup {
        max_bytes: 64 * 1024,
        ..Setup::default()
    };
    let replica = setup.open(control.services());
    for id in 1..=500 {
        replica.read(id).await;
    }
    control.take_calls();
    for id in 1..=500 {
        replica.read(id).await;
    }
    // A user takes several hundred bytes, so that most of them do not fit.
    assert!(control.take_calls().len() > 250);
}

#[tokio::test]
async fn copies_are_bounded_in_age() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    assert_eq!(replica.read(1).await, 1);
    control.change(1);
    replica.clock.set(at("2026-01-01T12:04:59Z"));
    assert_eq!(replica.read(1).await, 1);
    replica.clock.set(at("2026-01-01T12:05:00Z"));
    assert_eq!(replica.read(1).await, 2);
}

#[tokio::test]
async fn absence_is_kept_briefly_and_creation_ends_it() {
    let control = Control::default();
    let replica = alone(&control);
    assert_eq!(replica.read(1).await, 0);
    assert_eq!(replica.read(1).await, 0);
    assert_eq!(control.take_calls(), [[1]]);
    control.change(1);
    replica.clock.set(at("2026-01-01T12:00:09Z"));
    assert_eq!(replica.read(1).await, 0);
    replica.clock.set(at("2026-01-01T12:00:10Z"));
    assert_eq!(replica.read(1).await, 1);

    let users = &replica.services.users;
    assert_eq!(replica.read(2).await, 0);
    let email = Email::parse("2@example.com", &[]).unwrap();
    let new = NewUser {
        email,
        ident: None,
        referrer: None,
        idempotency_key: None,
    };
    assert!(users.get_or_create_by_email(&new).await.unwrap().created);
    assert_eq!(replica.read(2).await, 1);
    assert_eq!(replica.read(3).await, 0);
    users
        .create_by_username_and_email("three", "3@example.com")
        .await
        .unwrap();
    assert_eq!(replica.read(3).await, 1);
}

#[tokio::test]
async fn what_is_not_announced_is_not_kept() {
    let control = Control::default();
    control.change(1);
    let setup = Setup {
        may_keep: false,
        ..Setup::default()
    };
    let replica = setup.open(control.services());
    for _ in 0..2 {
        assert_eq!(replica.read(1).await, 1);
        assert_eq!(replica.read(2).await, 0);
        replica
            .services
            .user_options
            .get_all(&[UserId(1)])
            .await
            .unwrap();
    }
    assert_eq!(control.take_calls(), [[1], [2], [2]]);
    assert_eq!(control.take_option_calls(), [[1], [1]]);
}

#[tokio::test]
async fn control_is_not_asked_about_nobody_where_nothing_is_kept() {
    let control = Control::default();
    let setup = Setup {
        may_keep: false,
        ..Setup::default()
    };
    let replica = setup.open(control.services());
    let options = replica.services.user_options.get_all(&[]).await.unwrap();
    assert!(options.is_empty());
    assert!(control.take_option_calls().is_empty());
}

#[tokio::test]
async fn options_are_fetched_once_and_filtered_here() {
    let control = Control::default();
    control.change(1);
    control.change(2);
    let replica = alone(&control);
    let options = &replica.services.user_options;
    let all = options
        .get_all(&[UserId(2), UserId(1), UserId(2)])
        .await
        .unwrap();
    let ids: Vec<_> = all.iter().map(|option| option.id.0).collect();
    assert_eq!(ids, [11, 12, 13, 21, 22, 23]);
    let find = async |keys: Option<&[&str]>, scope| {
        let filter = UserOptionFilter {
            user_ids: vec![UserId(1)],
            keys: keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect()),
            scope,
        };
        let found = options.get_many(&filter).await.unwrap();
        found.iter().map(|option| option.id.0).collect::<Vec<_>>()
    };
    let global = || OptionScopeFilter::Exactly(OptionScope::GLOBAL);
    assert_eq!(find(None, global()).await, [11, 12]);
    assert_eq!(find(Some(&["theme"]), global()).await, [12]);
    let projects = |id| OptionScopeFilter::Projects(vec![ProjectId(id)]);
    assert_eq!(find(Some(&["theme"]), projects(5)).await, [13]);
    assert!(find(None, projects(6)).await.is_empty());
    assert!(find(Some(&[]), global()).await.is_empty());
    assert_eq!(control.take_option_calls(), [[1, 2]]);
}

#[tokio::test]
async fn who_changes_something_here_reads_it_here() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    let users = &replica.services.users;
    let options = &replica.services.user_options;
    let id = UserId(1);
    let is_fresh = async || {
        let name = users.get_user(id).await.unwrap().unwrap().profile.name;
        let option = options.get_all(&[id]).await.unwrap().remove(0).value;
        let version = control.version(1);
        assert_eq!(name, version.to_string());
        assert_eq!(
            option,
            user_gateway::domain::StoredValue::Json(user_gateway::domain::JsonText::from(&json!(
                version
            )))
        );
    };
    is_fresh().await;
    users.update_user(id, &update()).await.unwrap();
    is_fresh().await;
    users.verify_user_email(id, "1@example.com").await.unwrap();
    is_fresh().await;
    users.verify_any_email("1@example.com").await.unwrap();
    is_fresh().await;
    users.flush_nonce(id).await.unwrap();
    is_fresh().await;
    users.add_permission(id, "a").await.unwrap();
    is_fresh().await;
    users.remove_permission(id, "a").await.unwrap();
    is_fresh().await;
    let option = SetOption {
        user_id: id,
        key: OptionKey::parse("theme", &[]).unwrap(),
        value: json!("dark").into(),
        scope: OptionScope::GLOBAL,
    };
    options.set_option(&option).await.unwrap();
    is_fresh().await;
    options.delete_options(&[UserOptionId(11)]).await.unwrap();
    is_fresh().await;
}

#[tokio::test]
async fn a_change_that_failed_in_an_unknown_way_may_have_been_made() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    assert_eq!(replica.read(1).await, 1);
    control.fail(1);
    let users = &replica.services.users;
    users.update_user(UserId(1), &update()).await.unwrap_err();
    assert_eq!(replica.read(1).await, 2);
}

#[tokio::test]
async fn a_change_whose_caller_leaves_may_have_been_made() {
    let control = Control::default();
    control.change(1);
    let replica = alone(&control);
    assert_eq!(replica.read(1).await, 1);
    control.hold();
    let users = Arc::clone(&replica.services.users);
    let change = tokio::spawn(async move { users.update_user(UserId(1), &update()).await });
    eventually("the change is under way", async || control.waiting() == 1).await;
    change.abort();
    let _ = change.await;
    control.release();
    eventually("the change is seen", async || replica.read(1).await == 2).await;
}

#[tokio::test]
async fn versions_of_keys_rise_and_fit_a_number_of_json() {
    let control = Control::default();
    let replica = alone(&control);
    let mut latest = 0;
    for key in [
        logical_key(GET_USER, UserId(1)),
        logical_key(GET_MANY_BY_ID, UserId(1)),
        "organization_service.get:5".to_owned(),
        "user_service.get_user:nobody".to_owned(),
    ] {
        let version = replica.cache.clear_key(&key).await.unwrap();
        assert!(version > latest && version < 1 << 53, "{key}: {version}");
        latest = version;
    }
    replica.clock.set(at("2025-01-01T00:00:00Z"));
    assert!(replica.cache.clear_key("anything").await.unwrap() > latest);
    assert_eq!(replica.heard.take_changes(), [UserId(1), UserId(1)]);
}

#[tokio::test]
async fn an_address_of_redis_that_is_none_is_refused() {
    let config = user_gateway::config::CacheConfig {
        over_database: false,
        redis_url: Some(user_gateway::domain::Secret::new("nonsense://".to_owned())),
        ttl: Duration::from_mins(5),
        max_bytes: 1024,
    };
    let parts = user_gateway::cache::RegionParts {
        region: "us",
        services: Control::default().services(),
        may_keep: Arc::new(|| true),
        announcer: user_gateway::service::Announcer::default(),
        clock: Arc::new(user_gateway::domain::SystemClock),
        timing: super::TIMING,
    };
    assert!(user_gateway::cache::RegionCache::open(&config, parts).is_err());
}
