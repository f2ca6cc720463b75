//! A closed loop: so many connections ask, and each asks again when it has its answer.

mod connection;
mod hostile;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, TryStreamExt as _};

pub(crate) use connection::Connection;
pub(crate) use hostile::Company;

use crate::workload::{Asker, Place};

/// Where a server answers, and what it is to be told with each request.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    /// The path of the load.
    pub(crate) path: String,
    /// The credentials, which those who ask for none do not mind.
    pub(crate) token: String,
}

/// How long to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many connections ask at a time.
    pub(crate) connections: u16,
    /// For how long.
    pub(crate) time: Duration,
    /// How many requests at most.
    pub(crate) requests: u64,
    /// What else is to be minded.
    pub(crate) manners: Manners,
}

/// How those who ask behave.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manners {
    /// Each asks again as soon as it has its answer, and every answer must be good.
    Eager,
    /// Each asks once in so long, or as soon as it has its answer if that takes longer, and may be
    /// refused.
    Paced(Duration),
}

/// What was seen from outside.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// How many requests were answered.
    pub(crate) requests: u64,
    /// How many more were refused.
    pub(crate) refused: u64,
    /// How long it took.
    pub(crate) time: Duration,
    /// How long each answer took, in microseconds, shortest first.
    latencies: Vec<f64>,
}

impl Seen {
    /// The latency that a share of the requests stayed below, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        quantile(&self.latencies, share)
    }

    /// Adds what was seen in another turn.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.time += other.time;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable_by(f64::total_cmp);
    }
}

/// The value that a share of sorted values stays below.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a list that fits in memory"
)]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (share * sorted.len() as f64) as usize;
    let place = place.min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

/// What the connections of a turn share.
struct Turn<'a> {
    asker: &'a Asker<'a>,
    target: &'a Target,
    stream: u64,
    unique: u64,
    next: Cell<u64>,
    bound: u64,
    end: Instant,
    manners: Manners,
    refused: Cell<u64>,
    latencies: RefCell<Vec<f64>>,
}

/// Asks until a bound is reached. `begun` is called when all connections stand and nothing has
/// been asked; `stream` and `unique` are those of [`Place`].
pub(crate) async fn run(
    asker: &Asker<'_>,
    target: &Target,
    bounds: Bounds,
    (stream, unique): (u64, u64),
    begun: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Seen> {
    let mut connections = Vec::with_capacity(bounds.connections.into());
    for _ in 0..bounds.connections {
        connections.push(Connection::open(target.address).await?);
    }
    begun()?;
    let start = Instant::now();
    let turn = Turn {
        asker,
        target,
        stream,
        unique,
        next: Cell::new(0),
        bound: bounds.requests,
        end: start + bounds.time,
        manners: bounds.manners,
        refused: Cell::new(0),
        latencies: RefCell::default(),
    };
    let asking: FuturesUnordered<_> = connections
        .into_iter()
        .map(|connection| turn.ask(connection))
        .collect();
    asking.try_collect::<()>().await?;
    let time = start.elapsed();
    let mut latencies = turn.latencies.into_inner();
    latencies.sort_unstable_by(f64::total_cmp);
    Ok(Seen {
        requests: latencies.len() as u64,
        refused: turn.refused.get(),
        time,
        latencies,
    })
}

impl Turn<'_> {
    /// Asks over one connection until the turn is over.
    async fn ask(&self, mut connection: Connection) -> anyhow::Result<()> {
        let mut body = Vec::with_capacity(4 * 1024);
        loop {
            let number = self.next.get();
            let start = Instant::now();
            if number >= self.bound || start >= self.end {
                return Ok(());
            }
            self.next.set(number + 1);
            let place = Place {
                stream: self.stream,
                unique: self.unique,
                number,
            };
            body.clear();
            self.asker.write(&mut body, place);
            let start = Instant::now();
            let (path, token) = (&self.target.path, &self.target.token);
            let answer = connection.post(path, token, &body).await?;
            let took = start.elapsed();
            match self.manners {
                Manners::Paced(_) if answer.is_refusal() => self.refused.update(|count| count + 1),
                Manners::Eager | Manners::Paced(_) => {
                    answer.must_be_good()?;
                    self.latencies.borrow_mut().push(took.as_secs_f64() * 1e6);
                }
            }
            if let Manners::Paced(interval) = self.manners {
                tokio::time::sleep_until((start + interval).into()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 100.0)] {
            assert!(
                (quantile(&values, share) - expected).abs() < f64::EPSILON,
                "{share}"
            );
        }
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
    }
}
