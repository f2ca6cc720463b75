//! What outlives the death of any part of a fleet: every change that was acknowledged, and the
//! freshness of every copy.
//!
//! Under load, one process after the other is killed at some point and started again. While it is
//! gone some requests fail, but none is answered wrongly; afterwards everything is as if nothing
//! had been.

mod load;
mod slot;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::Value;
use tokio::task::block_in_place;
use user_gateway::database::{Connection, DatabaseOptions};

use self::load::Load;
use self::slot::{SILOS, Slot, Slots};
use crate::harness::{PATIENCE, ProcessFleet, eventually, variable};

/// How many rounds there are unless `USER_GATEWAY_CRASH_ROUNDS` says otherwise.
const ROUNDS: usize = 10;
/// How many values a round may need at most, where each failure of a writer needs another.
const VALUES: usize = 60;

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Silo(usize),
    Postgres,
    Redis,
}

impl Victim {
    /// Everybody once, in any order.
    fn shuffled(random: &mut StdRng) -> Vec<Self> {
        let mut all: Vec<_> = (0..SILOS).map(Self::Silo).collect();
        all.extend([Self::Postgres, Self::Redis]);
        all.shuffle(random);
        all
    }

    fn kill(self, fleet: &mut ProcessFleet) {
        match self {
            Self::Silo(number) => fleet.silos[number].kill(),
            Self::Postgres => fleet.postgres.kill(),
            Self::Redis => fleet.redis.kill(),
        }
    }

