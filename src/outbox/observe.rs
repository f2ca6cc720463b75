//! What the relay lets be seen of itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::store::{Claim, OutboxStore};
use crate::domain::Clock;

/// How often the depth of the outbox is looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Gives the metrics their descriptions.
pub(super) fn describe() {
    describe_counter!(
        "user_gateway_outbox_delivered_total",
        "Changes that a region has confirmed"
    );
    describe_counter!(
        "user_gateway_outbox_failures_total",
        "Deliveries that failed and are tried again"
    );
    describe_counter!(
        "user_gateway_outbox_coalesced_total",
        "Outbox rows that went with the delivery of a newer one"
    );
    describe_gauge!(
        "user_gateway_outbox_pending",
        "Outbox rows that wait for a region"
    );
    describe_gauge!(
        "user_gateway_outbox_oldest_seconds",
        "The age of the oldest outbox row that waits for a region"
    );
}

/// Counts claims whose region has been told.
pub(super) fn count_delivered(region: &str, claims: &[Claim]) {
    let coalesced: usize = claims.iter().map(|c| c.rows.len().saturating_sub(1)).sum();
    let labels = [("region", region.to_owned())];
    counter!("user_gateway_outbox_delivered_total", &labels).increment(claims.len() as u64);
    counter!("user_gateway_outbox_coalesced_total", &labels).increment(coalesced as u64);
}

/// Counts claims whose region could not be told.
pub(super) fn count_failed(region: &str, failures: usize) {
    counter!("user_gateway_outbox_failures_total", "region" => region.to_owned())
        .increment(failures as u64);
}

/// Sets the gauges of these regions, over and over.
pub(super) async fn watch_depth(
    store: Arc<dyn OutboxStore>,
    regions: Vec<String>,
    clock: Arc<dyn Clock>,
) {
    loop {
        // A database that does not answer has the workers say so.
        if let Ok(depth) = store.depth().await {
            let now = clock.now();
            let mut known: HashMap<_, _> = depth
                .into_iter()
                .map(|depth| (depth.region, (depth.rows, now - depth.oldest)))
                .collect();
            for region in &regions {
                let (rows, age) = known.remove(region).unwrap_or_default();
                let labels = [("region", region.clone())];
                let rows = u32::try_from(rows).unwrap_or(u32::MAX);
                let age = age.to_std().unwrap_or_default();
                gauge!("user_gateway_outbox_pending", &labels).set(rows);
                gauge!("user_gateway_outbox_oldest_seconds", &labels).set(age.as_secs_f64());
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
