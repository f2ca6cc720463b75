//! The contract of the user option service.

use serde_json::{Value, json};
use user_gateway::domain::{
    Error, Invalid, InvalidCode, JsonText, OptionKey, OptionScope, OptionScopeFilter,
    OrganizationId, ProjectId, SetOption, SetOptionResult, StoredValue, UserId, UserOption,
    UserOptionFilter, UserOptionId,
};

use crate::harness::TestDatabase;

const GLOBAL: (Option<i64>, Option<i64>) = (None, None);

fn of(users: &[UserId], scope: OptionScopeFilter) -> UserOptionFilter {
    UserOptionFilter {
        user_ids: users.to_vec(),
        keys: None,
        scope,
    }
}

const fn exactly(scope: OptionScope) -> OptionScopeFilter {
    OptionScopeFilter::Exactly(scope)
}

fn option(user_id: UserId, key: &str, value: Value) -> SetOption {
    SetOption {
        user_id,
        key: OptionKey::parse(key, &[]).unwrap(),
        value: value.into(),
        scope: OptionScope::GLOBAL,
    }
}

async fn found(db: &TestDatabase, filter: UserOptionFilter) -> Vec<UserOption> {
    db.options().get_many(&filter).await.unwrap()
}

async fn ids(db: &TestDatabase, filter: UserOptionFilter) -> Vec<i64> {
    found(db, filter)
        .await
        .iter()
        .map(|option| option.id.0)
        .collect()
}

async fn set(db: &TestDatabase, option: &SetOption) -> SetOptionResult {
    db.options().set_option(option).await.unwrap()
}

/// What is wrong with an option.
async fn refusal(db: &TestDatabase, option: &SetOption) -> Invalid {
    match db.options().set_option(option).await {
        Err(Error::Invalid(invalid)) => invalid,
        other => panic!("{other:?}"),
    }
}

/// Gives a user the options `k1` to `kCOUNT`, with this JSON as their value.
async fn fill(db: &TestDatabase, user: UserId, count: usize, value: &str) {
    db.execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO sentry_useroption (user_id, key, value) SELECT {user}, 'k' || i, '{value}' FROM n"
    ))
    .await;
}

/// The values a user has stored under a key with a scope, as a reader finds them.
async fn values(db: &TestDatabase, option: &SetOption) -> Vec<StoredValue> {
    let filter = UserOptionFilter {
        keys: Some(vec![option.key.as_str().to_owned()]),
        ..of(&[option.user_id], exactly(option.scope))
    };
    found(db, filter)
        .await
        .into_iter()
        .map(|option| option.value)
        .collect()
}

