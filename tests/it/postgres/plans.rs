//! Every statement of a hot path finds its rows by an index, however large the tables are.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};
use user_gateway::auth::{TokenKind, TokenStore};
use user_gateway::domain::{
    Anchor, AuthenticatorFilter, Direction, EmailQuery, OptionScope, OptionScopeFilter, OrderField,
    OrderValue, OrganizationId, OrganizationVisibility, PageEnd, PageRequest, UserFilter, UserId,
    UserOptionFilter, UserOptionId, UserOrder, UserPageQuery, Viewer,
};

use crate::harness::{Contents, Engine, TestDatabase, at};

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

/// Who asks in the tests of searches, a member of [`SMALL`].
const ME: UserId = UserId(5_001);
/// An organization of 27.
const SMALL: OrganizationId = OrganizationId(30_001);
/// One of 2,000, who come last by id and by date.
const LARGE_PART: OrganizationId = OrganizationId(30_002);
/// One with nearly all users.
const NEARLY_ALL: OrganizationId = OrganizationId(30_003);

/// The members of these organizations.
const MEMBERS: &str = "
    INSERT INTO sentry_organizationmembermapping (organization_id, date_added, role, user_id,
        invite_status)
    SELECT organization, '2025-01-01T00:00:00+00:00', 'member', id, 0
    FROM (SELECT 30001 AS organization, 5000 AS above, 5028 AS below
        UNION ALL SELECT 30002, 8000, 10001 UNION ALL SELECT 30003, 100, 10001) AS o
    JOIN auth_user ON id > above AND id < below;
";

/// Filters that name few users, and those that find the viewer alone.
fn narrow_filters() -> Vec<UserFilter> {
    let small = || UserFilter {
        organization_id: Some(SMALL),
        ..UserFilter::default()
    };
    let ids = |from: i64, count: i64| {
        let ids: Vec<UserId> = (from..from + count).map(UserId).collect();
        UserFilter::ids(&ids)
    };
    let text = |filter: UserFilter, text: &str| UserFilter {
        query: Some(text.to_owned()),
        ..filter
    };
    vec![
        small(),
        UserFilter {
            is_active: Some(true),
            ..small()
        },
        text(small(), "early"),
        text(small(), "cafe0123beef"),
        UserFilter {
            email_verified: Some(true),
            ..small()
        },
        UserFilter {
            authenticators: Some(AuthenticatorFilter::None),
            ..small()
        },
        UserFilter {
            user_ids: Some((5_000..5_020).map(UserId).collect()),
            ..small()
        },
        ids(5_001, 30),
        // A key that does not exist is not searched for in a list.
        ids(60_000, 300),
        text(ids(5_001, 30), "early"),
        UserFilter {
            usernames: Some(vec!["nobody".to_owned(), "userf".to_owned()]),
            is_active: Some(true),
            ..UserFilter::default()
        },
    ]
}

/// Asks for pages of a filter's list, in every order and from both ends, and for their number.
async fn search_all(db: &TestDatabase, filter: &UserFilter, viewer: Viewer) {
    for field in [OrderField::Id, OrderField::Username, OrderField::DateJoined] {
        for direction in [Direction::Ascending, Direction::Descending] {
            for end in [PageEnd::First, PageEnd::Last] {
                let mut query = page_of(filter.clone(), field, None);
                query.order.direction = direction;
                query.page.end = end;
                query.viewer = viewer;
                db.users().page(&query).await.unwrap();
            }
        }
    }
    let mut query = page_of(filter.clone(), OrderField::Id, None);
    query.viewer = viewer;
    db.users().count(&query).await.unwrap();
}

/// The statements that searches send.
async fn texts_of_searches(db: &TestDatabase, filters: &[UserFilter]) -> BTreeSet<String> {
    let sent = Sent::default();
    let _another = tracing::Dispatch::new(registry());
    let listening = tracing::subscriber::set_default(registry().with(sent.clone()));
    for filter in filters {
        for viewer in [
            Viewer::Member(ME),
            Viewer::Public(Some(ME)),
            Viewer::Alone(ME),
        ] {
            search_all(db, filter, viewer).await;
        }
    }
    // For staff, who may search what is private.
    search_all(db, &filters[0], Viewer::All).await;
    db.users().get_many_ids(&filters[0]).await.unwrap();
    drop(listening);
    let texts = std::mem::take(&mut *sent.0.lock().unwrap());
    let searches = texts.into_iter().filter(|text| text.contains("auth_user"));
    searches.collect()
}

