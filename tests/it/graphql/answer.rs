//! The form of an answer: order, nulls, errors, what is left out, and what runs how often.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{ada, codes, outcome, service};
use crate::harness::{Engine, Gateway};

on_each_engine! {
    fields_stand_in_the_order_of_the_document
    fields_behind_an_interface_stand_in_the_order_of_its_fragments
    what_is_asked_for_twice_is_answered_once
    a_private_field_is_null_with_an_error_and_its_place
    a_null_where_none_may_be_takes_its_parent
    an_error_in_a_list_takes_no_more_than_it_must
    what_is_left_out_is_not_in_the_answer
    every_type_tells_its_name
    a_variable_without_a_value_is_as_if_its_place_were_not_there
    a_mutation_that_is_asked_for_twice_runs_once
    mutations_run_in_order
    a_mutation_that_fails_stops_none_of_the_others
}

/// The body of an answer as it came.
async fn raw(gateway: &Gateway, token: &str, query: &str, variables: Value) -> String {
    let body = json!({ "query": query, "variables": variables });
    gateway.post(token, &body).await.text().await.unwrap()
}

async fn fields_stand_in_the_order_of_the_document(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    // Fields that wait for the database stand before and after those that do not.
    let query = r#"query ($yes: Boolean = true) {
        last: viewer { scopes @skip(if: $yes) user { roles username } }
        user(id: 1) { options { key } name ...Parts email @include(if: $yes) id
            ... on User { emails { isVerified email } n: name } ... @include(if: $yes) { isStaff } databaseId }
        existingUsernames(usernames: ["ada"])
        __typename
    } fragment Parts on User { organizations { id } username ...More avatar { url type } }
    fragment More on User { hasTwoFactor isActive }"#;
    assert_eq!(
        raw(&gateway, &token, query, json!({})).await,
        concat!(
            r#"{"data":{"last":{"user":{"roles":[],"username":"ada"}},"#,
            r#""user":{"options":[],"name":"","organizations":[],"username":"ada","#,
            r#""hasTwoFactor":false,"isActive":true,"avatar":{"url":null,"type":"LETTER_AVATAR"},"#,
            r#""email":"ada@example.com","id":"User:1","#,
            r#""emails":[{"isVerified":true,"email":"ada@example.com"}],"n":"","isStaff":false,"#,
            r#""databaseId":"1"},"existingUsernames":["ada"],"__typename":"Query"}}"#,
        )
    );
}

async fn fields_behind_an_interface_stand_in_the_order_of_its_fragments(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let ada = gateway.database.add_user("ada").await;
    gateway
        .database
        .add_option(ada, (None, None), "k", r#"{"a":2,"b":1}"#)
        .await;
    let query = r#"{ nodes(ids: ["UserOption:1", "User:9", "User:1"]) {
        ... on User { roles username } ... on UserOption { value user { id name } key }
        ... on Node { i: id } ... on Organization { slug } __typename } }"#;
    assert_eq!(
        raw(&gateway, &token, query, json!({})).await,
        concat!(
            r#"{"data":{"nodes":[{"value":{"a":2,"b":1},"user":{"id":"User:1","name":""},"key":"k","#,
            r#""i":"UserOption:1","__typename":"UserOption"},null,"#,
            r#"{"roles":[],"username":"ada","i":"User:1","__typename":"User"}]}}"#,
        )
    );
}

