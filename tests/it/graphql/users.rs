//! `users`: filters, orders, pages.

use serde_json::{Value, json};

use super::{assert_outcomes, assert_variable_outcomes, outcome, service};
use crate::harness::{Account, Engine, Gateway};

on_each_engine! {
    pages_run_through_every_order_in_both_directions
    a_page_between_two_cursors_holds_what_lies_between
    equal_values_follow_their_id
    a_page_of_nothing_tells_whether_there_is_more
    a_page_without_a_size_has_the_default
    users_are_counted_only_if_that_is_asked_for
    sizes_of_pages_are_bounded
    cursors_belong_to_their_list_and_order
    every_condition_finds_its_users
    conditions_hold_together
    a_null_in_a_filter_is_refused
    what_is_wrong_in_a_filter_is_refused
    lists_in_a_filter_are_bounded
    filters_in_variables_are_checked_where_they_are_declared
}

/// Five users whose orders by id, by name and by age all differ.
async fn five(engine: Engine) -> (Gateway, String) {
    let (gateway, token) = service(engine).await;
    for (username, day) in [("eve", 3), ("Bob", 5), ("dan", 1), ("ada", 4), ("cyd", 2)] {
        let date_joined = format!("2025-01-0{day}T00:00:00.000001+00:00");
        let account = Account {
            username,
            date_joined: &date_joined,
            ..Account::default()
        };
        gateway.database.add(account).await;
    }
    (gateway, token)
}

fn names(connection: &Value) -> Vec<String> {
    let nodes = connection["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|user| user["username"].as_str().unwrap().to_owned())
        .collect()
}

async fn pages_run_through_every_order_in_both_directions(engine: Engine) {
    let (gateway, token) = five(engine).await;
    for (field, expected) in [
        ("ID", ["eve", "Bob", "dan", "ada", "cyd"]),
        ("USERNAME", ["Bob", "ada", "cyd", "dan", "eve"]),
        ("DATE_JOINED", ["dan", "cyd", "eve", "ada", "Bob"]),
    ] {
        for direction in ["ASC", "DESC"] {
            let mut expected = expected.map(str::to_owned).to_vec();
            if direction == "DESC" {
                expected.reverse();
            }
            let query = "query ($o: UserOrder!, $f: Int, $a: String, $l: Int, $b: String) {
                users(orderBy: $o, first: $f, after: $a, last: $l, before: $b) {
                    nodes { username } edges { cursor node { username } }
                    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
            let order = json!({ "field": field, "direction": direction });
            let ask = async |variables: Value| {
                let mut variables = variables;
                variables["o"] = order.clone();
                let mut answer = gateway.ask_with(&token, query, variables).await;
                answer["data"]["users"].take()
            };

            let mut seen = Vec::new();
            let mut after = Value::Null;
            loop {
                let page = ask(json!({ "f": 2, "a": after })).await;
                assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
                let edges = page["edges"].as_array().unwrap();
                assert_eq!(page["pageInfo"]["startCursor"], edges[0]["cursor"]);
                assert_eq!(
                    page["pageInfo"]["endCursor"],
                    edges[edges.len() - 1]["cursor"]
                );
                seen.extend(names(&page));
                after = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(seen, expected, "{field} {direction} forwards");

            let mut seen = Vec::new();
            let mut before = Value::Null;
            loop {
                let page = ask(json!({ "l": 2, "b": before })).await;
                assert_eq!(page["pageInfo"]["hasNextPage"], !before.is_null());
                seen.splice(0..0, names(&page));
                before = page["pageInfo"]["startCursor"].clone();
                if page["pageInfo"]["hasPreviousPage"] == false {
                    break;
                }
            }
            assert_eq!(seen, expected, "{field} {direction} backwards");
        }
    }
}

async fn a_page_between_two_cursors_holds_what_lies_between(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let all = gateway.ask(&token, "{ users { edges { cursor } } }").await;
    let cursor = |i: usize| all["data"]["users"]["edges"][i]["cursor"].clone();
    let query = "query ($a: String, $b: String, $f: Int, $l: Int) {
        users(after: $a, before: $b, first: $f, last: $l) {
            nodes { username } pageInfo { hasNextPage hasPreviousPage } } }";
    let ask = async |first: Value, last: Value, from: usize, to: usize| {
        let variables = json!({ "a": cursor(from), "b": cursor(to), "f": first, "l": last });
        let answer = gateway.ask_with(&token, query, variables).await;
        let page = &answer["data"]["users"];
        (names(page), page["pageInfo"].clone())
    };
    let both = json!({ "hasNextPage": true, "hasPreviousPage": true });
    let none = Value::Null;
    let middle = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        ask(none.clone(), none.clone(), 0, 4).await,
        (middle(&["Bob", "dan", "ada"]), both.clone())
    );
    assert_eq!(
        ask(json!(2), none.clone(), 0, 4).await,
        (middle(&["Bob", "dan"]), both.clone())
    );
    assert_eq!(
        ask(none.clone(), json!(2), 0, 4).await,
        (middle(&["dan", "ada"]), both.clone())
    );
    // A range the wrong way round holds nobody.
    assert_eq!(ask(none.clone(), none, 3, 1).await, (Vec::new(), both));
}

async fn equal_values_follow_their_id(engine: Engine) {
    let (gateway, token) = service(engine).await;
    gateway.database.add_users(["a", "b", "c", "d"]).await;
    for (direction, expected) in [
        ("ASC", ["a", "b", "c", "d"]),
        ("DESC", ["d", "c", "b", "a"]),
    ] {
        let order = format!("orderBy: {{field: DATE_JOINED, direction: {direction}}}");
        let mut seen = Vec::new();
        let mut after = String::new();
        for _ in 0..4 {
            let query = format!(
                "{{ users({order}, first: 1{after}) {{ nodes {{ username }} pageInfo {{ endCursor }} }} }}"
            );
            let answer = gateway.ask(&token, &query).await;
            let page = &answer["data"]["users"];
            seen.extend(names(page));
            after = format!(", after: {}", page["pageInfo"]["endCursor"]);
        }
        assert_eq!(seen, expected);
    }
}

async fn a_page_of_nothing_tells_whether_there_is_more(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let answer = gateway
        .ask(
            &token,
            "{ none: users(first: 0) { nodes { id } edges { cursor }
                 pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount }
               nobody: users(filter: {ids: []}) { nodes { id } totalCount
                 pageInfo { hasNextPage hasPreviousPage } } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "none": {
                "nodes": [], "edges": [],
                "pageInfo": { "hasNextPage": true, "hasPreviousPage": false,
                              "startCursor": null, "endCursor": null },
                "totalCount": 5,
            },
            "nobody": {
                "nodes": [], "totalCount": 0,
                "pageInfo": { "hasNextPage": false, "hasPreviousPage": false },
            },
        } })
    );
}

