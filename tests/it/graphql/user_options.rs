//! `userOptions`.

use serde_json::{Value, json};

use super::{assert_outcomes, outcome, service};
use crate::harness::{Engine, Gateway};

on_each_engine! {
    options_come_by_user_and_id_for_everything_unless_another_scope_is_named
    every_kind_of_value_is_read
    a_value_that_cannot_be_read_is_null_with_an_error_and_spoils_nothing
    a_null_in_the_filter_is_refused
    what_is_wrong_in_the_filter_is_refused
    lists_in_the_filter_are_bounded
}

async fn arranged(engine: Engine) -> (Gateway, String) {
    let (gateway, token) = service(engine).await;
    let database = &gateway.database;
    let [ada, bob] = database.add_users(["ada", "bob"]).await;
    database.add_organization(6, "us", Some(0)).await;
    database.add_option(bob, (None, None), "theme", "1").await;
    database.add_option(ada, (None, None), "theme", "2").await;
    database.add_option(ada, (None, None), "Theme", "3").await;
    database
        .add_option(ada, (Some(5), None), "theme", "4")
        .await;
    database.add_option(ada, (Some(8), None), "mail", "5").await;
    database
        .add_option(ada, (None, Some(6)), "theme", "6")
        .await;
    (gateway, token)
}

async fn options_come_by_user_and_id_for_everything_unless_another_scope_is_named(engine: Engine) {
    let (gateway, token) = arranged(engine).await;
    for (filter, expected) in [
        ("userIds: [2, 1]", "2 3 1"),
        ("userIds: [1, 1, 99]", "2 3"),
        ("userIds: 1", "2 3"),
        ("userIds: []", ""),
        (r#"userIds: [1, 2], keys: ["theme"]"#, "2 1"),
        ("userIds: [1], keys: []", ""),
        ("userIds: [1], scope: {global: true}", "2 3"),
        (r#"userIds: [1], scope: {projectId: "Project:5"}"#, "4"),
        ("userIds: [1], scope: {organizationId: 6}", "6"),
        ("userIds: [1, 2], projectIds: [8, 5, 9]", "4 5"),
        (r#"userIds: [1], projectIds: [8, 5], keys: ["mail"]"#, "5"),
        ("userIds: [1], projectIds: []", ""),
    ] {
        let query = format!("{{ userOptions(filter: {{{filter}}}) {{ value }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert!(answer.get("errors").is_none(), "{filter}: {answer}");
        let values = answer["data"]["userOptions"].as_array().unwrap();
        let values: Vec<_> = values.iter().map(|o| o["value"].to_string()).collect();
        assert_eq!(values.join(" "), expected, "{filter}");
    }
    let answer = gateway
        .ask(
            &token,
            "{ userOptions(filter: {userIds: [1], scope: {organizationId: 6}}) {
                id key value project organization { slug } user { username } } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "userOptions": [{
            "id": "UserOption:6", "key": "theme", "value": 6, "project": null,
            "organization": { "slug": "org-6" }, "user": { "username": "ada" },
        }] } })
    );
}

async fn every_kind_of_value_is_read(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let ada = gateway.database.add_user("ada").await;
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_993_i64),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("ä😀\n\"\\"),
        json!([]),
        json!({}),
        json!([1, [null, { "a": [] }]]),
        json!({ "b": 1, "a": { "ü": null } }),
    ];
    for (i, value) in values.iter().enumerate() {
        let key = format!("k{i:02}");
        gateway
            .database
            .add_option(ada, (None, None), &key, &value.to_string())
            .await;
    }
    let missing = gateway
        .database
        .add_option(ada, (None, None), "missing", "NULL")
        .await;
    assert!(missing > 0);
    let answer = gateway
        .ask(&token, "{ userOptions(filter: {userIds: [1]}) { value } }")
        .await;
    let mut expected: Vec<Value> = values
        .iter()
        .map(|value| json!({ "value": value }))
        .collect();
    expected.push(json!({ "value": null }));
    assert_eq!(answer, json!({ "data": { "userOptions": expected } }));
}

