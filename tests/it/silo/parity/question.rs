//! Every question that is asked.

use serde_json::{Value, json};

/// Everything of a user that can be asked for.
pub(super) const WHOLE: &str = "
    fragment Whole on User {
        id databaseId username name displayName avatar { type ident url }
        isActive isSuperuser isStaff isSentryApp isUnclaimed dateJoined lastActive
        organizations { ...Group } visible: organizations(onlyVisible: true) { id }
        email emails { databaseId email isVerified } hasTwoFactor roles permissions
        identities { databaseId ident provider organization { id } dateAdded lastVerified lastSynced }
        authenticators { databaseId kind isBackup createdAt lastUsedAt }
        flags { newsletterConsentPrompt }
        options { ...Setting } global: options(filter: { global: true }) { id }
        ofProject: options(filter: { projectId: 5 }) { id }
        theme: option(key: \"theme\") missing: option(key: \"missing\")
    }
    fragment Group on Organization {
        id databaseId slug name status regionName dateCreated flags { earlyAdopter require2FA }
    }
    fragment Setting on UserOption {
        id key value project user { id } organization { id }
    }";

const SET: &str = "mutation($input: SetUserOptionInput!) { setUserOption(input: $input) {
        changed option { ...Setting } errors { code message path } } }";

const DELETE: &str =
    "mutation($input: DeleteUserOptionsInput!) { deleteUserOptions(input: $input) {
        deletedIds errors { code message path } } }";

const UPDATE: &str = "mutation($input: UpdateUserInput!) { updateUser(input: $input) {
        user { id username name isActive avatar { url } } errors { code message path } } }";

const VERIFY: &str = "mutation($input: VerifyUserEmailInput!) { verifyUserEmail(input: $input) {
        changed errors { code message path } } }";

const CREATE: &str = "mutation($input: GetOrCreateUserByEmailInput!) {
        getOrCreateUserByEmail(input: $input) {
            created errors { code message path }
            user { id email name displayName isActive emails { email isVerified } options { id } }
        } }";

