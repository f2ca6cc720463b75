//! Who sees and does what: each kind of caller asks each root field, and the paths that lead from
//! it, about themselves, a colleague, a stranger and nobody.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, TypeKind, TypeSystemDefinition};
use serde_json::{Value, json};
use user_gateway::domain::UserId;

use super::{codes, schema::field_names};
use crate::harness::{Account, Engine, Gateway};

on_each_engine! {
    each_caller_sees_and_does_what_the_table_says
    private_fields_are_all_alike_wherever_a_user_is_met
    absent_and_invisible_look_alike_to_the_byte_and_cost_the_same
    private_conditions_find_the_viewer_alone
    whoever_is_merely_invited_sees_no_members
    who_belongs_to_a_foreign_organization_cannot_be_probed
    no_answer_holds_a_secret
}

const ADA: UserId = UserId(1);
const SAM: UserId = UserId(4);
const SUE: UserId = UserId(5);

/// The directory that everybody asks about. `ada` (1) and `bob` (2) share the organization 1,
/// `bob` and `cyd` (3) the organization 2. `sam` (4) is staff and `sue` (5) a superuser; they
/// belong to nothing.
pub(super) async fn directory(engine: Engine) -> Gateway {
    let gateway = Gateway::start(engine).await;
    let database = &gateway.database;
    let users = database.add_users(["ada", "bob", "cyd"]).await;
    let [_, bob, cyd] = users;
    let shared = database.add_organization(1, "us", Some(0)).await;
    let other = database.add_organization(2, "us", Some(0)).await;
    for (user, organization) in [(ADA, shared), (bob, shared), (bob, other), (cyd, other)] {
        database.join(user, organization).await;
    }
    let provider = database.add_provider(other).await;
    let role = database.add_role("support", &["users.view"]).await;
    for user in users {
        database.add_authenticator(user, 1, "{}").await;
        database
            .add_identity(user, provider, &format!("ident-{user}"))
            .await;
        database.give_role(user, role).await;
        database
            .add_option(user, (None, None), "theme", r#""dark""#)
            .await;
    }
    for (username, is_staff, is_superuser) in [("sam", true, false), ("sue", false, true)] {
        let account = Account {
            username,
            is_superuser,
            is_staff,
            ..Account::default()
        };
        database.add(account).await;
    }
    gateway
}

/// Every kind of caller with its token. A person with a `-` has a token without any scope.
pub(super) async fn callers(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let mut callers = Vec::new();
    for (name, id, scopes) in [
        ("person", ADA, &[][..]),
        ("person-", ADA, &["none"]),
        ("person user:read", ADA, &["user:read"]),
        ("person org:read", ADA, &["org:read"]),
        ("person user:write", ADA, &["user:write"]),
        ("person user:admin", ADA, &["user:admin"]),
        ("staff", SAM, &[]),
        ("staff-", SAM, &["none"]),
        ("superuser", SUE, &[]),
        ("superuser-", SUE, &["none"]),
    ] {
        callers.push((name, gateway.user_token(id, scopes).await));
    }
    for (name, scopes) in [
        ("nothing", &["none"][..]),
        ("user:read", &["user:read"]),
        ("user:admin", &["user:admin"]),
        ("user:write", &["user:write"]),
        ("org:read", &["org:read"]),
        ("user:read+admin", &["user:read", "user:admin"]),
        ("user:read+org:read", &["user:read", "org:read"]),
        ("user:read+write", &["user:read", "user:write"]),
    ] {
        callers.push((name, gateway.service_token(name, scopes).await));
    }
    callers
}

/// What an answer tells: its texts and numbers, else that there is nothing, and the codes of its
/// errors.
fn told(answer: &Value) -> String {
    fn leaves(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => {}
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| leaves(field, found)),
            value => found.push(value.to_string()),
        }
    }
    let mut found = Vec::new();
    let data = answer.get("data").cloned().unwrap_or_default();
    leaves(&data, &mut found);
    let codes: BTreeSet<_> = codes(answer).into_iter().collect();
    let is_null = data
        .as_object()
        .is_some_and(|data| data.values().all(Value::is_null));
    match (found.is_empty(), codes.is_empty()) {
        (true, true) if is_null => "null".to_owned(),
        (true, true) => "nothing".to_owned(),
        (false, true) => found.join(" "),
        (true, false) => Vec::from_iter(codes).join(" "),
        (false, false) => format!("{}, {}", found.join(" "), Vec::from_iter(codes).join(" ")),
    }
}