async fn a_page_without_a_size_has_the_default(engine: Engine) {
    let (gateway, token) = service(engine).await;
    for i in 0..51 {
        gateway.database.add_user(&format!("user{i}")).await;
    }
    let answer = gateway
        .ask(
            &token,
            "{ users { nodes { username } pageInfo { hasNextPage } } }",
        )
        .await;
    let page = &answer["data"]["users"];
    assert_eq!(names(page).len(), 50);
    assert_eq!(page["pageInfo"]["hasNextPage"], true);
}

async fn users_are_counted_only_if_that_is_asked_for(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let cost = async |query: &str| {
        let before = gateway.statements();
        let answer = gateway.ask(&token, query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        gateway.statements() - before
    };
    cost("{ __typename }").await;
    let page = cost("{ users(first: 2) { nodes { id } } }").await;
    let counted = cost("{ users(first: 2) { nodes { id } totalCount } }").await;
    assert_eq!(counted, page + 1);
    // Not selected means not counted, whatever the document holds.
    let skipped = cost("{ users(first: 2) { nodes { id } totalCount @skip(if: true) } }").await;
    assert_eq!(skipped, page);
    let answer = gateway
        .ask(
            &token,
            "{ users(first: 2, filter: {isActive: true}) { totalCount } }",
        )
        .await;
    assert_eq!(answer, json!({ "data": { "users": { "totalCount": 5 } } }));
}

async fn sizes_of_pages_are_bounded(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let cases = [
        ("{ users(first: 500) { nodes { id } } }", "executed: "),
        ("{ users(last: 500) { nodes { id } } }", "executed: "),
        (
            "{ users(first: 501) { nodes { id } } }",
            "executed: BAD_USER_INPUT at first",
        ),
        (
            "{ users(last: 501) { nodes { id } } }",
            "executed: BAD_USER_INPUT at last",
        ),
        (
            "{ users(first: -1) { nodes { id } } }",
            "executed: BAD_USER_INPUT at first",
        ),
        (
            "{ users(first: 1, last: 1) { nodes { id } } }",
            "executed: BAD_USER_INPUT at last",
        ),
        (
            "{ users(first: -2147483648) { nodes { id } } }",
            "executed: BAD_USER_INPUT at first",
        ),
        (
            "{ users(first: 2147483648) { nodes { id } } }",
            "COST_LIMIT_EXCEEDED",
        ),
        (
            "{ users(first: 1.5) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ users(first: \"1\") { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
    // The list is not null, so its error takes all of the answer.
    let answer = gateway
        .ask(&token, "{ users(first: 501) { nodes { id } } }")
        .await;
    assert_eq!(answer["data"], Value::Null);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("500") && message.contains("501"),
        "{message}"
    );
}

async fn cursors_belong_to_their_list_and_order(engine: Engine) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (gateway, token) = five(engine).await;
    let ask = async |cursor: &str, field: &str| {
        let variables = json!({ "c": cursor, "o": { "field": field } });
        let query = "query ($c: String, $o: UserOrder!) {
            users(orderBy: $o, after: $c) { nodes { id } } }";
        outcome(&gateway.ask_with(&token, query, variables).await)
    };
    let wrong = "executed: BAD_USER_INPUT at after";
    let of_id = "{ users(first: 1) { pageInfo { endCursor } } }";
    let answer = gateway.ask(&token, of_id).await;
    let cursor = answer["data"]["users"]["pageInfo"]["endCursor"]
        .as_str()
        .unwrap();
    assert_eq!(ask(cursor, "ID").await, "executed: ");
    assert_eq!(ask(cursor, "USERNAME").await, wrong);
    assert_eq!(ask(cursor, "DATE_JOINED").await, wrong);
    let long = "A".repeat(100_000);
    for garbage in ["", "x", "!!!", "😀", "MTppOg==", "null", &long] {
        assert_eq!(ask(garbage, "ID").await, wrong, "{garbage}");
    }
    // Cursors can be read and so be made. Whatever they hold, the answer is never a fault of ours.
    for (text, field, expected) in [
        ("1:i:-9223372036854775808", "ID", "executed: "),
        ("1:i:9223372036854775807", "ID", "executed: "),
        ("1:i:9223372036854775808", "ID", wrong),
        ("1:i:1:x", "ID", wrong),
        ("0:i:1", "ID", wrong),
        ("1:u:1:", "USERNAME", "executed: "),
        ("1:u:1:a\0b", "USERNAME", wrong),
        (
            "1:u:1:'; DROP TABLE auth_user; --",
            "USERNAME",
            "executed: ",
        ),
        ("1:j:1:0", "DATE_JOINED", "executed: "),
        ("1:j:1:-62135596800000000", "DATE_JOINED", "executed: "),
        ("1:j:1:253402300799999999", "DATE_JOINED", "executed: "),
        ("1:j:1:-9223372036854775808", "DATE_JOINED", wrong),
        ("1:j:1:-8000000000000000000", "DATE_JOINED", wrong),
        ("1:j:1:8000000000000000000", "DATE_JOINED", wrong),
        ("1:j:1:9223372036854775807", "DATE_JOINED", wrong),
        ("1:j:1:x", "DATE_JOINED", wrong),
    ] {
        assert_eq!(
            ask(&URL_SAFE_NO_PAD.encode(text), field).await,
            expected,
            "{text}"
        );
    }
}

