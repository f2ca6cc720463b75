//! The budget of a request: it is stopped at the limits on its cost and on the bytes of its answers, with
//! plans and with the engine.

use serde_json::{Value, json};
use user_gateway::config::Limits;
use user_gateway::domain::{OrganizationId, UserId};

use super::{aliases, codes, outcome};
use crate::harness::{Engine, Gateway};

on_each_engine! {
    an_answer_has_so_many_bytes
    objects_count_as_they_turn_out_to_be
    a_mutation_that_costs_too_much_stops_those_after_it
    the_operations_of_a_batch_share_a_budget
    searches_and_counts_have_their_price
    a_statement_beyond_the_cost_ends_the_operation
    option_values_are_charged_when_read_and_before_more_are_read
    errors_that_the_engine_keeps_are_charged
}

/// Whether plans run operations.
const EXECUTORS: [bool; 2] = [true, false];

/// A gateway over an empty database with these limits, whose operations are run by plans or not.
async fn gateway(engine: Engine, plans: bool, adjust: impl FnOnce(&mut Limits)) -> Gateway {
    Gateway::with(engine, |config| {
        config.graphql.plans = plans;
        config.limits.aliases = 100;
        adjust(&mut config.limits);
    })
    .await
}

/// Asserts that an operation was stopped with this code and a text that names the bound.
#[track_caller]
fn assert_stopped(answer: &Value, code: &str, bound: &str) {
    assert_eq!(outcome(answer), format!("executed: {code}"));
    assert_eq!(answer["data"], Value::Null);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains(bound), "{message}");
}

/// `ada`, user 1, with five options of a thousand bytes.
async fn ada_with_options(gateway: &Gateway) -> String {
    let ada = gateway.database.add_user("ada").await;
    for i in 0..5 {
        let value = json!("x".repeat(998)).to_string();
        let key = format!("key{i}");
        let database = &gateway.database;
        database.add_option(ada, (None, None), &key, &value).await;
    }
    gateway.user_token(ada, &[]).await
}

