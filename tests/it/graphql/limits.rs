//! What a request may ask for: at each bound it passes, one beyond it is refused with a code and
//! the bound, and whatever is sent, the gateway goes on.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::{Value, json};
use user_gateway::config::Limits;
use user_gateway::domain::UserId;

use super::{codes, outcome};
use crate::harness::{Engine, Gateway};

/// A gateway with these limits, and the token of its only user.
async fn limited(adjust: impl FnOnce(&mut Limits)) -> (Gateway, String) {
    let gateway = Gateway::with(Engine::Sqlite, |config| adjust(&mut config.limits)).await;
    gateway.database.add_user("ada").await;
    let token = gateway.user_token(UserId(1), &[]).await;
    (gateway, token)
}

/// What became of a request, where several equal errors count as one.
fn refusal(answer: &Value) -> String {
    let outcome = outcome(answer);
    let (first, rest) = outcome.split_once(", ").unwrap_or((&outcome, ""));
    assert!(
        rest.split(", ")
            .all(|other| ["", first, "ERROR_LIMIT_EXCEEDED"].contains(&other)),
        "{outcome}"
    );
    first.to_owned()
}

/// Asserts that `query` passes and `beyond` is refused with `code` and a text that names `bound`.
async fn assert_bound(gateway: &Gateway, token: &str, cases: [&str; 2], code: &str, bound: &str) {
    let [within, beyond] = cases;
    let answer = gateway.ask(token, within).await;
    assert_eq!(outcome(&answer), "executed: ", "{within}");
    let answer = gateway.ask(token, beyond).await;
    assert_eq!(outcome(&answer), code, "{beyond}");
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains(bound), "{message}");
}

#[tokio::test]
async fn selections_nest_so_deep() {
    let (gateway, token) = limited(|limits| limits.depth = 3).await;
    for cases in [
        [
            "{ user(id: 1) { emails { email } } }",
            "{ user(id: 1) { organizations { flags { require2FA } } } }",
        ],
        [
            "{ ...A } fragment A on Query { user(id: 1) { ...B } } fragment B on User { emails { email } }",
            "{ ...A } fragment A on Query { viewer { user { ...B } } } fragment B on User { emails { email } }",
        ],
        [
            "{ ... { user(id: 1) { ... on User { ... { emails { email } } } } } }",
            "{ ... { viewer { user { ... { avatar { type } } } } } }",
        ],
    ] {
        assert_bound(&gateway, &token, cases, "DEPTH_LIMIT_EXCEEDED", "3").await;
    }
}

#[tokio::test]
async fn lists_multiply() {
    let (gateway, token) = limited(|limits| limits.cost = 1_111).await;
    let page = |first: &str| {
        format!(
            "{{ users(filter: {{ids: [1]}}, {first}) {{ nodes {{ organizations {{ id }} }} }} }}"
        )
    };
    let of = |n: usize| {
        let fields = "nodes { id }";
        format!("{{ users(filter: {{ids: [1]}}, first: {n}) {{ {fields} }} }}")
    };
    assert_bound(
        &gateway,
        &token,
        [&of(55), &of(56)],
        "COST_LIMIT_EXCEEDED",
        "1111",
    )
    .await;
    let answer = gateway.ask(&token, &page("first: 11")).await;
    assert_eq!(codes(&answer), ["COST_LIMIT_EXCEEDED"]);
    let answer = gateway.ask(&token, &page("last: 11")).await;
    assert_eq!(codes(&answer), ["COST_LIMIT_EXCEEDED"]);
    // Sizes in variables count, given or by default; what is left out does not.
    let query = "query ($n: Int = 500) { users(filter: {ids: [1]}, first: $n) { nodes { id } } }";
    assert_eq!(
        codes(&gateway.ask(&token, query).await),
        ["COST_LIMIT_EXCEEDED"]
    );
    let answer = gateway.ask_with(&token, query, json!({ "n": 50 })).await;
    assert_eq!(outcome(&answer), "executed: ");
    let query = "{ users(filter: {ids: [1]}, first: 500) @skip(if: true) { nodes { id } } }";
    assert_eq!(outcome(&gateway.ask(&token, query).await), "executed: ");
    // Aliases add up, and fragments count where they are spread.
    let query = "{ a: users(filter: {ids: [1]}) { ...F } b: users(filter: {ids: [1]}) { ...F } }
        fragment F on UserConnection { nodes { id } }";
    assert_eq!(
        codes(&gateway.ask(&token, query).await),
        ["COST_LIMIT_EXCEEDED"]
    );
    for size in ["-1", "-2147483648", "2147483647"] {
        let query = format!(
            "{{ users(filter: {{ids: [1]}}, first: {size}) {{ nodes {{ organizations {{ id }} }} }} }}"
        );
        let code = gateway.ask(&token, &query).await;
        assert!(
            matches!(codes(&code)[..], ["BAD_USER_INPUT" | "COST_LIMIT_EXCEEDED"]),
            "{code}"
        );
    }
}

