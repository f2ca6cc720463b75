//! What a region remembers of users, and how it comes to forget in time.
//!
//! A region has no database: it asks the control silo, and keeps what it was told. Users and what
//! belongs to them are kept by id, and so are all options of a user; everything else is asked
//! anew each time. There are two tiers: the memory of the process, bounded in bytes and in time,
//! and a Redis that the replicas of the region share, if one is configured. Without a Redis, a
//! region is a single process.
//!
//! # What is promised
//!
//! Once [`RegionCache::invalidate`], or [`SiloCache::clear_key`](crate::service::SiloCache) of a
//! key of a user, has succeeded in any replica, no read that begins afterwards in any replica of
//! the region answers with anything that was fetched before the call. That holds whatever happens
//! beside it: slow fetches, replicas that pause, connections that break, a Redis that loses keys,
//! loses everything, restarts empty or with an old snapshot. A Redis that cannot be reached breaks
//! no read: reads then go to the control silo, and invalidations fail and have to be repeated.
//!
//! It rests on three things. There is one Redis at a time: where a server that was replaced goes on
//! answering, or a copy takes over, replicas that talk to different ones do not hear each other
//! until they have all moved. Time passes in every replica, at about the same rate: a virtual
//! machine that is frozen together with its clock, and thawed within a lease, does not notice. And
//! whoever changes something tells the region. A control silo of Sentry's tells neither of options
//! nor of new users nor of users without a membership: the former are not kept from such a silo,
//! and the last are kept no longer than the cache's time.
//!
//! # Why it holds
//!
//! - **In a process**, each fetch is entered in a list before it begins (`memory.rs`). An
//!   invalidation takes the copy away and strikes the fetches of the user off the list; what they
//!   bring is not kept, and a read that comes later begins a fetch of its own.
//! - **In Redis**, a reader takes the version of a key before it fetches, and its record is stored
//!   only while the key still has that version (`shared/`). An invalidation deletes the key. A
//!   version is random and never guessed, so one that was lost revives nothing, however it was
//!   lost; and all keys carry the run of the server, so neither does what a snapshot brings back.
//! - **Between processes**, each replica answers from its memory under a lease. Invalidations are
//!   numbered, and a renewal counts only once the replica has heard all up to the number it was
//!   granted at. An invalidation succeeds when every replica has said that it heard, or a whole
//!   lease has passed. No clocks are compared: each side counts a duration of its own, from a moment
//!   that is safe for it. A list of replicas only saves the waiting; whenever it may not be whole,
//!   because Redis has lost it, the whole lease is waited for.
//!
//! # Over a database
//!
//! A monolith or a control silo may keep copies in its process too, see [`LocalCache`]. It promises
//! less: of what other processes change it hears a moment late.
//!
//! # Metrics
//!
//! | name | what is counted |
//! |---|---|
//! | `user_gateway_cache_hits_total{tier,part}` | copies that answered; `tier` is `memory` or `redis`, `part` is `user`, `profile` or `options` |
//! | `user_gateway_cache_misses_total{tier,part}` | looks that found none |
//! | `user_gateway_cache_fills_total{part}` | records that were fetched |
//! | `user_gateway_cache_fills_rejected_total{tier,part}` | records that were fetched and not kept, because an invalidation came in between |
//! | `user_gateway_cache_invalidations_total{outcome}` | users that were invalidated; `outcome` is `done` or `failed` |
//! | `user_gateway_cache_redis_errors_total` | commands to Redis that failed |
//! | `user_gateway_cache_redis_connected` | 1 while Redis is in use, else 0 |

mod change;
mod form;
mod local;
mod memory;
#[cfg(test)]
mod model;
mod record;
mod region;
mod shared;
mod source;
mod tally;
mod user;
mod user_option;

pub use local::{Hears, LocalCache};
pub use region::{MayKeep, RegionCache, RegionParts};
pub use shared::{Timing, reach};
pub use user::CachedUserService;
pub use user_option::CachedUserOptionService;

/// The primitives of `memory.rs`, which its model replaces by those of `loom`.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard};
}
