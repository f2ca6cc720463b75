//! The number of statements of a request: one for each level of a query, unless that would return very
//! many rows or the options of more than 50 users.

use serde_json::json;
use user_gateway::domain::{OrganizationId, UserId};

use crate::harness::{Engine, Gateway};

on_each_engine! {
    users_with_organizations_and_options_cost_three_statements
    a_screen_costs_one_statement_for_each_level
    equal_look_ups_share_a_statement
    nodes_cost_one_statement_for_each_type
    what_is_not_asked_for_costs_nothing
    parts_of_users_cost_one_statement_each
    a_level_that_may_return_very_many_rows_takes_several_statements
}

/// How many statements a query costs once it is known who asks.
async fn cost(gateway: &Gateway, token: &str, query: &str) -> u64 {
    let asked = async |query: &str| {
        let before = gateway.statements();
        let answer = gateway.ask(token, query).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        gateway.statements() - before
    };
    asked("{ __typename }").await;
    asked(query).await
}

/// This many users, each in one of ten organizations and with two options.
async fn crowd(gateway: &Gateway, size: i64) -> Vec<UserId> {
    let database = &gateway.database;
    for id in 1..=10 {
        database.add_organization(id, "us", Some(0)).await;
    }
    let mut ids = Vec::new();
    for i in 0..size {
        let id = database.add_user(&format!("user{i}")).await;
        database.join(id, OrganizationId(i % 10 + 1)).await;
        database.add_option(id, (None, None), "theme", "1").await;
        ids.push(id);
    }
    ids
}

async fn users_with_organizations_and_options_cost_three_statements(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    let ids = crowd(&gateway, 500).await;
    let scopes = ["user:read", "user:admin", "org:read"];
    let service = gateway.service_token("tests", &scopes).await;
    let person = gateway.user_token(ids[0], &[]).await;
    gateway
        .database
        .execute("UPDATE auth_user SET is_staff = true WHERE id = 500")
        .await;
    let staff = gateway.user_token(ids[499], &[]).await;
    for count in [1, 50, 500] {
        let numbers: Vec<_> = ids[..count].iter().map(|id| format!("User:{id}")).collect();
        let fields = "id username organizations { slug } options { key value }";
        let page = format!(
            "{{ users(first: 500, filter: {{ids: {}}}) {{ nodes {{ {fields} }} }} }}",
            json!(numbers)
        );
        let nodes = format!(
            "{{ nodes(ids: {}) {{ ... on User {{ {fields} }} }} }}",
            json!(numbers)
        );
        // The options of 50 users are read at a time.
        let expected = 2 + u64::try_from(count.div_ceil(50)).unwrap();
        for token in [&service, &staff] {
            let page = cost(&gateway, token, &page).await;
            assert_eq!(page, expected, "a page of {count}");
            let nodes = cost(&gateway, token, &nodes).await;
            assert_eq!(nodes, expected, "{count} nodes");
        }
        // Whoever does not see everybody pays for finding out whom they see, once: which of the
        // organizations are shared, and for nodes who is a colleague.
        let public = page.replace("options { key value }", "");
        let more = u64::from(count > 1);
        assert_eq!(
            cost(&gateway, &person, &public).await,
            2 + more,
            "a page of {count}"
        );
        let public = nodes.replace("options { key value }", "");
        assert_eq!(
            cost(&gateway, &person, &public).await,
            2 + 2 * more,
            "{count} nodes"
        );
    }
}

async fn a_screen_costs_one_statement_for_each_level(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    let ids = crowd(&gateway, 50).await;
    let scopes = ["user:read", "user:admin", "org:read"];
    let token = gateway.service_token("tests", &scopes).await;
    let screen = "{ users(first: 20) { nodes { organizations { slug members(first: 20) {
        nodes { username options { key value } } } } } } }";
    assert_eq!(cost(&gateway, &token, screen).await, 4);
    let deeper =
        "{ users(first: 5) { nodes { organizations { members(first: 5) { totalCount edges { node {
        avatar { type } organizations(onlyVisible: true) { slug } } } } } } } }";
    // Users, organizations, members, their number, pictures, visible organizations.
    assert_eq!(cost(&gateway, &token, deeper).await, 6);
    let person = gateway.user_token(ids[0], &[]).await;
    let own =
        "{ viewer { user { organizations { slug members(first: 20) { nodes { username } } } } } }";
    assert_eq!(cost(&gateway, &person, own).await, 4);
}

