//! `setUserOption`.

use std::sync::Arc;

use serde_json::{Value, json};
use user_gateway::database::{Database, OutboxPolicy};
use user_gateway::domain::{
    Error, InvalidCode, OptionBounds, OptionKey, OptionScope, SetOption, SystemClock, UserId,
};
use user_gateway::service::Announcer;

use super::{ada, assert_outcomes, contents, outcome, payload_errors};
use crate::harness::{Engine, TestDatabase};

on_each_engine! {
    an_option_is_set_and_set_again
    every_kind_of_value_is_stored_as_it_is
    options_of_each_scope_are_apart
    a_value_has_a_largest_size_and_depth
    a_form_is_told_that_a_user_has_as_many_options_as_may_be
    bounds_can_be_set
    what_is_wrong_is_told_to_the_form_and_changes_nothing
    a_document_that_does_not_fit_changes_nothing
    a_value_that_cannot_be_read_is_not_overwritten
}

const ASK: &str = "mutation ($input: SetUserOptionInput!) {
    setUserOption(input: $input) { changed option { value } errors { code message path } } }";

async fn an_option_is_set_and_set_again(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let set = |value: &str| {
        format!(
            r#"mutation {{ setUserOption(input: {{userId: "User:1", key: "theme", value: {value}}}) {{
                changed errors {{ code }}
                option {{ id key value project organization {{ id }} user {{ username }} }} }} }}"#
        )
    };
    let option = |value: Value| {
        json!({ "id": "UserOption:1", "key": "theme", "value": value, "project": null,
                "organization": null, "user": { "username": "ada" } })
    };
    let answer = |value: Value, changed: bool| json!({ "data": { "setUserOption": { "changed": changed, "errors": [], "option": option(value) } } });
    assert_eq!(
        gateway.ask(&token, &set(r#""dark""#)).await,
        answer(json!("dark"), true)
    );
    assert_eq!(gateway.database.heard.take_changes().len(), 1);
    assert_eq!(
        gateway.ask(&token, &set(r#""dark""#)).await,
        answer(json!("dark"), false)
    );
    assert!(gateway.database.heard.take_changes().is_empty());
    assert_eq!(
        gateway.ask(&token, &set("null")).await,
        answer(Value::Null, true)
    );
    assert_eq!(
        gateway.ask(&token, &set("null")).await,
        answer(Value::Null, false)
    );
    assert_eq!(gateway.database.count("sentry_useroption").await, 1);
}

async fn every_kind_of_value_is_stored_as_it_is(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    for (i, value) in [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("ä😀\u{1}\u{ffff}\"\\"),
        json!([]),
        json!({}),
        json!([[[]], null]),
        json!({ "": 1, "b": { "a\"": [] } }),
        json!(" \u{2028}"),
        json!({ "$type": "x", "__proto__": 1 }),
    ]
    .into_iter()
    .enumerate()
    {
        let input = json!({ "userId": "1", "key": format!("k{i}"), "value": value });
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(
            answer,
            json!({ "data": { "setUserOption": { "changed": true, "option": { "value": value }, "errors": [] } } })
        );
        let query = format!("{{ user(id: 1) {{ option(key: \"k{i}\") }} }}");
        assert_eq!(
            gateway.ask(&token, &query).await,
            json!({ "data": { "user": { "option": value } } })
        );
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(answer["data"]["setUserOption"]["changed"], false, "{value}");
    }
    // The same by a literal of the document, with a variable inside.
    let query = r#"mutation ($x: Int) { setUserOption(input: {userId: 1, key: "literal",
        value: {a: [1, -2.5, "\u00e4", true, null, {}], b: $x, c: NAME}}) { option { value } } }"#;
    let answer = gateway.ask_with(&token, query, json!({ "x": 7 })).await;
    assert_eq!(
        answer["data"]["setUserOption"]["option"]["value"],
        json!({ "a": [1, -2.5, "ä", true, null, {}], "b": 7, "c": "NAME" })
    );
}

async fn options_of_each_scope_are_apart(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    for (scope, value) in [
        (Value::Null, 1),
        (json!({ "projectId": "Project:5" }), 2),
        (json!({ "projectId": "6" }), 3),
        (json!({ "organizationId": "Organization:5" }), 4),
        (json!({ "global": true }), 5),
    ] {
        let input = json!({ "userId": "1", "key": "k", "value": value, "scope": scope });
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert_eq!(answer["data"]["setUserOption"]["changed"], true, "{answer}");
    }
    let stored = "SELECT project_id, organization_id, CAST(value AS text) AS value \
                  FROM sentry_useroption ORDER BY id";
    assert_eq!(
        gateway.database.rows(stored).await,
        [
            json!({ "project_id": null, "organization_id": null, "value": "5" }),
            json!({ "project_id": 5, "organization_id": null, "value": "2" }),
            json!({ "project_id": 6, "organization_id": null, "value": "3" }),
            json!({ "project_id": null, "organization_id": 5, "value": "4" }),
        ]
    );
}