async fn what_is_asked_for_twice_is_answered_once(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let query = "{ user(id: 1) { username emails { email } username } ...F user(id: 1) { emails { isVerified } } }
        fragment F on Query { user(id: 1) { name emails { databaseId } } }";
    assert_eq!(
        raw(&gateway, &token, query, json!({})).await,
        concat!(
            r#"{"data":{"user":{"username":"ada","emails":[{"email":"ada@example.com","databaseId":"1","#,
            r#""isVerified":true}],"name":""}}}"#
        )
    );
    let conflict = "{ user(id: 1) { x: username x: name } }";
    assert_eq!(
        outcome(&gateway.ask(&token, conflict).await),
        "GRAPHQL_VALIDATION_FAILED"
    );
    for conflict in [
        "{ user(id: 1) { id } user(id: 2) { id } }",
        "{ user(id: 1) { id } ... { user(id: 2) { id } } }",
        "{ user(id: 1) { id } ...F } fragment F on Query { user(id: 2) { id } }",
        "{ ... { user(id: 1) { x: name } } ... { user(id: 1) { x: username } } }",
        "{ node(id: \"User:1\") { x: id ... on User { x: name } } }",
    ] {
        let answer = gateway.ask(&token, conflict).await;
        assert_eq!(outcome(&answer), "GRAPHQL_VALIDATION_FAILED", "{conflict}");
    }
    let apart =
        "{ node(id: \"User:1\") { ... on User { x: name } ... on Organization { x: slug } } }";
    assert_eq!(
        raw(&gateway, &token, apart, json!({})).await,
        r#"{"data":{"node":{"x":""}}}"#
    );
}

/// `ada` and `bob`, who share an organization.
async fn colleagues(engine: Engine) -> (Gateway, String) {
    let (gateway, token) = ada(engine).await;
    let bob = gateway.database.add_user("bob").await;
    let organization = gateway.database.add_organization(1, "us", Some(0)).await;
    gateway.database.join(UserId(1), organization).await;
    gateway.database.join(bob, organization).await;
    (gateway, token)
}

async fn a_private_field_is_null_with_an_error_and_its_place(engine: Engine) {
    let (gateway, token) = colleagues(engine).await;
    let answer = gateway
        .ask(
            &token,
            "{ users(filter: {ids: [1, 2]}) { nodes { username mail: email } } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({
            "errors": [{
                "message": "this field is private to the user, to staff and to services with the scope `user:admin`",
                "locations": [{ "line": 1, "column": 51 }],
                "path": ["users", "nodes", 1, "mail"],
                "extensions": { "code": "FORBIDDEN" },
            }],
            "data": { "users": { "nodes": [
                { "username": "ada", "mail": "ada@example.com" },
                { "username": "bob", "mail": null },
            ] } },
        })
    );
}

async fn a_null_where_none_may_be_takes_its_parent(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    // `existingUsernames` may not be null, so nothing is left.
    let query =
        r#"{ viewer { scopes } existingUsernames(usernames: ["a"]) users { nodes { id } } }"#;
    let answer = gateway.ask(&token, query).await;
    assert_eq!(codes(&answer), ["FORBIDDEN"]);
    assert_eq!(answer["errors"][0]["path"], json!(["users"]));
    assert_eq!(answer.get("data"), Some(&Value::Null));
    // `User.organizations` may not be null either, but the user may.
    let narrow = gateway.user_token(UserId(1), &["user:read"]).await;
    let query = "{ viewer { service } user(id: 1) { username organizations { id } } }";
    let answer = gateway.ask(&narrow, query).await;
    assert_eq!(codes(&answer), ["FORBIDDEN"]);
    assert_eq!(
        answer["errors"][0]["path"],
        json!(["user", "organizations"])
    );
    assert_eq!(
        answer["data"],
        json!({ "viewer": { "service": null }, "user": null })
    );
}

async fn an_error_in_a_list_takes_no_more_than_it_must(engine: Engine) {
    let (gateway, token) = colleagues(engine).await;
    let narrow = gateway.user_token(UserId(1), &["user:read"]).await;
    // Items of `nodes` of a connection may not be null, items of the root field `nodes` may.
    let query =
        r#"{ nodes(ids: ["User:1", "User:9"]) { id ... on User { organizations { id } } } }"#;
    let answer = gateway.ask(&narrow, query).await;
    assert_eq!(answer["data"], json!({ "nodes": [null, null] }));
    assert_eq!(
        answer["errors"][0]["path"],
        json!(["nodes", 0, "organizations"])
    );
    let query =
        "{ users(filter: {ids: [1]}) { nodes { organizations { id } } } viewer { service } }";
    let answer = gateway.ask(&narrow, query).await;
    assert_eq!(answer.get("data"), Some(&Value::Null));
    // Of fields that may be null each falls alone.
    let query = "{ users(filter: {ids: [2]}) { nodes { username email roles hasTwoFactor options { id } flags { newsletterConsentPrompt } } } }";
    let answer = gateway.ask(&token, query).await;
    assert_eq!(codes(&answer), ["FORBIDDEN"; 5]);
    assert_eq!(
        answer["data"]["users"]["nodes"],
        json!([{ "username": "bob", "email": null, "roles": null, "hasTwoFactor": null, "options": null, "flags": null }])
    );
}