async fn equal_look_ups_share_a_statement(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    crowd(&gateway, 20).await;
    let scopes = ["user:read", "user:admin", "org:read"];
    let token = gateway.service_token("tests", &scopes).await;
    for (query, expected) in [
        (
            "{ a: user(id: 1) { id } b: user(id: 2) { id } c: user(id: \"User:1\") { id } d: user(id: 99) { id } }",
            1,
        ),
        (
            "{ a: organization(by: {id: 1}) { id } b: organization(by: {id: 2}) { id } node(id: \"Organization:3\") { id } }",
            1,
        ),
        (
            "{ a: user(id: 1) { options { key } } b: user(id: 2) { option(key: \"theme\") x: option(key: \"x\") } }",
            2,
        ),
        (
            "{ a: user(id: 1) { emails { email } } b: user(id: 2) { emails { isVerified } } }",
            2,
        ),
        (
            "{ a: user(id: 1) { hasTwoFactor authenticators { kind } } }",
            2,
        ),
        ("{ a: user(id: 1) { roles permissions } }", 3),
        (
            "{ user(id: 1) { organizations { id } } organizations(userId: 1) { id } }",
            2,
        ),
        // Pages of different shapes are different look-ups.
        (
            "{ a: organization(by: {id: 1}) { x: members(first: 1) { nodes { id } } y: members(first: 2) { nodes { id } } } }",
            3,
        ),
        (
            "{ userOptions(filter: {userIds: [1]}) { user { username } organization { id } } }",
            2,
        ),
        (
            "{ users(first: 5) { nodes { id } edges { node { username } } pageInfo { hasNextPage } } }",
            1,
        ),
    ] {
        assert_eq!(cost(&gateway, &token, query).await, expected, "{query}");
    }
}

async fn nodes_cost_one_statement_for_each_type(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    crowd(&gateway, 20).await;
    let scopes = ["user:read", "user:admin", "org:read"];
    let token = gateway.service_token("tests", &scopes).await;
    let ids: Vec<_> = (1..=20)
        .flat_map(|i| {
            [
                format!("User:{i}"),
                format!("Organization:{i}"),
                format!("UserOption:{i}"),
            ]
        })
        .collect();
    let query = format!(
        "{{ nodes(ids: {}) {{ id ... on User {{ username }} ... on UserOption {{ key }} }} }}",
        json!(ids)
    );
    assert_eq!(cost(&gateway, &token, &query).await, 3);
    assert_eq!(cost(&gateway, &token, "{ nodes(ids: []) { id } }").await, 0);
}

async fn what_is_not_asked_for_costs_nothing(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    crowd(&gateway, 5).await;
    let token = gateway
        .service_token("tests", &["user:read", "user:admin"])
        .await;
    for (query, expected) in [
        ("{ viewer { service scopes capabilities } }", 0),
        ("{ existingUsernames(usernames: []) }", 0),
        ("{ users { __typename } }", 1),
        (
            "{ user(id: 1) { id username name displayName isActive email flags { newsletterConsentPrompt } dateJoined } }",
            1,
        ),
        (
            "{ user(id: 1) { id emails @skip(if: true) { email } ... @include(if: false) { roles } } }",
            1,
        ),
        ("{ user(id: 1) @skip(if: true) { id } }", 0),
    ] {
        assert_eq!(cost(&gateway, &token, query).await, expected, "{query}");
    }
}

async fn parts_of_users_cost_one_statement_each(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    crowd(&gateway, 50).await;
    let scopes = ["user:read", "user:admin", "org:read"];
    let token = gateway.service_token("tests", &scopes).await;
    for part in [
        "avatar { type }",
        "emails { email }",
        "identities { ident }",
        "authenticators { kind }",
        "hasTwoFactor",
        "roles",
        "options { key }",
        "option(key: \"theme\")",
        "organizations { id }",
    ] {
        let query = format!("{{ users {{ nodes {{ id {part} }} }} }}");
        assert_eq!(cost(&gateway, &token, &query).await, 2, "{part}");
    }
    let all = "{ users { nodes { avatar { type } emails { email } identities { ident } authenticators { kind }
        hasTwoFactor roles permissions options { key } option(key: \"x\") organizations { id } } } }";
    assert_eq!(cost(&gateway, &token, all).await, 9);
}

async fn a_level_that_may_return_very_many_rows_takes_several_statements(engine: Engine) {
    let gateway = Gateway::start(engine).await;
    let ada = gateway.database.add_user("ada").await;
    for id in 1..=45 {
        gateway.database.add_organization(id, "us", Some(0)).await;
        gateway.database.join(ada, OrganizationId(id)).await;
    }
    let token = gateway
        .service_token("tests", &["user:read", "user:admin", "org:read"])
        .await;
    let query = |page: usize| {
        format!("{{ organizations(userId: 1) {{ members(first: {page}) {{ nodes {{ id }} }} }} }}")
    };
    let least = cost(&gateway, &token, &query(1)).await;
    // So many members of 45 organizations are 5,000 rows, and some more.
    for (page, more) in [(111, 0), (112, 1), (500, 4)] {
        let told = cost(&gateway, &token, &query(page)).await;
        assert_eq!(told, least + more, "{page}");
    }
    let both = "{ organizations(userId: 1) { a: members(first: 1) { nodes { id } } \
         b: members(first: 500) { nodes { id } } } }";
    assert_eq!(cost(&gateway, &token, both).await, least + 5);
}
