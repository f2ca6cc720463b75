//! Clearing copies and raising versions over the wire.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use user_gateway::domain::Result;
use user_gateway::service::SiloCache;

use super::Control;

/// The copies of a region that remembers what it is told to clear.
#[derive(Debug, Default)]
struct Copies(Mutex<Vec<String>>);

#[async_trait]
impl SiloCache for Copies {
    async fn clear_key(&self, key: &str) -> Result<i64> {
        let mut cleared = self.0.lock().unwrap();
        cleared.push(key.to_owned());
        Ok(i64::try_from(cleared.len()).unwrap())
    }
}

#[tokio::test]
async fn a_region_is_told_by_either_of_its_names() {
    let copies = Arc::new(Copies::default());
    let control = Control::with(|server| {
        server.region_caching = Some(("us".to_owned(), Arc::clone(&copies) as _));
        server.services = None;
    })
    .await;
    let method = "region_caching/clear_key";
    let key = "user_service.get_user:7";
    for (version, name) in [
        json!({ "cell_name": "us" }),
        json!({ "region_name": "us" }),
        json!({ "region_name": "us", "cell_name": "us" }),
        json!({ "region_name": "us", "cell_name": "de" }),
        json!({ "region_name": null, "cell_name": "us" }),
    ]
    .into_iter()
    .enumerate()
    {
        let args = super::read::with(name, json!({ "key": key }));
        assert_eq!(control.value(method, args).await, json!(version + 1));
    }
    assert_eq!(*copies.0.lock().unwrap(), [key; 5]);
    for name in [
        json!({}),
        json!({ "cell_name": "de" }),
        json!({ "cell_name": "us", "region_name": "de" }),
        json!({ "cell_name": "" }),
    ] {
        let args: Value = super::read::with(name, json!({ "key": key }));
        control.call(method, args.clone()).await.is_invalid();
        assert_eq!(control.call_as_gateway(method, args).await.status, 422);
    }
    control
        .call(method, json!({ "cell_name": "us" }))
        .await
        .is_malformed();
    assert_eq!(copies.0.lock().unwrap().len(), 5);
    assert_eq!(
        control
            .told(method, json!({ "cell_name": "us", "key": key }))
            .await,
        json!(6)
    );
}

#[tokio::test]
async fn a_control_silo_raises_versions() {
    let control = Control::start().await;
    let method = "control_caching/clear_key";
    for version in 1..=3 {
        let args = json!({ "key": "app_service.get_by_id:7" });
        assert_eq!(control.value(method, args).await, json!(version));
    }
    control
        .call(method, json!({ "key": "k".repeat(201) }))
        .await
        .is_invalid();
    control.call(method, json!({})).await.is_malformed();
}