#[tokio::test]
async fn so_many_aliases_directives_and_selections() {
    let (gateway, token) = limited(|limits| {
        limits.aliases = 3;
        limits.directives = 2;
        limits.selections = 8;
    })
    .await;
    let aliases = [
        "{ a: __typename b: __typename c: __typename }",
        "{ a: __typename b: __typename c: __typename d: __typename }",
    ];
    assert_bound(&gateway, &token, aliases, "ALIAS_LIMIT_EXCEEDED", "3").await;
    let directives = [
        "{ __typename @skip(if: false) @include(if: true) }",
        "{ __typename @skip(if: false) ... @include(if: true) { __typename @skip(if: true) } }",
    ];
    assert_bound(
        &gateway,
        &token,
        directives,
        "DIRECTIVE_LIMIT_EXCEEDED",
        "2",
    )
    .await;
    let selections = [
        "{ user(id: 1) { id name ...F ...F } } fragment F on User { email username }",
        "{ user(id: 1) { id name ...F ...F ...F } } fragment F on User { email username }",
    ];
    let within = selections[0];
    assert_eq!(outcome(&gateway.ask(&token, within).await), "executed: ");
    assert_bound(
        &gateway,
        &token,
        selections,
        "SELECTION_LIMIT_EXCEEDED",
        "8",
    )
    .await;
    // Fragments do not hide what they hold.
    let hidden = "{ ...F ...F } fragment F on Query { a: __typename b: __typename }";
    assert_eq!(
        codes(&gateway.ask(&token, hidden).await),
        ["ALIAS_LIMIT_EXCEEDED"]
    );
    // An operation beside the one that runs counts too.
    let beside = "query A { __typename } query B { a: __typename b: __typename c: __typename d: __typename }";
    let body = json!({ "query": beside, "operationName": "A" });
    let answer: Value = gateway.post(&token, &body).await.json().await.unwrap();
    assert_eq!(codes(&answer), ["ALIAS_LIMIT_EXCEEDED"]);
}

#[tokio::test]
async fn a_document_has_so_many_tokens() {
    let (gateway, token) = limited(|limits| limits.tokens = 11).await;
    // Braces, names, punctuation and values count; commas, comments and space do not.
    let cases = [
        "{ user(id: 1) { id,,, } # [[[[[[[[[\n}",
        "{ user(id: 1) { id } } # ]\n { }",
    ];
    let answer = gateway.ask(&token, cases[0]).await;
    assert_eq!(outcome(&answer), "executed: ");
    assert_bound(&gateway, &token, cases, "DOCUMENT_TOO_LARGE", "11").await;
    let list = format!(
        "{{ existingUsernames(usernames: [{}]) }}",
        "\"a\" ".repeat(100)
    );
    assert_eq!(
        codes(&gateway.ask(&token, &list).await),
        ["DOCUMENT_TOO_LARGE"]
    );
}

