//! `organization`, and its members.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{ada, assert_outcomes, outcome};
use crate::harness::{Engine, Gateway};

on_each_engine! {
    an_organization_is_found_by_id_and_by_slug
    an_organization_that_is_absent_is_null
    what_names_no_organization_is_refused
    members_come_in_pages_with_their_roles
    members_are_counted_only_if_that_is_asked_for
    sizes_and_cursors_of_pages_of_members_are_checked
}

async fn an_organization_is_found_by_id_and_by_slug(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let organization = gateway.database.add_organization(7, "de", Some(0)).await;
    gateway.database.join(UserId(1), organization).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ a: organization(by: {id: 7}) { slug } b: organization(by: {id: "Organization:7"}) { slug }
                 c: organization(by: {slug: "org-7"}) { id databaseId name regionName status dateCreated } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "a": { "slug": "org-7" },
            "b": { "slug": "org-7" },
            "c": {
                "id": "Organization:7", "databaseId": "7", "name": "Organization 7",
                "regionName": "de", "status": "ACTIVE", "dateCreated": "2025-01-01T00:00:00Z",
            },
        } })
    );
}

async fn an_organization_that_is_absent_is_null(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let long = "x".repeat(100_000);
    let query = format!(
        r#"{{ a: organization(by: {{id: 9}}) {{ id }} b: organization(by: {{slug: "none"}}) {{ id }}
              c: organization(by: {{slug: ""}}) {{ id }} d: organization(by: {{slug: "{long}"}}) {{ id }} }}"#
    );
    let answer = gateway.ask(&token, &query).await;
    assert_eq!(
        answer,
        json!({ "data": { "a": null, "b": null, "c": null, "d": null } })
    );
}