contract! {
    async fn all_options_of_users_are_found_whatever_their_scope(db: &TestDatabase) {
        let [ada, grace, alan] = db.add_users(["ada", "grace", "alan"]).await;
        let global = db.add_option(ada, GLOBAL, "theme", r#""dark""#).await;
        let project = db.add_option(ada, (Some(42), None), "theme", "1").await;
        let other = db.add_option(grace, (None, Some(7)), "theme", "2").await;
        db.add_option(alan, GLOBAL, "theme", "3").await;

        let all = db.options().get_all(&[grace, ada, UserId(404)]).await.unwrap();
        let ids: Vec<_> = all.iter().map(|option| option.id).collect();
        assert_eq!(ids, [global, project, other].map(UserOptionId));
    }

    async fn a_filter_finds_exactly_its_scope(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let global = db.add_option(ada, GLOBAL, "theme", r#""dark""#).await;
        let project = db.add_option(ada, (Some(42), None), "theme", "1").await;
        let organization = db.add_option(ada, (None, Some(7)), "theme", "2").await;
        let both = db.add_option(ada, (Some(43), Some(8)), "theme", "3").await;
        let other = db.add_option(grace, GLOBAL, "theme", "4").await;
        let third = db.add_option(ada, (Some(44), None), "theme", "5").await;

        let everybody = [grace, ada, UserId(404)];
        let scope = |project: Option<i64>, organization: Option<i64>| {
            exactly(OptionScope {
                project_id: project.map(ProjectId),
                organization_id: organization.map(OrganizationId),
            })
        };
        for (scope, expected) in [
            (scope(None, None), vec![global, other]),
            (scope(Some(42), None), vec![project]),
            (scope(None, Some(7)), vec![organization]),
            (scope(Some(43), Some(8)), vec![both]),
            (scope(Some(43), None), vec![]),
            (scope(None, Some(8)), vec![]),
            // By project alone, the organization does not count.
            (
                OptionScopeFilter::Projects(vec![ProjectId(44), ProjectId(43), ProjectId(42)]),
                vec![project, both, third],
            ),
            (OptionScopeFilter::Projects(vec![]), vec![]),
        ] {
            assert_eq!(ids(db, of(&everybody, scope.clone())).await, expected, "{scope:?}");
        }
        assert_eq!(ids(db, of(&[], exactly(OptionScope::GLOBAL))).await, [] as [i64; 0]);
    }

    async fn keys_narrow_a_filter(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let theme = db.add_option(ada, GLOBAL, "theme", "1").await;
        let language = db.add_option(ada, GLOBAL, "language", "2").await;
        let keys = |keys: &[&str]| UserOptionFilter {
            keys: Some(keys.iter().map(|&key| key.to_owned()).collect()),
            ..of(&[ada], exactly(OptionScope::GLOBAL))
        };
        assert_eq!(ids(db, keys(&["theme"])).await, [theme]);
        assert_eq!(
            ids(db, keys(&["language", "THEME", "theme", "theme"])).await,
            [theme, language],
        );
        assert_eq!(ids(db, keys(&[])).await, [] as [i64; 0]);
    }

    async fn options_by_id_come_by_id(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let project = db.add_option(ada, (Some(42), None), "theme", "[1]").await;
        let global = db.add_option(ada, GLOBAL, "theme", "NULL").await;
        let asked = [global, 404, project, global].map(UserOptionId);
        let found = db.options().get_many_by_id(&asked).await.unwrap();
        assert_eq!(
            found,
            [
                UserOption {
                    id: UserOptionId(project),
                    user_id: ada,
                    key: "theme".into(),
                    value: StoredValue::Json(JsonText::from(&json!([1]))),
                    scope: OptionScope::project(ProjectId(42)),
                },
                UserOption {
                    id: UserOptionId(global),
                    user_id: ada,
                    key: "theme".into(),
                    value: StoredValue::Json(JsonText::from(&Value::Null)),
                    scope: OptionScope::GLOBAL,
                },
            ],
        );
        assert!(db.options().get_many_by_id(&[]).await.unwrap().is_empty());
    }

    async fn an_option_is_inserted_then_updated(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let dark = option(ada, "theme", json!("dark"));
        let first = set(db, &dark).await;
        assert!(first.changed);
        assert_eq!(first.option.value, StoredValue::Json(JsonText::from(&json!("dark"))));
        assert_eq!(first.option.scope, OptionScope::GLOBAL);
        assert_eq!(db.options().get_many_by_id(&[first.option.id]).await.unwrap(), [first.option]);

        let second = set(db, &option(ada, "theme", json!("light"))).await;
        assert!(second.changed);
        assert_eq!(values(db, &dark).await, [StoredValue::Json(JsonText::from(&json!("light")))]);
        assert_eq!(db.count("sentry_useroption").await, 1);
        assert_eq!(db.heard.take_changes(), [ada, ada]);
    }

    async fn an_equal_value_writes_nothing(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let nested = json!({ "b": [1, 2.5, null, true], "a": { "ü": "\u{1f600}" } });
        let first = set(db, &option(ada, "key", nested.clone())).await;
        db.heard.take_changes();
        let again = set(db, &option(ada, "key", nested)).await;
        assert_eq!((again.option, again.changed), (first.option, false));
        assert_eq!(db.heard.take_changes(), []);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }

    async fn every_kind_of_json_is_kept(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        for value in [
            json!("text \"quoted\" ' \\ \n \u{1f600} ü"),
            json!(""),
            json!(0),
            json!(-1),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(1.5e300),
            json!(-0.1),
            json!(true),
            json!([]),
            json!({}),
            json!([[1, [2]], { "": null }]),
            json!({ "z": 1, "a": { "nested": [false] } }),
        ] {
            let option = option(ada, "key", value.clone());
            assert!(set(db, &option).await.changed, "{value}");
            assert_eq!(values(db, &option).await, [StoredValue::Json(JsonText::from(&value))]);
            assert!(!set(db, &option).await.changed, "{value}");
        }
    }

    async fn null_is_a_value_and_not_a_deletion(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let null = option(ada, "key", Value::Null);
        assert!(set(db, &null).await.changed);
        assert_eq!(values(db, &null).await, [StoredValue::Json(JsonText::from(&Value::Null))]);
        assert!(!set(db, &null).await.changed);

        // SQL's null, as Sentry may have stored it, is the same to a reader.
        let id = db.add_option(ada, GLOBAL, "other", "NULL").await;
        let other = option(ada, "other", Value::Null);
        let result = set(db, &other).await;
        assert_eq!((result.option.id.0, result.changed), (id, false));
        assert!(set(db, &option(ada, "other", json!(1))).await.changed);
        assert_eq!(values(db, &other).await, [StoredValue::Json(JsonText::from(&json!(1)))]);
    }

    async fn the_same_key_is_set_for_each_scope(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let scopes = [
            OptionScope::GLOBAL,
            OptionScope::project(ProjectId(1)),
            OptionScope::project(ProjectId(2)),
            OptionScope::organization(OrganizationId(1)),
            OptionScope {
                project_id: Some(ProjectId(3)), organization_id: Some(OrganizationId(3)),
            },
        ];
        for round in [0, 10] {
            for (i, scope) in scopes.into_iter().enumerate() {
                let option = SetOption { scope, ..option(ada, "key", json!(round + i)) };
                assert!(set(db, &option).await.changed);
            }
            for (i, scope) in scopes.into_iter().enumerate() {
                let option = SetOption { scope, ..option(ada, "key", json!(0)) };
                assert_eq!(values(db, &option).await, [StoredValue::Json(JsonText::from(&json!(round + i)))]);
            }
        }
        assert_eq!(db.count("sentry_useroption").await, 5);
    }

    async fn a_scope_that_the_tables_cannot_tell_apart_is_a_conflict(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let project = OptionScope::project(ProjectId(1));
        set(db, &SetOption { scope: project, ..option(ada, "key", json!(1)) }).await;
        let both = OptionScope { organization_id: Some(OrganizationId(1)), ..project };
        db.heard.take_changes();
        let option = SetOption { scope: both, ..option(ada, "key", json!(2)) };
        let result = db.options().set_option(&option).await;
        assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
        assert_eq!(db.heard.take_changes(), []);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }

    async fn a_user_has_no_more_options_than_may_be(db: &TestDatabase) {
        let [ada, bob] = db.add_users(["ada", "bob"]).await;
        fill(db, ada, 997, "1").await;
        let scopes = [
            OptionScope::GLOBAL,
            OptionScope::project(ProjectId(1)),
            OptionScope::organization(OrganizationId(1)),
        ];
        for scope in scopes {
            assert!(set(db, &SetOption { scope, ..option(ada, "last", json!(1)) }).await.changed);
        }
        for scope in scopes {
            let beyond = SetOption { scope, ..option(ada, "beyond", json!(1)) };
            let invalid = refusal(db, &beyond).await;
            assert_eq!((invalid.code, invalid.path), (InvalidCode::TooMany, vec!["key".to_owned()]));
            assert!(invalid.message.contains("1000"), "{}", invalid.message);
            // What is there already can be changed, to longer values too.
            let known = SetOption { scope, ..option(ada, "last", json!("longer")) };
            assert!(set(db, &known).await.changed);
            assert!(!set(db, &known).await.changed);
        }
        assert_eq!(db.count("sentry_useroption").await, 1_000);
        assert!(set(db, &option(bob, "beyond", json!(1))).await.changed);

        // A user beyond the limit keeps all options, and gets below it by deleting some.
        db.add_option(ada, (Some(9), None), "more", "1").await;
        refusal(db, &option(ada, "beyond", json!(1))).await;
        assert!(set(db, &option(ada, "k1", json!(2))).await.changed);
        let found = ids(db, of(&[ada], exactly(OptionScope::GLOBAL))).await;
        let two = [UserOptionId(found[0]), UserOptionId(found[1])];
        db.options().delete_options(&two).await.unwrap();
        assert!(set(db, &option(ada, "beyond", json!(1))).await.changed);
        refusal(db, &option(ada, "another", json!(1))).await;
    }

    async fn the_values_of_a_users_options_have_a_largest_size_together(db: &TestDatabase) {
        let [ada, bob] = db.add_users(["ada", "bob"]).await;
        let mebibyte = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
        fill(db, ada, 3, &mebibyte).await;
        let of_bytes = |bytes: usize| json!("x".repeat(bytes - 2));
        let half = 512 * 1024;
        let project = OptionScope::project(ProjectId(1));
        assert!(set(db, &option(ada, "a", of_bytes(half))).await.changed);
        assert!(set(db, &SetOption { scope: project, ..option(ada, "b", of_bytes(half)) }).await.changed);
        for beyond in [
            option(ada, "c", json!(1)),
            option(ada, "a", of_bytes(half + 1)),
            SetOption { scope: project, ..option(ada, "c", json!(1)) },
            SetOption { scope: project, ..option(ada, "b", of_bytes(half + 1)) },
        ] {
            let invalid = refusal(db, &beyond).await;
            assert_eq!((invalid.code, invalid.path), (InvalidCode::TooLong, vec!["value".to_owned()]));
            assert!(invalid.message.contains("4194304"), "{}", invalid.message);
        }
        assert!(set(db, &option(bob, "c", json!(1))).await.changed);
        // A value may be replaced by one that is no longer, also beyond the bound.
        db.add_option(ada, GLOBAL, "more", &mebibyte).await;
        let other = json!(format!("y{}", "x".repeat(half - 3)));
        assert!(set(db, &option(ada, "a", other.clone())).await.changed);
        assert!(set(db, &SetOption { scope: project, ..option(ada, "b", other) }).await.changed);
        assert!(set(db, &option(ada, "a", json!(1))).await.changed);
        refusal(db, &option(ada, "a", json!(12))).await;
    }

    async fn of_duplicates_the_newest_counts(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        // As on an existing database, which has no such index.
        db.execute("DROP INDEX user_gateway_useroption_global").await;
        db.add_option(ada, GLOBAL, "theme", r#""oldest""#).await;
        let language = db.add_option(ada, GLOBAL, "language", "1").await;
        db.add_option(ada, GLOBAL, "theme", r#""older""#).await;
        let other = db.add_option(grace, GLOBAL, "theme", "1").await;
        let newest = db.add_option(ada, GLOBAL, "theme", r#""newest""#).await;
        let global = of(&[grace, ada], exactly(OptionScope::GLOBAL));
        assert_eq!(ids(db, global).await, [language, newest, other]);

        let equal = option(ada, "theme", json!("newest"));
        assert!(!set(db, &equal).await.changed);
        let result = set(db, &option(ada, "theme", json!("set"))).await;
        assert_eq!(result.option.id.0, newest);
        assert_eq!(values(db, &equal).await, [StoredValue::Json(JsonText::from(&json!("set")))]);
        assert_eq!(db.count("sentry_useroption").await, 5);
    }

    async fn an_option_of_nobody_is_refused(db: &TestDatabase) {
        let result = db.options().set_option(&option(UserId(404), "theme", json!(1))).await;
        let Err(Error::Invalid(invalid)) = result else { panic!("{result:?}") };
        assert_eq!((invalid.code, invalid.path), (InvalidCode::NotFound, vec!["userId".into()]));
        assert_eq!(db.count("sentry_useroption").await, 0);
        assert_eq!(db.count("sentry_controloutbox").await, 0);
    }

    async fn a_value_that_one_engine_cannot_hold_is_refused_on_both(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        for value in [json!("a\0b"), json!(["\0"]), json!({ "\0": 1 }), json!({ "a": ["\0"] })] {
            let result = db.options().set_option(&option(ada, "key", value)).await;
            let Err(Error::Invalid(invalid)) = result else { panic!("{result:?}") };
            assert_eq!(invalid.code, InvalidCode::InvalidFormat);
        }
        // What only looks like it is well.
        assert!(set(db, &option(ada, "key", json!("\\u0000"))).await.changed);
    }

    async fn deletion_says_what_was_there(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let first = db.add_option(ada, GLOBAL, "a", "1").await;
        let kept = db.add_option(ada, GLOBAL, "b", "1").await;
        let second = db.add_option(grace, (Some(1), None), "a", "1").await;
        let third = db.add_option(ada, GLOBAL, "c", "1").await;
        let asked = [third, 404, second, first, third].map(UserOptionId);
        let deleted = db.options().delete_options(&asked).await.unwrap();
        assert_eq!(deleted, [first, second, third].map(UserOptionId));
        assert_eq!(db.heard.take_changes(), [ada, grace]);
        assert!(db.options().delete_options(&asked).await.unwrap().is_empty());
        assert!(db.options().delete_options(&[]).await.unwrap().is_empty());
        assert_eq!(db.heard.take_changes(), []);
        assert_eq!(db.number("SELECT id FROM sentry_useroption").await, kept);
    }
}

/// What old installations hold. SQLite's stands here; PostgreSQL's needs their tables and is
/// among the tests of existing databases.
#[tokio::test]
async fn a_value_that_cannot_be_read_is_not_overwritten() {
    let db = TestDatabase::open(crate::harness::Engine::Sqlite).await;
    let ada = db.add_user("ada").await;
    let id = db.add_option(ada, GLOBAL, "key", "gAJ9cQAu").await;
    let option = option(ada, "key", json!(1));
    assert_eq!(values(&db, &option).await, [StoredValue::Unreadable]);
    let result = db.options().set_option(&option).await;
    assert!(matches!(result, Err(Error::Unreadable(_))), "{result:?}");
    assert_eq!(values(&db, &option).await, [StoredValue::Unreadable]);
    assert_eq!(db.heard.take_changes(), []);

    // As the error says, it can be deleted first.
    let deleted = db
        .options()
        .delete_options(&[UserOptionId(id)])
        .await
        .unwrap();
    assert_eq!(deleted, [UserOptionId(id)]);
    assert!(set(&db, &option).await.changed);
}