async fn every_condition_finds_its_users(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let database = &gateway.database;
    let [ada, bob, cyd] = database.add_users(["ada", "bob", "cyd"]).await;
    database
        .execute("UPDATE auth_user SET is_active = false, first_name = 'Cydney 100%' WHERE id = 3")
        .await;
    database.add_email(ada, "ADA@work.example", false).await;
    database.add_email(ada, "ada@third.example", true).await;
    database.add_authenticator(ada, 1, "{}").await;
    database.add_authenticator(bob, 0, "{}").await;
    let organization = database.add_organization(7, "us", Some(0)).await;
    database.join(bob, organization).await;
    database.join(cyd, organization).await;
    for (filter, expected) in [
        ("", "ada bob cyd"),
        (r#"ids: ["User:3", "1", "User:99", "3"]"#, "ada cyd"),
        (r#"ids: "User:2""#, "bob"),
        ("ids: []", ""),
        (
            r#"emails: ["Ada@Work.Example", "bob@EXAMPLE.com", "x@y.z"]"#,
            "ada bob",
        ),
        (r#"emails: ["ada@example.com", "ada@third.example"]"#, "ada"),
        ("emails: []", ""),
        ("emailVerified: false", "ada"),
        ("emailVerified: true", "ada bob cyd"),
        (r#"emails: ["ada@work.example"], emailVerified: true"#, ""),
        (
            r#"emails: ["ada@work.example"], emailVerified: false"#,
            "ada",
        ),
        (r#"usernames: ["bob", "ADA", "nobody"]"#, "bob"),
        ("usernames: []", ""),
        (r#"organizationId: "Organization:7""#, "bob cyd"),
        ("organizationId: 7, isActive: true", "bob"),
        ("organizationId: 8", ""),
        ("isActive: true", "ada bob"),
        ("isActive: false", "cyd"),
        (r#"query: "BO""#, "bob"),
        (r#"query: "work""#, "ada"),
        (r#"query: "100%""#, "cyd"),
        (r#"query: "a%a""#, ""),
        (r#"query: "a_a""#, ""),
        (r#"query: "a*a""#, ""),
        (r#"query: "[a]da""#, ""),
        (r#"query: "\\""#, ""),
        (r#"query: "'""#, ""),
        (r#"query: """#, "ada bob cyd"),
        ("authenticators: {anyOf: [TOTP]}", "ada"),
        ("authenticators: {anyOf: [TOTP, RECOVERY]}", "ada bob"),
        ("authenticators: {anyOf: []}", ""),
        ("authenticators: {anyOf: [UNKNOWN]}", ""),
        ("authenticators: {anyOf: U2F}", ""),
        ("authenticators: {none: true}", "cyd"),
    ] {
        let query =
            format!("{{ users(filter: {{{filter}}}) {{ nodes {{ username }} totalCount }} }}");
        let answer = gateway.ask(&token, &query).await;
        assert!(answer.get("errors").is_none(), "{filter}: {answer}");
        let found = names(&answer["data"]["users"]);
        assert_eq!(found.join(" "), expected, "{filter}");
        assert_eq!(
            answer["data"]["users"]["totalCount"],
            found.len(),
            "{filter}"
        );
    }
}

async fn conditions_hold_together(engine: Engine) {
    let (gateway, token) = service(engine).await;
    let database = &gateway.database;
    let [ada, bob] = database.add_users(["ada", "bob"]).await;
    let organization = database.add_organization(7, "us", Some(0)).await;
    for id in [ada, bob] {
        database.join(id, organization).await;
        database.add_authenticator(id, 1, "{}").await;
    }
    let answer = gateway
        .ask(
            &token,
            r#"{ users(filter: {
                ids: [1, 2], emails: ["ada@example.com", "bob@example.com"], emailVerified: true,
                usernames: ["ada", "bob"], organizationId: 7, isActive: true, query: "da@",
                authenticators: {anyOf: [TOTP]}
            }) { nodes { username } } }"#,
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "users": { "nodes": [{ "username": "ada" }] } } })
    );
}

async fn a_null_in_a_filter_is_refused(engine: Engine) {
    let (gateway, token) = five(engine).await;
    for field in [
        "ids",
        "emails",
        "emailVerified",
        "usernames",
        "organizationId",
        "isActive",
        "query",
        "authenticators",
    ] {
        let expected = format!("executed: BAD_USER_INPUT at filter.{field}");
        let query = format!("{{ users(filter: {{{field}: null}}) {{ nodes {{ id }} }} }}");
        assert_eq!(outcome(&gateway.ask(&token, &query).await), expected);
        let query = "query ($f: UserFilter!) { users(filter: $f) { nodes { id } } }";
        let answer = gateway
            .ask_with(&token, query, json!({ "f": { field: null } }))
            .await;
        assert_eq!(outcome(&answer), expected);
    }
    let cases = [
        (
            "{ users(filter: null) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ users(orderBy: null) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ users(orderBy: {field: null}) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ users(filter: {ids: [null]}) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ users(filter: {emails: [null]}) { nodes { id } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        // A null of an argument that has no default is as good as its absence.
        (
            "{ users(first: null, after: null) { nodes { id } } }",
            "executed: ",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
}

async fn what_is_wrong_in_a_filter_is_refused(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let field = |filter: &str| format!("{{ users(filter: {{{filter}}}) {{ nodes {{ id }} }} }}");
    let long = format!("query: \"{}\"", "ä".repeat(201));
    let longest = format!("query: \"{}\"", "ä".repeat(200));
    for (filter, expected) in [
        (
            r#"ids: ["1", "Organization:1"]"#,
            "executed: BAD_USER_INPUT at filter.ids.1",
        ),
        (r#"ids: ["x"]"#, "executed: BAD_USER_INPUT at filter.ids.0"),
        (
            r#"organizationId: "User:1""#,
            "executed: BAD_USER_INPUT at filter.organizationId",
        ),
        (
            "authenticators: {none: false}",
            "executed: BAD_USER_INPUT at filter.authenticators.none",
        ),
        (&long, "executed: BAD_USER_INPUT at filter.query"),
        (&longest, "executed: "),
        ("authenticators: {}", "GRAPHQL_VALIDATION_FAILED"),
        (
            "authenticators: {none: true, anyOf: []}",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "authenticators: {anyOf: [FINGERPRINT]}",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("isActive: 1", "GRAPHQL_VALIDATION_FAILED"),
        ("query: 1", "GRAPHQL_VALIDATION_FAILED"),
        ("password: \"x\"", "GRAPHQL_VALIDATION_FAILED"),
        ("ids: [1], ids: [2]", "GRAPHQL_VALIDATION_FAILED"),
        (r#"query: "a\u0000b""#, "BAD_USER_INPUT"),
        (r#"emails: ["\u0000"]"#, "BAD_USER_INPUT"),
        (r#"usernames: ["a\u0000"]"#, "BAD_USER_INPUT"),
        (r#"query: "\uDFFF""#, "GRAPHQL_PARSE_FAILED"),
    ] {
        let answer = gateway.ask(&token, &field(filter)).await;
        assert_eq!(outcome(&answer), expected, "{filter}");
    }
}

async fn lists_in_a_filter_are_bounded(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let thousand: Vec<_> = (1..=1_000).map(|i| i.to_string()).collect();
    let more: Vec<_> = (1..=1_001).map(|i| i.to_string()).collect();
    for name in ["ids", "emails", "usernames"] {
        for (items, expected) in [
            (&thousand, "executed: ".to_owned()),
            (&more, format!("executed: BAD_USER_INPUT at filter.{name}")),
        ] {
            let query = format!(
                "{{ users(filter: {{{name}: {}}}) {{ nodes {{ id }} }} }}",
                json!(items)
            );
            let answer = gateway.ask(&token, &query).await;
            assert_eq!(outcome(&answer), expected, "{name}");
        }
        let query = "query ($f: UserFilter!) { users(filter: $f) { nodes { id } } }";
        let answer = gateway
            .ask_with(&token, query, json!({ "f": { name: more } }))
            .await;
        assert_eq!(outcome(&answer), "BAD_USER_INPUT");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("1001") && message.contains("1000"),
            "{message}"
        );
    }
}

async fn filters_in_variables_are_checked_where_they_are_declared(engine: Engine) {
    let (gateway, token) = five(engine).await;
    let query = "query ($f: UserFilter! = {isActive: true}, $n: Int = 1) {
        users(filter: $f, first: $n) { nodes { username } } }";
    let answer = gateway.ask(&token, query).await;
    assert_eq!(
        answer,
        json!({ "data": { "users": { "nodes": [{ "username": "eve" }] } } })
    );
    let cases = [
        (json!({ "f": {}, "n": null }), "executed: "),
        (json!({ "f": { "ids": "1" }, "n": 2.0 }), "executed: "),
        (json!({ "unknown": 1 }), "executed: "),
        (json!({ "f": null }), "BAD_USER_INPUT"),
        (json!({ "f": [] }), "BAD_USER_INPUT"),
        (json!({ "f": { "ids": { "a": 1 } } }), "BAD_USER_INPUT"),
        (json!({ "f": { "nothing": 1 } }), "BAD_USER_INPUT"),
        (json!({ "f": { "query": "a\0" } }), "BAD_USER_INPUT"),
        (
            json!({ "f": { "authenticators": { "anyOf": ["NONE"] } } }),
            "BAD_USER_INPUT",
        ),
        (json!({ "f": { "authenticators": {} } }), "BAD_USER_INPUT"),
        (
            json!({ "f": { "authenticators": { "none": null } } }),
            "BAD_USER_INPUT",
        ),
        (json!({ "n": 1.5 }), "BAD_USER_INPUT"),
        (json!({ "n": "1" }), "BAD_USER_INPUT"),
        (json!({ "n": 2_147_483_648_i64 }), "BAD_USER_INPUT"),
        (
            json!({ "f": null, "n": "1" }),
            "BAD_USER_INPUT, BAD_USER_INPUT",
        ),
    ];
    assert_variable_outcomes(&gateway, &token, query, &cases).await;
}