/// What is asked: every root field, about everybody whom it can be about.
const QUESTIONS: [&str; 53] = [
    "{ viewer { user { username } service } }",
    "{ user(id: 1) { username } }",
    "{ user(id: 2) { username } }",
    "{ user(id: 3) { username } }",
    "{ user(id: 99) { username } }",
    "{ user(id: 1) { email } }",
    "{ user(id: 2) { email } }",
    "{ user(id: 3) { email } }",
    "{ user(id: 1) { organizations { slug } } }",
    "{ user(id: 2) { organizations { slug } } }",
    "{ user(id: 1) { identities { organization { slug } } } }",
    "{ users { nodes { username } totalCount } }",
    r#"{ users(filter: {query: "b"}) { nodes { username } } }"#,
    "{ users(filter: {isActive: true}) { totalCount } }",
    "{ users(filter: {ids: [1, 2, 3, 99]}) { nodes { username } totalCount } }",
    r#"{ users(filter: {usernames: ["ada", "bob", "cyd"]}) { edges { node { username } } } }"#,
    r#"{ users(filter: {emails: ["ada@example.com", "bob@example.com"]}) { nodes { username } } }"#,
    "{ users(filter: {organizationId: 1}) { nodes { username } } }",
    "{ users(filter: {organizationId: 2}) { nodes { username } } }",
    "{ users(filter: {ids: [1, 2]}) { nodes { username email } } }",
    "{ users(filter: {ids: [2]}) { nodes { organizations { slug members { nodes { username } } } } } }",
    r#"{ existingUsernames(usernames: ["ada", "cyd", "nobody"]) }"#,
    "{ organizations(userId: 1) { slug } }",
    "{ organizations(userId: 2) { slug } }",
    "{ organizations(userId: 3) { slug } }",
    "{ organizations(userId: 99) { slug } }",
    "{ userOptions(filter: {userIds: [1]}) { key } }",
    "{ userOptions(filter: {userIds: [2]}) { key } }",
    "{ userOptions(filter: {userIds: [99]}) { key } }",
    "{ userOptions(filter: {userIds: [1, 2]}) { key } }",
    "{ userOptions(filter: {userIds: [1]}) { user { username } } }",
    r#"{ node(id: "User:1") { id } }"#,
    r#"{ node(id: "User:2") { id } }"#,
    r#"{ node(id: "User:3") { id } }"#,
    r#"{ node(id: "Organization:1") { id } }"#,
    r#"{ node(id: "Organization:2") { id } }"#,
    r#"{ node(id: "UserOption:1") { id } }"#,
    r#"{ node(id: "UserOption:2") { id } }"#,
    r#"{ nodes(ids: ["User:1", "User:2", "User:3", "Organization:1", "Organization:2", "UserOption:1", "UserOption:2", "User:99"]) { id } }"#,
    "{ organization(by: {id: 1}) { slug } }",
    r#"{ organization(by: {slug: "org-2"}) { slug } }"#,
    "{ organization(by: {id: 1}) { members { nodes { username } totalCount } } }",
    "{ organization(by: {id: 1}) { members { edges { node { username email } } } } }",
    r#"mutation { getOrCreateUserByEmail(input: {email: "ada@example.com"}) { user { username } errors { code } } }"#,
    r#"mutation { setUserOption(input: {userId: 1, key: "k", value: "v"}) { option { value } errors { code } } }"#,
    r#"mutation { setUserOption(input: {userId: 2, key: "k", value: "v"}) { option { value } errors { code } } }"#,
    r#"mutation { deleteUserOptions(input: {userId: 1, keys: ["none"]}) { deletedIds errors { code } } }"#,
    r#"mutation { deleteUserOptions(input: {userId: 2, keys: ["none"]}) { deletedIds errors { code } } }"#,
    r#"mutation { updateUser(input: {userId: 1, name: ""}) { user { username } errors { code } } }"#,
    "mutation { updateUser(input: {userId: 1, isActive: true}) { user { username } errors { code } } }",
    r#"mutation { updateUser(input: {userId: 2, name: ""}) { user { username } errors { code } } }"#,
    r#"mutation { verifyUserEmail(input: {userId: 1, email: "ada@example.com"}) { errors { code } } }"#,
    r#"mutation { verifyUserEmail(input: {userId: 2, email: "bob@example.com"}) { errors { code } } }"#,
];

