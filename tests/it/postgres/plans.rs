//! Every statement of a hot path finds its rows by an index, however large the tables are.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};
use user_gateway::auth::{TokenKind, TokenStore};
use user_gateway::domain::{
    Anchor, Direction, EmailQuery, OptionScope, OptionScopeFilter, OrderField, OrderValue,
    OrganizationId, OrganizationVisibility, PageEnd, PageRequest, UserFilter, UserId,
    UserOptionFilter, UserOptionId, UserOrder, UserPageQuery, Viewer,
};

use crate::harness::{Contents, TestDatabase, at};

/// The texts of the statements that are sent.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Sent {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Sent {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "db.statement" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

/// The tables that grow with the directory.
const LARGE: [&str; 5] = [
    "auth_user",
    "sentry_useremail",
    "sentry_useroption",
    "sentry_organizationmapping",
    "sentry_organizationmembermapping",
];

/// Ten thousand users, each with an address, an option and two of twenty thousand organizations.
const DIRECTORY: &str = "
    INSERT INTO auth_user (id, password, username, first_name, email, is_staff, is_active,
        is_superuser, is_managed, is_password_expired, flags, date_joined)
    SELECT n, 'x', 'user' || md5(n::text), CASE WHEN n < 8000 THEN 'Early ' ELSE 'Name ' END || md5(n::text), n || '@example.com', false, true,
        false, false, false, 0, '2025-01-01'::timestamptz + n * interval '1 minute'
    FROM generate_series(1, 10000) AS n;
    INSERT INTO sentry_useremail (user_id, email, validation_hash, date_hash_added, is_verified)
    SELECT id, email, '', date_joined, true FROM auth_user;
    INSERT INTO sentry_useroption (user_id, key, value) SELECT id, 'theme', '1' FROM auth_user;
    INSERT INTO sentry_organizationmapping (organization_id, slug, name, date_created, verified,
        idempotency_key, region_name, status)
    SELECT n, 'org-' || n, 'Org', now(), false, '', 'us', 0 FROM generate_series(1, 20000) AS n;
    INSERT INTO sentry_organizationmembermapping (organization_id, date_added, role, user_id,
        invite_status)
    SELECT (id * step) % 20000 + 1, now(), 'member', id, 0
    FROM auth_user, generate_series(1, 2) AS step;
    ANALYZE;
";

/// The scans of a plan: on what, how, and by what condition of an index.
fn scans(plan: &Value, found: &mut Vec<(String, String, bool)>) {
    if let Some(table) = plan["Relation Name"].as_str() {
        let kind = plan["Node Type"].as_str().unwrap();
        let is_bounded = !plan["Index Cond"].is_null() || kind == "Bitmap Heap Scan";
        found.push((table.to_owned(), kind.to_owned(), is_bounded));
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        scans(part, found);
    }
}

/// The plan that PostgreSQL keeps for a statement, whatever its parameters; for a search, whose
/// plan depends on what is looked for, the one for something rare.
async fn plan(db: &TestDatabase, text: &str) -> Value {
    let is_search = text.contains("LIKE UPPER(");
    let value = |number: usize| {
        let is = |before: &str| {
            let ends = [" ", ")"].map(|end| format!("{before}${number}{end}"));
            ends.iter().any(|part| text.contains(part))
                || text.ends_with(&format!("{before}${number}"))
        };
        match is_search {
            true if is("LIMIT ") => "21",
            true if is("LIKE UPPER(") => "'%cafe0123beef%'",
            _ => "NULL",
        }
    };
    let parameters = (1..20).take_while(|number| text.contains(&format!("${number}")));
    let values: Vec<_> = parameters.map(value).collect();
    let tx = db.connection().writer().begin().await.unwrap();
    let mode = if is_search { "custom" } else { "generic" };
    let mode = format!("SET LOCAL plan_cache_mode = force_{mode}_plan");
    tx.execute_unprepared(&mode).await.unwrap();
    if is_search {
        // The tables of a test are small enough to be read whole for it.
        tx.execute_unprepared("SET LOCAL enable_seqscan = off")
            .await
            .unwrap();
    }
    let prepare = format!("PREPARE probe AS {text}");
    tx.execute_unprepared(&prepare).await.unwrap();
    let values = values.join(", ");
    let execute = if values.is_empty() {
        "probe".to_owned()
    } else {
        format!("probe({values})")
    };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE {execute}");
    let explain = Statement::from_string(tx.get_database_backend(), explain);
    let row = tx.query_one_raw(explain).await.unwrap().unwrap();
    let plan: Value = row.try_get_by_index(0).unwrap();
    tx.execute_unprepared("DEALLOCATE probe").await.unwrap();
    tx.rollback().await.unwrap();
    plan
}

/// Whether a search reads users one after the other, as many as it may.
fn is_reading(text: &str) -> bool {
    text.contains("LIKE UPPER(") && text.contains("FROM (SELECT *")
}

