//! The schema: what the file promises, what the binary prints, what introspection tells.

use std::collections::BTreeSet;
use std::process::Command;

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    InputValueDefinition, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{ada, codes};
use crate::harness::{Engine, Gateway};

const SDL: &str = include_str!("../../../schema.graphql");

fn types() -> Vec<TypeDefinition> {
    let definitions = parse_schema(SDL).unwrap().definitions;
    let types = definitions
        .into_iter()
        .filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some(ty.node),
            _ => None,
        });
    types.collect()
}

/// The names of the fields of an object type.
pub(super) fn field_names(ty: &str) -> Vec<String> {
    let types = types();
    let found = types.iter().find(|found| found.name.node == ty).unwrap();
    let TypeKind::Object(object) = &found.kind else {
        panic!("{ty} is no object");
    };
    object
        .fields
        .iter()
        .map(|field| field.node.name.node.to_string())
        .collect()
}

#[test]
fn the_file_is_what_the_binary_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_user-gateway"))
        .arg("schema")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed == SDL,
        "schema.graphql is out of date; renew it with `user-gateway schema > schema.graphql`"
    );
}

#[test]
fn everything_has_a_description_of_its_own() {
    // Texts that the engine puts where nobody has written one.
    const STOCK: [&str; 3] = ["Implement", "A scalar that can represent", "The `"];
    let mut missing = Vec::new();
    let mut check = |place: String, text: Option<&Positioned<String>>| {
        let text = text.map_or("", |text| text.node.trim());
        if text.is_empty()
            || STOCK.iter().any(|stock| text.starts_with(stock))
            || !text.ends_with('.')
        {
            missing.push(format!("{place}: {text:?}"));
        }
    };
    let arguments = |place: &str, given: &[Positioned<InputValueDefinition>]| {
        let texts = given.iter().map(|argument| {
            let name = format!("{place}({})", argument.node.name.node);
            (name, argument.node.description.clone())
        });
        texts.collect::<Vec<_>>()
    };
    for ty in types() {
        let name = ty.name.node.to_string();
        check(name.clone(), ty.description.as_ref());
        match &ty.kind {
            TypeKind::Object(async_graphql::parser::types::ObjectType { fields, .. })
            | TypeKind::Interface(async_graphql::parser::types::InterfaceType { fields, .. }) => {
                for field in fields {
                    let place = format!("{name}.{}", field.node.name.node);
                    check(place.clone(), field.node.description.as_ref());
                    for (place, text) in arguments(&place, &field.node.arguments) {
                        check(place, text.as_ref());
                    }
                }
            }
            TypeKind::Enum(ty) => {
                for value in &ty.values {
                    let place = format!("{name}.{}", value.node.value.node);
                    check(place, value.node.description.as_ref());
                }
            }
            TypeKind::InputObject(ty) => {
                for (place, text) in arguments(&name, &ty.fields) {
                    check(place, text.as_ref());
                }
            }
            TypeKind::Scalar | TypeKind::Union(_) => {}
        }
    }
    assert_eq!(missing, [""; 0]);
}

/// An `Int` has 32 bits. Whatever may outgrow them is text: ids are, and counts stop there.
#[test]
fn only_counts_and_page_sizes_are_numbers() {
    let mut numbers = BTreeSet::new();
    for ty in types() {
        let name = ty.name.node.to_string();
        let mut note = |field: &str, ty: &async_graphql::parser::types::Type| {
            if ty.to_string().contains("Int") || ty.to_string().contains("Float") {
                numbers.insert(format!("{name}.{field}"));
            }
        };
        match &ty.kind {
            TypeKind::Object(object) => {
                for field in &object.fields {
                    note(&field.node.name.node, &field.node.ty.node);
                    for argument in &field.node.arguments {
                        note(
                            &format!("{}.{}", field.node.name.node, argument.node.name.node),
                            &argument.node.ty.node,
                        );
                    }
                }
            }
            TypeKind::InputObject(input) => {
                for field in &input.fields {
                    note(&field.node.name.node, &field.node.ty.node);
                }
            }
            _ => {}
        }
    }
    assert_eq!(
        Vec::from_iter(numbers),
        [
            "Organization.members.first",
            "Organization.members.last",
            "OrganizationMemberConnection.totalCount",
            "Query.users.first",
            "Query.users.last",
            "UserConnection.totalCount",
        ]
    );
}

