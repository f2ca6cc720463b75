//! Metrics: where they are gathered, and how Prometheus reads them.
//!
//! Any module counts with the `metrics` crate, and names in its own docs what it counts. Names
//! begin with `user_gateway_`; no label holds anything of a user, and the values of each are few.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often samples are put into their buckets when nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// The bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// The metrics of the process.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// `None` if somebody else gathers this process's metrics.
    handle: Option<PrometheusHandle>,
}

/// The metrics of the process, gathered from the first call on.
pub fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(Metrics::install).clone()
}

impl Metrics {
    fn install() -> Self {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let installed = builder.and_then(PrometheusBuilder::install_recorder);
        if let Err(error) = &installed {
            tracing::warn!(%error, "metrics cannot be gathered");
        }
        super::panic::begin();
        Self {
            handle: installed.ok(),
        }
    }

    /// The metrics as Prometheus reads them.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle
            .as_ref()
            .map(PrometheusHandle::render)
            .unwrap_or_default()
    }

    /// Keeps what is gathered small for as long as it is polled.
    pub async fn keep_up(self) {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            if let Some(handle) = &self.handle {
                handle.run_upkeep();
            }
        }
    }
}
