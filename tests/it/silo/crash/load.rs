//! Writers, readers, and somebody who watches what has been delivered.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use user_gateway::database::Connection;

use super::slot::{Kind, SILOS, Slots};
use crate::harness::{PAUSE, ProcessFleet};

/// How many read at each silo.
const READERS: usize = 2;

/// How many of the newest values readers look at.
const RECENT: usize = 12;

/// What may go wrong while a part of the fleet is gone.
const EXPECTED: [&str; 2] = ["UNAVAILABLE", "TIMEOUT"];

/// Everybody who writes or reads, and what they have found.
#[derive(Debug)]
pub(super) struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What they share.
#[derive(Debug)]
struct Shared {
    client: Client,
    token: &'static str,
    /// Where each silo is, and the region it serves.
    silos: Vec<(String, &'static str)>,
    slots: Arc<Slots>,
    stopping: AtomicBool,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    read: AtomicU64,
    /// By silo, how many of the reads could have been too old.
    telling: [AtomicU64; SILOS],
    wrong: Mutex<Vec<String>>,
}

/// What became of a request.
#[derive(Debug)]
enum Outcome {
    /// This is its data.
    Data(Value),
    /// It has not been taken on by anybody.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Load {
    /// Lets everybody begin: two writers and as many readers at each silo, and one who
    /// watches.
    pub(super) fn start(
        fleet: &ProcessFleet,
        slots: &Arc<Slots>,
        database: &Connection,
        seed: u64,
    ) -> Self {
        let silos = fleet.silos.iter();
        let shared = Arc::new(Shared {
            client: fleet.client.clone(),
            token: ProcessFleet::TOKEN,
            silos: silos
                .map(|silo| (silo.origin.clone(), silo.region))
                .collect(),
            slots: Arc::clone(slots),
            stopping: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            read: AtomicU64::new(0),
            telling: Default::default(),
            wrong: Mutex::default(),
        });
        let mut tasks = vec![tokio::spawn(watch(Arc::clone(&shared), database.clone()))];
        for silo in 0..SILOS {
            for kind in [Kind::Name, Kind::Option] {
                tasks.push(tokio::spawn(write(Arc::clone(&shared), silo, kind)));
            }
            for reader in 0..READERS {
                let own = (silo * READERS + reader) as u64;
                let random = StdRng::seed_from_u64(seed.wrapping_add(own));
                tasks.push(tokio::spawn(read(Arc::clone(&shared), silo, random)));
            }
        }
        Self { shared, tasks }
    }

    /// How many changes were sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// How many changes were acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// How many reads were answered so far.
    pub(super) fn read(&self) -> u64 {
        self.shared.read.load(Ordering::SeqCst)
    }

    /// By silo, how many of them could have been answered too old.
    pub(super) fn telling(&self) -> [u64; SILOS] {
        self.shared
            .telling
            .each_ref()
            .map(|count| count.load(Ordering::SeqCst))
    }

    /// What was wrong so far.
    pub(super) fn wrong(&self) -> Vec<String> {
        self.shared.wrong().clone()
    }

    /// Lets everybody finish.
    pub(super) async fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
    }
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::SeqCst)
    }

    fn wrong(&self) -> MutexGuard<'_, Vec<String>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, silo: usize, body: &Value) -> Outcome {
        let request = self.client.post(format!("{}/graphql", self.silos[silo].0));
        let request = request.bearer_auth(self.token).json(body);
        // Nothing takes this long; a request that does would hold up the round.
        let response = match request.timeout(Duration::from_secs(20)).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Outcome::Refused,
            Err(_) => return Outcome::Unknown,
        };
        let Ok(mut answer) = response.json::<Value>().await else {
            return Outcome::Unknown;
        };
        if answer.get("errors").is_none() {
            return Outcome::Data(answer["data"].take());
        }
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        if !code.is_some_and(|code| EXPECTED.contains(&code)) {
            let problem = format!("silo {silo} answers {body} with {answer}");
            self.wrong().push(problem);
        }
        Outcome::Unknown
    }
}

