//! What the cache counts. The module's documentation says what the names mean.

use std::sync::OnceLock;

use metrics::{Counter, counter};

use super::record::Part;

/// Copies of a tier answered. The counters are found once, when the first copy does and whoever
/// gathers them is there: to find one takes longer than to find a copy in memory.
#[derive(Debug)]
pub(super) struct Hits {
    tier: &'static str,
    counters: [OnceLock<Counter>; Part::ALL.len()],
}

impl Hits {
    pub(super) fn of(tier: &'static str) -> Self {
        let counters = Default::default();
        Self { tier, counters }
    }

    pub(super) fn add(&self, part: Part, count: usize) {
        if count > 0 {
            let (tier, name) = (self.tier, part.name());
            let find = || counter!("user_gateway_cache_hits_total", "tier" => tier, "part" => name);
            self.counters[part as usize]
                .get_or_init(find)
                .increment(count as u64);
        }
    }
}

/// No copy answered.
pub(super) fn misses(tier: &'static str, part: Part, count: usize) {
    if count > 0 {
        counter!("user_gateway_cache_misses_total", "tier" => tier, "part" => part.name())
            .increment(count as u64);
    }
}

/// Records were fetched.
pub(super) fn fills(part: Part, count: usize) {
    counter!("user_gateway_cache_fills_total", "part" => part.name()).increment(count as u64);
}

/// Records were fetched and not kept, because an invalidation had come in between.
pub(super) fn rejected(tier: &'static str, part: Part, count: usize) {
    if count > 0 {
        counter!(
            "user_gateway_cache_fills_rejected_total", "tier" => tier, "part" => part.name()
        )
        .increment(count as u64);
    }
}

/// A user was invalidated.
pub(super) fn invalidation(outcome: &'static str) {
    counter!("user_gateway_cache_invalidations_total", "outcome" => outcome).increment(1);
}

/// A command to Redis failed.
pub(super) fn redis_error() {
    counter!("user_gateway_cache_redis_errors_total").increment(1);
}

/// Whether Redis is in use at the moment.
pub(super) fn redis_connected(is_connected: bool) {
    metrics::gauge!("user_gateway_cache_redis_connected").set(f64::from(u8::from(is_connected)));
}