#[expect(clippy::too_many_lines, reason = "most of them are a table")]
async fn each_caller_sees_and_does_what_the_table_says(engine: Engine) {
    let gateway = directory(engine).await;
    let callers = callers(&gateway).await;
    let mut table = String::new();
    for question in QUESTIONS {
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for (caller, token) in &callers {
            let told = told(&gateway.ask(token, question).await);
            match groups.iter_mut().find(|(same, _)| *same == told) {
                Some((_, who)) => who.push(caller),
                None => groups.push((told, vec![caller])),
            }
        }
        writeln!(table, "{question}").unwrap();
        for (told, who) in groups {
            writeln!(table, "    {told} <- {}", who.join(", ")).unwrap();
        }
    }
    insta::allow_duplicates! {
        insta::assert_snapshot!(table, @r#"
    { viewer { user { username } service } }
        ada <- person, person-, person user:read, person org:read, person user:write, person user:admin
        sam <- staff, staff-
        sue <- superuser, superuser-
        nothing <- nothing
        user:read <- user:read
        user:admin <- user:admin
        user:write <- user:write
        org:read <- org:read
        user:read+admin <- user:read+admin
        user:read+org:read <- user:read+org:read
        user:read+write <- user:read+write
    { user(id: 1) { username } }
        ada <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        null <- staff-, superuser-
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { user(id: 2) { username } }
        bob <- person, person user:read, staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        null <- person-, person org:read, person user:write, person user:admin, staff-, superuser-
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { user(id: 3) { username } }
        null <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-
        cyd <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { user(id: 99) { username } }
        null <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser, superuser-, user:read, user:read+admin, user:read+org:read, user:read+write
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { user(id: 1) { email } }
        ada@example.com <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, superuser, user:read+admin
        null <- staff-, superuser-
        FORBIDDEN <- nothing, user:read, user:admin, user:write, org:read, user:read+org:read, user:read+write
    { user(id: 2) { email } }
        FORBIDDEN <- person, person user:read, nothing, user:read, user:admin, user:write, org:read, user:read+org:read, user:read+write
        null <- person-, person org:read, person user:write, person user:admin, staff-, superuser-
        bob@example.com <- staff, superuser, user:read+admin
    { user(id: 3) { email } }
        null <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-
        cyd@example.com <- staff, superuser, user:read+admin
        FORBIDDEN <- nothing, user:read, user:admin, user:write, org:read, user:read+org:read, user:read+write
    { user(id: 1) { organizations { slug } } }
        org-1 <- person, person org:read, staff, superuser, user:read+org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
        null <- staff-, superuser-
    { user(id: 2) { organizations { slug } } }
        org-1 <- person
        null <- person-, person org:read, person user:write, person user:admin, staff-, superuser-
        FORBIDDEN <- person user:read, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
        org-1 org-2 <- staff, superuser, user:read+org:read
    { user(id: 1) { identities { organization { slug } } } }
        nothing <- person, person org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+org:read, user:read+write
        org-2 <- staff, superuser
        null <- staff-, superuser-
    { users { nodes { username } totalCount } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:admin, user:write, org:read
        ada bob cyd sam sue 5 <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
    { users(filter: {query: "b"}) { nodes { username } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:admin, user:write, org:read
        bob <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
    { users(filter: {isActive: true}) { totalCount } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:admin, user:write, org:read
        5 <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
    { users(filter: {ids: [1, 2, 3, 99]}) { nodes { username } totalCount } }
        ada bob 2 <- person, person user:read
        ada 1 <- person-, person org:read, person user:write, person user:admin
        ada bob cyd 3 <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        0 <- staff-, superuser-
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { users(filter: {usernames: ["ada", "bob", "cyd"]}) { edges { node { username } } } }
        ada bob <- person, person user:read
        ada <- person-, person org:read, person user:write, person user:admin
        ada bob cyd <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        nothing <- staff-, superuser-
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { users(filter: {emails: ["ada@example.com", "bob@example.com"]}) { nodes { username } } }
        ada <- person, person-, person user:read, person org:read, person user:write, person user:admin
        ada bob <- staff, superuser, user:read+admin
        nothing <- staff-, superuser-, user:read, user:read+org:read, user:read+write
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { users(filter: {organizationId: 1}) { nodes { username } } }
        ada bob <- person, staff, superuser, user:read+org:read
        FORBIDDEN <- person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
    { users(filter: {organizationId: 2}) { nodes { username } } }
        nothing <- person
        FORBIDDEN <- person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
        bob cyd <- staff, superuser, user:read+org:read
    { users(filter: {ids: [1, 2]}) { nodes { username email } } }
        ada@example.com ada bob, FORBIDDEN <- person, person user:read
        ada@example.com ada <- person-, person org:read, person user:write, person user:admin
        ada@example.com ada bob@example.com bob <- staff, superuser, user:read+admin
        nothing <- staff-, superuser-
        FORBIDDEN <- nothing, user:admin, user:write, org:read
        ada bob, FORBIDDEN <- user:read, user:read+org:read, user:read+write
    { users(filter: {ids: [2]}) { nodes { organizations { slug members { nodes { username } } } } } }
        ada bob org-1 <- person
        nothing <- person-, person org:read, person user:write, person user:admin, staff-, superuser-
        FORBIDDEN <- person user:read, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
        ada bob org-1 bob cyd org-2 <- staff, superuser, user:read+org:read
    { existingUsernames(usernames: ["ada", "cyd", "nobody"]) }
        ada cyd <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser, superuser-, user:read, user:read+admin, user:read+org:read, user:read+write
        FORBIDDEN <- nothing, user:admin, user:write, org:read
    { organizations(userId: 1) { slug } }
        org-1 <- person, person org:read, staff, superuser, org:read, user:read+org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
    { organizations(userId: 2) { slug } }
        org-1 <- person
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
        nothing <- person org:read
        org-1 org-2 <- staff, superuser, org:read, user:read+org:read
    { organizations(userId: 3) { slug } }
        nothing <- person, person org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
        org-2 <- staff, superuser, org:read, user:read+org:read
    { organizations(userId: 99) { slug } }
        nothing <- person, person org:read, staff, superuser, org:read, user:read+org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
    { userOptions(filter: {userIds: [1]}) { key } }
        theme <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, superuser, user:admin, user:read+admin
        FORBIDDEN <- staff-, superuser-, nothing, user:read, user:write, org:read, user:read+org:read, user:read+write
    { userOptions(filter: {userIds: [2]}) { key } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:write, org:read, user:read+org:read, user:read+write
        theme <- staff, superuser, user:admin, user:read+admin
    { userOptions(filter: {userIds: [99]}) { key } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:write, org:read, user:read+org:read, user:read+write
        nothing <- staff, superuser, user:admin, user:read+admin
    { userOptions(filter: {userIds: [1, 2]}) { key } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:write, org:read, user:read+org:read, user:read+write
        theme theme <- staff, superuser, user:admin, user:read+admin
    { userOptions(filter: {userIds: [1]}) { user { username } } }
        ada <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, superuser, user:read+admin
        FORBIDDEN <- staff-, superuser-, nothing, user:read, user:admin, user:write, org:read, user:read+org:read, user:read+write
    { node(id: "User:1") { id } }
        User:1 <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        null <- staff-, superuser-, nothing, user:admin, user:write, org:read
    { node(id: "User:2") { id } }
        User:2 <- person, person user:read, staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
        null <- person-, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:admin, user:write, org:read
    { node(id: "User:3") { id } }
        null <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:admin, user:write, org:read
        User:3 <- staff, superuser, user:read, user:read+admin, user:read+org:read, user:read+write
    { node(id: "Organization:1") { id } }
        Organization:1 <- person, person org:read, staff, superuser, org:read, user:read+org:read
        null <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
    { node(id: "Organization:2") { id } }
        null <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
        Organization:2 <- staff, superuser, org:read, user:read+org:read
    { node(id: "UserOption:1") { id } }
        UserOption:1 <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, superuser, user:admin, user:read+admin
        null <- staff-, superuser-, nothing, user:read, user:write, org:read, user:read+org:read, user:read+write
    { node(id: "UserOption:2") { id } }
        null <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:write, org:read, user:read+org:read, user:read+write
        UserOption:2 <- staff, superuser, user:admin, user:read+admin
    { nodes(ids: ["User:1", "User:2", "User:3", "Organization:1", "Organization:2", "UserOption:1", "UserOption:2", "User:99"]) { id } }
        User:1 User:2 Organization:1 UserOption:1 <- person
        User:1 UserOption:1 <- person-, person user:write, person user:admin
        User:1 User:2 UserOption:1 <- person user:read
        User:1 Organization:1 UserOption:1 <- person org:read
        User:1 User:2 User:3 Organization:1 Organization:2 UserOption:1 UserOption:2 <- staff, superuser
        nothing <- staff-, superuser-, nothing, user:write
        User:1 User:2 User:3 <- user:read, user:read+write
        UserOption:1 UserOption:2 <- user:admin
        Organization:1 Organization:2 <- org:read
        User:1 User:2 User:3 UserOption:1 UserOption:2 <- user:read+admin
        User:1 User:2 User:3 Organization:1 Organization:2 <- user:read+org:read
    { organization(by: {id: 1}) { slug } }
        org-1 <- person, person org:read, staff, superuser, org:read, user:read+org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
    { organization(by: {slug: "org-2"}) { slug } }
        null <- person, person org:read
        FORBIDDEN <- person-, person user:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, user:read+admin, user:read+write
        org-2 <- staff, superuser, org:read, user:read+org:read
    { organization(by: {id: 1}) { members { nodes { username } totalCount } } }
        ada bob 2 <- person, staff, superuser, user:read+org:read
        FORBIDDEN <- person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
    { organization(by: {id: 1}) { members { edges { node { username email } } } } }
        ada@example.com ada bob, FORBIDDEN <- person
        FORBIDDEN <- person-, person user:read, person org:read, person user:write, person user:admin, staff-, superuser-, nothing, user:read, user:admin, user:write, org:read, user:read+admin, user:read+write
        ada@example.com ada bob@example.com bob <- staff, superuser
        ada bob, FORBIDDEN <- user:read+org:read
    mutation { getOrCreateUserByEmail(input: {email: "ada@example.com"}) { user { username } errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        ada <- superuser, user:write, user:read+write
    mutation { setUserOption(input: {userId: 1, key: "k", value: "v"}) { option { value } errors { code } } }
        v <- person, person user:write, superuser, user:write, user:read+write
        FORBIDDEN <- person-, person user:read, person org:read, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
    mutation { setUserOption(input: {userId: 2, key: "k", value: "v"}) { option { value } errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        v <- superuser, user:write, user:read+write
    mutation { deleteUserOptions(input: {userId: 1, keys: ["none"]}) { deletedIds errors { code } } }
        nothing <- person, person user:write, superuser, user:write, user:read+write
        FORBIDDEN <- person-, person user:read, person org:read, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
    mutation { deleteUserOptions(input: {userId: 2, keys: ["none"]}) { deletedIds errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        nothing <- superuser, user:write, user:read+write
    mutation { updateUser(input: {userId: 1, name: ""}) { user { username } errors { code } } }
        ada <- person, person user:write, superuser, user:write, user:read+write
        FORBIDDEN <- person-, person user:read, person org:read, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
    mutation { updateUser(input: {userId: 1, isActive: true}) { user { username } errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        ada <- superuser, user:write, user:read+write
    mutation { updateUser(input: {userId: 2, name: ""}) { user { username } errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        bob <- superuser, user:write, user:read+write
    mutation { verifyUserEmail(input: {userId: 1, email: "ada@example.com"}) { errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        nothing <- superuser, user:write, user:read+write
    mutation { verifyUserEmail(input: {userId: 2, email: "bob@example.com"}) { errors { code } } }
        FORBIDDEN <- person, person-, person user:read, person org:read, person user:write, person user:admin, staff, staff-, superuser-, nothing, user:read, user:admin, org:read, user:read+admin, user:read+org:read
        nothing <- superuser, user:write, user:read+write
    "#);
    }
}

/// Whoever adds a root field says here who may use it.
#[test]
fn every_root_field_is_in_the_table() {
    for root in ["Query", "Mutation"] {
        for field in field_names(root) {
            let starts = |question: &str| {
                let (_, rest) = question.split_once("{ ").unwrap();
                rest.starts_with(&format!("{field}(")) || rest.starts_with(&format!("{field} "))
            };
            assert!(
                QUESTIONS.iter().any(|q| starts(q)),
                "{root}.{field} is not in the table"
            );
        }
    }
}

/// The fields of a user that the schema calls private, as they are asked for.
fn private_fields() -> Vec<String> {
    let sdl = include_str!("../../../schema.graphql");
    let mut found = Vec::new();
    for definition in parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else {
            continue;
        };
        let (TypeKind::Object(object), "User") = (&ty.node.kind, ty.node.name.node.as_str()) else {
            continue;
        };
        for field in &object.fields {
            let text = field
                .node
                .description
                .as_ref()
                .map_or("", |text| text.node.as_str());
            if text.starts_with("Private:") {
                found.push(selection(&field.node));
            }
        }
    }
    found
}

fn selection(field: &FieldDefinition) -> String {
    let name = field.name.node.as_str();
    match name {
        "option" => "option(key: \"theme\")".to_owned(),
        "emails" => "emails { email }".to_owned(),
        "identities" => "identities { ident }".to_owned(),
        "authenticators" => "authenticators { kind }".to_owned(),
        "flags" => "flags { newsletterConsentPrompt }".to_owned(),
        "options" => "options { key }".to_owned(),
        _ => name.to_owned(),
    }
}

#[expect(clippy::too_many_lines, reason = "most of them are a table")]
async fn private_fields_are_all_alike_wherever_a_user_is_met(engine: Engine) {
    let gateway = directory(engine).await;
    let fields = private_fields();
    assert_eq!(fields.len(), 10, "{fields:?}");
    // Whether the private fields of ada, of bob or of cyd are read, by each path that leads there.
    let paths = [
        ("user", "{ user(id: ID) { FIELD } }"),
        (
            "users",
            "{ users(filter: {ids: [ID]}) { nodes { FIELD } } }",
        ),
        (
            "edges",
            "{ users(filter: {ids: [ID]}) { edges { node { FIELD } } } }",
        ),
        (
            "node",
            "{ node(id: \"User:ID\") { ... on User { FIELD } } }",
        ),
        (
            "nodes",
            "{ nodes(ids: [\"User:ID\"]) { ... on User { FIELD } } }",
        ),
        (
            "member",
            "{ organization(by: {id: ORG}) { members(first: 1, after: \"AFTER\") { nodes { FIELD } } } }",
        ),
        (
            "member edge",
            "{ organization(by: {id: ORG}) { members(first: 1, after: \"AFTER\") { edges { node { FIELD } } } } }",
        ),
        (
            "option",
            "{ userOptions(filter: {userIds: [ID]}) { user { FIELD } } }",
        ),
        (
            "stored option",
            "{ node(id: \"UserOption:ID\") { ... on UserOption { user { FIELD } } } }",
        ),
    ];
    let mut table = String::new();
    for (name, token) in callers(&gateway).await {
        // These differ from others in nothing that concerns reading.
        if name.contains("write") || name.ends_with('-') {
            continue;
        }
        for (path, template) in paths {
            let mut cells = Vec::new();
            for (id, organization) in [(1, 1), (2, 1), (3, 2)] {
                use base64::Engine as _;
                let after = format!("1:i:{}", id - 1);
                let after = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(after);
                let mut outcomes = BTreeSet::new();
                for field in &fields {
                    let query = template
                        .replace("FIELD", field)
                        .replace("ORG", &organization.to_string())
                        .replace("AFTER", &after)
                        .replace("ID", &id.to_string());
                    let told = told(&gateway.ask(&token, &query).await);
                    outcomes.insert(match told.as_str() {
                        "FORBIDDEN" | "null" | "nothing" => told,
                        told if told.contains(',') => format!("{told}!"),
                        _ => "read".to_owned(),
                    });
                }
                cells.push(Vec::from_iter(outcomes).join("|"));
            }
            writeln!(table, "{name}, {path}: {}", cells.join(", ")).unwrap();
        }
    }
    insta::allow_duplicates! {
        insta::assert_snapshot!(table, @r#"
    person, user: read, FORBIDDEN, null
    person, users: read, FORBIDDEN, nothing
    person, edges: read, FORBIDDEN, nothing
    person, node: read, FORBIDDEN, null
    person, nodes: read, FORBIDDEN, nothing
    person, member: read, FORBIDDEN, null
    person, member edge: read, FORBIDDEN, null
    person, option: read, FORBIDDEN, FORBIDDEN
    person, stored option: read, null, null
    person user:read, user: read, FORBIDDEN, null
    person user:read, users: read, FORBIDDEN, nothing
    person user:read, edges: read, FORBIDDEN, nothing
    person user:read, node: read, FORBIDDEN, null
    person user:read, nodes: read, FORBIDDEN, nothing
    person user:read, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    person user:read, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    person user:read, option: read, FORBIDDEN, FORBIDDEN
    person user:read, stored option: read, null, null
    person org:read, user: read, null, null
    person org:read, users: read, nothing, nothing
    person org:read, edges: read, nothing, nothing
    person org:read, node: read, null, null
    person org:read, nodes: read, nothing, nothing
    person org:read, member: FORBIDDEN, FORBIDDEN, null
    person org:read, member edge: FORBIDDEN, FORBIDDEN, null
    person org:read, option: read, FORBIDDEN, FORBIDDEN
    person org:read, stored option: read, null, null
    person user:admin, user: read, null, null
    person user:admin, users: read, nothing, nothing
    person user:admin, edges: read, nothing, nothing
    person user:admin, node: read, null, null
    person user:admin, nodes: read, nothing, nothing
    person user:admin, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    person user:admin, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    person user:admin, option: read, FORBIDDEN, FORBIDDEN
    person user:admin, stored option: read, null, null
    staff, user: read, read, read
    staff, users: read, read, read
    staff, edges: read, read, read
    staff, node: read, read, read
    staff, nodes: read, read, read
    staff, member: read, read, read
    staff, member edge: read, read, read
    staff, option: read, read, read
    staff, stored option: read, read, read
    superuser, user: read, read, read
    superuser, users: read, read, read
    superuser, edges: read, read, read
    superuser, node: read, read, read
    superuser, nodes: read, read, read
    superuser, member: read, read, read
    superuser, member edge: read, read, read
    superuser, option: read, read, read
    superuser, stored option: read, read, read
    nothing, user: FORBIDDEN, FORBIDDEN, FORBIDDEN
    nothing, users: FORBIDDEN, FORBIDDEN, FORBIDDEN
    nothing, edges: FORBIDDEN, FORBIDDEN, FORBIDDEN
    nothing, node: null, null, null
    nothing, nodes: nothing, nothing, nothing
    nothing, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    nothing, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    nothing, option: FORBIDDEN, FORBIDDEN, FORBIDDEN
    nothing, stored option: null, null, null
    user:read, user: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, users: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, edges: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, node: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, nodes: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, option: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read, stored option: null, null, null
    user:admin, user: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:admin, users: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:admin, edges: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:admin, node: null, null, null
    user:admin, nodes: nothing, nothing, nothing
    user:admin, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:admin, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:admin, option: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:admin, stored option: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, user: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, users: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, edges: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, node: null, null, null
    org:read, nodes: nothing, nothing, nothing
    org:read, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, option: FORBIDDEN, FORBIDDEN, FORBIDDEN
    org:read, stored option: null, null, null
    user:read+admin, user: read, read, read
    user:read+admin, users: read, read, read
    user:read+admin, edges: read, read, read
    user:read+admin, node: read, read, read
    user:read+admin, nodes: read, read, read
    user:read+admin, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+admin, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+admin, option: read, read, read
    user:read+admin, stored option: read, read, read
    user:read+org:read, user: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, users: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, edges: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, node: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, nodes: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, member: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, member edge: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, option: FORBIDDEN, FORBIDDEN, FORBIDDEN
    user:read+org:read, stored option: null, null, null
    "#);
    }
}

#[expect(clippy::too_many_lines, reason = "most of them are a table")]
async fn absent_and_invisible_look_alike_to_the_byte_and_cost_the_same(engine: Engine) {
    let gateway = directory(engine).await;
    let person = gateway.user_token(ADA, &[]).await;
    let ask = async |query: &str, variables: Value| {
        let before = gateway.statements();
        let body = json!({ "query": query, "variables": variables });
        let text = gateway.post(&person, &body).await.text().await.unwrap();
        (text, gateway.statements() - before)
    };
    // From here on it is known who asks.
    ask("{ __typename }", json!({})).await;
    for (query, invisible, absent) in [
        (
            "query ($x: ID!) { user(id: $x) { username email } }",
            json!("User:3"),
            json!("User:9"),
        ),
        (
            "query ($x: ID!) { users(filter: {ids: [$x]}) { nodes { id } totalCount pageInfo { hasNextPage } } }",
            json!("3"),
            json!("9"),
        ),
        (
            "query ($x: String!) { users(filter: {usernames: [$x]}) { nodes { id } totalCount } }",
            json!("cyd"),
            json!("xyz"),
        ),
        (
            "query ($x: String!) { users(filter: {emails: [$x]}) { nodes { id } totalCount } }",
            json!("bob@example.com"),
            json!("xyz@example.com"),
        ),
        (
            "query ($x: ID!) { users(filter: {organizationId: $x}) { nodes { id } totalCount } }",
            json!("2"),
            json!("9"),
        ),
        (
            "query ($x: String!) { users(filter: {ids: [1, 3], query: $x}) { nodes { id } } }",
            json!("cyd"),
            json!("xyz"),
        ),
        (
            "query ($x: ID!) { organizations(userId: $x) { id } }",
            json!("3"),
            json!("9"),
        ),
        (
            "query ($x: ID!) { userOptions(filter: {userIds: [$x]}) { key } }",
            json!("3"),
            json!("9"),
        ),
        (
            "query ($x: ID!) { userOptions(filter: {userIds: [$x]}) { key } }",
            json!("2"),
            json!("9"),
        ),
        (
            "query ($x: ID!) { node(id: $x) { id } }",
            json!("User:3"),
            json!("User:9"),
        ),
        (
            "query ($x: ID!) { node(id: $x) { id } }",
            json!("Organization:2"),
            json!("Organization:9"),
        ),
        (
            "query ($x: ID!) { node(id: $x) { id } }",
            json!("UserOption:3"),
            json!("UserOption:9"),
        ),
        (
            "query ($x: ID!) { nodes(ids: [\"User:1\", $x]) { id } }",
            json!("User:3"),
            json!("User:9"),
        ),
        (
            "query ($x: ID!) { organization(by: {id: $x}) { id } }",
            json!("2"),
            json!("9"),
        ),
        (
            "query ($x: String!) { organization(by: {slug: $x}) { id } }",
            json!("org-2"),
            json!("org-9"),
        ),
        (
            "mutation ($x: ID!) { setUserOption(input: {userId: $x, key: \"k\", value: 1}) { changed } }",
            json!("3"),
            json!("9"),
        ),
        (
            "mutation ($x: ID!) { deleteUserOptions(input: {userId: $x, keys: [\"theme\"]}) { deletedIds } }",
            json!("3"),
            json!("9"),
        ),
        (
            "mutation ($x: ID!) { updateUser(input: {userId: $x, name: \"x\"}) { user { id } errors { code } } }",
            json!("3"),
            json!("9"),
        ),
        (
            "mutation ($x: String!) { updateUser(input: {userId: 3, username: $x}) { user { id } errors { code } } }",
            json!("bob"),
            json!("xyz"),
        ),
        (
            "mutation ($x: ID!) { verifyUserEmail(input: {userId: $x, email: \"cyd@example.com\"}) { changed } }",
            json!("3"),
            json!("9"),
        ),
        (
            "mutation ($x: String!) { getOrCreateUserByEmail(input: {email: $x}) { created } }",
            json!("cyd@example.com"),
            json!("xyz@example.com"),
        ),
    ] {
        let of_invisible = ask(query, json!({ "x": invisible })).await;
        let of_absent = ask(query, json!({ "x": absent })).await;
        assert_eq!(of_invisible, of_absent, "{query}");
    }
}

async fn private_conditions_find_the_viewer_alone(engine: Engine) {
    let gateway = directory(engine).await;
    gateway
        .database
        .execute("UPDATE sentry_useremail SET is_verified = false WHERE user_id = 2")
        .await;
    gateway
        .database
        .execute("DELETE FROM auth_authenticator WHERE user_id = 2")
        .await;
    let person = gateway.user_token(ADA, &[]).await;
    for (filter, expected) in [
        ("ids: [1, 2]", "ada bob 2"),
        (
            r#"emails: ["ada@example.com", "bob@example.com", "cyd@example.com"]"#,
            "ada 1",
        ),
        (r#"emails: ["bob@example.com"]"#, "0"),
        ("ids: [1, 2, 3], emailVerified: true", "ada 1"),
        ("ids: [1, 2, 3], emailVerified: false", "0"),
        (
            "ids: [1, 2, 3], authenticators: {anyOf: [TOTP, SMS, U2F, RECOVERY]}",
            "ada 1",
        ),
        ("ids: [1, 2, 3], authenticators: {none: true}", "0"),
        (r#"ids: [1, 2, 3], query: "example.com""#, "ada 1"),
        (r#"ids: [1, 2, 3], query: "bob""#, "bob 1"),
        (r#"ids: [1, 2, 3], query: "bob@""#, "0"),
        (r#"ids: [1, 2, 3], query: "cyd""#, "0"),
    ] {
        let query =
            format!("{{ users(filter: {{{filter}}}) {{ nodes {{ username }} totalCount }} }}");
        assert_eq!(
            told(&gateway.ask(&person, &query).await),
            expected,
            "{filter}"
        );
    }
    // Staff without the scope to read private fields may not search by them either.
    let staff = gateway.user_token(SAM, &["user:read"]).await;
    let reader = gateway.service_token("tests", &["user:read"]).await;
    for token in [staff, reader] {
        for filter in [
            r#"emails: ["bob@example.com"]"#,
            "emailVerified: false",
            "authenticators: {anyOf: [TOTP]}",
            r#"query: "example.com""#,
        ] {
            let query = format!("{{ users(filter: {{{filter}}}) {{ nodes {{ username }} }} }}");
            let told = told(&gateway.ask(&token, &query).await);
            assert!(told == "nothing" || told == "FORBIDDEN", "{filter}: {told}");
        }
    }
}

async fn whoever_is_merely_invited_sees_no_members(engine: Engine) {
    let gateway = directory(engine).await;
    let database = &gateway.database;
    let organization = database.add_organization(3, "us", Some(0)).await;
    let eli = database.add_user("eli").await;
    database.join(eli, organization).await;
    database
        .add_membership(organization, Some(ADA), "member", Some(1))
        .await;
    let person = gateway.user_token(ADA, &[]).await;
    let id = eli.0;
    for (query, expected) in [
        (
            "{ user(id: 1) { organizations { slug members { nodes { username } totalCount } } } }"
                .to_owned(),
            "org-1 ada bob 2 org-3 0",
        ),
        // What stands in her list is found by its names too.
        (
            "{ organization(by: {id: 3}) { slug members { totalCount } } }".to_owned(),
            "org-3 0",
        ),
        (
            r#"{ organization(by: {slug: "org-3"}) { slug } }"#.to_owned(),
            "org-3",
        ),
        (
            r#"{ node(id: "Organization:3") { id } }"#.to_owned(),
            "Organization:3",
        ),
        (
            "{ users(filter: {organizationId: 3}) { nodes { username } totalCount } }".to_owned(),
            "0",
        ),
        (format!("{{ user(id: {id}) {{ username }} }}"), "null"),
        (
            format!("{{ users(filter: {{ids: [{id}]}}) {{ nodes {{ username }} }} }}"),
            "nothing",
        ),
        (
            format!("{{ organizations(userId: {id}) {{ slug }} }}"),
            "nothing",
        ),
    ] {
        let answer = gateway.ask(&person, &query).await;
        let mut words: Vec<_> = told(&answer).split(' ').map(str::to_owned).collect();
        let mut expected: Vec<_> = expected.split(' ').map(str::to_owned).collect();
        words.sort_unstable();
        expected.sort_unstable();
        assert_eq!(words, expected, "{query}");
    }
    // Nor does the other side see whom it has merely invited.
    let eli = gateway.user_token(eli, &[]).await;
    assert_eq!(
        told(&gateway.ask(&eli, "{ user(id: 1) { username } }").await),
        "null"
    );
    let members = "{ organization(by: {id: 3}) { members { nodes { username } } } }";
    assert_eq!(told(&gateway.ask(&eli, members).await), "eli");
}

async fn who_belongs_to_a_foreign_organization_cannot_be_probed(engine: Engine) {
    let gateway = directory(engine).await;
    let person = gateway.user_token(ADA, &[]).await;
    // She sees bob, and does not see that he belongs to the organization 2 as well.
    for filter in ["organizationId: 2", "ids: [2], organizationId: 2"] {
        let query =
            format!("{{ users(filter: {{{filter}}}) {{ nodes {{ username }} totalCount }} }}");
        assert_eq!(told(&gateway.ask(&person, &query).await), "0");
    }
    let shared = "{ users(filter: {organizationId: 1}) { nodes { username } } }";
    assert_eq!(told(&gateway.ask(&person, shared).await), "ada bob");
    // Memberships are read with the scope for organizations, whichever way they are asked for.
    let reader = gateway.service_token("tests", &["user:read"]).await;
    assert_eq!(told(&gateway.ask(&reader, shared).await), "FORBIDDEN");
}

/// Asks for every field of a type, `depth` types deep.
fn all_fields(sdl: &str, ty: &str, depth: usize) -> String {
    let mut text = String::new();
    for definition in parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(found) = definition else {
            continue;
        };
        if found.node.name.node != ty {
            continue;
        }
        let fields = match &found.node.kind {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(_) => {
                for object in ["User", "Organization", "UserOption"] {
                    write!(
                        text,
                        "... on {object} {{ {} }} ",
                        all_fields(sdl, object, depth)
                    )
                    .unwrap();
                }
                return text;
            }
            _ => continue,
        };
        for field in fields {
            let name = field.node.name.node.as_str();
            let below = field.node.ty.node.to_string();
            let below = below.trim_matches(['[', ']', '!']);
            let is_leaf = ["ID", "String", "Boolean", "Int", "DateTime", "JSON"].contains(&below)
                || sdl.contains(&format!("enum {below} "));
            // Fields that differ in nothing but their arguments may not share a key.
            let asked = match (ty, name) {
                ("User", "option") => "option(key: \"theme\")".to_owned(),
                (_, "flags" | "value" | "errors") => {
                    format!("{}_{name}: {name}", ty.to_lowercase())
                }
                _ => name.to_owned(),
            };
            if is_leaf {
                write!(text, "{asked} ").unwrap();
            } else if depth > 0 {
                write!(text, "{asked} {{ {} }} ", all_fields(sdl, below, depth - 1)).unwrap();
            }
        }
    }
    text + "__typename "
}

async fn no_answer_holds_a_secret(engine: Engine) {
    let gateway = directory(engine).await;
    let database = &gateway.database;
    for statement in [
        "UPDATE auth_user SET password = 'SECRET-password', session_nonce = 'SECRET-nonce'",
        "UPDATE sentry_useremail SET validation_hash = 'SECRET-hash'",
        r#"UPDATE auth_authenticator SET config = '{"seed": "SECRET-seed"}'"#,
        r#"UPDATE sentry_authidentity SET data = '{"token": "SECRET-data"}'"#,
        r#"UPDATE sentry_authprovider SET config = '{"key": "SECRET-key"}'"#,
    ] {
        database.execute(statement).await;
    }
    let scopes = ["user:read", "user:admin", "user:write", "org:read"];
    let tokens = [
        gateway.user_token(ADA, &[]).await,
        gateway.user_token(SUE, &[]).await,
        gateway.service_token("tests", &scopes).await,
    ];
    let sdl = include_str!("../../../schema.graphql");
    let everything = |ty: &str, depth| all_fields(sdl, ty, depth);
    let queries = [
        format!("{{ viewer {{ {} }} }}", everything("Viewer", 3)),
        format!("{{ user(id: 1) {{ {} }} }}", everything("User", 2)),
        format!(
            "{{ users(first: 5, filter: {{ids: [1, 2, 3]}}) {{ {} }} }}",
            everything("UserConnection", 3)
        ),
        format!("{{ node(id: \"User:1\") {{ {} }} }}", everything("Node", 1)),
        format!(
            "{{ nodes(ids: [\"UserOption:1\", \"Organization:1\"]) {{ {} }} }}",
            everything("Node", 1)
        ),
        format!(
            "{{ organization(by: {{id: 1}}) {{ {} }} }}",
            everything("Organization", 3)
        ),
        format!(
            "{{ organizations(userId: 1) {{ {} }} }}",
            everything("Organization", 1)
        ),
        format!(
            "{{ userOptions(filter: {{userIds: [1]}}) {{ {} }} }}",
            everything("UserOption", 2)
        ),
        format!(
            "mutation {{ setUserOption(input: {{userId: 1, key: \"k\", value: 1}}) {{ {} }} }}",
            everything("SetUserOptionPayload", 2)
        ),
        format!(
            "mutation {{ updateUser(input: {{userId: 1, name: \"x\"}}) {{ {} }} }}",
            everything("UpdateUserPayload", 2)
        ),
        format!(
            "mutation {{ getOrCreateUserByEmail(input: {{email: \"ada@example.com\"}}) {{ {} }} }}",
            everything("GetOrCreateUserByEmailPayload", 2)
        ),
        format!(
            "mutation {{ verifyUserEmail(input: {{userId: 1, email: \"ada@example.com\"}}) {{ {} }} }}",
            everything("VerifyUserEmailPayload", 2)
        ),
    ];
    for (i, token) in tokens.iter().enumerate() {
        for query in &queries {
            let body = gateway
                .post(token, &json!({ "query": query }))
                .await
                .text()
                .await
                .unwrap();
            assert!(!body.contains("SECRET"), "{query}\n{body}");
            assert!(body.contains("\"data\":"), "{query}\n{body}");
            assert!(i == 0 || body.contains("__typename"), "{query}\n{body}");
        }
    }
    let names = "{ __schema { types { name fields { name } inputFields { name } } } }";
    let answer = gateway.ask(&tokens[0], names).await;
    let text = answer.to_string().to_lowercase();
    for word in [
        "password", "nonce", "secret", "seed", "hash", "config", "token", "cookie", "session",
    ] {
        assert!(!text.contains(word), "{word}");
    }
}
