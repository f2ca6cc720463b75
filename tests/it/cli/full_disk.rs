//! A database that cannot be written: no change is acknowledged that is not stored, readiness and metrics
//! report it, and the gateway recovers by itself as soon as there is space.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::RequestBuilder;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{SET_OPTION, rows};
use crate::harness::{Answer, PostgresServer, Process, Scratch, eventually, look_into, variable};

/// How often the disk fills and empties unless `USER_GATEWAY_FULL_DISKS` says otherwise.
const ROUNDS: usize = 3;
/// The concurrent writers, each with a user of its own.
const WRITERS: u64 = 4;
/// The changes that have to be acknowledged, or refused, before a round continues.
const ENOUGH: u64 = 20;

fn rounds() -> usize {
    variable("USER_GATEWAY_FULL_DISKS").unwrap_or(ROUNDS)
}

/// The numbers that options hold, by user and key. A key that comes round again holds a higher one.
type Options = BTreeMap<(u64, String), u64>;

/// How many keys a writer has.
const KEYS: u64 = 500;

/// Writers that set one new option after the other, and their answers.
#[derive(Debug, Default)]
struct Load {
    acknowledged: Mutex<Options>,
    stored: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    fn start(gateway: &Process, token: &str) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let load = Arc::new(Self::default());
        let writers = (1..=WRITERS).map(|user| {
            let asking = gateway.graphql().bearer_auth(token);
            tokio::spawn(Arc::clone(&load).write(asking, user))
        });
        let writers = writers.collect();
        (load, writers)
    }

    async fn write(self: Arc<Self>, asking: RequestBuilder, user: u64) {
        for number in 0_u64.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let key = format!("key-{}", number % KEYS);
            let value = format!("{number} {}", "x".repeat(500));
            let input = json!({ "userId": user.to_string(), "key": key, "value": value });
            let body = json!({ "query": SET_OPTION, "variables": { "input": input } });
            let answer = Answer::to(asking.try_clone().unwrap().json(&body))
                .await
                .json();
            if answer["data"]["setUserOption"]["changed"] == true {
                self.acknowledged
                    .lock()
                    .unwrap()
                    .insert((user, key), number);
                self.stored.fetch_add(1, Ordering::Relaxed);
            } else {
                let code = &answer["errors"][0]["extensions"]["code"];
                assert_eq!(code, "UNAVAILABLE", "{answer}");
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until more changes are acknowledged.
    async fn is_stored(&self) {
        let enough = self.stored() + ENOUGH;
        eventually("changes are stored", async || self.stored() >= enough).await;
    }

    /// Waits until more changes are refused.
    async fn is_refused(&self) {
        let enough = self.refused() + ENOUGH;
        eventually("changes are refused", async || self.refused() >= enough).await;
    }
}

/// A fault that makes a database unwritable for a while.
trait Disk {
    fn fill(&self);
    fn empty(&self);
}

async fn readiness(gateway: &Process) -> (u16, Value) {
    let answer = Answer::to(gateway.get("/readyz")).await;
    (answer.status, answer.json()["code"].clone())
}

/// Fills and empties the disk under load. All that was acknowledged must be seen by another process
/// after each round.
async fn survives(gateway: &mut Process, token: &str, url: &str, disk: &dyn Disk) {
    let (load, writers) = Load::start(gateway, token);
    for round in 0..rounds() {
        load.is_stored().await;
        disk.fill();
        load.is_refused().await;
        eventually("readiness says so", async || {
            readiness(gateway).await == (503, json!("UNAVAILABLE"))
        })
        .await;
        assert_eq!(Answer::to(gateway.get("/healthz")).await.status, 200);
        disk.empty();
        load.is_stored().await;
        eventually("readiness says that it is over", async || {
            readiness(gateway).await.0 == 200
        })
        .await;
        let acknowledged = load.acknowledged.lock().unwrap().clone();
        assert_kept(url, &acknowledged, round).await;
    }
    load.is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let metrics = Answer::to(gateway.get("/metrics")).await;
    let metrics = metrics.text();
    assert!(
        metrics.contains("user_gateway_storage_failing 0"),
        "{metrics}"
    );
    assert!(gateway.log().contains("changes cannot be stored"));
    assert!(gateway.log().contains("changes can be stored again"));
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0), "{}", gateway.log());
    let acknowledged = load.acknowledged.lock().unwrap().clone();
    assert_kept(url, &acknowledged, usize::MAX).await;
}

/// Asserts that another process sees every acknowledged option, or one that was set later.
async fn assert_kept(url: &str, acknowledged: &Options, round: usize) {
    let database = look_into(url).await;
    let query = "SELECT user_id, key, CAST(value AS text) AS value FROM sentry_useroption \
                 WHERE key LIKE 'key-%'";
    let kept: Options = rows(&database, query)
        .await
        .iter()
        .map(|row| {
            let [key, value] = [&row["key"], &row["value"]].map(|text| text.as_str().unwrap());
            let number = value.trim_matches('"').split(' ').next().unwrap();
            let place = (row["user_id"].as_u64().unwrap(), key.to_owned());
            (place, number.parse().unwrap())
        })
        .collect();
    let is_lost = |(place, number): &(&(u64, String), &u64)| {
        kept.get(*place).is_none_or(|kept| kept < *number)
    };
    let lost: Vec<_> = acknowledged.iter().filter(is_lost).collect();
    assert!(
        lost.is_empty(),
        "round {round}: {} of {} are lost, the first is {:?}",
        lost.len(),
        acknowledged.len(),
        lost.first()
    );
    database.writer().close_by_ref().await.unwrap();
}

