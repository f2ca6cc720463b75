//! No synchronous stretch of executing an operation on the thread that serves it is long.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use allocation_counter::measure;
use serde_json::json;
use user_gateway::auth::{AuthorizedServices, Caller, RateLimits, Scopes};
use user_gateway::config::{Config, Limits};
use user_gateway::domain::UserId;
use user_gateway::graphql::{Graphql, GraphqlRequest};

use super::aliases;
use crate::harness::{Engine, TestDatabase};

/// A graph, and the services of a caller who may read everything.
struct Served {
    graphql: Graphql,
    services: AuthorizedServices,
}

/// What it took to execute a query.
struct Execution {
    /// The bytes of the answer.
    bytes: usize,
    /// How often it yielded.
    pauses: usize,
    /// The most allocations on this thread between two pauses.
    allocations: u64,
}

impl Served {
    fn over(database: &TestDatabase) -> Self {
        let config = Config::default();
        let limits = Limits {
            aliases: 1_000,
            ..config.limits
        };
        let caller = Caller::Service {
            name: "tests".to_owned(),
            scopes: Scopes::all(),
        };
        Self {
            graphql: Graphql::new(config.graphql, limits).unwrap(),
            services: AuthorizedServices::new(
                Arc::new(database.database().services()),
                Arc::new(caller),
                Arc::new(RateLimits::new(0)),
            ),
        }
    }

    async fn execute(&self, query: &str) -> Execution {
        let Self { graphql, services } = self;
        let request = GraphqlRequest {
            query: Some(query.to_owned()),
            ..GraphqlRequest::default()
        };
        let prepared = graphql.prepare(request).unwrap();
        let executing = graphql.execute(prepared, Some(services.clone()), graphql.budget());
        let mut executing = pin!(executing);
        let (mut pauses, mut allocations) = (0, 0);
        let answer = poll_fn(|context| {
            let mut polled = Poll::Pending;
            let taken = measure(|| polled = executing.as_mut().poll(context));
            allocations = allocations.max(taken.count_total);
            pauses += usize::from(polled.is_pending());
            polled
        })
        .await;
        assert!(answer.errors.is_empty(), "{:?}", answer.errors);
        Execution {
            bytes: answer.into_json().len(),
            pauses,
            allocations,
        }
    }
}

#[tokio::test]
async fn writing_a_long_answer_yields_often() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    for i in 1..=300 {
        database.add_user(&format!("user{i}")).await;
    }
    let value = json!("x".repeat(60_000)).to_string();
    database
        .add_option(UserId(1), (None, None), "long", &value)
        .await;
    let served = Served::over(&database);
    for query in [
        format!(
            "{{ user(id: 1) {{ options {{ {} }} }} }}",
            aliases(50, "value")
        ),
        format!(
            "{{ users(first: 300) {{ nodes {{ {} }} }} }}",
            aliases(500, "username")
        ),
        format!(
            "{{ {} }}",
            aliases(50, "user(id: 1) { option(key: \"long\") }")
        ),
    ] {
        let Execution { bytes, pauses, .. } = served.execute(&query).await;
        assert!(bytes > 2_000_000, "{query:.60}: {bytes}");
        assert!(pauses > bytes / (256 * 1_024), "{query:.60}: {pauses}");
    }
}

/// The engine executes introspection without yielding, and makes many objects of it.
#[tokio::test]
async fn introspection_is_not_executed_on_the_thread_that_serves() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    database.add_user("ada").await;
    let served = Served::over(&database);
    let about = "{ types { description fields { description args { description } } } }";
    let schema = |directive: &str| aliases(20, &format!("__schema {directive} {about}"));
    let all = schema("");
    let user = "user(id: 1) { username }";
    for query in [
        format!("{{ {all} }}"),
        format!("{{ {user} {all} }}"),
        format!("{{ {} {user} }}", schema("@include(if: true)")),
        format!("{{ ... @skip(if: false) {{ {all} }} {user} }}"),
        format!("{{ ...F }} fragment F on Query {{ {all} }}"),
        format!(
            "{{ {user} ... {{ ...F }} }} fragment F on Query {{ ...G {user} }} fragment G on Query {{ {all} }}"
        ),
    ] {
        let Execution {
            bytes, allocations, ..
        } = served.execute(&query).await;
        assert!(bytes > 300_000, "{query:.60}: {bytes}");
        assert!(allocations < 10_000, "{query:.60}: {allocations}");
    }
}