/// A value of each parameter of a search, by what stands before it.
fn values(text: &str) -> Vec<String> {
    let ids = (5_001..5_031).map(|id| id.to_string());
    let ids = format!("'{{{}}}'", ids.collect::<Vec<_>>().join(","));
    let before = |number: usize| {
        let mark = format!("${number}");
        let mut places = text.match_indices(&mark);
        let place = places.find(|(place, _)| {
            let after = text[place + mark.len()..].bytes().next();
            !after.is_some_and(|byte| byte.is_ascii_digit())
        });
        place.map(|(place, _)| &text[..place])
    };
    let value = |before: &str| {
        let known = [
            ("\"auth_user\".\"id\" LIMIT ", "1".to_owned()),
            ("LIMIT ", "1000".to_owned()),
            ("\"organization_id\" = ", SMALL.0.to_string()),
            ("\"user_id\" = ", ME.0.to_string()),
            ("\"id\" = ", ME.0.to_string()),
            ("\"is_active\" = ", "true".to_owned()),
            ("\"is_verified\" = ", "true".to_owned()),
            ("LIKE UPPER(", "'%EARLY%'".to_owned()),
            ("(SELECT UNNEST(", ids.clone()),
            ("\"id\" = ANY(", ids.clone()),
        ];
        let known = known.into_iter().find(|(end, _)| before.ends_with(end));
        known.map_or_else(|| "NULL".to_owned(), |(_, value)| value)
    };
    (1..40).map_while(before).map(value).collect()
}

/// How many rows a plan that was carried out has read of tables that grow with the directory, and
/// which of them it has read whole.
fn rows_read(plan: &Value, whole: &mut Vec<String>) -> f64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or_default();
    let parts = plan["Plans"].as_array().into_iter().flatten();
    let of_parts: f64 = parts.map(|part| rows_read(part, whole)).sum();
    let table = plan["Relation Name"].as_str();
    let Some(table) = table.filter(|table| LARGE.contains(table)) else {
        return of_parts;
    };
    let loops = number("Actual Loops");
    if plan["Node Type"] == "Seq Scan" && loops > 0.0 {
        whole.push(table.to_owned());
    }
    of_parts + loops * (number("Actual Rows") + number("Rows Removed by Filter"))
}

/// Carries a statement out and returns its plan, made for its values or for any.
async fn carry_out(db: &TestDatabase, text: &str, mode: &str) -> Value {
    let tx = db.connection().writer().begin().await.unwrap();
    let mode = format!("SET LOCAL plan_cache_mode = force_{mode}_plan");
    tx.execute_unprepared(&mode).await.unwrap();
    tx.execute_unprepared(&format!("PREPARE probe AS {text}"))
        .await
        .unwrap();
    let values = values(text);
    let execute = if values.is_empty() {
        "probe".to_owned()
    } else {
        format!("probe({})", values.join(", "))
    };
    let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE {execute}");
    let explain = Statement::from_string(tx.get_database_backend(), explain);
    let row = tx.query_one_raw(explain).await.unwrap().unwrap();
    let plan: Value = row.try_get_by_index(0).unwrap();
    tx.execute_unprepared("DEALLOCATE probe").await.unwrap();
    tx.rollback().await.unwrap();
    plan
}

/// No more than this is read of ten thousand users for thirty.
const MOST_ROWS: f64 = 1_000.0;