async fn what_names_no_organization_is_refused(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let cases = [
        (
            r#"{ organization(by: {id: "User:1"}) { id } }"#,
            "executed: BAD_USER_INPUT at by.id",
        ),
        (
            r#"{ organization(by: {id: "x"}) { id } }"#,
            "executed: BAD_USER_INPUT at by.id",
        ),
        ("{ organization { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ organization(by: null) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ organization(by: {}) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ organization(by: {id: null}) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            r#"{ organization(by: {id: 1, slug: "a"}) { id } }"#,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            r#"{ organization(by: {name: "a"}) { id } }"#,
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            r#"{ organization(by: {slug: "a\u0000"}) { id } }"#,
            "BAD_USER_INPUT",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    let query = "query ($by: OrganizationBy!) { organization(by: $by) { id } }";
    for by in [
        json!({}),
        json!({ "id": null }),
        json!({ "id": 1, "slug": "a" }),
        json!({ "id": 1, "slug": null }),
        json!({ "slug": 1 }),
        json!({ "slug": "\0" }),
        Value::Null,
    ] {
        let answer = gateway.ask_with(&token, query, json!({ "by": by })).await;
        assert_eq!(outcome(&answer), "BAD_USER_INPUT", "{by}");
    }
    // A variable inside an object of which one field counts must not be null either.
    let query = "query ($id: ID) { organization(by: {id: $id}) { id } }";
    let answer = gateway.ask_with(&token, query, json!({ "id": null })).await;
    assert!(answer["errors"].is_array(), "{answer}");
}

async fn five_members(engine: Engine) -> (Gateway, String) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let others = database.add_users(["bob", "cyd", "dan", "eve"]).await;
    let organization = database.add_organization(7, "us", Some(0)).await;
    let ada = UserId(1);
    database
        .add_membership(organization, Some(ada), "owner", None)
        .await;
    for id in others {
        database.join(id, organization).await;
    }
    // Neither somebody invited by mail nor somebody asked to join is a member.
    database
        .add_membership(organization, None, "member", Some(1))
        .await;
    let invited = database.add_user("ivy").await;
    database
        .add_membership(organization, Some(invited), "member", Some(1))
        .await;
    (gateway, token)
}

async fn members_come_in_pages_with_their_roles(engine: Engine) {
    let (gateway, token) = five_members(engine).await;
    let ask = async |arguments: &str| {
        let query = format!(
            "{{ organization(by: {{id: 7}}) {{ members({arguments}) {{
                edges {{ cursor role dateAdded node {{ username }} }} nodes {{ username }}
                pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
        );
        let mut answer = gateway.ask(&token, &query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"]["organization"]["members"].take()
    };
    let page = ask("first: 2").await;
    assert_eq!(
        page["nodes"],
        json!([{ "username": "ada" }, { "username": "bob" }])
    );
    assert_eq!(page["edges"][0]["role"], "owner");
    assert_eq!(page["edges"][1]["role"], "member");
    assert_eq!(page["edges"][1]["dateAdded"], "2025-01-01T00:00:00Z");
    assert_eq!(page["pageInfo"]["hasPreviousPage"], false);
    let mut seen = vec!["ada".to_owned(), "bob".to_owned()];
    let mut info = page["pageInfo"].clone();
    while info["hasNextPage"] == true {
        let page = ask(&format!("first: 2, after: {}", info["endCursor"])).await;
        for node in page["nodes"].as_array().unwrap() {
            seen.push(node["username"].as_str().unwrap().to_owned());
        }
        info = page["pageInfo"].clone();
        assert_eq!(info["hasPreviousPage"], true);
    }
    assert_eq!(seen, ["ada", "bob", "cyd", "dan", "eve"]);
    let last = ask("last: 2").await;
    assert_eq!(
        last["nodes"],
        json!([{ "username": "dan" }, { "username": "eve" }])
    );
    let before = ask(&format!(
        "last: 2, before: {}",
        last["pageInfo"]["startCursor"]
    ))
    .await;
    assert_eq!(
        before["nodes"],
        json!([{ "username": "bob" }, { "username": "cyd" }])
    );
    assert_eq!(before["pageInfo"]["hasNextPage"], true);
    assert_eq!(before["pageInfo"]["hasPreviousPage"], true);
}

async fn members_are_counted_only_if_that_is_asked_for(engine: Engine) {
    let (gateway, token) = five_members(engine).await;
    let cost = async |fields: &str| {
        let before = gateway.statements();
        let query =
            format!("{{ organization(by: {{id: 7}}) {{ members(first: 1) {{ {fields} }} }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        (
            gateway.statements() - before,
            answer["data"]["organization"]["members"]["totalCount"].clone(),
        )
    };
    cost("nodes { id }").await;
    let (without, _) = cost("nodes { id }").await;
    let (with, count) = cost("nodes { id } totalCount").await;
    assert_eq!((with, count), (without + 1, json!(5)));
}

async fn sizes_and_cursors_of_pages_of_members_are_checked(engine: Engine) {
    let (gateway, token) = five_members(engine).await;
    let users =
        "{ users(filter: {ids: [1]}, orderBy: {field: USERNAME}) { pageInfo { endCursor } } }";
    let answer = gateway.ask(&token, users).await;
    let foreign = format!(
        "after: {}",
        answer["data"]["users"]["pageInfo"]["endCursor"]
    );
    for (arguments, expected) in [
        ("first: 500", "executed: "),
        ("first: 501", "executed: BAD_USER_INPUT at first"),
        ("last: -1", "executed: BAD_USER_INPUT at last"),
        ("first: 1, last: 1", "executed: BAD_USER_INPUT at last"),
        ("after: \"x\"", "executed: BAD_USER_INPUT at after"),
        ("before: \"\"", "executed: BAD_USER_INPUT at before"),
        (&foreign, "executed: BAD_USER_INPUT at after"),
        ("first: 0", "executed: "),
    ] {
        let query = format!(
            "{{ organization(by: {{id: 7}}) {{ members({arguments}) {{ nodes {{ id }} }} }} }}"
        );
        assert_eq!(
            outcome(&gateway.ask(&token, &query).await),
            expected,
            "{arguments}"
        );
    }
}