fn page_of(filter: UserFilter, field: OrderField, after: Option<OrderValue>) -> UserPageQuery {
    UserPageQuery {
        filter,
        order: UserOrder {
            field,
            direction: Direction::Ascending,
        },
        page: PageRequest {
            after: after.map(|value| Anchor { value, id: 9_000 }),
            before: None,
            end: PageEnd::First,
            size: 20,
        },
        viewer: Viewer::All,
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn every_hot_statement_uses_an_index() {
    let db = TestDatabase::with(Contents::Migrated).await;
    db.execute(DIRECTORY).await;
    let sent = Sent::default();
    // With one subscriber alone, what another test's thread meets first is taken for unwanted.
    let _another = tracing::Dispatch::new(registry());
    let listening = tracing::subscriber::set_default(registry().with(sent.clone()));
    look_everything_up(&db).await;
    turn_pages(&db).await;
    drop(listening);

    let texts = std::mem::take(&mut *sent.0.lock().unwrap());
    assert!(texts.len() > 30, "{texts:#?}");
    assert!(texts.iter().any(|text| is_reading(text)), "{texts:#?}");
    for text in texts {
        let plan = plan(&db, &text).await;
        assert!(
            !plan.to_string().contains("hashed SubPlan"),
            "{text}\n{plan:#}"
        );
        let mut found = Vec::new();
        scans(&plan[0]["Plan"], &mut found);
        // The first page of everybody is the beginning of an index.
        let is_first_page = text.contains("WHERE TRUE");
        for (table, kind, is_bounded) in found {
            let is_bounded = is_bounded || is_first_page && kind == "Index Scan";
            // A search reads the next users of a list.
            let is_bounded =
                is_bounded || table == "auth_user" && kind == "Index Scan" && is_reading(&text);
            assert!(
                is_bounded || !LARGE.contains(&&*table),
                "{kind} of {table}\n{text}\n{plan:#}"
            );
        }
    }
}

async fn look_everything_up(db: &TestDatabase) {
    let ids = [UserId(1), UserId(2)];
    let (users, options, organizations) = (db.users(), db.options(), db.organizations());
    users.get_profiles(&ids).await.unwrap();
    users.get_emails(&ids).await.unwrap();
    users
        .get_existing_usernames(vec!["ada".to_owned()])
        .await
        .unwrap();
    users
        .get_user_by_email("7@EXAMPLE.com", None)
        .await
        .unwrap();
    let by_email = EmailQuery {
        emails: vec!["7@EXAMPLE.com".to_owned()],
        only_active: true,
        only_verified: true,
        organization_id: None,
    };
    users.get_many_by_email(&by_email).await.unwrap();
    options.get_all(&ids).await.unwrap();
    options.get_many_by_id(&[UserOptionId(1)]).await.unwrap();
    for scope in [
        OptionScope::GLOBAL,
        OptionScope::organization(OrganizationId(1)),
    ] {
        let filter = UserOptionFilter {
            user_ids: ids.to_vec(),
            keys: None,
            scope: OptionScopeFilter::Exactly(scope),
        };
        options.get_many(&filter).await.unwrap();
    }
    for visibility in [
        OrganizationVisibility::Any,
        OrganizationVisibility::OnlyVisible,
    ] {
        organizations
            .get_memberships(&ids, visibility)
            .await
            .unwrap();
        organizations
            .get_brief_memberships(&ids, visibility)
            .await
            .unwrap();
    }
    organizations
        .get_many_by_id(&[OrganizationId(1)])
        .await
        .unwrap();
    organizations.get_colleagues(UserId(1), &ids).await.unwrap();
    organizations.get_joined(UserId(1)).await.unwrap();
    db.database()
        .find_by_hash("hash", TokenKind::User)
        .await
        .unwrap();
    db.database()
        .find_by_hash("hash", TokenKind::Service)
        .await
        .unwrap();
}

async fn turn_pages(db: &TestDatabase) {
    let users = db.users();
    let all = UserFilter::default;
    for (field, deep) in [
        (OrderField::Id, OrderValue::Id),
        (
            OrderField::Username,
            OrderValue::Username("userf".to_owned()),
        ),
        (
            OrderField::DateJoined,
            OrderValue::DateJoined(at("2025-01-07T00:00:00Z")),
        ),
    ] {
        for query in [
            page_of(all(), field, None),
            page_of(all(), field, Some(deep)),
            page_of(UserFilter::ids(&[UserId(1), UserId(2)]), field, None),
        ] {
            users.page(&query).await.unwrap();
            users.brief_page(&query).await.unwrap();
        }
    }
    // A text that is rare, and one that is common but not where the page is.
    for text in ["cafe", "early"] {
        for (field, after) in [
            (OrderField::Id, OrderValue::Id),
            (
                OrderField::Username,
                OrderValue::Username("userf".to_owned()),
            ),
        ] {
            let query = UserFilter {
                query: Some(text.to_owned()),
                ..all()
            };
            let query = page_of(query, field, Some(after));
            users.page(&query).await.unwrap();
            users.count(&query).await.unwrap();
        }
    }
}