async fn assert_that_searches_are_narrow(db: &TestDatabase) {
    db.execute(MEMBERS).await;
    db.execute("ANALYZE").await;
    let texts = texts_of_searches(db, &narrow_filters()).await;
    assert!(texts.len() > 30, "{texts:#?}");
    for text in texts {
        for mode in ["custom", "generic"] {
            let plan = carry_out(db, &text, mode).await;
            let mut whole = Vec::new();
            let rows = rows_read(&plan[0]["Plan"], &mut whole);
            assert!(
                whole.is_empty() && rows <= MOST_ROWS,
                "{rows} rows, {whole:?} whole, {mode}\n{text}\n{plan:#}"
            );
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_search_costs_what_its_filter_names() {
    let db = TestDatabase::with(Contents::Migrated).await;
    db.execute(DIRECTORY).await;
    Box::pin(assert_that_searches_are_narrow(&db)).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_search_costs_what_its_filter_names_by_sentrys_own_indexes() {
    let script = include_str!("../../fixtures/sentry_september_2026.sql");
    let db = TestDatabase::with(Contents::Script(script)).await;
    db.execute(
        "TRUNCATE auth_user, sentry_organizationmapping, sentry_organizationmembermapping, \
         sentry_useremail, sentry_useroption CASCADE",
    )
    .await;
    db.execute(DIRECTORY).await;
    Box::pin(assert_that_searches_are_narrow(&db)).await;
}

#[tokio::test]
async fn a_search_costs_what_its_filter_names_on_sqlite() {
    let db = TestDatabase::open(Engine::Sqlite).await;
    for text in texts_of_searches(&db, &narrow_filters()).await {
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let writer = db.connection().writer();
        let explain = Statement::from_string(writer.get_database_backend(), explain);
        let steps: Vec<(i64, i64, String)> = writer
            .query_all_raw(explain)
            .await
            .unwrap()
            .iter()
            .map(|row| {
                let number = |place: usize| row.try_get_by_index::<i64>(place).unwrap();
                (number(0), number(1), row.try_get_by_index(3).unwrap())
            })
            .collect();
        // Users who have been fetched stand in the table's place.
        let fetched = |parent: i64| {
            let mut siblings = steps.iter().filter(|(_, of, _)| *of == parent);
            siblings.any(|(_, _, step)| {
                ["CO-ROUTINE auth_user", "MATERIALIZE auth_user"].contains(&&**step)
            })
        };
        for (_, parent, step) in &steps {
            let is_scan = LARGE
                .iter()
                .any(|table| step.starts_with(&format!("SCAN {table}")));
            let is_bounded = step == "SCAN auth_user" && fetched(*parent);
            assert!(!is_scan || is_bounded, "{step}\n{text}\n{steps:#?}");
        }
    }
}

/// The names of a page as the viewer sees it, from an organization.
async fn members_by_username(db: &TestDatabase, organization: OrganizationId) -> Vec<UserId> {
    let filter = UserFilter {
        organization_id: Some(organization),
        is_active: Some(true),
        ..UserFilter::default()
    };
    let mut query = page_of(filter, OrderField::Username, None);
    query.viewer = Viewer::Member(UserId(9_000));
    let page = db.users().page(&query).await.unwrap();
    assert!(page.has_next);
    page.rows.iter().map(|user| user.id).collect()
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn many_members_are_read_from_the_list_or_fetched_and_come_alike() {
    let db = TestDatabase::with(Contents::Migrated).await;
    db.execute(DIRECTORY).await;
    db.execute(MEMBERS).await;
    for (organization, above) in [(LARGE_PART, 8_000), (NEARLY_ALL, 100)] {
        let expected =
            format!("SELECT id FROM auth_user WHERE id > {above} ORDER BY username, id LIMIT 20");
        let expected = db.rows(&expected).await;
        let expected: Vec<_> = expected
            .iter()
            .map(|row| UserId(row["id"].as_i64().unwrap()))
            .collect();
        assert_eq!(members_by_username(&db, organization).await, expected);
        let filter = UserFilter {
            organization_id: Some(organization),
            ..UserFilter::default()
        };
        for viewer in [Viewer::All, Viewer::Member(UserId(9_000))] {
            // By id the first members come last in the directory.
            let mut query = page_of(filter.clone(), OrderField::Id, None);
            query.viewer = viewer;
            let first = db.users().page(&query).await.unwrap().rows;
            assert_eq!(first[0].id, UserId(above + 1));
            let count = db.users().count(&query).await.unwrap();
            assert_eq!(i64::try_from(count).unwrap(), 10_000 - above);
            query.filter.query = Some("Name ".to_owned());
            let count = db.users().count(&query).await.unwrap();
            assert_eq!(i64::try_from(count).unwrap(), 10_000 - above.max(7_999));
        }
    }
}