async fn a_value_has_a_largest_size_and_depth(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let nested = |depth: usize| (0..depth).fold(json!(1), |value, _| json!([value]));
    let objects = |depth: usize| (0..depth).fold(json!(1), |value, _| json!({ "a": value }));
    for (value, expected) in [
        (nested(32), vec![]),
        (objects(32), vec![]),
        (nested(33), vec!["TOO_LONG at input.value"]),
        (objects(33), vec!["TOO_LONG at input.value"]),
        (nested(100), vec!["TOO_LONG at input.value"]),
        (json!("x".repeat(64 * 1024 - 2)), vec![]),
        (
            json!("x".repeat(64 * 1024 - 1)),
            vec!["TOO_LONG at input.value"],
        ),
        (json!(vec![0; 1_001]), vec![]),
        (json!(vec![0; 90_000]), vec!["TOO_LONG at input.value"]),
    ] {
        let input = json!({ "userId": 1, "key": "k", "value": value });
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert!(answer.get("errors").is_none(), "{answer}");
        assert_eq!(payload_errors(&answer["data"]["setUserOption"]), expected);
    }
    // What no reader of JSON takes is refused before it is one.
    let open = "[".repeat(90_000);
    for body in [
        format!(r#"{{"query": "{{a}}", "variables": {{"x": {open}"#),
        format!(
            r#"{{"query": "{{a}}", "variables": {{"x": {open}{}}}}}"#,
            "]".repeat(90_000)
        ),
        r#"{"query": "{a}", "variables": {"x": "\ud800"}}"#.to_owned(),
        r#"{"query": "{a \ud800}"}"#.to_owned(),
        r#"{"query": "{a}", "variables": {"x": 1e999}}"#.to_owned(),
    ] {
        let request = gateway
            .graphql()
            .bearer_auth(&token)
            .header("content-type", "application/json");
        let answer: Value = request
            .body(body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(outcome(&answer), "BAD_REQUEST");
    }
}

async fn a_form_is_told_that_a_user_has_as_many_options_as_may_be(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway
        .database
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
             INSERT INTO sentry_useroption (user_id, key, value) SELECT 1, 'k' || i, '1' FROM n",
        )
        .await;
    let before = contents(&gateway.database).await;
    for scope in [
        json!(null),
        json!({ "projectId": 5 }),
        json!({ "organizationId": 5 }),
    ] {
        let input = json!({ "userId": 1, "key": "new", "value": 1, "scope": scope });
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        let payload = &answer["data"]["setUserOption"];
        assert_eq!(
            payload_errors(payload),
            ["TOO_MANY at input.key"],
            "{answer}"
        );
        assert_eq!(payload["changed"], false);
    }
    assert_eq!(contents(&gateway.database).await, before);
    let input = json!({ "userId": 1, "key": "k7", "value": 2 });
    let answer = gateway
        .ask_with(&token, ASK, json!({ "input": input }))
        .await;
    assert_eq!(answer["data"]["setUserOption"]["changed"], true, "{answer}");
}

async fn bounds_can_be_set(engine: Engine) {
    let db = TestDatabase::open(engine).await;
    let ada = db.add_user("ada").await;
    let bounds = OptionBounds { count: 2, bytes: 8 };
    let connection = db.connection().clone().bounding_options(bounds);
    let policy = OutboxPolicy::default();
    let clock = Arc::new(SystemClock);
    let bounded = Database::open(connection, policy, Announcer::default(), clock)
        .await
        .unwrap();
    for (key, value, expected) in [
        ("a", json!(1), None),
        ("b", json!("12345"), None),
        ("c", json!(1), Some(InvalidCode::TooMany)),
        ("b", json!("123456"), Some(InvalidCode::TooLong)),
        ("b", json!("1234"), None),
        ("a", json!(12), None),
        ("a", json!(123), Some(InvalidCode::TooLong)),
    ] {
        let option = SetOption {
            user_id: ada,
            key: OptionKey::parse(key, &[]).unwrap(),
            value: value.clone().into(),
            scope: OptionScope::GLOBAL,
        };
        let set = bounded.services().user_options.set_option(&option).await;
        let refused = match set {
            Ok(_) => None,
            Err(Error::Invalid(invalid)) => Some(invalid.code),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(refused, expected, "{key} {value}");
    }
}

async fn what_is_wrong_is_told_to_the_form_and_changes_nothing(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    gateway
        .database
        .execute("UPDATE auth_user SET is_superuser = true")
        .await;
    let before = contents(&gateway.database).await;
    for (input, expected) in [
        (
            json!({ "userId": "1", "key": "", "value": 1 }),
            "REQUIRED at input.key",
        ),
        (
            json!({ "userId": "1", "key": "k".repeat(65), "value": 1 }),
            "TOO_LONG at input.key",
        ),
        (
            json!({ "userId": "1", "key": "a\nb", "value": 1 }),
            "INVALID_FORMAT at input.key",
        ),
        (
            json!({ "userId": "1", "key": "k" }),
            "REQUIRED at input.value",
        ),
        (
            json!({ "userId": "x", "key": "k", "value": 1 }),
            "INVALID_FORMAT at input.userId",
        ),
        (
            json!({ "userId": "Organization:1", "key": "k", "value": 1 }),
            "INVALID_FORMAT at input.userId",
        ),
        (
            json!({ "userId": "99", "key": "k", "value": 1 }),
            "NOT_FOUND at input.userId",
        ),
        (
            json!({ "userId": "1", "key": "k", "value": 1, "scope": { "global": false } }),
            "INVALID_FORMAT at input.scope.global",
        ),
        (
            json!({ "userId": "1", "key": "k", "value": 1, "scope": { "projectId": "User:1" } }),
            "INVALID_FORMAT at input.scope.projectId",
        ),
        (
            json!({ "userId": "1", "key": "k", "value": { "a\0": 1 } }),
            "INVALID_FORMAT at input.value",
        ),
    ] {
        let answer = gateway
            .ask_with(&token, ASK, json!({ "input": input }))
            .await;
        assert!(answer.get("errors").is_none(), "{input}: {answer}");
        let payload = &answer["data"]["setUserOption"];
        assert_eq!(payload_errors(payload), [expected], "{input}");
        assert_eq!(
            (&payload["option"], &payload["changed"]),
            (&Value::Null, &json!(false))
        );
    }
    assert_eq!(contents(&gateway.database).await, before);
    let longest = json!({ "userId": "1", "key": "ä".repeat(64), "value": 1 });
    let answer = gateway
        .ask_with(&token, ASK, json!({ "input": longest }))
        .await;
    assert_eq!(answer["data"]["setUserOption"]["changed"], true, "{answer}");
}

async fn a_document_that_does_not_fit_changes_nothing(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let cases = [
        ("mutation { setUserOption { changed } }", invalid),
        (
            "mutation { setUserOption(input: {userId: 1, value: 1}) { changed } }",
            invalid,
        ),
        (
            r#"mutation { setUserOption(input: {userId: null, key: "k", value: 1}) { changed } }"#,
            invalid,
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "k", value: 1, scope: {}}) { changed } }"#,
            invalid,
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "k", key: "l", value: 1}) { changed } }"#,
            invalid,
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "k", value: {a: 1, a: 2}}) { changed } }"#,
            invalid,
        ),
        (
            r#"query { setUserOption(input: {userId: 1, key: "k", value: 1}) { changed } }"#,
            invalid,
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "k", value: "\u0000"}) { changed } }"#,
            "BAD_USER_INPUT",
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "\u0000", value: 1}) { changed } }"#,
            "BAD_USER_INPUT",
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "k", value: [{a: ["\u0000"]}]}) { changed } }"#,
            "BAD_USER_INPUT",
        ),
        (
            r#"mutation { setUserOption(input: {userId: 1, key: "k", value: "\uD800"}) { changed } }"#,
            "GRAPHQL_PARSE_FAILED",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    let answer = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "userId": 1, "key": "k", "value": ["\0"] } }),
        )
        .await;
    assert_eq!(outcome(&answer), "BAD_USER_INPUT");
    assert_eq!(gateway.database.count("sentry_useroption").await, 0);
}

async fn a_value_that_cannot_be_read_is_not_overwritten(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let id = database.add_option(UserId(1), (None, None), "k", "1").await;
    if engine == Engine::Postgres {
        database
            .execute("ALTER TABLE sentry_useroption ALTER COLUMN value TYPE text")
            .await;
    }
    database
        .execute(&format!(
            "UPDATE sentry_useroption SET value = 'gAJY' WHERE id = {id}"
        ))
        .await;
    let answer = gateway
        .ask_with(
            &token,
            ASK,
            json!({ "input": { "userId": 1, "key": "k", "value": 2 } }),
        )
        .await;
    assert_eq!(outcome(&answer), "executed: UNREADABLE_VALUE");
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(
        database
            .count("sentry_useroption WHERE value = 'gAJY'")
            .await,
        1
    );
}