async fn a_value_that_cannot_be_read_is_null_with_an_error_and_spoils_nothing(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let database = &gateway.database;
    let ada = database.add_user("ada").await;
    database.add_option(ada, (None, None), "good", "1").await;
    let bad = database.add_option(ada, (None, None), "bad", "2").await;
    spoil(&gateway, engine, bad).await;
    let query = r#"{ userOptions(filter: {userIds: [1]}) { key value }
        user(id: 1) { username good: option(key: "good") bad: option(key: "bad") } }"#;
    let answer = gateway.ask(&token, query).await;
    assert_eq!(
        answer["data"],
        json!({
            "userOptions": [{ "key": "good", "value": 1 }, { "key": "bad", "value": null }],
            "user": { "username": "ada", "good": 1, "bad": null },
        })
    );
    assert_eq!(
        outcome(&answer),
        "executed: UNREADABLE_VALUE, UNREADABLE_VALUE"
    );
    let paths: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["path"])
        .collect();
    assert!(
        paths.contains(&&json!(["userOptions", 1, "value"])),
        "{answer}"
    );
    assert!(paths.contains(&&json!(["user", "bad"])), "{answer}");
}

/// Puts what an old installation pickled where a value belongs.
async fn spoil(gateway: &Gateway, engine: Engine, id: i64) {
    if engine == Engine::Postgres {
        let retype = "ALTER TABLE sentry_useroption ALTER COLUMN value TYPE text";
        gateway.database.execute(retype).await;
    }
    let spoiled =
        format!("UPDATE sentry_useroption SET value = 'gAJYAQAAAHhxAS4=' WHERE id = {id}");
    gateway.database.execute(&spoiled).await;
}

async fn a_null_in_the_filter_is_refused(engine: Engine) {
    let (gateway, token) = arranged(engine).await;
    for field in ["keys", "scope", "projectIds"] {
        let query = format!("{{ userOptions(filter: {{userIds: [1], {field}: null}}) {{ key }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(
            outcome(&answer),
            format!("executed: BAD_USER_INPUT at filter.{field}")
        );
        assert_eq!(answer["data"], Value::Null);
    }
    let cases = [
        (
            "{ userOptions(filter: {userIds: null}) { key } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ userOptions(filter: null) { key } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ userOptions(filter: {}) { key } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ userOptions { key } }", "GRAPHQL_VALIDATION_FAILED"),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
}

async fn what_is_wrong_in_the_filter_is_refused(engine: Engine) {
    let (gateway, token) = arranged(engine).await;
    for (filter, expected) in [
        (
            r#"userIds: ["1", "UserOption:1"]"#,
            "executed: BAD_USER_INPUT at filter.userIds.1",
        ),
        (
            r#"userIds: [1], projectIds: ["x"]"#,
            "executed: BAD_USER_INPUT at filter.projectIds.0",
        ),
        (
            "userIds: [1], scope: {global: false}",
            "executed: BAD_USER_INPUT at filter.scope.global",
        ),
        (
            r#"userIds: [1], scope: {projectId: "a"}"#,
            "executed: BAD_USER_INPUT at filter.scope.projectId",
        ),
        (
            "userIds: [1], scope: {global: true}, projectIds: [1]",
            "executed: BAD_USER_INPUT at filter.projectIds",
        ),
        ("userIds: [1], scope: {}", "GRAPHQL_VALIDATION_FAILED"),
        (
            "userIds: [1], scope: {global: true, projectId: 1}",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("userIds: [1], value: 1", "GRAPHQL_VALIDATION_FAILED"),
        (r#"userIds: [1], keys: ["\u0000"]"#, "BAD_USER_INPUT"),
        (r#"userIds: [1], keys: ["\udc00"]"#, "GRAPHQL_PARSE_FAILED"),
    ] {
        let query = format!("{{ userOptions(filter: {{{filter}}}) {{ key }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(outcome(&answer), expected, "{filter}");
    }
}

async fn lists_in_the_filter_are_bounded(engine: Engine) {
    let (gateway, token) = arranged(engine).await;
    let more: Vec<_> = (1..=1_001).map(|i| i.to_string()).collect();
    for (filter, at) in [
        (format!("userIds: {}", json!(more)), "userIds"),
        (format!("userIds: [1], keys: {}", json!(more)), "keys"),
        (
            format!("userIds: [1], projectIds: {}", json!(more)),
            "projectIds",
        ),
    ] {
        let query = format!("{{ userOptions(filter: {{{filter}}}) {{ key }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(
            outcome(&answer),
            format!("executed: BAD_USER_INPUT at filter.{at}")
        );
    }
}
