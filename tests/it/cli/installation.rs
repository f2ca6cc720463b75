//! An existing Sentry database, in the two forms it may have: everything works, and nothing is
//! created or changed but what a client asks for.

use serde_json::{Value, json};

use super::{GET_OR_CREATE, SET_OPTION, of};
use crate::harness::{Contents, Scratch, TestDatabase};

/// The forms of Sentry's tables before and after the summer of 2025.
pub(super) const FORMS: [&str; 2] = [
    include_str!("../../fixtures/sentry_mid_2025.sql"),
    include_str!("../../fixtures/sentry_september_2026.sql"),
];

/// What the database consists of: every column, index, constraint, sequence and extension.
pub(super) async fn catalog(database: &TestDatabase) -> Vec<Value> {
    database
        .rows(
            "SELECT format('%s %s %s %s %s', table_schema, table_name, column_name, data_type, \
             column_default) AS item FROM information_schema.columns \
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema') \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
             UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || \
             pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0 \
             UNION ALL SELECT relkind::text || ' ' || relname FROM pg_class \
             WHERE relnamespace = 'public'::regnamespace \
             UNION ALL SELECT extname || ' ' || extversion FROM pg_extension \
             UNION ALL SELECT proname::text FROM pg_proc \
             WHERE pronamespace = 'public'::regnamespace \
             ORDER BY 1",
        )
        .await
}

/// How many rows each table has.
async fn sizes(database: &TestDatabase) -> Vec<(String, i64)> {
    let tables = database
        .rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        .await;
    let mut sizes = Vec::new();
    for table in tables {
        let name = table["name"].as_str().unwrap().to_owned();
        let count = database.count(&format!("\"{name}\"")).await;
        sizes.push((name, count));
    }
    assert!(sizes.len() > 15);
    sizes
}

/// The plain token of the fixtures' superuser, which Sentry made.
fn admin() -> String {
    format!("sntryu_{}", "b".repeat(64))
}

/// Every field of `Query`, with something to find.
const EVERYTHING: &str = r#"{
    viewer { user { id username } scopes capabilities }
    user(id: "2") {
        id username name displayName avatar { type } isActive dateJoined lastActive
        email emails { email isVerified } identities { ident provider organization { slug } }
        authenticators { kind } hasTwoFactor roles permissions flags { newsletterConsentPrompt }
        organizations { id slug regionName status members(first: 2) { nodes { id } totalCount } }
        options { key project organization { id } }
    }
    users(first: 3, orderBy: { field: USERNAME }) {
        totalCount nodes { id username email } pageInfo { hasNextPage endCursor }
    }
    search: users(filter: { query: "a" }, first: 50) { nodes { id } }
    byAddress: users(filter: { emails: ["SHARED@example.com"] }) { nodes { id } }
    existingUsernames(usernames: ["nobody at all"])
    organizations(userId: "2", onlyVisible: true) { id slug flags { earlyAdopter } }
    userOptions(filter: { userIds: ["1", "3"] }) { id key value user { id } }
    node(id: "User:2") { id }
    nodes(ids: ["User:1", "Organization:101", "User:999"]) { id }
    organization(by: { slug: "difference" }) { id name members(first: 5) { edges { role } } }
}"#;

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn serving_an_existing_database_creates_and_changes_nothing() {
    for script in FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        let before = (catalog(&database).await, sizes(&database).await);
        let scratch = Scratch::new();
        let mut gateway = scratch.start(&["serve", "--database-url", database.url()]);
        let data = gateway.data(&admin(), EVERYTHING, json!({})).await;
        assert_eq!(data["user"]["id"], "User:2", "{data}");
        assert_eq!(data["viewer"]["user"]["id"], "User:1");
        assert_eq!(data["users"]["totalCount"], 12);
        assert_eq!(data["users"]["nodes"].as_array().unwrap().len(), 3);
        assert_eq!(
            data["nodes"],
            json!([{ "id": "User:1" }, { "id": "Organization:101" }, null])
        );
        assert_eq!(data["organization"]["name"], "Difference Engines");
        gateway.signal("TERM");
        assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
        assert_eq!((catalog(&database).await, sizes(&database).await), before);
        assert_eq!(scratch.files(), [""; 0]);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn the_named_mutations_write_what_sentry_would_and_leave_delivery_to_it() {
    for script in FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        let before = (catalog(&database).await, sizes(&database).await);
        let scratch = Scratch::new();
        let gateway = scratch.start(&["serve", "--database-url", database.url()]);

        let new = of("Newcomer@Example.com");
        let data = gateway.data(&admin(), GET_OR_CREATE, new.clone()).await;
        let payload = &data["getOrCreateUserByEmail"];
        assert_eq!(payload["created"], true, "{payload}");
        assert_eq!(payload["user"]["id"], "User:13");
        let again = gateway.data(&admin(), GET_OR_CREATE, new).await;
        assert_eq!(again["getOrCreateUserByEmail"]["created"], false);
        assert_eq!(again["getOrCreateUserByEmail"]["user"]["id"], "User:13");

        let set = json!({ "input": { "userId": "13", "key": "theme", "value": { "a": [1] } } });
        for changed in [true, false] {
            let data = gateway.data(&admin(), SET_OPTION, set.clone()).await;
            assert_eq!(data["setUserOption"]["changed"], changed);
            assert_eq!(
                data["setUserOption"]["option"],
                json!({ "key": "theme", "value": { "a": [1] } })
            );
        }

        assert_eq!(catalog(&database).await, before.0);
        let grown: Vec<_> = sizes(&database)
            .await
            .into_iter()
            .zip(before.1)
            .filter(|(now, then)| now != then)
            .map(|((table, now), (_, then))| (table, now - then))
            .collect();
        // Two changes, each for the two regions of the fixtures.
        let expected = [
            ("auth_user", 1),
            ("sentry_controloutbox", 4),
            ("sentry_useremail", 1),
            ("sentry_useroption", 1),
        ];
        assert_eq!(
            grown,
            expected.map(|(table, rows)| (table.to_owned(), rows))
        );
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn no_copies_of_users_are_kept_where_somebody_else_changes_them() {
    for script in FORMS {
        let database = TestDatabase::with(Contents::Script(script)).await;
        let before = catalog(&database).await;
        let said = Scratch::new().must_fail(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--user-cache",
            "on",
            "--database-url",
            database.url(),
        ]);
        assert!(said.contains("leave out --user-cache"), "{said}");
        assert_eq!(catalog(&database).await, before);
    }
}
