//! What the cache counts. The module's documentation says what the names mean.

use super::record::Part;

/// A copy answered.
pub(super) fn hits(tier: &'static str, part: Part, count: usize) {
    if count > 0 {
        metrics::counter!("user_gateway_cache_hits_total", "tier" => tier, "part" => part.name())
            .increment(count as u64);
    }
}

/// No copy answered.
pub(super) fn misses(tier: &'static str, part: Part, count: usize) {
    if count > 0 {
        metrics::counter!("user_gateway_cache_misses_total", "tier" => tier, "part" => part.name())
            .increment(count as u64);
    }
}

/// Records were fetched.
pub(super) fn fills(part: Part, count: usize) {
    metrics::counter!("user_gateway_cache_fills_total", "part" => part.name())
        .increment(count as u64);
}

/// Records were fetched and not kept, because an invalidation had come in between.
pub(super) fn rejected(tier: &'static str, part: Part, count: usize) {
    if count > 0 {
        metrics::counter!(
            "user_gateway_cache_fills_rejected_total", "tier" => tier, "part" => part.name()
        )
        .increment(count as u64);
    }
}

/// A user was invalidated.
pub(super) fn invalidation(outcome: &'static str) {
    metrics::counter!("user_gateway_cache_invalidations_total", "outcome" => outcome).increment(1);
}

/// A command to Redis failed.
pub(super) fn redis_error() {
    metrics::counter!("user_gateway_cache_redis_errors_total").increment(1);
}

/// Whether Redis is in use at the moment.
pub(super) fn redis_connected(is_connected: bool) {
    metrics::gauge!("user_gateway_cache_redis_connected").set(f64::from(u8::from(is_connected)));
}
