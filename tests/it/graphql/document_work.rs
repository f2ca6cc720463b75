//! The work of checking a document, and the errors about it, are bounded for every document.

use std::fmt::Write as _;

use serde_json::{Value, json};
use user_gateway::config::{Config, Limits};
use user_gateway::domain::UserId;

use super::{codes, outcome};
use crate::harness::{Engine, Gateway};

/// So many texts, which are told their numbers, one after the other.
fn numbered(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect::<Vec<_>>().concat()
}

/// A gateway that a test adjusts, and the token of its only user.
async fn adjusted(adjust: impl FnOnce(&mut Config)) -> (Gateway, String) {
    let gateway = Gateway::with(Engine::Sqlite, adjust).await;
    gateway.database.add_user("ada").await;
    let token = gateway.user_token(UserId(1), &[]).await;
    (gateway, token)
}

async fn limited(adjust: impl FnOnce(&mut Limits)) -> (Gateway, String) {
    adjusted(|config| adjust(&mut config.limits)).await
}

/// Fragments each of which spreads the next twice, and the last `end`.
fn doubling(head: &str, on: &str, end: &str) -> String {
    const LEVELS: usize = 45;
    let mut text = head.to_owned();
    for level in 0..LEVELS {
        let next = level + 1;
        write!(
            text,
            " fragment F{level} on {on} {{ ...F{next} ...F{next} }}"
        )
        .unwrap();
    }
    write!(text, " fragment F{LEVELS} on {on} {{ {end} }}").unwrap();
    text
}

#[tokio::test]
async fn fragments_that_double_and_lead_nowhere_are_refused_beside_others_requests() {
    let (gateway, token) = limited(|_| {}).await;
    for (head, on) in [
        ("{ ...F0 }", "Query"),
        ("{ viewer { user { ...F0 } } }", "User"),
        ("{ node(id: 1) { ...F0 } }", "Node"),
        ("{ __schema { ...F0 } }", "__Schema"),
        ("{ __type(name: \"User\") { ...F0 } }", "__Type"),
        ("subscription { ...F0 }", "Subscription"),
        ("mutation { ...F0 }", "Mutation"),
        // Nothing spreads them.
        ("{ __typename }", "Query"),
    ] {
        for end in ["...U", "...F0", "...F20", "... { ...U }", "a { ...U }"] {
            let query = doubling(head, on, end);
            let ask = || gateway.ask(&token, &query);
            let (one, two, three, four, other) = tokio::join!(
                ask(),
                ask(),
                ask(),
                ask(),
                gateway.ask(&token, "{ __typename }")
            );
            assert_eq!(other, json!({ "data": { "__typename": "Query" } }));
            for answer in [one, two, three, four] {
                let codes = codes(&answer);
                assert_eq!(
                    codes[0], "GRAPHQL_VALIDATION_FAILED",
                    "{head} {end} {answer}"
                );
                assert!(codes.len() <= 21, "{}", codes.len());
                assert!(answer["errors"][0]["locations"].is_array(), "{answer}");
            }
        }
    }
    let answer = gateway.ask(&token, "{ __typename ...U }").await;
    let error = &answer["errors"][0];
    assert_eq!(error["locations"], json!([{ "line": 1, "column": 14 }]));
    assert!(error["message"].as_str().unwrap().contains("`U`"));
}

