//! The options of users over the wire.

use serde_json::{Value, json};

use super::Control;

#[tokio::test]
async fn options_are_told_of_by_scope_and_key() {
    let control = Control::start().await;
    let db = &control.db;
    let [ada, grace] = db.add_users(["ada", "grace"]).await;
    let theme = db.add_option(ada, (None, None), "theme", r#""dark""#).await;
    let of_project = db
        .add_option(ada, (Some(5), None), "theme", r#"{"a": [1, null]}"#)
        .await;
    let of_organization = db.add_option(grace, (None, Some(7)), "theme", "NULL").await;
    let language = db
        .add_option(grace, (None, None), "language", r#""de""#)
        .await;
    let option = |id: i64, user, key: &str, value: Value, project: Value, organization: Value| {
        json!({
            "id": id,
            "user_id": user,
            "value": value,
            "key": key,
            "project_id": project,
            "organization_id": organization,
        })
    };
    let theme = option(theme, ada, "theme", json!("dark"), json!(null), json!(null));
    let of_project = option(
        of_project,
        ada,
        "theme",
        json!({ "a": [1, null] }),
        json!(5),
        json!(null),
    );
    let of_organization = option(
        of_organization,
        grace,
        "theme",
        json!(null),
        json!(null),
        json!(7),
    );
    let language = option(
        language,
        grace,
        "language",
        json!("de"),
        json!(null),
        json!(null),
    );
    for (filter, expected) in [
        (json!({}), json!([theme, language])),
        (
            json!({ "project_id": null, "organization_id": null }),
            json!([theme, language]),
        ),
        (json!({ "project_id": "5" }), json!([of_project])),
        (json!({ "organization_id": 7 }), json!([of_organization])),
        (json!({ "project_id": 5, "organization_id": 7 }), json!([])),
        (
            json!({ "project_ids": [5, 6], "organization_id": 7 }),
            json!([of_project]),
        ),
        (json!({ "key": "theme" }), json!([theme])),
        (json!({ "keys": ["theme", "none"] }), json!([theme])),
        (
            json!({ "keys": ["theme"], "key": "language" }),
            json!([theme, language]),
        ),
        (json!({ "keys": [] }), json!([])),
        (json!({ "unknown": 1 }), json!([theme, language])),
    ] {
        let filter = super::read::with(json!({ "user_ids": [ada, grace] }), filter);
        let args = json!({ "filter": filter });
        assert_eq!(
            control.value("user_option/get_many", args.clone()).await,
            expected,
            "{filter}"
        );
        assert_eq!(
            control.told("user_option/get_many", args).await,
            expected,
            "{filter}"
        );
    }
    for filter in [
        json!({ "project_ids": null }),
        json!({ "keys": null }),
        json!({ "key": null }),
    ] {
        let filter = super::read::with(json!({ "user_ids": [ada] }), filter);
        control
            .call("user_option/get_many", json!({ "filter": filter }))
            .await
            .is_invalid();
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_null_and_a_gateway_learns_why() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    control
        .db
        .add_option(ada, (None, None), "theme", "gAJYBAAAAGRhcms=")
        .await;
    let args = json!({ "filter": { "user_ids": [ada] } });
    let option = control.value("user_option/get_many", args.clone()).await[0].take();
    assert_eq!(option["value"], json!(null));
    assert!(option.get("unreadable").is_none());
    let told = control.told("user_option/get_many", args).await[0].take();
    assert_eq!(
        (&told["value"], &told["unreadable"]),
        (&json!(null), &json!(true))
    );
    let set = json!({ "user_id": ada, "key": "theme", "value": 1 });
    control
        .call("user_option/set_option", set.clone())
        .await
        .is_invalid();
    let answer = control.call_as_gateway("user_option/set_option", set).await;
    assert_eq!(answer.json()["code"], "UNREADABLE_VALUE");
}

#[tokio::test]
async fn other_silos_set_no_more_options_than_may_be() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    control
        .db
        .execute(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
             INSERT INTO sentry_useroption (user_id, key, value) \
             SELECT {ada}, 'k' || i, '1' FROM n"
        ))
        .await;
    for scope in [json!({}), json!({ "project_id": 5 })] {
        let set = json!({ "user_id": ada, "key": "new", "value": 1 });
        let set = super::read::with(set, scope);
        control
            .call("user_option/set_option", set.clone())
            .await
            .is_invalid();
        for method in ["user_option/set_option", "user_gateway/set_user_option"] {
            let answer = control.call_as_gateway(method, set.clone()).await.json();
            assert_eq!(answer["code"], "BAD_USER_INPUT", "{answer}");
            assert_eq!(answer["invalid_code"], "TOO_MANY");
            assert_eq!(answer["argument"], json!(["key"]));
        }
    }
    let set = json!({ "user_id": ada, "key": "k7", "value": 2 });
    assert_eq!(
        control.value("user_option/set_option", set).await,
        json!(null)
    );
    assert_eq!(control.db.count("sentry_useroption").await, 1_000);
}

#[tokio::test]
async fn options_are_set_and_deleted() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    let [set, delete] = ["user_option/set_option", "user_option/delete_options"];
    for (scope, value) in [
        (json!({}), json!("dark")),
        (json!({}), json!(null)),
        (
            json!({ "project_id": 5 }),
            json!({ "deep": [1, 2.5, true] }),
        ),
        (
            json!({ "organization_id": "7", "project_id": null }),
            json!(""),
        ),
    ] {
        let args = json!({ "user_id": ada, "key": "theme", "value": value });
        let args = super::read::with(args, scope.clone());
        assert_eq!(control.value(set, args).await, json!(null));
        let filter = super::read::with(json!({ "user_ids": [ada] }), scope);
        let found = control
            .value("user_option/get_many", json!({ "filter": filter }))
            .await;
        assert_eq!(found[0]["value"], value);
    }
    assert_eq!(control.db.count("sentry_useroption").await, 3);
    for args in [
        json!({ "user_id": 404, "key": "theme", "value": 1 }),
        json!({ "user_id": ada, "key": "k".repeat(65), "value": 1 }),
    ] {
        control.call(set, args).await.is_invalid();
    }
    let ids = control
        .db
        .rows("SELECT id FROM sentry_useroption ORDER BY id")
        .await;
    let args = json!({ "option_ids": [ids[0]["id"], ids[1]["id"], 404] });
    assert_eq!(control.value(delete, args.clone()).await, json!(null));
    assert_eq!(control.value(delete, args).await, json!(null));
    assert_eq!(control.db.count("sentry_useroption").await, 1);
}

#[tokio::test]
async fn options_have_no_form_of_the_api() {
    let control = Control::start().await;
    let args = json!({ "filter": { "user_ids": [1] }, "as_user": null, "auth_context": null });
    control
        .call("user_option/serialize_many", args.clone())
        .await
        .is_invalid();
    let answer = control
        .call_as_gateway("user_option/serialize_many", args)
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["code"], "NOT_SUPPORTED");
}