async fn an_answer_has_so_many_bytes(engine: Engine) {
    for plans in EXECUTORS {
        let gateway = gateway(engine, plans, |limits| limits.response_bytes = 20_000).await;
        let token = ada_with_options(&gateway).await;
        let values = |count: usize| aliases(count, "value");
        let places = |values: &str| {
            [
                format!("{{ viewer {{ user {{ options {{ {values} }} }} }} }}"),
                format!(
                    "{{ users(filter: {{ids: [1]}}) {{ nodes {{ options {{ {values} }} }} }} }}"
                ),
                format!(
                    "{{ users(filter: {{ids: [1]}}) {{ edges {{ node {{ options {{ {values} }} }} }} }} }}"
                ),
                format!(
                    "{{ nodes(ids: [\"User:1\"]) {{ ... on User {{ options {{ {values} }} }} }} }}"
                ),
                format!("{{ userOptions(filter: {{userIds: [1]}}) {{ {values} }} }}"),
            ]
        };
        for query in places(&values(3)) {
            let answer = gateway.ask(&token, &query).await;
            assert_eq!(outcome(&answer), "executed: ", "{query}");
        }
        for query in places(&values(5)) {
            let answer = gateway.ask(&token, &query).await;
            assert_stopped(&answer, "RESPONSE_LIMIT_EXCEEDED", "20000");
        }
        // Many small answers are long, too.
        let option = aliases(25, "option(key: \"key1\")");
        let query = format!("{{ viewer {{ user {{ {option} }} }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert_stopped(&answer, "RESPONSE_LIMIT_EXCEEDED", "20000");
        // Errors count.
        let bob = gateway.database.add_user("bob").await;
        gateway.database.add_organization(1, "us", Some(0)).await;
        for user in [UserId(1), bob] {
            gateway.database.join(user, OrganizationId(1)).await;
        }
        let email = aliases(90, "email");
        let query = format!(
            "{{ a: user(id: 2) {{ {email} }} b: node(id: \"User:2\") {{ ... on User {{ id }} }} }}"
        );
        let answer = gateway.ask(&token, &query).await;
        assert!(!codes(&answer).is_empty(), "{answer}");
        assert!(serde_json::to_vec(&answer).unwrap().len() < 20_500);
    }
}

/// Ten users, `ada` among them, who are all members of all of fifteen organizations.
async fn crowd(gateway: &Gateway) -> String {
    let database = &gateway.database;
    for id in 1..=15 {
        database.add_organization(id, "us", Some(0)).await;
    }
    for i in 0..10 {
        let user = database.add_user(&format!("user{i}")).await;
        for id in 1..=15 {
            database.join(user, OrganizationId(id)).await;
        }
    }
    gateway.user_token(UserId(1), &[]).await
}

async fn objects_count_as_they_turn_out_to_be(engine: Engine) {
    for plans in EXECUTORS {
        // As many as are assumed beforehand would be fewer.
        let gateway = gateway(engine, plans, |limits| limits.cost = 2_000).await;
        let token = crowd(&gateway).await;
        let deep = "members(first: 10) { nodes { organizations { id } } }";
        for query in [
            format!("{{ organizations(userId: 1) {{ {deep} }} }}"),
            format!("{{ viewer {{ user {{ organizations {{ {deep} }} }} }} }}"),
            format!(
                "{{ node(id: \"User:1\") {{ ... on User {{ organizations {{ {deep} }} }} }} }}"
            ),
        ] {
            let answer = gateway.ask(&token, &query).await;
            assert_stopped(&answer, "COST_LIMIT_EXCEEDED", "2000");
        }
        // Lists beneath which nothing is read count as they are written.
        let same = aliases(5, "nodes { id }");
        let query = format!("{{ organizations(userId: 1) {{ members(first: 10) {{ {same} }} }} }}");
        let within = query.replace("a4: nodes { id }", "");
        let answer = gateway.ask(&token, &within).await;
        assert_eq!(outcome(&answer), "executed: ");
        let more = aliases(14, "nodes { id }");
        let query = query.replace(&same, &more);
        let answer = gateway.ask(&token, &query).await;
        assert_stopped(&answer, "COST_LIMIT_EXCEEDED", "2000");
    }
}

async fn a_mutation_that_costs_too_much_stops_those_after_it(engine: Engine) {
    for plans in EXECUTORS {
        let gateway = gateway(engine, plans, |limits| limits.cost = 2_000).await;
        let token = crowd(&gateway).await;
        let set = |key: &str, selected: &str| {
            format!(
                "{key}: setUserOption(input: {{userId: 1, key: \"{key}\", value: 1}}) {{ {selected} }}"
            )
        };
        let deep = "option { user { organizations { members(first: 10) { nodes { organizations { id } } } } } }";
        let query = format!(
            "mutation {{ {} {} }}",
            set("first", deep),
            set("second", "changed")
        );
        let answer = gateway.ask(&token, &query).await;
        assert_stopped(&answer, "COST_LIMIT_EXCEEDED", "2000");
        let stored = gateway
            .database
            .rows("SELECT key FROM sentry_useroption")
            .await;
        assert_eq!(stored, [json!({ "key": "first" })]);
        // In a batch the operations after it are not carried out either.
        let batch = json!([
            { "query": format!("mutation {{ {} }}", set("third", deep)) },
            { "query": format!("mutation {{ {} }}", set("fourth", "changed")) },
        ]);
        let answers: Value = gateway.post(&token, &batch).await.json().await.unwrap();
        for i in 0..2 {
            assert_stopped(&answers[i], "COST_LIMIT_EXCEEDED", "2000");
        }
        let count = "sentry_useroption WHERE key = 'fourth'";
        assert_eq!(gateway.database.count(count).await, 0);
    }
}

async fn the_operations_of_a_batch_share_a_budget(engine: Engine) {
    for plans in EXECUTORS {
        let gateway = gateway(engine, plans, |limits| limits.response_bytes = 20_000).await;
        let token = ada_with_options(&gateway).await;
        let values = aliases(2, "value");
        let query = format!("{{ viewer {{ user {{ options {{ {values} }} }} }} }}");
        let batch = |size: usize| json!(vec![json!({ "query": query }); size]);
        let answers: Value = gateway.post(&token, &batch(1)).await.json().await.unwrap();
        assert_eq!(outcome(&answers[0]), "executed: ");
        let text = gateway.post(&token, &batch(5)).await.text().await.unwrap();
        assert!(text.len() < 22_000, "{}", text.len());
        let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(answers.len(), 5);
        let stopped = answers.iter().filter(|answer| answer["data"].is_null());
        let stopped: Vec<_> = stopped.collect();
        assert!(stopped.len() >= 3, "{}", stopped.len());
        for answer in stopped {
            assert_stopped(answer, "RESPONSE_LIMIT_EXCEEDED", "20000");
        }
    }
}

async fn searches_and_counts_have_their_price(engine: Engine) {
    for plans in EXECUTORS {
        let gateway = gateway(engine, plans, |_| {}).await;
        let token = crowd(&gateway).await;
        let search = "users(filter: {organizationId: 1, isActive: true}, first: 1) { totalCount }";
        let asked = async |body: &Value| {
            let before = gateway.statements();
            let response = gateway.post(&token, body).await;
            let answer: Value = response.json().await.unwrap();
            (answer, gateway.statements() - before)
        };
        asked(&json!({ "query": "{ __typename }" })).await;
        // An operation that asks for more of them than it may is refused before it begins.
        let many = aliases(60, search);
        let (answer, statements) = asked(&json!({ "query": format!("{{ {many} }}") })).await;
        assert_eq!(outcome(&answer), "COST_LIMIT_EXCEEDED");
        assert_eq!(statements, 0);
        // Several of which each is allowed are stopped together.
        let few = json!({ "query": format!("{{ {} }}", aliases(20, search)) });
        let (answers, statements) = asked(&json!(vec![few; 10])).await;
        let stopped = answers.as_array().unwrap().iter();
        let stopped = stopped.filter(|answer| codes(answer) == ["COST_LIMIT_EXCEEDED"]);
        assert!(stopped.count() > 0);
        // Each looks how large the organization is, and counts.
        assert!(statements <= 2 * 81, "{statements}");
        // Each place of a count has it.
        let counts = aliases(100, "members(first: 1) { totalCount }");
        let query = format!("{{ organization(by: {{id: 1}}) {{ {counts} }} }}");
        let (answer, statements) = asked(&json!({ "query": query })).await;
        assert_eq!(outcome(&answer), "COST_LIMIT_EXCEEDED");
        assert_eq!(statements, 0);
    }
}

/// A statement beyond the cost is never made, so nothing wakes its waiters.
async fn a_statement_beyond_the_cost_ends_the_operation(engine: Engine) {
    let gateway = gateway(engine, true, |_| {}).await;
    let ada = gateway.database.add_user("ada").await;
    for id in 1..=45 {
        gateway.database.add_organization(id, "us", Some(0)).await;
        gateway.database.join(ada, OrganizationId(id)).await;
    }
    let token = gateway.user_token(ada, &[]).await;
    let query = "{ viewer { user { organizations { members(first: 1) { nodes { id } } } } } }";
    // Everything before the members costs 67; the estimate is 62.
    for cost in [64, 67, 70, 76, 79] {
        for plans in EXECUTORS {
            let beside = gateway
                .beside(|config| {
                    config.graphql.plans = plans;
                    config.limits.cost = cost;
                })
                .await;
            let body = json!({ "query": query });
            let answer: Value = beside.post(&token, &body).await.json().await.unwrap();
            assert_stopped(&answer, "COST_LIMIT_EXCEEDED", &cost.to_string());
        }
    }
}

async fn option_values_are_charged_when_read_and_before_more_are_read(engine: Engine) {
    let start = gateway(engine, true, |_| {}).await;
    let value = json!("x".repeat(998)).to_string();
    for i in 1..=120 {
        let user = start.database.add_user(&format!("user{i}")).await;
        let database = &start.database;
        database.add_option(user, (None, None), "k", &value).await;
    }
    let token = start
        .service_token("tests", &["user:read", "user:admin"])
        .await;
    let ids: Vec<i64> = (1..=120).rev().collect();
    let of_users = format!("{{ userOptions(filter: {{userIds: {ids:?}}}) {{ id }} }}");
    let places = [
        "{ users(first: 120) { nodes { options { key } } } }",
        "{ users(first: 120) { nodes { option(key: \"none\") } } }",
        &of_users,
    ];
    for plans in EXECUTORS {
        for (bound, most, expected) in [
            (20_000, 2, "executed: RESPONSE_LIMIT_EXCEEDED"),
            (200_000, 4, "executed: "),
        ] {
            let beside = start
                .beside(|config| {
                    config.graphql.plans = plans;
                    config.limits.response_bytes = bound;
                })
                .await;
            for query in places {
                let body = json!({ "query": query });
                // Later requests find the credentials remembered.
                beside
                    .post(&token, &json!({ "query": "{ __typename }" }))
                    .await;
                let mut answer = Value::Null;
                let mut fewest = u64::MAX;
                // Tasks of the gateways may read between two counts, but not always.
                for _ in 0..5 {
                    let before = start.statements();
                    answer = beside.post(&token, &body).await.json().await.unwrap();
                    assert_eq!(outcome(&answer), expected, "{query:.60}");
                    fewest = fewest.min(start.statements() - before);
                }
                // The engine may read fewer at a time.
                assert!(!plans || fewest <= most, "{query:.60}: {fewest}");
                if let Some(options) = answer["data"]["userOptions"].as_array() {
                    let found = options.iter().map(|option| option["id"].as_str().unwrap());
                    let expected = (1..=120).map(|id| format!("UserOption:{id}"));
                    assert!(found.eq(expected), "{answer}");
                }
            }
        }
    }
}

async fn errors_that_the_engine_keeps_are_charged(engine: Engine) {
    for plans in EXECUTORS {
        let gateway = gateway(engine, plans, |limits| limits.response_bytes = 20_000).await;
        let [ada, bob] = gateway.database.add_users(["ada", "bob"]).await;
        gateway.database.add_organization(1, "us", Some(0)).await;
        for user in [ada, bob] {
            gateway.database.join(user, OrganizationId(1)).await;
        }
        let token = gateway.user_token(ada, &[]).await;
        for field in ["emails { email }", "email", "permissions"] {
            for (count, is_stopped) in [(50, false), (100, true)] {
                let fields = aliases(count, field);
                let query = format!("{{ user(id: 2) {{ id {fields} }} }}");
                let answer = gateway.ask(&token, &query).await;
                if is_stopped && !plans {
                    assert_stopped(&answer, "RESPONSE_LIMIT_EXCEEDED", "20000");
                } else {
                    // A plan keeps no more errors than it answers.
                    assert_eq!(codes(&answer)[0], "FORBIDDEN", "{answer}");
                    assert_eq!(codes(&answer).len(), 21);
                }
            }
        }
    }
}

/// Introspection multiplies, too, and the engine computes it without yielding.
#[tokio::test]
async fn introspection_is_charged() {
    let gateway = gateway(Engine::Sqlite, true, |limits| limits.cost = 2_000).await;
    gateway.database.add_user("ada").await;
    let token = gateway.user_token(UserId(1), &[]).await;
    let nested = |levels: usize| {
        let (open, close) = ("fields { type { ".repeat(levels), " } }".repeat(levels));
        format!("{{ __schema {{ types {{ {open}name{close} }} }} }}")
    };
    let answer = gateway.ask(&token, &nested(1)).await;
    assert_eq!(outcome(&answer), "executed: ");
    let many = aliases(25, "__schema { types { fields { type { name } } } }");
    let answer = gateway.ask(&token, &format!("{{ {many} }}")).await;
    assert_eq!(outcome(&answer), "COST_LIMIT_EXCEEDED");
}

/// The writer yields in the middle of long answers, without effect on them.
#[tokio::test]
async fn a_long_answer_is_the_same_however_often_writing_it_pauses() {
    let gateway = gateway(Engine::Sqlite, true, |_| {}).await;
    crowd(&gateway).await;
    let database = &gateway.database;
    for id in 1..=10 {
        for (key, value) in [("theme", "1"), ("broken", "gAJ9cQAu"), ("none", "null")] {
            let user = UserId(id);
            database.add_option(user, (None, None), key, value).await;
        }
        let deep = json!({ "a": [1, { "b": "x".repeat(8_000) }] }).to_string();
        let user = UserId(id);
        database.add_option(user, (None, None), "deep", &deep).await;
    }
    let engine = gateway.beside(|config| config.graphql.plans = false).await;
    let scopes = ["user:read", "user:admin", "org:read"];
    let service = gateway.service_token("tests", &scopes).await;
    let person = gateway.user_token(UserId(1), &[]).await;
    let fields = "id username emails { email } avatar { type } hasTwoFactor options { key value user { id } }
        organizations { slug members(first: 2) { totalCount edges { role node { id email } } } }";
    for query in [
        format!("{{ users(filter: {{organizationId: 1}}) {{ nodes {{ {fields} }} edges {{ cursor node {{ {fields} }} }} }} }}"),
        format!("{{ nodes(ids: [\"User:1\", \"User:99\", \"User:2\", \"Organization:1\", \"User:3\"]) {{
            ... on User {{ {fields} }} ... on Organization {{ members {{ nodes {{ {fields} }} }} }} }} }}"),
        format!("{{ {} }}", aliases(20, &format!("user(id: 1) {{ {fields} }}"))),
    ] {
        for token in [&service, &person] {
            let body = json!({ "query": query });
            let (one, two) = tokio::join!(gateway.post(token, &body), engine.post(token, &body));
            let (one, two) = (one.text().await.unwrap(), two.text().await.unwrap());
            // Others' options are private to the person.
            let is_long = one.len() > 128 * 1_024;
            assert!(is_long || *token == person, "{}: {query}", one.len());
            assert!(one == two, "{query}");
        }
    }
}