    fn start(self, fleet: &mut ProcessFleet) {
        match self {
            Self::Silo(number) => fleet.silos[number].start(),
            Self::Postgres => fleet.postgres.resume(),
            Self::Redis => {
                // It comes back with nothing.
                fleet.redis.lose();
                fleet.redis.resume();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and Redis"]
async fn any_part_may_be_killed_and_nothing_is_lost_or_stale() {
    let rounds = variable("USER_GATEWAY_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = variable("USER_GATEWAY_CRASH_SEED").unwrap_or_else(|| now.unwrap().as_secs());
    let mut random = StdRng::seed_from_u64(seed);
    let users = Slots::users(VALUES * rounds);
    let mut fleet = block_in_place(|| ProcessFleet::start(users));
    let database = connect(&fleet.postgres.url()).await;
    let slots = Arc::new(Slots::default());
    let mut story = format!("the seed is {seed}\n");
    let mut next = Vec::new();
    let mut telling = [0; SILOS];
    for number in 0..rounds {
        if next.is_empty() {
            next = Victim::shuffled(&mut random);
        }
        let victim = next.pop().unwrap();
        let _ = writeln!(story, "round {number}: {victim:?} is killed");
        let counts = round(
            &mut fleet,
            &slots,
            &database,
            victim,
            &mut random,
            &mut story,
        )
        .await;
        for (sum, count) in telling.iter_mut().zip(counts) {
            *sum += count;
        }
        slots.clear();
    }
    // Without such reads nothing was shown.
    assert!(
        telling.iter().all(|count| *count > 0),
        "{telling:?}\n{story}"
    );
    eprintln!("{story}");
}

/// Kills the victim under load and starts it again, and looks at everything once it is quiet. By
/// silo, how many reads could have been too old.
async fn round(
    fleet: &mut ProcessFleet,
    slots: &Arc<Slots>,
    database: &Connection,
    victim: Victim,
    random: &mut StdRng,
    story: &mut String,
) -> [u64; SILOS] {
    let begun = Instant::now();
    let mut moments = Vec::new();
    let mut done =
        |what: &str| moments.push(format!("{what} at {} ms", begun.elapsed().as_millis()));
    let mut load = Load::start(fleet, slots, database, random.random());
    let enough = random.random_range(10..60);
    eventually("changes are made", async || load.acknowledged() >= enough).await;
    done("killed");
    block_in_place(|| victim.kill(fleet));
    let enough = load.sent() + random.random_range(4..40);
    eventually("changes are tried", async || load.sent() >= enough).await;
    done("starts");
    block_in_place(|| victim.start(fleet));
    done("started");
    every_silo_answers(fleet).await;
    done("answers");
    let enough = load.acknowledged() + random.random_range(10..60);
    eventually("changes are made again", async || {
        load.acknowledged() >= enough
    })
    .await;
    done("enough");
    load.stop().await;
    done("quiet");
    eventually("the outbox is empty", async || {
        let sql = "SELECT COUNT(*) AS count FROM sentry_controloutbox";
        rows(database, sql)
            .await
            .is_some_and(|rows| rows[0]["count"] == 0)
    })
    .await;
    done("delivered");
    let _ = writeln!(
        story,
        "  {}\n  {} of {} changes acknowledged, {} reads, telling {:?}, {} values",
        moments.join(", "),
        load.acknowledged(),
        load.sent(),
        load.read(),
        load.telling(),
        slots.all().len()
    );
    let mut wrong = load.wrong();
    for slot in slots.all() {
        wrong.extend(end_of(&slot, fleet, database).await);
    }
    if !wrong.is_empty() {
        for silo in &fleet.silos {
            let log = silo.log();
            let lines: Vec<_> = log.lines().rev().take(40).collect();
            let _ = writeln!(
                story,
                "the log of {}, newest first:\n{}",
                silo.name,
                lines.join("\n")
            );
        }
        panic!("{story}\n{}", wrong.join("\n"));
    }
    load.telling()
}

/// What is wrong with a value after everything was delivered.
async fn end_of(slot: &Slot, fleet: &ProcessFleet, database: &Connection) -> Vec<String> {
    let mut wrong = Vec::new();
    let kept = rows(database, &slot.sql()).await.unwrap();
    let kept = kept
        .first()
        .and_then(|row| row["kept"].as_str()?.parse().ok());
    let kept = kept.unwrap_or(0);
    if !slot.may_end_with(kept) {
        wrong.push(format!("{kept} is kept: {slot:?}"));
    }
    for silo in &fleet.silos {
        let request = fleet.client.post(format!("{}/graphql", silo.origin));
        let request = request.bearer_auth(ProcessFleet::TOKEN).json(&slot.read());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let answered = slot.number(&answer["data"]);
        if answer.get("errors").is_some() || answered != kept {
            wrong.push(format!(
                "{} answers {answer}, {kept} is kept: {slot:?}",
                silo.name
            ));
        }
    }
    wrong
}

/// Waits until every silo answers again, also what it holds no copy of.
async fn every_silo_answers(fleet: &ProcessFleet) {
    let query = "{ users(first: 1) { totalCount } }";
    let body = serde_json::json!({ "query": query });
    for silo in &fleet.silos {
        eventually(&format!("{} answers", silo.name), async || {
            let request = fleet.client.post(format!("{}/graphql", silo.origin));
            let request = request.bearer_auth(ProcessFleet::TOKEN).json(&body);
            let Ok(response) = request.send().await else {
                return false;
            };
            let answer = response.json::<Value>().await;
            answer.is_ok_and(|answer| answer.get("errors").is_none())
        })
        .await;
    }
}

/// A connection past the fleet, which finds out soon that the database is gone.
async fn connect(url: &str) -> Connection {
    let options = DatabaseOptions {
        url: url.to_owned(),
        max_connections: 2,
        acquire_timeout: Duration::from_millis(200),
        statement_timeout: PATIENCE,
        lock_timeout: PATIENCE,
    };
    Connection::open(&options).await.unwrap()
}

/// The rows of a query; `None` while the database is gone.
async fn rows(database: &Connection, sql: &str) -> Option<Vec<Value>> {
    let database = database.writer();
    let statement = Statement::from_string(database.get_database_backend(), sql);
    JsonValue::find_by_statement(statement)
        .all(database)
        .await
        .ok()
}