#[tokio::test]
async fn the_bytes_of_a_document_are_limited_whatever_they_contain() {
    let (gateway, token) = limited(|_| {}).await;
    let bound = 131_072;
    // The second and the third form are parsed by the engine.
    for (before, after) in [
        ("{ __typename } ", ""),
        ("{ __typename } #", ""),
        ("{ viewer { user { option(key: \"\\u0041", "\") } } }"),
        (
            "mutation { setUserOption(input: {userId: 2, key: \"k\", value: \"",
            "\"}) { changed } }",
        ),
    ] {
        let filler = if after.is_empty() { " " } else { "x" };
        let rest = bound - before.len() - after.len();
        let query = |filled: usize| format!("{before}{}{after}", filler.repeat(filled));
        let (within, beyond) = (query(rest), query(rest + 1));
        let answer = gateway.ask(&token, &within).await;
        assert!(outcome(&answer).starts_with("executed: "), "{before}");
        let answer = gateway.ask(&token, &beyond).await;
        assert_eq!(outcome(&answer), "DOCUMENT_TOO_LARGE", "{before}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("131072"), "{message}");
        assert!(message.contains("variables"), "{message}");
        let told = batch(&gateway, &token, &[&beyond, "{ __typename }"]).await;
        assert_eq!(told, ["DOCUMENT_TOO_LARGE", "executed: "]);
    }
    // Values of variables do not count.
    let body = json!({
        "query": "query ($v: String!) { viewer { user { option(key: $v) } } }",
        "variables": { "v": "x".repeat(500_000) },
    });
    let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
    assert_eq!(outcome(&answer), "executed: ");

    let (gateway, token) = limited(|limits| limits.document_bytes = 20).await;
    let told = batch(
        &gateway,
        &token,
        &["{ __typename }      ", "{ __typename }       "],
    )
    .await;
    assert_eq!(told, ["executed: ", "DOCUMENT_TOO_LARGE"]);
}

#[tokio::test]
async fn texts_that_are_compared_or_copied_over_and_over_are_refused() {
    let (gateway, token) = limited(|_| {}).await;
    let text = |kilobytes: usize| "x".repeat(kilobytes * 1_000);
    let spread = |times: usize, text: &str| {
        let spreads = "...F ".repeat(times);
        format!(
            "{{ viewer {{ user {{ {spreads} }} }} }} fragment F on User {{ option(key: \"{text}\") }}"
        )
    };
    let twice = |one: &str, other: &str| {
        format!("{{ viewer {{ user {{ option(key: \"{one}\") option(key: \"{other}\") }} }} }}")
    };
    let half = text(60);
    for (query, expected) in [
        (spread(1_900, &text(900)), "DOCUMENT_TOO_LARGE"),
        (spread(1_900, &text(90)), "DOCUMENT_TOO_LARGE"),
        (spread(3, &text(120)), "executed: "),
        (spread(900, "theme"), "executed: "),
        (twice(&half, &half), "executed: "),
        (
            twice(&half, &format!("{half}y")),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        // Each user reads it.
        (
            format!(
                "{{ users(filter: {{ids: [1]}}, first: 500) {{ nodes {{ option(key: \"{half}\") }} }} }}"
            ),
            "DOCUMENT_TOO_LARGE",
        ),
        (
            "{ users(filter: {ids: [1]}, first: 500) { nodes { id } } }".to_owned(),
            "executed: ",
        ),
    ] {
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(outcome(&answer), expected, "{query:.100}");
    }
}

#[tokio::test]
async fn a_long_value_that_is_used_over_and_over_is_refused() {
    let (gateway, token) = limited(|_| {}).await;
    let long = json!({ "v": "x".repeat(900_000) });
    let short = json!({ "v": "1" });
    let list = |times: usize| {
        let uses = "$v ".repeat(times);
        format!("query ($v: ID!) {{ users(filter: {{ids: [{uses}]}}) {{ nodes {{ id }} }} }}")
    };
    let in_pages = "query ($v: String!) { users(filter: {ids: [1]}, first: 500) { nodes { option(key: $v) } } }";
    // The fragment belongs to an operation that does not run.
    let beside = format!(
        "query A($v: ID!) {{ user(id: $v) {{ id }} }} query B($v: ID!) {{ ...F }}
         fragment F on Query {{ users(filter: {{ids: [{}]}}) {{ nodes {{ id }} }} }}",
        "$v ".repeat(900)
    );
    for (query, variables, expected) in [
        (list(900), &long, "DOCUMENT_TOO_LARGE"),
        (list(900), &short, "executed: "),
        (list(1), &long, "executed: BAD_USER_INPUT at filter.ids.0"),
        (in_pages.to_owned(), &long, "DOCUMENT_TOO_LARGE"),
        (in_pages.to_owned(), &short, "executed: "),
        (beside.clone(), &long, "DOCUMENT_TOO_LARGE"),
        (beside, &short, "executed: "),
    ] {
        let name = query.starts_with("query A").then_some("A");
        let body = json!({ "query": query, "variables": variables, "operationName": name });
        let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
        let told = outcome(&answer);
        let told = told.split(", ").next().unwrap();
        assert!(
            told == expected
                || expected.starts_with("executed: B") && told.starts_with("executed: B"),
            "{query:.100}: {told}"
        );
    }
}

#[tokio::test]
async fn checks_of_each_operation_or_variable_are_bounded() {
    let (gateway, token) = limited(|_| {}).await;
    let declared = |count: usize| {
        let all: Vec<_> = (0..count).map(|place| format!("$v{place}: ID!")).collect();
        all.join(" ")
    };
    let uses = |count: usize| {
        let all: Vec<_> = (0..count).map(|place| format!("$v{place}")).collect();
        all.join(" ")
    };
    let variables = |count: usize| {
        let query = format!(
            "query ({}) {{ users(filter: {{ids: [{}]}}) {{ nodes {{ id }} }} }}",
            declared(count),
            uses(count)
        );
        let values = (0..count).map(|place| (format!("v{place}"), json!(1)));
        let values: serde_json::Map<_, _> = values.collect();
        json!({ "query": query, "variables": values })
    };
    for (count, expected) in [(200, "executed: "), (1_200, "DOCUMENT_TOO_LARGE")] {
        let body = variables(count);
        let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
        assert_eq!(outcome(&answer), expected, "{count}");
    }
    let operations = |count: usize, of: &str| {
        let all = (0..count).map(|place| format!("query O{place} {{ {of} }} "));
        all.collect::<String>()
    };
    let many = "id ".repeat(1_500);
    let fragment = format!("fragment F on User {{ {many} }}");
    for (query, expected) in [
        (operations(50, "__typename"), "executed: "),
        (operations(51, "__typename"), "OPERATION_LIMIT_EXCEEDED"),
        (operations(1_000, "__typename"), "OPERATION_LIMIT_EXCEEDED"),
        (
            operations(50, "user(id: 1) { ...F }") + &fragment,
            "DOCUMENT_TOO_LARGE",
        ),
        (
            operations(2, "user(id: 1) { ...F }") + &fragment,
            "executed: ",
        ),
    ] {
        let body = json!({ "query": query, "operationName": "O1" });
        let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
        assert_eq!(outcome(&answer), expected, "{query:.100}");
    }
}

#[tokio::test]
async fn a_mutation_changes_so_many_things() {
    let (gateway, token) = limited(|limits| limits.aliases = 1_000).await;
    let set = |place: usize| {
        format!(
            "a{place}: setUserOption(input: {{userId: 1, key: \"k{place}\", value: 1}}) {{ changed }} "
        )
    };
    let sets = |count: usize| (0..count).map(set).collect::<String>();
    for (query, expected) in [
        (format!("mutation {{ {} }}", sets(10)), "executed: "),
        (
            format!("mutation {{ {} __typename }}", sets(10)),
            "executed: ",
        ),
        (
            format!("mutation {{ {} }}", sets(11)),
            "MUTATION_FIELD_LIMIT_EXCEEDED",
        ),
        (
            format!("mutation {{ {} }}", sets(400)),
            "MUTATION_FIELD_LIMIT_EXCEEDED",
        ),
        (
            format!(
                "mutation {{ ...F ... {{ ...F }} {} }} fragment F on Mutation {{ {} }}",
                set(9),
                sets(5)
            ),
            "MUTATION_FIELD_LIMIT_EXCEEDED",
        ),
        // Fields of a query are no changes.
        (
            format!("{{ {} }}", "viewer { service } ".repeat(11)),
            "executed: ",
        ),
    ] {
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(outcome(&answer), expected, "{query:.100}");
    }
    let (gateway, token) = limited(|limits| limits.mutation_fields = 1).await;
    let answer = gateway
        .ask(&token, &format!("mutation {{ {} }}", sets(2)))
        .await;
    assert_eq!(outcome(&answer), "MUTATION_FIELD_LIMIT_EXCEEDED");
}

/// Asserts that an answer holds as many errors as it may, and one that says how many more there were.
fn assert_left_out(answer: &Value, kept: usize, left_out: usize, code: &str) {
    let codes = codes(answer);
    assert_eq!(codes.len(), kept + 1, "{answer}");
    assert!(codes[..kept].iter().all(|told| *told == code), "{codes:?}");
    assert_eq!(codes[kept], "ERROR_LIMIT_EXCEEDED");
    let message = answer["errors"][kept]["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("{left_out} more")),
        "{message}"
    );
}

#[tokio::test]
async fn an_answer_holds_so_many_errors() {
    let (gateway, token) = limited(|_| {}).await;
    // 17 KB that are wrong everywhere.
    let unknown = numbered(1_900, |place| format!("nothing{place} "));
    let query = format!("{{ {unknown} }}");
    let response = gateway.post(&token, &json!({ "query": query })).await;
    let text = response.text().await.unwrap();
    assert!(text.len() < 8_000, "{}", text.len());
    let answer = serde_json::from_str(&text).unwrap();
    assert_left_out(&answer, 20, 1_880, "GRAPHQL_VALIDATION_FAILED");

    let declared = numbered(25, |place| format!("$v{place}: ID! "));
    let query = format!("query ({declared}) {{ __typename }}");
    let answer = gateway.ask(&token, &query).await;
    assert_left_out(&answer, 20, 5, "BAD_USER_INPUT");

    let fragments = numbered(22, |place| {
        format!("fragment F{place} on Query {{ __typename }} ")
    });
    let answer = gateway
        .ask(&token, &format!("{{ __typename }} {fragments}"))
        .await;
    assert_left_out(&answer, 20, 2, "GRAPHQL_VALIDATION_FAILED");

    // As many as are allowed are all there.
    let unknown = numbered(20, |place| format!("nothing{place} "));
    let answer = gateway.ask(&token, &format!("{{ {unknown} }}")).await;
    assert_eq!(codes(&answer), ["GRAPHQL_VALIDATION_FAILED"; 20]);
}

#[tokio::test]
async fn an_answer_that_was_run_holds_so_many_errors_and_all_of_its_data() {
    let mut answers = Vec::new();
    for plans in [true, false] {
        let (gateway, token) = adjusted(|config| {
            config.graphql.plans = plans;
            config.limits.errors = 3;
        })
        .await;
        let fields = numbered(25, |place| {
            format!("a{place}: user(id: \"x{place}\") {{ id }} ")
        });
        let answer = gateway.ask(&token, &format!("{{ {fields} }}")).await;
        assert_left_out(&answer, 3, 22, "BAD_USER_INPUT");
        assert_eq!(answer["data"].as_object().unwrap().len(), 25);
        assert_eq!(answer["errors"][2]["path"], json!(["a2"]));
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_message_does_not_repeat_long_input() {
    let (gateway, token) = limited(|_| {}).await;
    let long = "x".repeat(100_000);
    for query in [
        format!("{{ user(id: \"{long}\") {{ id }} }}"),
        format!("{{ users(orderBy: {{field: \"{long}\"}}) {{ nodes {{ id }} }} }}"),
        format!("{{ user(id: \"{long}\" }}"),
        format!(
            "query ($v: UserOrderField = \"{long}\") {{ users(orderBy: {{field: $v}}) {{ totalCount }} }}"
        ),
    ] {
        let response = gateway.post(&token, &json!({ "query": query })).await;
        let text = response.text().await.unwrap();
        assert!(text.contains("errors"), "{text}");
        assert!(text.len() < 3_000, "{query:.60}: {}", text.len());
    }
    let body = json!({
        "query": "query ($v: UserFilter!) { users(filter: $v) { totalCount } }",
        "variables": { "v": { (long): 1 } },
    });
    let response = gateway.post(&token, &body).await;
    let text = response.text().await.unwrap();
    assert!(text.len() < 3_000, "{}", text.len());
}

#[tokio::test]
async fn the_schema_is_not_asked_for_in_circles() {
    let (gateway, token) = limited(|_| {}).await;
    let circle = |times: usize| {
        format!(
            "{}name{}",
            "fields { type { ".repeat(times),
            " } }".repeat(times)
        )
    };
    for (query, expected) in [
        (
            format!("{{ __schema {{ types {{ {} }} }} }}", circle(2)),
            "executed: ",
        ),
        (
            format!("{{ __schema {{ types {{ {} }} }} }}", circle(3)),
            "DEPTH_LIMIT_EXCEEDED",
        ),
        (
            format!(
                "{{ __type(name: \"User\") {{ ...F }} }} fragment F on __Type {{ {} }}",
                circle(3)
            ),
            "DEPTH_LIMIT_EXCEEDED",
        ),
        (
            "{ __schema { types { possibleTypes { interfaces { possibleTypes { name } } } } } }"
                .to_owned(),
            "DEPTH_LIMIT_EXCEEDED",
        ),
    ] {
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(outcome(&answer), expected, "{query}");
    }
}

/// The answers to a batch.
async fn batch(gateway: &Gateway, token: &str, queries: &[&str]) -> Vec<String> {
    let requests = queries.iter().map(|query| json!({ "query": query }));
    let body: Value = requests.collect();
    let answers: Value = gateway.post(token, &body).await.json().await.unwrap();
    answers.as_array().unwrap().iter().map(outcome).collect()
}

#[tokio::test]
async fn the_operations_of_a_batch_share_the_limits_of_one() {
    let (gateway, token) = limited(|limits| {
        limits.cost = 3_500;
        limits.aliases = 3;
        limits.mutation_fields = 2;
    })
    .await;
    let page = |size: usize| {
        format!("{{ users(filter: {{ids: [1]}}, first: {size}) {{ nodes {{ id }} }} }}")
    };
    let (large, small) = (page(400), page(300));
    // One that is refused takes nothing.
    let told = batch(&gateway, &token, &[&large, &large, &small, &small]).await;
    let refused = "COST_LIMIT_EXCEEDED";
    assert_eq!(told, ["executed: ", refused, "executed: ", refused]);
    let (two, one) = ("{ a: __typename b: __typename }", "{ a: __typename }");
    let told = batch(&gateway, &token, &[two, two, one]).await;
    assert_eq!(told, ["executed: ", "ALIAS_LIMIT_EXCEEDED", "executed: "]);
    let set = "mutation { setUserOption(input: {userId: 1, key: \"k\", value: 1}) { changed } }";
    let told = batch(&gateway, &token, &[set, set, set]).await;
    let refused = "MUTATION_FIELD_LIMIT_EXCEEDED";
    assert_eq!(told, ["executed: ", "executed: ", refused]);
    // Requests of their own share nothing.
    for query in [&*large, &*large, two, two, set, set, set] {
        assert_eq!(outcome(&gateway.ask(&token, query).await), "executed: ");
    }
}