/// A limit on the size of files that a process writes, which needs no privileges.
struct FileSizes {
    process: u32,
}

impl FileSizes {
    fn bound(&self, bytes: &str) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.process.to_string()])
            .arg(format!("--fsize={bytes}:"))
            .status();
        assert!(set.unwrap().success(), "prlimit fails");
    }
}

impl Disk for FileSizes {
    fn fill(&self) {
        self.bound("0");
    }

    fn empty(&self) {
        self.bound("unlimited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_sqlite_cannot_write_its_files() {
    let scratch = Scratch::new();
    let url = format!("sqlite://{}/full.db?mode=rwc", scratch.path().display());
    scratch.must(&["seed", "--users", "20", "--database-url", &url]);
    let token = scratch.token(&url, &["--user", "1"]);
    // Writing beyond it fails instead of killing the process.
    let ignoring = ["env", "--ignore-signal=XFSZ"];
    let mut gateway = scratch.start_under(&ignoring, &["serve", "--database-url", &url]);
    let disk = FileSizes {
        process: gateway.id(),
    };
    survives(&mut gateway, &token, &url, &disk).await;
}

/// A small file system in memory, unmounted on drop.
struct SmallDisk {
    folder: PathBuf,
    _scratch: Scratch,
}

impl SmallDisk {
    /// `None` where nothing can be mounted.
    fn mount(size: &str) -> Option<Self> {
        let scratch = Scratch::new();
        let folder = scratch.path().join("disk");
        fs::create_dir(&folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("user-gateway-test")
            .arg(&folder)
            .status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        if !is_mounted {
            eprintln!("SKIPPED: a file system cannot be mounted here");
            return None;
        }
        Some(Self {
            folder,
            _scratch: scratch,
        })
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

impl Disk for SmallDisk {
    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[0; 4_096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn nothing_acknowledged_is_lost_on_a_full_disk_on_sqlite() {
    let Some(disk) = SmallDisk::mount("24m") else {
        return;
    };
    let scratch = Scratch::new();
    let url = format!("sqlite://{}/full.db?mode=rwc", disk.folder.display());
    scratch.must(&["seed", "--users", "20", "--database-url", &url]);
    let token = scratch.token(&url, &["--user", "1"]);
    let mut gateway = scratch.start(&["serve", "--database-url", &url]);
    survives(&mut gateway, &token, &url, &disk).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and PostgreSQL"]
async fn nothing_acknowledged_is_lost_on_a_full_disk_on_postgresql() {
    let server = PostgresServer::start();
    let Some(disk) = SmallDisk::mount("64m") else {
        return;
    };
    // The user of the server needs access to the folder.
    let owner = fs::metadata(server.folder()).unwrap();
    let tablespace = disk.folder.join("tablespace");
    fs::create_dir(&tablespace).unwrap();
    chown(&tablespace, Some(owner.uid()), Some(owner.gid())).unwrap();
    open_to_all(disk.folder.parent().unwrap());
    let url = server.url();
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20", "--database-url", &url]);
    let token = scratch.token(&url, &["--user", "1"]);
    let database = look_into(&url).await;
    // The write-ahead log is on another disk: without space for it the server would stop.
    let place = tablespace.display();
    for statement in [
        format!("CREATE TABLESPACE small LOCATION '{place}'"),
        "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small".to_owned(),
        "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small".to_owned(),
    ] {
        database
            .writer()
            .execute_unprepared(&statement)
            .await
            .unwrap();
    }
    let mut gateway = scratch.start(&["serve", "--database-url", &url]);
    survives(&mut gateway, &token, &url, &disk).await;
    drop(server);
}

/// Lets other users pass through a folder.
fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A server whose sessions may not write.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_becomes_read_only_is_said_to_be_unavailable_until_it_is_not() {
    let server = PostgresServer::start();
    let url = server.url();
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20", "--database-url", &url]);
    let token = scratch.token(&url, &["--user", "1"]);
    let gateway = scratch.start(&["serve", "--database-url", &url]);
    let database = look_into(&url).await;
    let configure = async |setting: &str| {
        for sql in [setting, "SELECT pg_reload_conf()"] {
            database.writer().execute_unprepared(sql).await.unwrap();
        }
    };
    let set = async |key: &str| {
        let input = json!({ "userId": "1", "key": key, "value": 1 });
        let answer = gateway.answer(&token, SET_OPTION, json!({ "input": input }));
        let answer = answer.await;
        let json = answer.json();
        (json["data"]["setUserOption"]["changed"] == true, json)
    };
    assert!(set("before").await.0);
    configure("ALTER SYSTEM SET default_transaction_read_only = on").await;
    eventually("changes are refused", async || {
        let (is_stored, answer) = set("meanwhile").await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(
            is_stored || code == "UNAVAILABLE" || code.is_null(),
            "{answer}"
        );
        code == "UNAVAILABLE"
    })
    .await;
    assert_eq!(readiness(&gateway).await, (503, json!("UNAVAILABLE")));
    configure("ALTER SYSTEM RESET default_transaction_read_only").await;
    eventually("the gateway is ready", async || {
        readiness(&gateway).await.0 == 200
    })
    .await;
    assert!(set("after").await.0);
}
