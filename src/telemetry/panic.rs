//! Counts and logs every panic, in any thread or task, caught or not.
//!
//! `user_gateway_panics_total` counts them. Each is a fault of the gateway and should be reported.

use std::backtrace::{Backtrace, BacktraceStatus};

use metrics::counter;

const PANICS: &str = "user_gateway_panics_total";

/// Counts and logs the panics of the process from now on.
pub(super) fn watch() {
    std::panic::set_hook(Box::new(|panic| {
        counter!(PANICS).increment(1);
        let backtrace = Backtrace::capture();
        let is_captured = backtrace.status() == BacktraceStatus::Captured;
        tracing::error!(
            error = panic
                .payload_as_str()
                .unwrap_or("a panic without a message"),
            location = panic.location().map(ToString::to_string),
            backtrace = is_captured.then(|| backtrace.to_string()),
            "panicked"
        );
    }));
}

/// Registers the counter, so that it is 0 before the first panic.
pub(super) fn begin() {
    counter!(PANICS).increment(0);
}

#[cfg(test)]
mod tests {
    use metrics::with_local_recorder;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn caught_panics_are_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = with_local_recorder(&recorder, || {
            begin();
            let before = std::panic::take_hook();
            watch();
            for _ in 0..3 {
                assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
            }
            std::panic::set_hook(before);
            recorder.handle().render()
        });
        assert!(page.contains("user_gateway_panics_total 3"), "{page}");
    }
}