async fn write(shared: Arc<Shared>, silo: usize, kind: Kind) {
    let mut slot = shared.slots.add(kind);
    while shared.goes_on() {
        let number = slot.attempt();
        shared.sent.fetch_add(1, Ordering::SeqCst);
        match shared.ask(silo, &slot.write(number)).await {
            // What was in doubt before may come after this.
            Outcome::Data(_) if slot.is_doubtful() => slot = shared.slots.add(kind),
            Outcome::Data(data) => {
                let payload = data.as_object().and_then(|data| data.values().next());
                if payload.is_none_or(|p| p["errors"] != json!([])) {
                    shared.wrong().push(format!("{slot:?} was answered {data}"));
                }
                slot.acknowledge(silo, number);
                shared.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Outcome::Refused => tokio::time::sleep(PAUSE).await,
            Outcome::Unknown => {
                slot.doubt();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn read(shared: Arc<Shared>, silo: usize, mut random: StdRng) {
    while shared.goes_on() {
        let slots = shared.slots.all();
        let recent = &slots[slots.len().saturating_sub(RECENT)..];
        if recent.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        let slot = &recent[random.random_range(0..recent.len())];
        let floor = slot.floor(silo);
        match shared.ask(silo, &slot.read()).await {
            Outcome::Data(data) => {
                let number = slot.number(&data);
                if number < floor || !slot.was_attempted(number) {
                    shared.wrong().push(format!(
                        "silo {silo} answers {number} where {floor} was known: {slot:?}"
                    ));
                }
                shared.read.fetch_add(1, Ordering::SeqCst);
                shared.telling[silo].fetch_add(u64::from(floor > 0), Ordering::SeqCst);
            }
            Outcome::Refused | Outcome::Unknown => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The first and the last row that wait, by user and region.
type Waiting = HashMap<(u64, String), (u64, u64)>;

/// Finds out what has been delivered: what was acknowledged before a look is known in all of a
/// region once the rows are gone that this look has seen there.
async fn watch(shared: Arc<Shared>, database: Connection) {
    // By value and region, the number and the last row of a look.
    let mut looks: HashMap<(String, &str), (u64, u64)> = HashMap::new();
    let regions: HashSet<_> = shared.silos.iter().map(|(_, region)| *region).collect();
    while shared.goes_on() {
        let slots = shared.slots.all();
        let numbers: Vec<_> = slots.iter().map(|slot| slot.acknowledged()).collect();
        if let Some(waiting) = waiting(&database).await {
            for (slot, number) in slots.iter().zip(numbers) {
                for region in regions.iter().filter(|region| !region.is_empty()) {
                    let rows = waiting.get(&(slot.user as u64, (*region).to_owned()));
                    let look = (slot.key.clone(), *region);
                    let known = match (rows, looks.get(&look)) {
                        (None, _) => number,
                        (Some((first, _)), Some((number, last))) if first > last => *number,
                        (Some((_, last)), None) => {
                            looks.insert(look, (number, *last));
                            continue;
                        }
                        _ => continue,
                    };
                    looks.remove(&look);
                    for (silo, (_, of)) in shared.silos.iter().enumerate() {
                        if of == region {
                            slot.raise(silo, known);
                        }
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What waits for whom; `None` while the database is gone.
async fn waiting(database: &Connection) -> Option<Waiting> {
    let sql = "SELECT shard_identifier AS id, region_name AS region, MIN(id) AS first, \
               MAX(id) AS last FROM sentry_controloutbox GROUP BY 1, 2";
    let database = database.writer();
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = JsonValue::find_by_statement(statement).all(database).await;
    let rows = rows.ok()?.into_iter().filter_map(|row| {
        let whom = (row["id"].as_u64()?, row["region"].as_str()?.to_owned());
        Some((whom, (row["first"].as_u64()?, row["last"].as_u64()?)))
    });
    Some(rows.collect())
}
