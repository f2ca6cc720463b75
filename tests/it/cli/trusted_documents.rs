//! The file of trusted documents: what is taken, and what is said of what is not.

use serde_json::{Value, json};

use super::seeded;
use crate::harness::{Answer, Scratch};

const FILE: &str = "documents.json";
const OPTION: [&str; 2] = ["--trusted-documents", FILE];

/// What `check` and `serve` say of a file that they do not take; both say the same.
fn refused(text: &str, more: &[&str]) -> String {
    let scratch = Scratch::new();
    scratch.write(FILE, text);
    let said = scratch.must_fail(&[&["check"], &OPTION[..], more].concat());
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let served = scratch.must_fail(&[&listen[..], &OPTION[..], more].concat());
    assert_eq!(said, served);
    assert_eq!(scratch.files(), [FILE], "no database is made for that");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_file_that_is_none_is_named_with_what_is_wrong() {
    for (text, expected) in [
        ("", "line 1"),
        ("{", "line 1"),
        ("[]", "an object of documents by their ids"),
        (r#"{"a": 1}"#, "expected a string"),
        (r#"{"a": {"body": "{ __typename }"}}"#, "expected a string"),
        (
            r#"{"a": "{ __typename }", "a": "{ viewer { scopes } }"}"#,
            "the id `a` stands twice",
        ),
        ("{}", "there is no trusted document"),
    ] {
        let said = refused(text, &[]);
        assert!(said.contains(FILE), "{text}: {said}");
        assert!(said.contains(expected), "{text}: {said}");
    }
    let scratch = Scratch::new();
    let said = scratch.must_fail(&[&["check"], &OPTION[..]].concat());
    assert!(said.contains("cannot read"), "{said}");
    assert!(said.contains(FILE), "{said}");
}

#[test]
fn every_document_that_could_not_be_answered_is_named_with_what_is_wrong() {
    let cases = [
        ("parse", "{ a b", "does not parse"),
        ("unknown", "{ viewer { nothing } }", "nothing"),
        ("place", "{\n  viewer { nothing }\n}", "(line 2, column 12)"),
        ("missing", "query ($id: ID!) { user { id } }", "id"),
        ("unused", "query ($id: ID!) { __typename }", "id"),
        (
            "type",
            "query ($id: Nothing!) { user(id: $id) { id } }",
            "Nothing",
        ),
        ("literal", "{ user(id: true) { id } }", "id"),
        ("alone", "fragment F on User { id }", ""),
        (
            "two",
            "subscription { userChanged(id: 1) { id } b: userChanged(id: 1) { id } }",
            "exactly one field",
        ),
        (
            "second",
            "query A { __typename } query B { nothing }",
            "nothing",
        ),
        (
            "cost",
            "{ users(first: 500) { nodes { organizations { members(first: 500) { nodes { id } } } } } }",
            "500",
        ),
        ("null", "{ user(id: \"\\u0000\") { id } }", ""),
        ("overlap", "{ user(id: 1) { a: name a: username } }", "a"),
    ];
    let mut documents: serde_json::Map<String, Value> = cases
        .iter()
        .map(|(id, text, _)| ((*id).to_owned(), json!(text)))
        .collect();
    documents.insert("good".to_owned(), json!("{ __typename }"));
    let said = refused(&Value::Object(documents).to_string(), &[]);
    assert!(said.contains("13 of the trusted documents"), "{said}");
    for (id, _, expected) in cases {
        let line = said
            .lines()
            .find(|line| line.contains(&format!("`{id}`: ")));
        let line = line.unwrap_or_else(|| panic!("{id} is not in {said}"));
        assert!(line.contains(expected), "{line}");
    }
    assert!(!said.contains("`good`"), "{said}");
}

#[test]
fn trusted_documents_keep_to_the_settings_like_any_other() {
    let deep = json!({ "deep": "{ viewer { user { name } } }" }).to_string();
    let said = refused(&deep, &["--max-depth", "2"]);
    assert!(said.contains("`deep`: "), "{said}");
    let schema = json!({ "schema": "{ __schema { queryType { name } } }" }).to_string();
    let said = refused(&schema, &["--introspection", "off"]);
    assert!(
        said.contains("`schema`: the schema cannot be asked"),
        "{said}"
    );
}

#[tokio::test]
async fn a_good_file_is_counted_by_check_and_served() {
    let (scratch, token) = seeded();
    let who = "query Who($id: ID!, $n: Int = 2, $more: Boolean!) {
        user(id: $id) { id organizations { slug members(first: $n) @include(if: $more) { totalCount } } }
    }";
    let documents = json!({
        "who": who,
        "same": who,
        "changes": "subscription ($id: ID!) { userChanged(id: $id) { name } }",
        "set": "mutation ($input: SetUserOptionInput!) { setUserOption(input: $input) { changed } }",
        "fragments": "query Q { viewer { user { ...A } } } fragment A on User { id ...B } fragment B on User { name }",
    });
    scratch.write(FILE, &documents.to_string());
    let said = scratch.must(&[&["check"], &OPTION[..]].concat());
    assert!(said.contains("ok       trusted documents: 4"), "{said}");
    assert!(said.contains("GraphiQL"), "{said}");
    let quiet = [&["check", "--graphiql", "off"], &OPTION[..]].concat();
    assert!(!scratch.must(&quiet).contains("GraphiQL"));
    assert!(!scratch.must(&["check"]).contains("trusted"));

    let gateway = scratch.start(&[&["serve"], &OPTION[..]].concat());
    let body = json!({ "documentId": "who", "variables": { "id": 1, "more": true } });
    let answer = Answer::to(gateway.graphql().bearer_auth(&token).json(&body)).await;
    assert_eq!(answer.json()["data"]["user"]["id"], "User:1");
    let answer = gateway.answer(&token, "{ __typename }", json!({})).await;
    answer.refuses(400, "DOCUMENT_NOT_TRUSTED");
}
