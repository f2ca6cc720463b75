//! Random histories of a region, each checked for a read that it must not have answered.
//!
//! Replicas share a Redis and a control silo that answers slowly and out of order. Readers read,
//! writers change users and tell the region, and something goes wrong all the while: connections
//! are held up or cut, keys vanish, Redis stops, dies, and comes back empty or with what it held
//! long ago. What is asked of whom follows from a seed; how it interleaves is the machine's.

mod check;
mod region;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use user_gateway::cache::Timing;

use self::check::{Log, Promise, Read, Violation};
use self::region::{Fleet, Hasty, Impatient, Region, TIMING};
use super::control::Control;
use crate::harness::{PATIENCE, RedisServer, variable};

const USERS: u64 = 2;
const REPLICAS: usize = 3;
const READERS: u64 = 4;
const READS: u64 = 40;
const WRITERS: u64 = 2;
const WRITES: u64 = 6;

/// Numbers that follow from a seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.throw() % bound
    }

    fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    /// A short while, mostly much shorter than `most`.
    pub(super) async fn rest(&mut self, most: Duration) {
        let part = u32::try_from(self.below(1000)).unwrap();
        sleep(most * part * part / 1_000_000).await;
    }
}

/// What goes wrong in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mischief {
    /// Nothing.
    Nothing,
    /// Whatever can.
    Everything,
    /// Only wires are held up.
    HeldWires,
}

