//! One connection to Redis, from its beginning to its end.
//!
//! A connection that breaks is never made good under the feet of those who use it: what is kept
//! lies in a namespace that carries the run of the server, and the run is read once, when the
//! connection begins. What an earlier run kept, and a snapshot brings back, is in another namespace.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::script;
use super::standing::{Lease, Point};
use super::{REGISTER_LIFE, Timing};
use crate::cache::form;
use crate::cache::record::Part;
use crate::domain::UserId;

/// How many keys one script takes: enough to be one round trip for a page of users, few enough that
/// nobody else at the server waits for long.
const CHUNK: usize = 500;

/// The longest that a version waits for its record: longer than any fetch takes.
const VERSION_LIFE: Duration = Duration::from_mins(2);

/// The names of the keys and channels of a region at one run of a server.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// The names within a database of a server, which an operator may share among regions.
    pub(super) fn new(region: &str, database: i64, run: &str) -> Self {
        Self {
            prefix: format!("user-gateway:{region}:{database}:{run}"),
        }
    }

    fn register(&self) -> String {
        format!("{}:register", self.prefix)
    }

    fn record(&self, part: Part, id: UserId) -> String {
        format!("{}:{}:{id}", self.prefix, part.name())
    }

    /// Where invalidations are told of.
    pub(super) fn invalidated(&self) -> String {
        format!("{}:invalidated", self.prefix)
    }

    /// Where a replica is told who has heard its invalidations.
    pub(super) fn heard(&self, replica: &str) -> String {
        format!("{}:heard:{replica}", self.prefix)
    }
}

/// What the shared tier knows of a part of a user.
#[derive(Debug)]
pub(in crate::cache) enum Taken {
    /// The record, and how much longer it may be kept.
    Record(Vec<u8>, Duration),
    /// Nothing; under this version a record may be stored.
    Free(String),
}

/// A record to be stored under the version that was taken before it was fetched.
#[derive(Debug)]
pub(in crate::cache) struct Filling {
    pub(in crate::cache) user_id: UserId,
    pub(in crate::cache) version: String,
    pub(in crate::cache) record: Vec<u8>,
    pub(in crate::cache) life: Duration,
}

/// An invalidation as the register has it.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) point: Point,
    pub(super) version: i64,
    /// Who may be answering from memory, this replica left out.
    others: BTreeSet<String>,
    /// Whether that list is known to be whole.
    is_settled: bool,
    /// After which no lease holds that was granted before the invalidation.
    safe_at: Instant,
}