async fn what_is_left_out_is_not_in_the_answer(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let query = "query ($no: Boolean! = false, $yes: Boolean! = true) { user(id: 1) {
        a: id @skip(if: $no) b: id @skip(if: $yes) c: id @include(if: $no) d: id @include(if: $yes)
        e: id @skip(if: $no) @include(if: $no) f: id @skip(if: $yes) @include(if: $yes)
        g: id @skip(if: $no) @include(if: $yes)
        ... @skip(if: $yes) { h: id } ...F @include(if: $no) ... on User @include(if: $yes) { i: id } } }
        fragment F on User { j: id }";
    let keys = async |variables: Value| {
        let answer = gateway.ask_with(&token, query, variables).await;
        let user = answer["data"]["user"].as_object().unwrap();
        user.keys().cloned().collect::<String>()
    };
    assert_eq!(keys(json!({})).await, "adgi");
    assert_eq!(keys(json!({ "no": true })).await, "cdij");
    assert_eq!(keys(json!({ "yes": false })).await, "abfh".replace('f', ""));
    let empty = json!({ "data": { "user": {} } });
    let answer = gateway
        .ask(&token, "{ user(id: 1) { id @skip(if: true) } }")
        .await;
    assert_eq!(answer, empty);
    let answer = gateway
        .ask(
            &token,
            "{ user(id: 1) { ... @include(if: false) { name email } } }",
        )
        .await;
    assert_eq!(answer, empty);
    for query in [
        "{ user(id: 1) @skip(if: true) { id } }",
        "{ ... @include(if: false) { user(id: 1) { id } } }",
    ] {
        assert_eq!(
            gateway.ask(&token, query).await,
            json!({ "data": {} }),
            "{query}"
        );
    }
    let answer = gateway
        .ask(&token, "mutation { updateUser(input: {userId: 1, name: \"x\"}) @skip(if: true) { user { id } } }")
        .await;
    assert_eq!(answer, json!({ "data": {} }));
    assert_eq!(
        gateway
            .database
            .count("auth_user WHERE first_name = 'x'")
            .await,
        0
    );
    for query in [
        "{ user(id: 1) { id @skip } }",
        "{ user(id: 1) { id @skip(if: null) } }",
        "{ user(id: 1) { id @skip(if: \"true\") } }",
        "{ user(id: 1) { id @skip(if: true) @skip(if: false) } }",
        "{ user(id: 1) { id @defer } }",
    ] {
        assert_eq!(
            outcome(&gateway.ask(&token, query).await),
            "GRAPHQL_VALIDATION_FAILED",
            "{query}"
        );
    }
}

async fn every_type_tells_its_name(engine: Engine) {
    let (gateway, token) = colleagues(engine).await;
    let answer = gateway
        .ask(
            &token,
            r#"{ __typename t: __typename viewer { __typename } node(id: "User:1") { __typename }
                users(filter: {ids: [1]}) { __typename pageInfo { __typename } edges { __typename } nodes { __typename } }
                organization(by: {id: 1}) { __typename flags { __typename } members(first: 1) { __typename edges { __typename } } }
                user(id: 1) { __typename avatar { __typename } emails { __typename } } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "__typename": "Query", "t": "Query", "viewer": { "__typename": "Viewer" },
            "node": { "__typename": "User" },
            "users": { "__typename": "UserConnection", "pageInfo": { "__typename": "PageInfo" },
                       "edges": [{ "__typename": "UserEdge" }], "nodes": [{ "__typename": "User" }] },
            "organization": { "__typename": "Organization", "flags": { "__typename": "OrganizationFlags" },
                "members": { "__typename": "OrganizationMemberConnection",
                             "edges": [{ "__typename": "OrganizationMemberEdge" }] } },
            "user": { "__typename": "User", "avatar": { "__typename": "Avatar" },
                      "emails": [{ "__typename": "UserEmail" }] },
        } })
    );
    let answer = gateway.ask(&token, "mutation { __typename }").await;
    assert_eq!(answer, json!({ "data": { "__typename": "Mutation" } }));
    // The name that the gateway asks for under is not the client's to see.
    let answer = gateway
        .ask(&token, r#"{ node(id: "User:1") { id } }"#)
        .await;
    assert_eq!(answer.to_string().matches("__").count(), 0);
}