const USERS: &str = "query($filter: UserFilter! = {}, $orderBy: UserOrder! = { field: ID },
        $first: Int, $after: String, $last: Int, $before: String) {
        users(filter: $filter, orderBy: $orderBy,
              first: $first, after: $after, last: $last, before: $before) {
            totalCount edges { cursor node { id } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        } }";

const OPTIONS: &str =
    "query($filter: UserOptionFilter!) { userOptions(filter: $filter) { ...Setting } }";

/// A document and its variables.
pub(super) type Question = (&'static str, Value);

/// What every caller asks, in this order: reads, then changes with reads that show what they did.
pub(super) fn questions() -> Vec<Question> {
    let mut all = reads();
    for more in [
        of_each_user,
        pages,
        of_options,
        sets,
        deletions,
        updates,
        verifications,
    ] {
        all.extend(more());
    }
    all
}

/// What every caller asks after that: what is created has a name and a moment of its own in each
/// directory, which other answers would show.
pub(super) fn last_questions() -> Vec<Question> {
    let mut all = creations();
    all.push((
        "{ users { totalCount nodes { id email name isActive } } }",
        json!({}),
    ));
    all
}

fn reads() -> Vec<Question> {
    vec![
        ("{ viewer { user { ...Whole } service scopes capabilities } }", json!({})),
        ("{ users { nodes { ...Whole } } }", json!({})),
        ("query($ids: [ID!]!) { users(filter: { ids: $ids }) { nodes { ...Whole } } }", json!({ "ids": [5, 1, 1, 3, 99] })),
        ("query($names: [String!]!) { existingUsernames(usernames: $names) }", json!({ "names": ["eve", "ada", "nobody", "ADA", "ada"] })),
        ("{ nodes(ids: [\"User:2\", \"Organization:10\", \"UserOption:1\", \"User:99\"]) { id } }", json!({})),
        ("{ node(id: \"UserOption:2\") { ... on UserOption { ...Setting } } }", json!({})),
        ("{ node(id: \"Organization:11\") { ... on Organization { ...Group } } }", json!({})),
        ("{ node(id: \"Nothing:1\") { id } }", json!({})),
        ("{ bySlug: organization(by: { slug: \"org-10\" }) { ...Members }
            byId: organization(by: { id: 11 }) { ...Members }
            absent: organization(by: { id: 99 }) { id } }
          fragment Members on Organization { ...Group members(first: 2) {
            totalCount edges { cursor role dateAdded node { id username } } pageInfo { hasNextPage endCursor } } }", json!({})),
        ("{ organization(by: { id: 10 }) { members(last: 1) { nodes { ...Whole } pageInfo { hasPreviousPage } } } }", json!({})),
        ("{ organization(by: { id: 10, slug: \"org-10\" }) { id } }", json!({})),
        ("{ user(id: \"x\") { id } }", json!({})),
        ("{ user(id: 1) { nothing } }", json!({})),
        ("query($ids: [ID!]!) { users(filter: { ids: $ids }) { totalCount } }", json!({ "ids": (1..=1_001).collect::<Vec<_>>() })),
    ]
}

fn of_each_user() -> Vec<Question> {
    let mut all = Vec::new();
    for id in [1, 2, 3, 4, 5, 6, 7, 99] {
        all.push((
            "query($id: ID!) { user(id: $id) { ...Whole } }",
            json!({ "id": id }),
        ));
        all.push((
            "query($id: ID!) { organizations(userId: $id) { ...Group } }",
            json!({ "id": id }),
        ));
        all.push((
            "query($id: ID!) { organizations(userId: $id, onlyVisible: true) { id } }",
            json!({ "id": id }),
        ));
    }
    all
}

fn pages() -> Vec<Question> {
    let mut all = Vec::new();
    for variables in [
        json!({ "first": 2 }),
        json!({ "last": 2 }),
        json!({ "first": 3, "orderBy": { "field": "USERNAME", "direction": "DESC" } }),
        json!({ "last": 3, "orderBy": { "field": "DATE_JOINED" } }),
        json!({ "first": 1, "after": "made up" }),
        json!({ "first": -1 }),
        json!({ "first": 501 }),
        json!({ "filter": { "emails": ["ADA@example.com", "second@example.com"] } }),
        json!({ "filter": { "emailVerified": false } }),
        json!({ "filter": { "emailVerified": true, "ids": [1, 4] } }),
        json!({ "filter": { "usernames": ["ada", "Bob"] } }),
        json!({ "filter": { "organizationId": 10 } }),
        json!({ "filter": { "organizationId": 10, "isActive": true, "query": "B" } }),
        json!({ "filter": { "isActive": false } }),
        json!({ "filter": { "query": "ÜBER" } }),
        json!({ "filter": { "query": "100%_" } }),
        json!({ "filter": { "authenticators": { "anyOf": ["TOTP", "SMS"] } } }),
        json!({ "filter": { "authenticators": { "anyOf": [] } } }),
        json!({ "filter": { "authenticators": { "none": true } } }),
        json!({ "filter": { "ids": [] } }),
        json!({ "filter": { "ids": null } }),
    ] {
        all.push((USERS, variables));
    }
    all
}

fn of_options() -> Vec<Question> {
    let mut all = Vec::new();
    for filter in [
        json!({ "userIds": [1, 2, 5] }),
        json!({ "userIds": [1], "keys": ["theme", "count"] }),
        json!({ "userIds": [1], "scope": { "global": true } }),
        json!({ "userIds": [1], "scope": { "organizationId": 10 } }),
        json!({ "userIds": [1], "projectIds": [5, 6] }),
        json!({ "userIds": [1], "projectIds": [5], "scope": { "projectId": 5 } }),
        json!({ "userIds": [] }),
    ] {
        all.push((OPTIONS, json!({ "filter": filter })));
    }
    all
}

fn sets() -> Vec<Question> {
    let mut all = Vec::new();
    for input in [
        json!({ "userId": 1, "key": "theme", "value": "light" }),
        json!({ "userId": 1, "key": "theme", "value": "light" }),
        json!({ "userId": 1, "key": "nested", "value": { "b": [1, 2.5, null, "ü"], "a": {} } }),
        json!({ "userId": 1, "key": "empty", "value": null }),
        json!({ "userId": 1, "key": "theme", "value": 1, "scope": { "projectId": 6 } }),
        json!({ "userId": 1, "key": "theme", "value": 2, "scope": { "organizationId": 10 } }),
        json!({ "userId": 5, "key": "first", "value": true }),
        json!({ "userId": 2, "key": "old", "value": 1 }),
        json!({ "userId": 99, "key": "theme", "value": 1 }),
        json!({ "userId": 1, "key": "", "value": 1 }),
        json!({ "userId": 1, "key": "k".repeat(65), "value": 1 }),
    ] {
        all.push((SET, json!({ "input": input })));
        all.push((
            "query($id: ID!) { user(id: $id) { options { ...Setting } } }",
            json!({ "id": 1 }),
        ));
    }
    all
}

fn deletions() -> Vec<Question> {
    let mut all = Vec::new();
    for input in [
        json!({ "userId": 1, "keys": ["nested", "empty", "missing"] }),
        json!({ "userId": 1, "keys": ["theme"], "scope": { "projectId": 6 } }),
        json!({ "userId": 5, "keys": ["first"] }),
        json!({ "userId": 99, "keys": ["theme"] }),
        json!({ "userId": 1, "keys": [] }),
    ] {
        all.push((DELETE, json!({ "input": input })));
        all.push((OPTIONS, json!({ "filter": { "userIds": [1, 5] } })));
    }
    all
}

fn updates() -> Vec<Question> {
    let mut all = Vec::new();
    for input in [
        json!({ "userId": 1, "name": "Ada Lovelace" }),
        json!({ "userId": 1, "name": "" }),
        json!({ "userId": 1 }),
        json!({ "userId": 2, "username": "robert", "avatarUrl": "https://example.com/bob.png" }),
        json!({ "userId": 2, "username": "ada" }),
        json!({ "userId": 2, "username": "bob", "avatarUrl": null }),
        json!({ "userId": 4, "isActive": true }),
        json!({ "userId": 4, "isActive": false }),
        json!({ "userId": 1, "name": "n".repeat(1_000) }),
        json!({ "userId": 99, "name": "Nobody" }),
    ] {
        let id = input["userId"].clone();
        all.push((UPDATE, json!({ "input": input })));
        all.push((
            "query($id: ID!) { user(id: $id) { ...Whole } }",
            json!({ "id": id }),
        ));
    }
    all
}

fn verifications() -> Vec<Question> {
    let mut all = Vec::new();
    for input in [
        json!({ "userId": 1, "email": "SECOND@example.com" }),
        json!({ "userId": 1, "email": "second@example.com" }),
        json!({ "userId": 1, "email": "bob@example.com" }),
        json!({ "userId": 99, "email": "ada@example.com" }),
        json!({ "userId": 1, "email": "no address" }),
    ] {
        all.push((VERIFY, json!({ "input": input })));
        all.push((
            "{ user(id: 1) { email emails { email isVerified } } }",
            json!({}),
        ));
    }
    all
}

fn creations() -> Vec<Question> {
    let mut all = Vec::new();
    for input in [
        json!({ "email": "Ada@Example.com" }),
        json!({ "email": "newcomer@example.com", "referrer": "a friend" }),
        json!({ "email": "NEWCOMER@example.com", "ident": "nobody" }),
        json!({ "email": "no address" }),
        json!({ "email": "" }),
    ] {
        all.push((CREATE, json!({ "input": input })));
    }
    all
}
