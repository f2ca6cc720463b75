//! Look-ups of concurrent requests share statements, and nobody can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use user_gateway::domain::OrganizationVisibility::Any;
use user_gateway::domain::{OptionScope, OptionScopeFilter, StoredValue, UserId, UserOptionFilter};

use super::{assert_answered, begin, block_users, look_up, open_patiently, until_blocked};
use crate::harness::{Contents, TestDatabase};

/// So many users, each in an organization and with an option.
async fn crowd(db: &TestDatabase, size: usize) -> Vec<UserId> {
    let mut ids = Vec::new();
    for number in 0..size {
        let id = db.add_user(&format!("user{number}")).await;
        let organization = db.add_organization(id.0 + 1_000, "us", Some(0)).await;
        db.join(id, organization).await;
        db.add_option(id, (None, None), "theme", &id.to_string())
            .await;
        ids.push(id);
    }
    ids
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn look_ups_that_come_while_others_are_under_way_leave_together() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = crowd(&db, 100).await;
    let other = open_patiently(db.url()).await;
    let users = other.services().users;
    assert_answered(look_up(&users, &ids[..1]), &ids[..1]).await;

    let block = block_users(&db).await;
    let before = other.statement_count();
    let first = look_up(&users, &ids[..2]);
    let alone = std::thread::available_parallelism().unwrap().get().min(2);
    until_blocked(&db, alone).await;
    let rest = begin(&users, &ids[2..]).await;
    block.rollback().await.unwrap();
    assert_answered(first, &ids[..2]).await;
    assert_answered(rest, &ids[2..]).await;
    let sent = other.statement_count() - before;
    assert!(sent <= 4, "{sent} statements for 100 look-ups");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_look_up_that_is_alone_costs_a_statement_of_its_own() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = crowd(&db, 3).await;
    let before = db.database().statement_count();
    for id in &ids {
        assert_eq!(db.users().get_profiles(&[*id]).await.unwrap()[0].id, *id);
    }
    assert_eq!(db.database().statement_count() - before, 3);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_unreadable_row_fails_only_its_own_look_ups() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = crowd(&db, 60).await;
    let other = open_patiently(db.url()).await;
    let users = other.services().users;
    assert_answered(look_up(&users, &ids[..1]), &ids[..1]).await;
    let unreadable = [ids[7], ids[31], ids[32]];
    for id in unreadable {
        // Beyond what any calendar here knows.
        db.execute(&format!(
            "UPDATE auth_user SET date_joined = 'infinity' WHERE id = {id}"
        ))
        .await;
    }

    let block = block_users(&db).await;
    let before = other.statement_count();
    let (good, bad): (Vec<UserId>, Vec<UserId>) =
        ids.iter().partition(|id| !unreadable.contains(id));
    let mut all = begin(&users, &bad).await;
    all.extend(begin(&users, &good).await);
    block.rollback().await.unwrap();
    let answered = all.split_off(bad.len());
    assert_answered(answered, &good).await;
    for failed in all {
        let _ = failed.await.unwrap();
    }
    // Each is found by halving.
    let sent = other.statement_count() - before;
    assert!(sent <= 40, "{sent} statements for 60 look-ups");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn many_requests_on_few_connections_each_get_their_own() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = crowd(&db, 40).await;
    let services = Arc::new(db.database().services());
    let absent = UserId(999_999);
    let asked = (0..400).map(|number| {
        let services = Arc::clone(&services);
        // Several at once, some of them twice, in any order, and one who does not exist.
        let own: Vec<UserId> = (0..=number % 7)
            .map(|step| ids[(number * 13 + step * 5) % ids.len()])
            .chain([absent, ids[number % ids.len()]])
            .collect();
        tokio::spawn(async move {
            let mut expected: Vec<UserId> = own.clone();
            expected.retain(|id| *id != absent);
            expected.sort_unstable();
            expected.dedup();
            let profiles = services.users.get_profiles(&own).await.unwrap();
            let found: Vec<UserId> = profiles.iter().map(|user| user.id).collect();
            assert_eq!(found, expected);
            let memberships = services
                .organizations
                .get_memberships(&own, Any)
                .await
                .unwrap();
            let found: Vec<_> = memberships
                .iter()
                .map(|m| (m.user_id, m.organization.id.0))
                .collect();
            let organizations: Vec<_> = expected.iter().map(|id| (*id, id.0 + 1_000)).collect();
            assert_eq!(found, organizations);
            let filter = UserOptionFilter {
                user_ids: own,
                keys: None,
                scope: OptionScopeFilter::Exactly(OptionScope::GLOBAL),
            };
            let options = services.user_options.get_many(&filter).await.unwrap();
            let found: Vec<UserId> = options.iter().map(|option| option.user_id).collect();
            assert_eq!(found, expected);
        })
    });
    for answer in join_all(asked.collect::<Vec<_>>()).await {
        answer.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_look_up_after_a_change_sees_it_however_many_others_ask() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let id = db.add_user("ada").await;
    let users = db.database().services().users;
    let is_over = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..16)
        .map(|_| {
            let (users, is_over) = (Arc::clone(&users), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    users.get_profiles(&[id]).await.unwrap();
                }
            })
        })
        .collect();
    for round in 0..200 {
        let name = format!("name {round}");
        db.execute(&format!(
            "UPDATE auth_user SET first_name = '{name}' WHERE id = {id}"
        ))
        .await;
        let found = users.get_profiles(&[id]).await.unwrap();
        assert_eq!(found[0].name, name);
    }
    is_over.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn whoever_gives_up_takes_nobody_elses_answer_away() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = crowd(&db, 20).await;
    let other = open_patiently(db.url()).await;
    let users = other.services().users;
    assert_answered(look_up(&users, &ids[..1]), &ids[..1]).await;

    let block = block_users(&db).await;
    // Each is asked for twice: by somebody who stays, and by somebody who goes, some of whom are
    // those whose statement is under way.
    let leaving = begin(&users, &ids).await;
    let staying = begin(&users, &ids).await;
    for request in &leaving {
        request.abort();
    }
    for request in leaving {
        assert!(request.await.unwrap_err().is_cancelled());
    }
    block.rollback().await.unwrap();
    assert_answered(staying, &ids).await;
    // And the connections are as good as before.
    assert_answered(look_up(&users, &ids), &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn answers_of_any_size_come_whole_and_in_their_order() {
    let db = TestDatabase::with(Contents::Migrated).await;
    let ids = crowd(&db, 4).await;
    // From a part of what is read at a time to many times as much.
    let lengths = [10, 9_000, 65_536, 2_000_000];
    for (id, length) in ids.iter().zip(lengths) {
        let value = format!("\"{}\"", "x".repeat(length));
        db.add_option(*id, (None, None), "long", &value).await;
    }
    let options = db.database().services().user_options;
    let asked = (0..120).map(|number| {
        let (options, place) = (Arc::clone(&options), number * 7 % ids.len());
        let id = ids[place];
        tokio::spawn(async move {
            let found = options.get_all(&[id]).await.unwrap();
            let long = found.iter().find(|option| option.key == "long").unwrap();
            let StoredValue::Json(value) = &long.value else {
                panic!("{:?}", long.value);
            };
            assert_eq!(
                (long.user_id, value.as_str().len()),
                (id, lengths[place] + 2)
            );
        })
    });
    for answered in join_all(asked).await {
        answered.unwrap();
    }
}