/// Lives through a history of `region`.
async fn live(
    seed: u64,
    region: &dyn Region,
    control: &Control,
    mut server: Option<&mut RedisServer>,
    mischief: Mischief,
    (readable, writable): (usize, usize),
) -> Log {
    let log = Log::default();
    let (has_written, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (has_written, is_over) = (&has_written, &is_over);
    let readers = (0..READERS).map(|number| {
        let log = &log;
        let mut dice = Dice(seed ^ ((number + 1) << 32));
        async move {
            for count in 0.. {
                if count >= READS && has_written.load(Ordering::Acquire) {
                    return;
                }
                let (replica, user) = (dice.place(readable), 1 + dice.below(USERS).cast_signed());
                let began = log.now();
                if let Some(version) = region.read(replica, user).await {
                    log.read(Read {
                        user,
                        replica,
                        began,
                        version,
                    });
                }
                dice.rest(Duration::from_millis(8)).await;
            }
        }
    });
    let writers = (0..WRITERS).map(|number| {
        let log = &log;
        let mut dice = Dice(seed ^ ((number + 1) << 48));
        async move {
            for _ in 0..WRITES {
                dice.rest(Duration::from_millis(40)).await;
                let (replica, user) = (dice.place(writable), 1 + dice.below(USERS).cast_signed());
                if dice.below(3) == 0 {
                    let version = region.change(replica, user).await;
                    log.promise(Promise {
                        user,
                        replica: Some(replica),
                        since: log.now(),
                        version,
                    });
                    continue;
                }
                let version = control.change(user);
                // As the outbox does: again and again, by whatever replica, until one says so.
                for _ in 0..5 {
                    if region.invalidate(dice.place(writable), user).await {
                        log.promise(Promise {
                            user,
                            replica: None,
                            since: log.now(),
                            version,
                        });
                        break;
                    }
                    dice.rest(Duration::from_millis(60)).await;
                }
            }
        }
    });
    let work = async {
        let writing = async {
            join_all(writers).await;
            has_written.store(true, Ordering::Release);
        };
        tokio::join!(join_all(readers), writing);
        is_over.store(true, Ordering::Release);
    };
    let mut dice = Dice(seed);
    // It ends when the history does and not in the middle, so that the server is whole for the next.
    let trouble = async {
        while mischief != Mischief::Nothing && !is_over.load(Ordering::Acquire) {
            dice.rest(Duration::from_millis(60)).await;
            let held = mischief == Mischief::HeldWires;
            match if held { 0 } else { dice.below(8) } {
                0 | 1 => hold(region, &mut dice).await,
                2 => {
                    if let Some(wire) = region.wire(dice.place(REPLICAS)) {
                        wire.cut();
                    }
                }
                trouble => {
                    if let Some(server) = server.as_deref_mut() {
                        disturb(server, trouble, &mut dice).await;
                    }
                }
            }
        }
    };
    tokio::join!(work, trouble);
    log
}

/// Holds a replica's wire up for a while.
async fn hold(region: &dyn Region, dice: &mut Dice) {
    if let Some(wire) = region.wire(dice.place(REPLICAS)) {
        if dice.below(3) == 0 {
            wire.deafen();
        } else {
            wire.hold();
        }
        dice.rest(TIMING.lease * 4).await;
        wire.release();
    }
}

/// Does something to Redis.
async fn disturb(server: &mut RedisServer, trouble: u64, dice: &mut Dice) {
    match trouble {
        3 => server.run::<()>(&["FLUSHALL"]).await,
        4 => {
            for key in server.keys("user-gateway:*").await {
                if dice.below(2) == 0 {
                    server.run::<()>(&["DEL", &key]).await;
                }
            }
        }
        5 => server.save().await,
        6 => {
            server.kill();
            if dice.below(2) == 0 {
                server.lose();
            }
            dice.rest(Duration::from_millis(60)).await;
            server.resume();
        }
        _ => {
            server.signal("STOP");
            dice.rest(TIMING.command * 2).await;
            server.signal("CONT");
        }
    }
}

fn control(seed: u64) -> Control {
    let control = Control::default();
    for user in 1..=USERS.cast_signed() {
        control.change(user);
    }
    control.slow_down(seed, Duration::from_millis(12));
    control
}

/// How many histories are told of: few in everyday tests, many where the variable says so.
fn histories() -> u64 {
    variable("USER_GATEWAY_HISTORIES").unwrap_or(200)
}

/// Lives through histories on a few servers at once, until all are told or one is wrong.
async fn first_violation<F>(histories: u64, history: F) -> Option<(u64, Violation)>
where
    F: AsyncFn(u64, &mut RedisServer) -> Option<Violation>,
{
    const SERVERS: u8 = 8;
    let history = &history;
    let found = Mutex::new(None);
    let found = &found;
    let workers = (0..SERVERS).map(|worker| async move {
        let mut server = RedisServer::start();
        for seed in (u64::from(worker)..histories).step_by(SERVERS.into()) {
            if found.lock().unwrap().is_some() {
                return;
            }
            let told = timeout(PATIENCE, history(seed, &mut server)).await;
            let told = told.unwrap_or_else(|_| panic!("the history {seed} does not end"));
            if let Some(violation) = told {
                *found.lock().unwrap() = Some((seed, violation));
            }
        }
    });
    join_all(workers).await;
    found.lock().unwrap().take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis"]
async fn no_history_shows_a_read_of_what_was_invalidated_before() {
    let totals = Mutex::new((0, 0, 0));
    let history = async |seed: u64, server: &mut RedisServer| {
        let control = control(seed);
        // Patient replicas notice by their leases alone that Redis cannot be reached.
        let timing = Timing {
            command: TIMING.command * if seed.is_multiple_of(3) { 20 } else { 1 },
            ..TIMING
        };
        let fleet = Fleet::of(REPLICAS, server, &format!("r{seed}"), &control, |_| timing);
        let mischief = if seed.is_multiple_of(8) {
            fleet.live().await;
            Mischief::Nothing
        } else {
            Mischief::Everything
        };
        let all = (REPLICAS, REPLICAS);
        let log = live(seed, &fleet, &control, Some(server), mischief, all).await;
        let (reads, promises) = log.counts();
        let mut totals = totals.lock().unwrap();
        totals.0 += reads;
        totals.1 += promises;
        totals.2 += control.take_calls().len();
        log.violation()
    };
    if let Some((seed, violation)) = first_violation(histories(), history).await {
        panic!("the history {seed} shows {violation:#?}");
    }
    let (reads, promises, calls) = totals.into_inner().unwrap();
    // A cache that never answers, or a region that never acknowledges, would be right all the time.
    assert!(calls * 3 < reads * 2, "{calls} calls for {reads} reads");
    assert!(
        promises as u64 > histories() * WRITES,
        "{promises} promises"
    );
}

#[tokio::test]
async fn no_history_of_a_single_process_shows_what_was_invalidated_before() {
    for seed in 0..20 {
        let control = control(seed);
        let alone = region::Alone::over(&control);
        let log = live(seed, &alone, &control, None, Mischief::Nothing, (1, 1)).await;
        if let Some(violation) = log.violation() {
            panic!("the history {seed} shows {violation:#?}");
        }
    }
}

#[tokio::test]
async fn no_history_over_a_database_shows_what_was_announced_to_be_past() {
    let (mut reads, mut calls) = (0, 0);
    for seed in 0..20 {
        let control = control(seed);
        let local = region::Local::over(&control);
        let log = live(seed, &local, &control, None, Mischief::Nothing, (1, 1)).await;
        if let Some(violation) = log.violation() {
            panic!("the history {seed} shows {violation:#?}");
        }
        reads += log.counts().0;
        calls += control.take_calls().len();
    }
    assert!(calls * 3 < reads * 2, "{calls} calls for {reads} reads");
}

/// How many histories a cache that is wrong may survive.
const CHANCES: u64 = 400;

#[tokio::test]
async fn a_cache_that_keeps_what_came_late_is_found_out() {
    for seed in 0..CHANCES {
        let control = control(seed);
        let hasty = Hasty {
            control: control.clone(),
            kept: Mutex::default(),
        };
        let log = live(seed, &hasty, &control, None, Mischief::Nothing, (1, 1)).await;
        if log.violation().is_some() {
            return;
        }
    }
    panic!("it was not found out");
}

#[tokio::test]
async fn a_cache_that_joins_what_began_too_early_is_found_out() {
    for seed in 0..CHANCES {
        let control = control(seed);
        // What is asked for while the same is being answered gets that answer, below a cache that
        // knows better.
        control.join_calls();
        let alone = region::Alone::over(&control);
        let log = live(seed, &alone, &control, None, Mischief::Nothing, (1, 1)).await;
        if log.violation().is_some() {
            return;
        }
    }
    panic!("it was not found out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis"]
async fn a_replica_that_does_not_wait_for_the_others_is_found_out() {
    let history = async |seed: u64, server: &mut RedisServer| {
        let control = control(seed);
        let fleet = Fleet::of(REPLICAS, server, &format!("r{seed}"), &control, |_| TIMING);
        fleet.live().await;
        let impatient = Impatient(Arc::new(fleet));
        let all = (REPLICAS, REPLICAS);
        let log = live(seed, &impatient, &control, None, Mischief::HeldWires, all).await;
        log.violation()
    };
    assert!(first_violation(CHANCES, history).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis"]
async fn a_replica_that_outstays_its_lease_is_found_out() {
    let timing = |place| match place {
        0 => TIMING,
        _ => Timing {
            lease: Duration::from_hours(1),
            // Nor does it notice in another way.
            command: PATIENCE,
            ..TIMING
        },
    };
    let history = async |seed: u64, server: &mut RedisServer| {
        let control = control(seed);
        let fleet = Fleet::of(REPLICAS, server, &format!("r{seed}"), &control, timing);
        fleet.live().await;
        // Changes are told to the one replica that knows for how long to wait.
        let ways = (REPLICAS, 1);
        let log = live(seed, &fleet, &control, None, Mischief::HeldWires, ways).await;
        log.violation()
    };
    assert!(first_violation(CHANCES, history).await.is_some());
}
