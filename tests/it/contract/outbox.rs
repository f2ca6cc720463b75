//! Changes and their outbox rows: both or neither, and gone once delivered.

use serde_json::{Value, json};
use user_gateway::database::OutboxPolicy;
use user_gateway::domain::{
    Email, NewUser, OptionKey, OptionScope, SetOption, UserId, UserOptionId, UserUpdate, Username,
};
use user_gateway::service::Services;

use crate::harness::{TestDatabase, at};

async fn outbox(db: &TestDatabase) -> Vec<Value> {
    db.rows(
        "SELECT region_name, shard_scope, shard_identifier, category, object_identifier, \
         payload, scheduled_from, scheduled_for, date_added FROM sentry_controloutbox ORDER BY id",
    )
    .await
}

fn theme(user_id: UserId, value: &str) -> SetOption {
    SetOption {
        user_id,
        key: OptionKey::parse("theme", &[]).unwrap(),
        value: json!(value).into(),
        scope: OptionScope::GLOBAL,
    }
}

fn username(text: &str) -> UserUpdate {
    UserUpdate {
        username: Some(Username::parse(text, &[]).unwrap()),
        ..UserUpdate::default()
    }
}

fn moment(row: &Value, column: &str) -> chrono::DateTime<chrono::Utc> {
    at(row[column].as_str().unwrap())
}

