//! From the outbox to the regions: nothing that was committed is ever kept from them.
//!
//! A change and its rows, one for each region, commit together. A [`Relay`] takes the rows of a
//! region away once the region has been told. It knows neither the tables nor the wire: it claims
//! through an [`OutboxStore`] and tells through a [`Delivery`](crate::service::Delivery).
//!
//! # What holds
//!
//! - A row goes only after a delivery that began when the row was committed. Whatever dies in
//!   between, the row is delivered again: at least once, never not at all.
//! - All pending rows of one user in one region make one delivery.
//! - A shard, the rows of one user for one region, that is being delivered is not claimed by
//!   anybody else. The claim is a mark in the rows, not a lock: no transaction is open while a
//!   region is told. The mark ends by itself, so the rows of a relay that died come due again
//!   [`LEASE`] later.
//! - A delivery that fails is tried again after 2 s, 4 s, 8 s, … up to an hour, which is Sentry's
//!   schedule in Sentry's columns. A new change of the same user makes it due at once.
//! - The clock of the database server decides what is due. A row that was claimed or postponed by a
//!   machine whose clock is ahead is due at once for all others ([`CLAIM_HORIZON`]).
//! - Regions do not wait for each other: each has a worker of its own.
//! - A region that cannot be reached is left alone for a moment (at most [`MAX_PAUSE`]) and then
//!   asked with a single shard. Its first answer makes everything due that had been put off.
//!
//! # Metrics
//!
//! | name | kind | what |
//! |---|---|---|
//! | `user_gateway_outbox_delivered_total{region}` | counter | deliveries that a region has confirmed |
//! | `user_gateway_outbox_failures_total{region}` | counter | deliveries that failed and are tried again |
//! | `user_gateway_outbox_coalesced_total{region}` | counter | rows that went with the delivery of a newer one |
//! | `user_gateway_outbox_pending{region}` | gauge | rows that wait, as of at most 10 s ago |
//! | `user_gateway_outbox_oldest_seconds{region}` | gauge | the age of the oldest of them, 0 if there is none |

mod observe;
mod relay;
mod schedule;
mod store;
mod wake;
mod worker;

pub use relay::{Drained, Relay, RunningRelay};
pub use schedule::{CLAIM_HORIZON, LEASE, MAX_PAUSE, next_delay};
pub use store::{Claim, OutboxStore, RegionDepth, ShardDepth, Which};
pub use wake::WakeUp;