#[test]
fn every_root_field_has_a_file_of_tests() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/graphql");
    for root in ["Query", "Mutation"] {
        for field in field_names(root) {
            let mut name = String::new();
            for c in field.chars() {
                if c.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(c.to_ascii_lowercase());
            }
            let text =
                std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap_or_default();
            assert!(
                text.contains(&format!(" {field}")),
                "{root}.{field} has no tests in {name}.rs"
            );
        }
    }
}

#[test]
fn clients_find_what_relay_expects() {
    let types = types();
    let fields = |name: &str| BTreeSet::from_iter(field_names(name));
    for ty in &types {
        let name = ty.name.node.as_str();
        if let Some(row) = name.strip_suffix("Connection") {
            for field in ["edges", "nodes", "pageInfo", "totalCount"] {
                assert!(fields(name).contains(field), "{name}.{field}");
            }
            for field in ["cursor", "node"] {
                assert!(
                    fields(&format!("{row}Edge")).contains(field),
                    "{row}Edge.{field}"
                );
            }
        }
    }
    assert_eq!(
        field_names("PageInfo"),
        ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"]
    );
    let default = SDL.contains("filter: UserFilter! = {}");
    assert!(
        default,
        "a default shows what is given, not a null for each field that is not"
    );
}

/// What GraphiQL and the generators of types ask first.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema {
    description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations
        args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) { name description
        args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name } } } } } } } } } }";

#[tokio::test]
async fn the_usual_introspection_passes_the_default_limits() {
    let (gateway, token) = ada(Engine::Sqlite).await;
    let answer = gateway.ask(&token, INTROSPECTION).await;
    assert!(answer.get("errors").is_none(), "{}", answer["errors"]);
    let told = answer["data"]["__schema"]["types"].as_array().unwrap();
    let told: BTreeSet<_> = told
        .iter()
        .map(|ty| ty["name"].as_str().unwrap().to_owned())
        .collect();
    for ty in types() {
        assert!(told.contains(ty.name.node.as_str()), "{}", ty.name.node);
    }
    let statements = gateway.statements();
    gateway.ask(&token, INTROSPECTION).await;
    assert_eq!(
        gateway.statements() - statements,
        0,
        "the schema needs nothing"
    );
}

#[tokio::test]
async fn a_type_is_found_by_name() {
    let (gateway, token) = ada(Engine::Sqlite).await;
    let query = r#"{ __type(name: "OrderDirection") { kind name enumValues { name } }
        none: __type(name: "Nothing") { name } }"#;
    assert_eq!(
        gateway.ask(&token, query).await,
        json!({ "data": {
            "__type": { "kind": "ENUM", "name": "OrderDirection",
                        "enumValues": [{ "name": "ASC" }, { "name": "DESC" }] },
            "none": null,
        } })
    );
}