#[tokio::test]
async fn a_batch_has_so_many_operations() {
    let (gateway, token) = limited(|limits| limits.batch = 2).await;
    let batch = |size: usize| json!(vec![json!({ "query": "{ __typename }" }); size]);
    let response = gateway.post(&token, &batch(2)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answers: Value = response.json().await.unwrap();
    assert_eq!(
        answers,
        json!(vec![json!({ "data": { "__typename": "Query" } }); 2])
    );
    let response = gateway.post(&token, &batch(3)).await;
    let answer: Value = response.json().await.unwrap();
    assert_eq!(outcome(&answer), "BATCH_LIMIT_EXCEEDED");
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains('2') && message.contains('3'), "{message}");

    let (gateway, token) = limited(|limits| limits.batch = 0).await;
    let answer: Value = gateway.post(&token, &batch(1)).await.json().await.unwrap();
    assert_eq!(outcome(&answer), "BATCH_LIMIT_EXCEEDED");
    assert_eq!(
        outcome(&gateway.ask(&token, "{ __typename }").await),
        "executed: "
    );
}

#[tokio::test]
async fn operations_of_a_batch_are_answered_each_for_itself_and_in_order() {
    let (gateway, token) = limited(|_| {}).await;
    let set = |value: i64| {
        json!({ "query": "mutation ($v: JSON) { setUserOption(input: {userId: 1, key: \"k\", value: $v}) { changed } }",
                "variables": { "v": value } })
    };
    let body = json!([set(1), { "query": "{" }, set(2), { "query": "{ nothing }" },
        { "query": "{ user(id: 1) { option(key: \"k\") } }" }, set(2)]);
    let answers: Value = gateway.post(&token, &body).await.json().await.unwrap();
    let changed = |changed: bool| json!({ "data": { "setUserOption": { "changed": changed } } });
    assert_eq!(answers[0], changed(true));
    assert_eq!(outcome(&answers[1]), "GRAPHQL_PARSE_FAILED");
    assert_eq!(answers[2], changed(true));
    assert_eq!(outcome(&answers[3]), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(answers[4], json!({ "data": { "user": { "option": 2 } } }));
    assert_eq!(answers[5], changed(false));
}

#[tokio::test]
async fn what_nests_without_end_is_refused_and_the_gateway_goes_on() {
    let (gateway, token) = limited(|_| {}).await;
    let mut hostile = Vec::new();
    for (open, close) in [("[", "]"), ("{a:", "}")] {
        for depth in [65, 1_300, 20_000] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            for value in [format!("{open}1{close}"), open.clone()] {
                hostile.push(format!("{{ user(id: {value}) {{ id }} }}"));
                hostile.push(format!(
                    "query ($x: JSON = {value}) {{ viewer {{ service }} }}"
                ));
                hostile.push(format!(
                    "{{ __typename }} fragment F on Query {{ user(id: {value}) {{ id }} }}"
                ));
                hostile.push(format!("{{ __typename @skip(if: {value}) }}"));
            }
        }
    }
    for depth in [65, 1_300, 15_000] {
        hostile.push(format!("{{ user(id: 1) {}", "{ a ".repeat(depth)));
        hostile.push(format!("{}{}", "{ a ".repeat(depth), "}".repeat(depth)));
        hostile.push(format!(
            "query ($x: {}Int{}) {{ viewer {{ service }} }}",
            "[".repeat(depth),
            "]".repeat(depth)
        ));
        hostile.push(format!(
            "{{ {}__typename{} }}",
            "... { ".repeat(depth),
            " }".repeat(depth)
        ));
        hostile.push("(".repeat(depth));
    }
    for query in hostile {
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(outcome(&answer), "DEPTH_LIMIT_EXCEEDED", "{query:.80}");
    }
    // Within that bound nesting is the schema's affair.
    let fine = format!(
        "{{ user(id: {}1{}) {{ id }} }}",
        "[".repeat(60),
        "]".repeat(60)
    );
    assert_eq!(
        outcome(&gateway.ask(&token, &fine).await),
        "GRAPHQL_VALIDATION_FAILED"
    );
    assert_eq!(
        outcome(&gateway.ask(&token, "{ viewer { service } }").await),
        "executed: "
    );
}