/// A connection to Redis, as readers and writers use it.
pub(in crate::cache) struct Session {
    connection: MultiplexedConnection,
    pub(super) names: Names,
    replica: Arc<str>,
    timing: Timing,
    pub(super) lease: Lease,
    /// Up to where each replica has said to have heard.
    pub(super) heard: watch::Sender<HashMap<String, Point>>,
    is_broken: AtomicBool,
    broke: Notify,
    cause: OnceLock<RedisError>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("names", &self.names)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Connects and learns which run of the server this is.
    pub(super) async fn open(
        client: &Client,
        region: &str,
        replica: Arc<str>,
        timing: Timing,
    ) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timing.connect))
            .set_response_timeout(Some(timing.command));
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
        let value = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
        };
        if value("role") != "master" {
            return Err((redis::ErrorKind::Client, "the server is a copy of another").into());
        }
        let run = value("run_id");
        if run.is_empty() {
            return Err((redis::ErrorKind::Client, "the server does not name its run").into());
        }
        let database = client.get_connection_info().redis_settings().db();
        Ok(Self {
            connection,
            names: Names::new(region, database, run),
            replica,
            timing,
            lease: Lease::new(),
            heard: watch::Sender::default(),
            is_broken: AtomicBool::new(false),
            broke: Notify::new(),
            cause: OnceLock::new(),
        })
    }

    /// Whether this replica may answer from what it has.
    pub(super) fn is_live(&self) -> bool {
        !self.is_broken.load(Ordering::Acquire) && self.lease.holds()
    }

    /// Gives the connection up. The first command that fails does; nobody after it waits for the
    /// same failure.
    pub(super) fn give_up(&self) {
        self.is_broken.store(true, Ordering::Release);
        self.lease.end();
        self.broke.notify_one();
    }

    /// Waits until the connection is given up; why it was.
    pub(super) async fn given_up(&self) -> Option<RedisError> {
        self.broke.notified().await;
        self.cause.get().cloned()
    }

    /// Gives the connection up if `result` is a failure.
    fn check<T>(&self, result: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &result {
            super::failed(error);
            let _ = self.cause.set(error.clone());
            self.give_up();
        }
        result
    }

    /// Looks for a part of each of these users.
    pub(in crate::cache) async fn take(
        &self,
        part: Part,
        ids: &[UserId],
    ) -> RedisResult<Vec<Taken>> {
        let mut taken = Vec::with_capacity(ids.len());
        let version = Uuid::new_v4().simple().to_string();
        for chunk in ids.chunks(CHUNK) {
            let mut call = script::TAKE.prepare_invoke();
            for id in chunk {
                call.key(self.names.record(part, *id));
            }
            call.arg(&version)
                .arg(form::TAG)
                .arg(milliseconds(VERSION_LIFE));
            let answers = call.invoke_async(&mut self.connection.clone()).await;
            let answers: Vec<Vec<redis::Value>> = self.check(answers)?;
            for answer in answers {
                taken.push(self.check(read(answer))?);
            }
        }
        Ok(taken)
    }

    /// Stores records whose version is still the one that was taken; how many that were. A server
    /// that is full refuses; that is no reason to give it up.
    pub(in crate::cache) async fn store(
        &self,
        part: Part,
        fillings: &[Filling],
    ) -> RedisResult<usize> {
        let mut stored = 0;
        for chunk in fillings.chunks(CHUNK) {
            let mut call = script::STORE.prepare_invoke();
            for filling in chunk {
                call.key(self.names.record(part, filling.user_id));
            }
            for filling in chunk {
                call.arg(&filling.version)
                    .arg(&filling.record)
                    .arg(milliseconds(filling.life));
            }
            let answer = call.invoke_async(&mut self.connection.clone()).await;
            stored += match answer {
                Err(error) if is_refusal(&error) => {
                    super::failed(&error);
                    return Err(error);
                }
                answer => self.check::<usize>(answer)?,
            };
        }
        Ok(stored)
    }

    /// Makes the record of a part worthless that cannot be read.
    pub(in crate::cache) async fn discard(&self, part: Part, id: UserId) -> RedisResult<()> {
        let mut command = redis::cmd("DEL");
        command.arg(self.names.record(part, id));
        self.check(command.query_async(&mut self.connection.clone()).await)
    }

    /// Renews the lease, or takes it for the first time: where the register stands, whether it is
    /// settled, and until when the lease lasts.
    pub(super) async fn renew(&self) -> RedisResult<(Point, bool, Instant)> {
        // Counted from before the renewal is sent: nobody can have granted it earlier.
        let until = Instant::now() + self.timing.lease;
        let answer = script::RENEW
            .key(self.names.register())
            .arg(&*self.replica)
            .arg(Uuid::new_v4().simple().to_string())
            .arg(milliseconds(REGISTER_LIFE))
            .invoke_async(&mut self.connection.clone())
            .await;
        let (register, number, settled): (String, u64, u8) = self.check(answer)?;
        Ok((Point { register, number }, settled == 1, until))
    }

    /// Settles a register of this name, see [`script::SETTLE`].
    pub(super) async fn settle(&self, register: &str) -> RedisResult<()> {
        let answer = script::SETTLE
            .key(self.names.register())
            .arg(register)
            .invoke_async(&mut self.connection.clone())
            .await;
        self.check(answer)
    }

    /// Takes this replica out of the register. It must not answer from memory any more.
    pub(super) async fn leave(&self) -> RedisResult<()> {
        let mut command = redis::cmd("HDEL");
        command
            .arg(self.names.register())
            .arg(format!("replica:{}", self.replica));
        command.query_async(&mut self.connection.clone()).await
    }

    /// Makes everything that is kept of a user worthless, and tells the replicas.
    pub(super) async fn invalidate(&self, user_id: UserId) -> RedisResult<Numbered> {
        let mut call = script::INVALIDATE.prepare_invoke();
        call.key(self.names.register());
        for part in Part::OF_REGIONS {
            call.key(self.names.record(part, user_id));
        }
        let answer = call
            .arg(Uuid::new_v4().simple().to_string())
            .arg(milliseconds(REGISTER_LIFE))
            .arg(self.names.invalidated())
            .arg(user_id.0)
            .arg(&*self.replica)
            .invoke_async(&mut self.connection.clone())
            .await;
        let (register, number, version, fields): (String, u64, i64, Vec<String>) =
            self.check(answer)?;
        let others = fields
            .iter()
            .filter_map(|field| field.strip_prefix("replica:"))
            .filter(|replica| **replica != *self.replica)
            .map(str::to_owned)
            .collect();
        Ok(Numbered {
            point: Point { register, number },
            version,
            others,
            is_settled: fields.iter().any(|field| field == "settled"),
            safe_at: Instant::now() + self.timing.lease + self.timing.margin,
        })
    }

    /// Waits until no other replica answers with what was before an invalidation: each has said
    /// that it heard, or its lease is over.
    pub(super) async fn spread(&self, numbered: &Numbered) {
        let has_heard = |heard: &HashMap<String, Point>, replica: &String| {
            heard.get(replica).is_some_and(|point| {
                point.register == numbered.point.register && point.number >= numbered.point.number
            })
        };
        let mut heard = self.heard.subscribe();
        if numbered.is_settled {
            let all = heard.wait_for(|heard| numbered.others.iter().all(|r| has_heard(heard, r)));
            if let Ok(Ok(_)) = timeout_at(numbered.safe_at, all).await {
                return;
            }
        }
        tokio::time::sleep_until(numbered.safe_at).await;
        let silent: Vec<String> = {
            let heard = heard.borrow();
            let others = numbered.others.iter();
            others.filter(|r| !has_heard(&heard, r)).cloned().collect()
        };
        if !silent.is_empty() && self.strike(numbered, &silent).await.is_err() {
            // The next invalidation waits for them once more; nothing else is lost.
            tracing::debug!("replicas that are gone could not be struck off the register");
        }
    }

    /// Strikes replicas off the register whose leases have run out, so that nobody waits for them
    /// again until they are back.
    async fn strike(&self, numbered: &Numbered, silent: &[String]) -> RedisResult<()> {
        let answer = script::STRIKE
            .key(self.names.register())
            .arg(&numbered.point.register)
            .arg(numbered.point.number)
            .arg(silent)
            .invoke_async(&mut self.connection.clone())
            .await;
        self.check(answer)
    }

    /// Tells replicas that their invalidations have been heard, up to these points.
    pub(super) async fn acknowledge(&self, heard: &HashMap<String, Point>) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (origin, point) in heard {
            pipeline
                .cmd("PUBLISH")
                .arg(self.names.heard(origin))
                .arg(format!(
                    "{} {} {}",
                    self.replica, point.register, point.number
                ))
                .ignore();
        }
        self.check(pipeline.query_async(&mut self.connection.clone()).await)
    }
}

fn read(answer: Vec<redis::Value>) -> RedisResult<Taken> {
    let mut fields = answer.into_iter();
    let first: Vec<u8> = redis::from_redis_value(fields.next().unwrap_or(redis::Value::Nil))?;
    match fields.next() {
        Some(life) => {
            // Negative where the key has just gone or never goes: not to be kept any longer.
            let life: i64 = redis::from_redis_value(life)?;
            let life = u64::try_from(life).unwrap_or_default();
            Ok(Taken::Record(first, Duration::from_millis(life)))
        }
        None => match String::from_utf8(first) {
            Ok(version) => Ok(Taken::Free(version)),
            Err(_) => Err((redis::ErrorKind::UnexpectedReturnType, "a version is text").into()),
        },
    }
}

/// Whether the server has understood the command and refused it.
fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        redis::ErrorKind::Server(_) | redis::ErrorKind::Extension
    )
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}
