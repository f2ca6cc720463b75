//! How a subscription begins.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use user_gateway::auth::{AuthorizedServices, Caller, RateLimits, Scopes};
use user_gateway::config::Config;
use user_gateway::domain::{Change, Event};
use user_gateway::graphql::{EventSlots, Graphql, GraphqlRequest, Renewal};

use super::ADA;
use crate::harness::{Engine, TestDatabase};

/// The services for everybody's data. They are handed out after the user has been renamed, which
/// is told as well.
fn renaming(database: &TestDatabase) -> Renewal {
    let inner = Arc::new(database.database().services());
    let connection = database.connection().clone();
    let announcer = database.announcer.clone();
    Arc::new(move || {
        let caller = Caller::Service {
            name: "tests".to_owned(),
            scopes: Scopes::all(),
        };
        let limits = Arc::new(RateLimits::new(0));
        let services = AuthorizedServices::new(Arc::clone(&inner), Arc::new(caller), limits);
        let (connection, announcer) = (connection.clone(), announcer.clone());
        Box::pin(async move {
            use sea_orm::ConnectionTrait;
            let rename = "UPDATE auth_user SET first_name = first_name || '!' WHERE id = 1";
            connection
                .writer()
                .execute_unprepared(rename)
                .await
                .unwrap();
            announcer.announce(&Event::Changed(Change { user_id: ADA }));
            Ok(services)
        })
    })
}

#[tokio::test]
async fn a_change_between_the_beginning_and_the_first_look_is_told() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    database.add_user("ada").await;
    let config = Config::default();
    let graphql = Graphql::new(config.graphql, config.limits).unwrap();
    database.announcer.subscribe(graphql.listener());
    let query = "subscription { userChanged(id: 1) { name } }".to_owned();
    let request = GraphqlRequest {
        query: Some(query),
        ..GraphqlRequest::default()
    };
    let prepared = graphql.prepare(request).unwrap();
    let patience = Duration::from_mins(1);
    let renew = renaming(&database);
    let slots = EventSlots::default();
    let opened = graphql.subscribe(prepared, renew, patience, slots).await;
    let mut events = opened.unwrap();
    let event = tokio::time::timeout(patience, events.next()).await;
    let event = event.expect("the change is lost").unwrap().unwrap();
    let event = serde_json::from_slice::<Value>(&event.into_json()).unwrap();
    assert_eq!(
        event,
        json!({ "data": { "userChanged": { "name": "!!" } } })
    );
}