async fn a_variable_without_a_value_is_as_if_its_place_were_not_there(engine: Engine) {
    let (gateway, token) = colleagues(engine).await;
    gateway
        .database
        .execute("UPDATE auth_user SET avatar_url = 'https://a.example/a.png'")
        .await;
    let ask = async |query: &str| {
        let mut answer = gateway.ask(&token, query).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer}");
        answer["data"].take()
    };
    // A default stays in force, and a condition that is not given is none.
    let both = json!({ "users": { "nodes": [{ "id": "User:1" }, { "id": "User:2" }] } });
    for query in [
        "query ($x: UserOrder) { users(filter: {ids: [1, 2]}, orderBy: $x) { nodes { id } } }",
        "query ($x: OrderDirection) { users(filter: {ids: [1, 2]}, orderBy: {field: ID, direction: $x}) { nodes { id } } }",
        "query ($x: [ID!], $y: Boolean, $z: String) { users(filter: {ids: $x, usernames: [\"ada\", \"bob\"], isActive: $y, query: $z}) { nodes { id } } }",
        "query ($x: Int, $y: String) { users(filter: {ids: [1, 2]}, first: $x, after: $y) { nodes { id } } }",
        "query ($x: [ID!]) { ...F } fragment F on Query { users(filter: {ids: $x, organizationId: 1}) { nodes { id } } }",
        "query A($x: [ID!]) { ...F } fragment F on Query { users(filter: {ids: $x, organizationId: 1}) { nodes { id } } }",
    ] {
        assert_eq!(ask(query).await, both, "{query}");
    }
    // What is not given is not changed.
    let query = "mutation ($name: String, $url: String) {
        updateUser(input: {userId: 1, name: $name, avatarUrl: $url}) { user { avatar { url } } } }";
    let url =
        json!({ "updateUser": { "user": { "avatar": { "url": "https://a.example/a.png" } } } });
    assert_eq!(ask(query).await, url);
    let query = r#"mutation ($v: JSON) { setUserOption(input: {userId: 1, key: "k", value: $v}) {
        errors { code path } } }"#;
    let required = json!([{ "code": "REQUIRED", "path": ["input", "value"] }]);
    assert_eq!(ask(query).await["setUserOption"]["errors"], required);
    let query = r#"mutation ($v: Int) { setUserOption(input: {userId: 1, key: "k", value: {a: $v, b: [$v]}}) {
        option { value } } }"#;
    assert_eq!(
        ask(query).await["setUserOption"]["option"]["value"],
        json!({ "b": [null] })
    );
    // What must be given is missing.
    for query in [
        "query ($x: ID) { user(id: $x) { id } }",
        "query ($x: ID) { organization(by: {id: $x}) { id } }",
        "query ($x: [ID!]) { userOptions(filter: {userIds: $x}) { key } }",
        "query ($x: Boolean) { viewer { service @skip(if: $x) } }",
        "mutation ($x: ID) { updateUser(input: {userId: $x, name: \"x\"}) { user { id } } }",
        "query ($x: ID) { __typename }",
    ] {
        let answer = gateway.ask(&token, query).await;
        assert_eq!(
            outcome(&answer),
            "GRAPHQL_VALIDATION_FAILED",
            "{query}\n{answer}"
        );
    }
    assert_eq!(
        gateway
            .database
            .count("auth_user WHERE first_name = 'x'")
            .await,
        0
    );
}