/// The fields of an answer without errors, as they were written.
fn fields(answer: &str) -> &str {
    let fields = answer.strip_prefix("{\"data\":{");
    let fields = fields.and_then(|rest| rest.strip_suffix("}}"));
    fields.unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn the_schema_is_told_beside_other_fields_wherever_it_is_asked_for() {
    let about = "{ types { name fields { name type { ofType { name } } } } }";
    let asked = format!("__schema {about}");
    let user = "viewer { user { username } }";
    let (gateway, token) = ada(Engine::Sqlite).await;
    let engine = gateway.beside(|config| config.graphql.plans = false).await;
    let text = async |body: &Value| {
        let (one, other) = tokio::join!(gateway.post(&token, body), engine.post(&token, body));
        let (one, other) = (one.text().await.unwrap(), other.text().await.unwrap());
        assert_eq!(one, other, "{body}");
        one
    };
    let ask = async |query: &str| text(&json!({ "query": query })).await;
    let schema = ask(&format!("{{ {asked} }}")).await;
    let (schema, ada) = (fields(&schema), r#""viewer":{"user":{"username":"ada"}}"#);
    assert!(schema.len() > 5_000, "{schema}");
    for (query, expected) in [
        (format!("{{ {user} {asked} }}"), [ada, schema].as_slice()),
        (format!("{{ {asked} {user} }}"), &[schema, ada]),
        (
            format!("{{ ...F }} fragment F on Query {{ {asked} }}"),
            &[schema],
        ),
        (
            format!(
                "{{ ...F }} fragment F on Query {{ {user} ...G }} fragment G on Query {{ {asked} }}"
            ),
            &[ada, schema],
        ),
        (
            format!(
                "{{ ... {{ {asked} }} ... on Query {{ ...F }} }} fragment F on Query {{ {user} }}"
            ),
            &[schema, ada],
        ),
        (
            format!("{{ __schema @include(if: true) {about} ... @skip(if: false) {{ {user} }} }}"),
            &[schema, ada],
        ),
        (
            format!("query ($on: Boolean = false) {{ {user} __schema @include(if: $on) {about} }}"),
            &[ada],
        ),
        (
            format!(
                "{{ __schema {{ types {{ name }} }} {user} ...F }} fragment F on Query {{ {asked} }}"
            ),
            &[schema, ada],
        ),
        (
            format!(r#"{{ {user} no: __type(name: "No") {{ name }} {asked} __typename }}"#),
            &[ada, r#""no":null"#, schema, r#""__typename":"Query""#],
        ),
    ] {
        assert_eq!(fields(&ask(&query).await), expected.join(","), "{query}");
    }
    let batch = [&asked, user, &format!("{asked} {user}")];
    let batch = batch.map(|fields| json!({ "query": format!("{{ {fields} }}") }));
    assert_eq!(
        text(&json!(batch)).await,
        format!(r#"[{{"data":{{{schema}}}}},{{"data":{{{ada}}}}},{{"data":{{{schema},{ada}}}}}]"#)
    );
    // What fails beside it fails alone.
    let answer = ask(&format!("{{ user(id: \"x\") {{ id }} {asked} }}")).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(codes(&answer), ["BAD_USER_INPUT"]);
    assert_eq!(answer["errors"][0]["path"], json!(["user"]));
    assert!(answer["data"]["__schema"]["types"].is_array(), "{answer}");
}

#[tokio::test]
async fn introspection_can_be_switched_off_and_the_graph_still_works() {
    let gateway = Gateway::with(Engine::Sqlite, |config| {
        config.graphql.introspection = false;
    })
    .await;
    gateway.database.add_user("ada").await;
    let token = gateway.user_token(UserId(1), &[]).await;
    for query in [
        INTROSPECTION,
        "{ __schema { types { name } } }",
        r#"{ __type(name: "User") { name } }"#,
        r#"{ viewer { scopes } x: __type(name: "User") { name } }"#,
        "{ ...F } fragment F on Query { __schema { queryType { name } } }",
    ] {
        let answer = gateway.ask(&token, query).await;
        assert!(!codes(&answer).is_empty(), "{query}\n{answer}");
        assert!(!answer.to_string().contains("\"name\":\""), "{answer}");
    }
    let answer = gateway
        .ask(&token, "{ __typename user(id: 1) { __typename username } }")
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "__typename": "Query", "user": { "__typename": "User", "username": "ada" } } })
    );
}

#[tokio::test]
async fn a_wrong_name_is_told_without_the_schema() {
    let (gateway, token) = ada(Engine::Sqlite).await;
    let answer = gateway.ask(&token, "{ user(id: 1) { usernam } }").await;
    assert_eq!(codes(&answer), ["GRAPHQL_VALIDATION_FAILED"]);
    assert_eq!(answer.get("data"), None::<&Value>);
}