#[tokio::test]
async fn fragments_that_multiply_chain_or_spread_themselves_are_refused() {
    let (gateway, token) = limited(|_| {}).await;
    let bomb = |spreads: usize, levels: usize| {
        let mut text = String::from("{ ...F0 }");
        for level in 0..levels {
            let next = format!("...F{} ", level + 1).repeat(spreads);
            write!(text, " fragment F{level} on Query {{ {next} }}").unwrap();
        }
        write!(text, " fragment F{levels} on Query {{ __typename }}").unwrap();
        text
    };
    let chain = |length: usize| bomb(1, length);
    for (query, expected) in [
        (bomb(2, 30), "SELECTION_LIMIT_EXCEEDED"),
        (bomb(10, 25), "SELECTION_LIMIT_EXCEEDED"),
        // As many by spreads that no operation uses.
        (bomb(10, 25).replace("{ ...F0 }", "{ __typename }"), "GRAPHQL_VALIDATION_FAILED"),
        (chain(500), "DEPTH_LIMIT_EXCEEDED"),
        (chain(80), "executed: "),
        ("{ ...A } fragment A on Query { ...A }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ... { ...A } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("{ __typename } fragment A on Query { viewer { user { ...B } } } fragment B on User { ...B }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...A ...A } fragment A on Query { __typename } fragment A on Query { __typename }".to_owned(), "GRAPHQL_PARSE_FAILED"),
        ("{ ...Nothing }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...A } fragment A on Nothing { id }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...A } fragment A on User { id }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
    ] {
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(refusal(&answer), expected, "{query:.100}\n{answer}");
    }
}

#[tokio::test]
async fn documents_that_repeat_without_end_are_refused_or_answered() {
    let (gateway, token) = limited(|_| {}).await;
    let many = |text: &str, count: usize| text.repeat(count);
    let numbered = |count: usize| {
        let aliases: Vec<_> = (0..count).map(|i| format!("a{i}: __typename")).collect();
        aliases.join(" ")
    };
    for (query, expected) in [
        (
            format!("{{ {} }}", many("__typename ", 9_000)),
            "SELECTION_LIMIT_EXCEEDED",
        ),
        (
            format!("{{ {} }}", many("__typename ", 2_000)),
            "executed: ",
        ),
        (
            format!("{{ user(id: 1) {{ {} }} }}", many("id ", 1_999)),
            "executed: ",
        ),
        (
            format!("{{ {} }}", many("user(id: 1) { id } ", 900)),
            "executed: ",
        ),
        (format!("{{ {} }}", numbered(30)), "executed: "),
        (format!("{{ {} }}", numbered(31)), "ALIAS_LIMIT_EXCEEDED"),
        (
            format!("{{ __typename {} }}", many("@skip(if: false) ", 101)),
            "DIRECTIVE_LIMIT_EXCEEDED",
        ),
        (
            format!(
                "{{ __typename }} fragment F on Query {{ {} }}",
                many("__typename ", 9_000)
            ),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            many("query A { __typename } ", 1_000),
            "GRAPHQL_PARSE_FAILED",
        ),
        (many("# comment\n", 10_000), "GRAPHQL_PARSE_FAILED"),
        (
            format!("{{ __typename }}{}", many(" ", 100_000)),
            "executed: ",
        ),
        (
            format!("{{ __typename }}{}", many(",", 100_000)),
            "executed: ",
        ),
        (many("{", 60), "GRAPHQL_PARSE_FAILED"),
        (many("\"", 9_999), "GRAPHQL_PARSE_FAILED"),
        (many("\"\"\"", 3_001), "GRAPHQL_PARSE_FAILED"),
        (
            format!("{{ user(id: \"{}\") {{ id }} }}", many("\\u0041", 20_000)),
            "executed: BAD_USER_INPUT at id",
        ),
        (
            format!("{{ {} }}", many("a", 100_000)),
            "DOCUMENT_TOO_LARGE",
        ),
    ] {
        let answer = gateway.ask(&token, &query).await;
        assert_eq!(refusal(&answer), expected, "{query:.100}");
    }
    let body = json!({ "query": format!("{{ {} }}", many("\"a\",", 400_000)) });
    let response = gateway.post(&token, &body).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(refusal(&answer), "PAYLOAD_TOO_LARGE");
    assert_eq!(
        outcome(&gateway.ask(&token, "{ __typename }").await),
        "executed: "
    );
}

#[tokio::test]
async fn what_the_specification_forbids_is_refused() {
    let (gateway, token) = limited(|_| {}).await;
    let huge = "9".repeat(100_000);
    let mut surprises = Vec::new();
    for (query, expected) in [
        ("", "GRAPHQL_PARSE_FAILED"),
        ("   ", "GRAPHQL_PARSE_FAILED"),
        ("{}", "GRAPHQL_PARSE_FAILED"),
        ("{ __typename", "GRAPHQL_PARSE_FAILED"),
        ("{ __typename } }", "GRAPHQL_PARSE_FAILED"),
        ("\u{feff}{ __typename }", "executed: "),
        ("{ a\0b }", "GRAPHQL_PARSE_FAILED"),
        ("{ 🙂 }", "GRAPHQL_PARSE_FAILED"),
        ("{ user(id: \"\\q\") { id } }", "GRAPHQL_PARSE_FAILED"),
        (
            "{ user(id: \"\\ud83d\\ude00\") { id } }",
            "GRAPHQL_PARSE_FAILED",
        ),
        ("{ user(id: 007) { id } }", "GRAPHQL_PARSE_FAILED"),
        (
            "{ users(first: 1e400) { nodes { id } } }",
            "GRAPHQL_PARSE_FAILED",
        ),
        ("type Query { a: Int }", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "query A { __typename } { __typename }",
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            "query A { __typename } query B { __typename }",
            "OPERATION_RESOLUTION_FAILURE",
        ),
        (
            "query ($x: Int) { __typename }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: Int, $x: Int) { users(first: $x) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: Nothing) { user(id: $x) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: User) { user(id: $x) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("query ($x: Int!) { user(id: $x) { id } }", "BAD_USER_INPUT"),
        (
            "query ($x: ID) { user(id: $x) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: ID! = null) { user(id: $x) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: ID = null) { user(id: $x) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: Int = \"a\") { users(filter: {ids: []}, first: $x) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($x: Int = 99999999999) { users(filter: {ids: []}, first: $x) { nodes { id } } }",
            "COST_LIMIT_EXCEEDED",
        ),
        (
            "query ($x: UserFilter! = {ids: null, nothing: 1}) { users(filter: $x) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ user(id: $x) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: 1, id: 2) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ users(filter: {ids: [1], ids: [2]}) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ users(filter: {authenticators: {anyOf: [], anyOf: []}}) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "query ($f: UserFilter! = {ids: [1], ids: [2]}) { users(filter: $f) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            &format!("{{ user(id: {huge}) {{ id }} }}"),
            "GRAPHQL_PARSE_FAILED",
        ),
    ] {
        let answer = gateway.ask(&token, query).await;
        let told = refusal(&answer);
        if told != expected || (told.starts_with("executed") != answer.get("data").is_some()) {
            surprises.push(format!("{query:.100}: {told} instead of {expected}"));
        }
    }
    assert_eq!(surprises, [""; 0]);
}
