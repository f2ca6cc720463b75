//! Changes on tables that somebody else made, and perhaps writes at the same time.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};
use user_gateway::domain::{
    DisplayName, Email, Error, InvalidCode, NewUser, OptionKey, OptionScope, OrganizationId,
    ProjectId, SetOption, StoredValue, UserId, UserOptionId, UserUpdate,
};
use user_gateway::service::SiloCache as _;

use super::Form;
use super::snapshot::Snapshot;
use crate::harness::TestDatabase;

const ADA: UserId = UserId(2);
const GRACE: UserId = UserId(3);

fn new(email: &str) -> NewUser {
    NewUser {
        email: Email::parse(email, &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    }
}

fn option(user_id: UserId, key: &str, value: Value) -> SetOption {
    SetOption {
        user_id,
        key: OptionKey::parse(key, &[]).unwrap(),
        value: value.into(),
        scope: OptionScope::GLOBAL,
    }
}

/// What stands in the column of an option, whatever its type.
async fn stored(db: &TestDatabase, id: UserOptionId) -> Value {
    let sql = format!("SELECT value::text FROM sentry_useroption WHERE id = {id}");
    db.rows(&sql).await.remove(0)["value"].take()
}

fn tables<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// Waits until a statement in this database waits for another's transaction.
async fn until_one_waits(db: &TestDatabase) {
    let waiting = "pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while db.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

existing! {
    async fn cache_versions_are_kept_in_the_column_there_is(db: &TestDatabase, form: Form) {
        let column = if form.is_old() { "key" } else { "keyname" };
        let cache = db.database();
        assert_eq!(cache.clear_key("sample_service.get_sample:7").await.unwrap(), 2);
        assert_eq!(cache.clear_key("user_service.get_user:2").await.unwrap(), 1);
        let kept = format!(
            "hybridcloud_controlcacheversion WHERE {column} = 'user_service.get_user:2'"
        );
        assert_eq!(db.count(&kept).await, 1);
        let long = cache.clear_key(&"k".repeat(65)).await;
        assert_eq!(long.is_err(), form.is_old(), "{long:?}");
    }

    async fn a_user_is_created_in_the_form_of_the_tables(db: &TestDatabase, form: Form) {
        let before = Snapshot::take(db).await;
        let result = db.users().get_or_create_by_email(&new("New@example.com")).await.unwrap();
        assert!(result.created);
        assert_eq!(result.user.id, UserId(13));
        let again = db.users().get_or_create_by_email(&new("nEW@example.com")).await.unwrap();
        assert_eq!((again.user.id, again.created), (UserId(13), false));
        let row = db.rows("SELECT to_jsonb(u) AS u FROM auth_user u WHERE id = 13").await.remove(0);
        let row = &row["u"];
        assert_eq!((&row["flags"], &row["password"]), (&json!(1), &json!("")));
        if form.is_old() {
            assert!(row.get("email_unique").is_none());
        } else {
            assert_eq!(row["email_unique"], "New@example.com");
        }
        let after = Snapshot::take(db).await;
        assert_eq!(after.catalogue, before.catalogue);
        assert_eq!(before.changed(&after), tables(["auth_user", "sentry_useremail"]));
    }

    async fn an_existing_user_is_not_created_again(db: &TestDatabase, _form: Form) {
        let before = Snapshot::take(db).await;
        for (email, id) in
            [("ADA@example.com", 2), ("SHARED@EXAMPLE.COM", 5), ("JÖRG@EXÄMPLE.DE", 7)]
        {
            let result = db.users().get_or_create_by_email(&new(email)).await.unwrap();
            assert_eq!((result.user.id, result.created), (UserId(id), false), "{email}");
        }
        assert_eq!(Snapshot::take(db).await, before);
        // An account that may not be used does not hold its address.
        let result = db.users().get_or_create_by_email(&new("inactive@example.com")).await.unwrap();
        assert!(result.created);
    }

    async fn an_address_must_fit_the_column(db: &TestDatabase, form: Form) {
        let limit = if form.is_old() { 75 } else { 200 };
        let domain = format!("{}.{}.example.com", "b".repeat(60), "c".repeat(60));
        let email = |length: usize| {
            let domain = &domain[domain.len().saturating_sub(length - 10)..];
            format!("{}@{domain}", "a".repeat(length - 1 - domain.len()))
        };
        let users = db.users();
        let fits = users.get_or_create_by_email(&new(&email(75))).await.unwrap();
        assert_eq!(fits.user.email.len(), 75);
        let longer = users.get_or_create_by_email(&new(&email(76))).await;
        match longer {
            Ok(result) => assert_eq!((result.user.email.len(), limit), (76, 200)),
            Err(Error::Invalid(invalid)) => {
                assert_eq!((invalid.code, limit), (InvalidCode::TooLong, 75));
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn options_are_set_in_the_form_of_the_tables(db: &TestDatabase, form: Form) {
        let before = Snapshot::take(db).await;
        let options = db.options();
        for value in [json!("dark"), json!({ "updated": "2026-01-01", "state": [1, null] })] {
            let set = option(ADA, "feature:assignment", value.clone());
            let result = options.set_option(&set).await.unwrap();
            assert!(result.changed);
            let text = stored(db, result.option.id).await;
            assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), value);
            assert!(!options.set_option(&set).await.unwrap().changed);
        }
        let updated = options.set_option(&option(ADA, "theme", json!("dark"))).await.unwrap();
        assert_eq!((updated.option.id.0, updated.changed), (1, true));
        assert_eq!(stored(db, UserOptionId(1)).await, "\"dark\"");
        for scope in
            [OptionScope::project(ProjectId(42)), OptionScope::organization(OrganizationId(101))]
        {
            let scoped = SetOption { scope, ..option(ADA, "theme", json!("light")) };
            assert!(options.set_option(&scoped).await.unwrap().changed);
        }

        // JSON's null is there already, and the newer of two rows counts.
        let null = option(UserId(1), "prefers_issue_details_streamlined_ui", Value::Null);
        assert!(!options.set_option(&null).await.unwrap().changed);
        let newest = option(GRACE, "theme", json!("dark"));
        assert!(!options.set_option(&newest).await.unwrap().changed);
        let newest = option(GRACE, "theme", json!("system"));
        assert_eq!(options.set_option(&newest).await.unwrap().option.id.0, 5);
        assert_eq!(stored(db, UserOptionId(4)).await, "\"light\"");

        let pickled = option(UserId(10), "feature:assignment", json!(1));
        let result = options.set_option(&pickled).await;
        if form.is_old() {
            assert!(matches!(result, Err(Error::Unreadable(_))), "{result:?}");
            assert_eq!(stored(db, UserOptionId(9)).await, "gAJ9cQAu");
            let found = options.get_many_by_id(&[UserOptionId(9)]).await.unwrap();
            assert_eq!(found[0].value, StoredValue::Unreadable);
            options.delete_options(&[UserOptionId(9)]).await.unwrap();
            assert!(options.set_option(&pickled).await.unwrap().changed);
        } else {
            assert!(result.unwrap().changed);
        }
        let after = Snapshot::take(db).await;
        assert_eq!(after.catalogue, before.catalogue);
        assert_eq!(before.changed(&after), tables(["sentry_useroption"]));
    }

    async fn users_are_changed_and_nothing_besides(db: &TestDatabase, _form: Form) {
        let before = Snapshot::take(db).await;
        let users = db.users();
        let update = UserUpdate {
            name: Some(DisplayName::parse("No Longer Nameless", &[]).unwrap()),
            is_active: Some(false),
            ..UserUpdate::default()
        };
        let updated = users.update_user(UserId(10), &update).await.unwrap().unwrap();
        assert_eq!((updated.name.as_str(), updated.is_active), ("No Longer Nameless", false));
        users.flush_nonce(ADA).await.unwrap();
        assert!(users.verify_user_email(ADA, "ada.alt@EXAMPLE.com").await.unwrap());
        assert!(users.verify_any_email("LONELY@example.com").await.unwrap());
        assert!(users.add_permission(GRACE, "users.admin").await.unwrap());
        assert!(users.remove_permission(ADA, "relocation.admin").await.unwrap());
        users.create_by_username_and_email("chosen", "chosen@example.com").await.unwrap();
        db.options().delete_options(&[UserOptionId(1), UserOptionId(404)]).await.unwrap();
        let after = Snapshot::take(db).await;
        assert_eq!(after.catalogue, before.catalogue);
        let expected =
            ["auth_user", "sentry_useremail", "sentry_useroption", "sentry_userpermission"];
        assert_eq!(before.changed(&after), tables(expected));
    }

    async fn outbox_rows_of_other_subjects_are_left_alone(db: &TestDatabase, _form: Form) {
        let theirs =
            "SELECT to_jsonb(o) AS o FROM sentry_controloutbox o WHERE category <> 0 ORDER BY id";
        let before = db.rows(theirs).await;
        assert_eq!(before.len(), 3);
        let elsewhere = db.reopen(false).await;
        elsewhere.services().users.flush_nonce(ADA).await.unwrap();
        let ours = "sentry_controloutbox WHERE category = 0 AND shard_scope = 1 AND \
                    shard_identifier = 2 AND object_identifier = 2 AND payload IS NULL";
        assert_eq!(db.count(ours).await, 2);
        assert_eq!(elsewhere.deliver_pending().await.unwrap(), 0);
        assert_eq!(db.database().deliver_pending().await.unwrap(), 1);
        assert_eq!(db.count(ours).await, 0);
        db.users().flush_nonce(GRACE).await.unwrap();
        assert_eq!(db.rows(theirs).await, before);
        assert_eq!(db.count("sentry_controloutbox").await, 3);
        assert_eq!(db.count("sentry_regionoutbox").await, 1);
    }

    async fn an_option_that_sentry_inserts_at_the_same_time_is_updated(
        db: &TestDatabase, _form: Form
    ) {
        let sentry = db.connection().writer().begin().await.unwrap();
        let sql = "INSERT INTO sentry_useroption (user_id, project_id, key, value) \
                   VALUES (2, 7, 'theme', '\"light\"')";
        sentry.execute_unprepared(sql).await.unwrap();
        let options = db.database().services().user_options;
        let ours = tokio::spawn(async move {
            let scope = OptionScope::project(ProjectId(7));
            let dark = SetOption { scope, ..option(ADA, "theme", json!("dark")) };
            options.set_option(&dark).await
        });
        until_one_waits(db).await;
        sentry.commit().await.unwrap();
        let result = ours.await.unwrap().unwrap();
        assert!(result.changed);
        assert_eq!(db.count("sentry_useroption WHERE project_id = 7").await, 1);
        assert_eq!(stored(db, result.option.id).await, "\"dark\"");
    }
}

/// The unique column is there since June 2025.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_user_whom_sentry_creates_at_the_same_time_is_the_winner() {
    let db = Form::September2026.open().await;
    let sentry = db.connection().writer().begin().await.unwrap();
    let sql = "INSERT INTO auth_user (password, username, first_name, email, email_unique, \
               is_staff, is_active, is_superuser, is_managed, is_password_expired, flags, \
               date_joined) VALUES ('', 'theirs', '', 'new@example.com', 'new@example.com', \
               false, true, false, false, false, 0, now())";
    sentry.execute_unprepared(sql).await.unwrap();
    let users = db.database().services().users;
    let ours =
        tokio::spawn(async move { users.get_or_create_by_email(&new("new@example.com")).await });
    until_one_waits(&db).await;
    sentry.commit().await.unwrap();
    let result = ours.await.unwrap().unwrap();
    assert_eq!(result.user.username, "theirs");
    assert!(!result.created);
    assert_eq!(db.count("auth_user").await, 13);
    assert!(db.heard.take_signups().is_empty());
}