async fn a_mutation_that_is_asked_for_twice_runs_once(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let cost = async |query: &str| {
        let before = gateway.statements();
        let answer = gateway.ask(&token, query).await;
        assert_eq!(answer["data"]["a"]["changed"], true, "{query}\n{answer}");
        assert_eq!(
            answer["data"]["a"]["option"]["value"], 1,
            "{query}\n{answer}"
        );
        gateway.statements() - before
    };
    let field = |key: &str, directive: &str, fields: &str| {
        format!(
            "a: setUserOption(input: {{userId: 1, key: \"{key}\", value: 1}}) {directive} {{ {fields} }}"
        )
    };
    let once = format!(
        "mutation {{ {} }}",
        field("once", "", "changed option { value }")
    );
    let once = cost(&once).await;
    for (i, template) in [
        "mutation { A B }",
        "mutation { A B A B }",
        "mutation { A ... on Mutation { B } }",
        "mutation { ... { A } ... { B } }",
        "mutation { ...F B } fragment F on Mutation { A }",
        "mutation { ...F ...F } fragment F on Mutation { A B }",
        "mutation { ...F } fragment F on Mutation { A ...G } fragment G on Mutation { B }",
        "mutation ($yes: Boolean! = true) { A ... @include(if: $yes) { B } }",
        "mutation { A B @include(if: true) }",
        "mutation ($no: Boolean! = false) { A @skip(if: $no) B @include(if: true) }",
        "mutation { A B ... @skip(if: true) { A } }",
    ]
    .into_iter()
    .enumerate()
    {
        let mut query = template.to_owned();
        for (name, fields) in [("A", "changed"), ("B", "option { value }")] {
            for directive in ["@include(if: true) ", "@skip(if: $no) ", ""] {
                let asked = field(&format!("k{i}"), directive, fields);
                query = query.replace(&format!(" {name} {directive}"), &format!(" {asked} "));
            }
        }
        assert_eq!(cost(&query).await, once, "{query}");
    }
}

async fn mutations_run_in_order(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let query = r#"mutation {
        d: setUserOption(input: {userId: 1, key: "k", value: 1}) { changed option { value } }
        a: setUserOption(input: {userId: 1, key: "k", value: 2}) { changed option { value } }
        ...F
        c: setUserOption(input: {userId: 1, key: "k", value: 2}) { changed option { value } }
        e: deleteUserOptions(input: {userId: 1, keys: ["k"]}) { deletedIds }
    } fragment F on Mutation { b: setUserOption(input: {userId: 1, key: "k", value: 1}) { changed option { value } } }"#;
    assert_eq!(
        raw(&gateway, &token, query, json!({})).await,
        concat!(
            r#"{"data":{"d":{"changed":true,"option":{"value":1}},"a":{"changed":true,"option":{"value":2}},"#,
            r#""b":{"changed":true,"option":{"value":1}},"c":{"changed":true,"option":{"value":2}},"#,
            r#""e":{"deletedIds":["UserOption:1"]}}}"#
        )
    );
}

async fn a_mutation_that_fails_stops_none_of_the_others(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let query = r#"mutation {
        a: setUserOption(input: {userId: 1, key: "a", value: 1}) { changed }
        b: setUserOption(input: {userId: 9, key: "b", value: 1}) { changed }
        c: setUserOption(input: {userId: 1, key: "c", value: 1}) { changed } }"#;
    let answer = gateway.ask(&token, query).await;
    assert_eq!(codes(&answer), ["FORBIDDEN"]);
    assert_eq!(answer["errors"][0]["path"], json!(["b"]));
    assert_eq!(answer.get("data"), Some(&Value::Null));
    // Their payloads may not be null, so the answer is; what was done is done all the same.
    let keys = gateway
        .ask(&token, "{ user(id: 1) { options { key } } }")
        .await;
    assert_eq!(
        keys["data"]["user"]["options"],
        json!([{ "key": "a" }, { "key": "c" }])
    );
}