/// Makes a change of every kind; each is to leave rows for one user.
async fn every_change(db: &TestDatabase, services: &Services, ada: UserId, grace: UserId) {
    let users = &services.users;
    let new = NewUser {
        email: Email::parse("new@example.com", &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    };
    assert!(users.get_or_create_by_email(&new).await.unwrap().created);
    users
        .create_by_username_and_email("chosen", "chosen@example.com")
        .await
        .unwrap();
    users
        .update_user(ada, &username("countess"))
        .await
        .unwrap()
        .unwrap();
    db.add_email(ada, "second@example.com", false).await;
    assert!(
        users
            .verify_user_email(ada, "second@example.com")
            .await
            .unwrap()
    );
    db.add_email(grace, "third@example.com", false).await;
    assert!(users.verify_any_email("third@example.com").await.unwrap());
    users.flush_nonce(ada).await.unwrap();
    assert!(users.add_permission(grace, "users.admin").await.unwrap());
    assert!(users.remove_permission(grace, "users.admin").await.unwrap());
    users
        .trigger_user_consent_email_if_applicable(grace)
        .await
        .unwrap();
    let set = services
        .user_options
        .set_option(&theme(ada, "dark"))
        .await
        .unwrap();
    assert!(set.changed);
    services
        .user_options
        .delete_options(&[set.option.id])
        .await
        .unwrap();
}

database_contract! {
    async fn a_change_leaves_one_row_for_each_region(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let elsewhere = db.reopen(false).await;
        let now = at("2026-02-03T04:05:06Z");
        db.clock.set(now);
        elsewhere.services().users.update_user(ada, &username("countess")).await.unwrap();
        let rows = outbox(db).await;
        let regions: Vec<_> = rows.iter().map(|row| row["region_name"].as_str().unwrap()).collect();
        assert_eq!(regions, ["us", "de"]);
        for row in &rows {
            assert_eq!(row["shard_scope"], 1);
            assert_eq!(row["shard_identifier"], ada.0);
            assert_eq!(row["category"], 0);
            assert_eq!(row["object_identifier"], ada.0);
            assert_eq!(row["payload"], Value::Null);
            assert_eq!(moment(row, "scheduled_from"), now);
            assert_eq!(moment(row, "date_added"), now);
            assert_eq!(moment(row, "scheduled_for"), at("2016-08-01T00:00:00Z"));
        }
        assert_eq!(db.heard.take_changes(), [ada]);
    }

    async fn every_kind_of_change_leaves_its_rows(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let elsewhere = db.reopen(false).await;
        every_change(db, &elsewhere.services(), ada, grace).await;
        let heard = db.heard.take_changes();
        let of = |user: UserId| heard.iter().filter(|&&id| id == user).count();
        assert_eq!((heard.len(), of(ada), of(grace)), (11, 5, 4));
        let mut owners = Vec::new();
        for row in outbox(db).await {
            owners.push(UserId(row["object_identifier"].as_i64().unwrap()));
        }
        // Two regions each, in the order of the changes.
        assert_eq!(owners.iter().step_by(2).copied().collect::<Vec<_>>(), heard);
        assert_eq!(owners.iter().skip(1).step_by(2).copied().collect::<Vec<_>>(), heard);
    }

    async fn delivered_rows_are_gone(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let here = db.database().services();
        every_change(db, &here, ada, grace).await;
        assert_eq!(outbox(db).await, [] as [Value; 0]);
        assert_eq!(db.heard.take_changes().len(), 11);
    }

    async fn a_failed_change_leaves_no_row(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let elsewhere = db.reopen(false).await.services();
        let users = &elsewhere.users;
        assert!(users.update_user(grace, &username("ada")).await.is_err());
        assert!(users.create_by_username_and_email("ada", "x@example.com").await.is_err());
        assert!(users.add_permission(UserId(404), "users.admin").await.is_err());
        assert!(elsewhere.user_options.set_option(&theme(UserId(404), "dark")).await.is_err());
        assert_eq!(outbox(db).await, [] as [Value; 0]);
        assert_eq!(db.heard.take_changes(), []);
        assert_eq!(users.get_profiles(&[ada, grace]).await.unwrap()[1].username, "grace");
    }

    async fn a_change_whose_row_cannot_be_written_is_not_made(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.execute("ALTER TABLE sentry_controloutbox RENAME TO elsewhere").await;
        let users = db.users();
        assert!(users.update_user(ada, &username("countess")).await.is_err());
        assert!(users.add_permission(ada, "users.admin").await.is_err());
        assert!(db.options().set_option(&theme(ada, "dark")).await.is_err());
        assert_eq!(users.get_profiles(&[ada]).await.unwrap()[0].username, "ada");
        assert_eq!(db.count("sentry_userpermission").await, 0);
        assert_eq!(db.count("sentry_useroption").await, 0);
        assert_eq!(db.heard.take_changes(), []);
    }

    async fn what_changes_nothing_leaves_no_row(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let elsewhere = db.reopen(false).await.services();
        elsewhere.user_options.set_option(&theme(ada, "dark")).await.unwrap();
        elsewhere.users.add_permission(ada, "users.admin").await.unwrap();
        db.execute("DELETE FROM sentry_controloutbox").await;
        db.heard.take_changes();

        let users = &elsewhere.users;
        let known = NewUser {
            email: Email::parse("ADA@example.com", &[]).unwrap(),
            ident: None,
            referrer: None,
            idempotency_key: None,
        };
        users.get_or_create_by_email(&known).await.unwrap();
        users.update_user(ada, &UserUpdate::default()).await.unwrap();
        users.update_user(UserId(404), &username("nobody")).await.unwrap();
        users.verify_user_email(ada, "ada@example.com").await.unwrap();
        users.verify_any_email("ada@example.com").await.unwrap();
        users.flush_nonce(UserId(404)).await.unwrap();
        users.add_permission(ada, "users.admin").await.unwrap();
        users.remove_permission(grace, "users.admin").await.unwrap();
        elsewhere.user_options.set_option(&theme(ada, "dark")).await.unwrap();
        elsewhere.user_options.delete_options(&[UserOptionId(404)]).await.unwrap();
        assert_eq!(outbox(db).await, [] as [Value; 0]);
        assert_eq!(db.heard.take_changes(), []);
    }

    async fn what_a_killed_process_left_is_delivered_later(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let killed = db.reopen(false).await;
        let users = killed.services().users;
        for name in ["countess", "enchantress"] {
            users.update_user(ada, &username(name)).await.unwrap();
        }
        users.flush_nonce(grace).await.unwrap();
        db.heard.take_changes();
        // Rows of other subjects, and of regions that somebody else serves, are not ours.
        db.execute(
            "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
             object_identifier, scheduled_from, scheduled_for, region_name) VALUES \
             (0, 1, 2, 1, '2026-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', 'us'), \
             (1, 1, 25, 1, '2026-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', 'us'), \
             (1, 1, 0, 1, '2026-01-01T00:00:00+00:00', '2016-08-01T00:00:00+00:00', 'jp')",
        )
        .await;

        assert_eq!(killed.deliver_pending().await.unwrap(), 0);
        assert_eq!(db.count("sentry_controloutbox").await, 9);

        assert_eq!(db.database().deliver_pending().await.unwrap(), 2);
        let mut heard = db.heard.take_changes();
        heard.sort_unstable();
        assert_eq!(heard, [ada, grace]);
        assert_eq!(db.count("sentry_controloutbox").await, 3);
        assert_eq!(db.database().deliver_pending().await.unwrap(), 0);
    }

    async fn a_delivered_change_covers_older_ones_of_the_same_user(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let killed = db.reopen(false).await.services();
        killed.users.flush_nonce(ada).await.unwrap();
        killed.users.flush_nonce(grace).await.unwrap();
        db.users().flush_nonce(ada).await.unwrap();
        let left: Vec<_> =
            outbox(db).await.iter().map(|row| row["object_identifier"].as_i64()).collect();
        assert_eq!(left, [Some(grace.0), Some(grace.0)]);
    }

    async fn rows_are_one_statement_however_many_users_and_regions(db: &TestDatabase) {
        let users = db.add_users(["ada", "grace", "joan", "mary"]).await;
        let one = OutboxPolicy { remote: vec!["us".to_owned()], ..OutboxPolicy::default() };
        let many = OutboxPolicy {
            remote: ["us", "de", "jp", "br"].map(str::to_owned).into(),
            ..OutboxPolicy::default()
        };
        let mut counts = Vec::new();
        for (policy, users) in [(one, &users[..1]), (many, &users[..])] {
            let mut options = Vec::new();
            for user in users {
                let set = db.options().set_option(&theme(*user, "dark")).await.unwrap();
                options.push(set.option.id);
            }
            db.execute("DELETE FROM sentry_controloutbox").await;
            let database = db.reopen_with(policy, &db.heard).await;
            let before = database.statement_count();
            database.services().user_options.delete_options(&options).await.unwrap();
            counts.push(database.statement_count() - before);
            let regions = database.outbox_policy().regions().count();
            assert_eq!(outbox(db).await.len(), regions * users.len());
        }
        assert_eq!(counts[0], counts[1]);
    }
}
