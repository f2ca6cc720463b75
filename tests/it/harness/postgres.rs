//! A PostgreSQL of the test process alone: started when first needed, gone when the process is.
//!
//! Nothing of the machine's own PostgreSQL is touched but its programs. The server listens on a
//! socket in a folder of its own and nowhere else. Statics are never dropped, so the server is
//! tied to the life of the process by a parent-death signal; that signal is sent when the
//! *thread* that started the server ends, so a thread is kept for nothing else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStderr, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use migration::{Migrator, MigratorTrait};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use user_gateway::database::{Connection, DatabaseOptions};

use super::port::free_port;
use super::process::{PATIENCE, PAUSE};

const FOLDER_PREFIX: &str = "user-gateway-postgres-";
const SUPERUSER: &str = "gateway";

/// Ends the server when told to, and removes its folder when it has ended.
const KEEPER: &str = r#"
    folder=$1; shift
    "$@" & server=$!
    trap 'kill -INT $server' TERM
    wait $server; wait $server
    rm -rf -- "$folder"
"#;

/// What a new database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Contents {
    /// The tables our migrations make.
    Migrated,
    /// What this SQL makes.
    Script(&'static str),
}

/// A database of one test, dropped with this.
#[derive(Debug)]
pub(crate) struct PostgresDatabase {
    name: String,
    /// How to reach it.
    pub(crate) url: String,
}

impl PostgresDatabase {
    /// Makes a database, starting the server if this is the first.
    pub(crate) async fn create(contents: Contents) -> Self {
        let (reply, made) = oneshot::channel();
        server().send(Order::Create(contents, reply)).unwrap();
        made.await.unwrap()
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let _ = server().send(Order::Drop(self.name.clone()));
    }
}

enum Order {
    Create(Contents, oneshot::Sender<PostgresDatabase>),
    Drop(String),
}

fn server() -> &'static UnboundedSender<Order> {
    static SERVER: OnceLock<UnboundedSender<Order>> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = start();
        let (orders, inbox) = unbounded_channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(administer(&folder, inbox));
        });
        orders
    })
}

/// Carries out orders one after the other, which is what PostgreSQL does with them anyway.
async fn administer(folder: &Path, mut inbox: UnboundedReceiver<Order>) {
    let admin = connect(&url(folder, "postgres")).await;
    let run = async |sql: String| admin.writer().execute_unprepared(&sql).await.unwrap();
    let mut templates: HashMap<Contents, String> = HashMap::new();
    let mut made = 0;
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Create(contents, reply) => {
                if !templates.contains_key(&contents) {
                    let name = format!("template_{}", templates.len());
                    run(format!("CREATE DATABASE {name}")).await;
                    fill(&url(folder, &name), contents).await;
                    templates.insert(contents, name);
                }
                made += 1;
                let name = format!("test_{made}");
                let template = &templates[&contents];
                run(format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
                let url = url(folder, &name);
                let _ = reply.send(PostgresDatabase { name, url });
            }
            Order::Drop(name) => {
                run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
            }
        }
    }
}

async fn fill(url: &str, contents: Contents) {
    let connection = connect(url).await;
    match contents {
        Contents::Migrated => Migrator::up(connection.writer(), None).await.unwrap(),
        Contents::Script(sql) => {
            connection.writer().execute_unprepared(sql).await.unwrap();
        }
    }
    // A database that somebody is connected to is no template.
    connection.writer().close_by_ref().await.unwrap();
}

async fn connect(url: &str) -> Connection {
    let options = DatabaseOptions {
        url: url.to_owned(),
        max_connections: 1,
        acquire_timeout: Duration::from_mins(1),
        statement_timeout: Duration::from_mins(1),
        lock_timeout: PATIENCE,
    };
    Connection::open(&options).await.unwrap()
}

fn url(folder: &Path, database: &str) -> String {
    let folder = folder.display();
    format!("postgres://{SUPERUSER}@localhost/{database}?host={folder}")
}

/// The settings of every server: nothing here has to outlive the machine's power.
const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "max_connections=200",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
];

/// Starts a server in a new folder, which this returns, and waits until it takes connections.
fn start() -> PathBuf {
    let programs = programs();
    let user = unprivileged_user();
    let folder = new_folder(user);
    let data = init(&programs, user, &folder);

    let mut command = run_as(user, Some("TERM"));
    command
        .args(["sh", "-c", KEEPER, "keeper"])
        .arg(&folder)
        .arg(programs.join("postgres"));
    serve(&mut command, &folder, &data);

    let (ready, is_ready) = mpsc::channel();
    thread::spawn(move || {
        let mut server = command.spawn().unwrap();
        watch(server.stderr.take().unwrap(), &ready);
        let _ = server.wait();
    });
    if let Err(log) = is_ready.recv().unwrap() {
        panic!("PostgreSQL did not start:\n{log}");
    }
    folder
}

/// Makes the files of a server in `folder`; where they are.
fn init(programs: &Path, user: Option<User>, folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let initdb = run_as(user, None)
        .arg(programs.join("initdb"))
        .arg("-D")
        .arg(&data)
        .args(["--no-sync", "-A", "trust", "-U", SUPERUSER])
        .args(["-E", "UTF8", "--locale=C.UTF-8"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        initdb.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&initdb.stderr)
    );
    data
}

/// Completes a command that ends in the server's program.
fn serve(command: &mut Command, folder: &Path, data: &Path) {
    command.arg("-D").arg(data).arg("-k").arg(folder);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
        .current_dir(folder)
        // An interrupt from the terminal is for the tests; the server follows them.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
}

/// Reads the log of a server to its end, and says when the server takes connections, or what it
/// had to say instead.
fn watch(log: ChildStderr, ready: &mpsc::Sender<Result<(), String>>) {
    let log = BufReader::new(log);
    let mut said = String::new();
    for line in log.lines().map_while(Result::ok) {
        if line.contains("ready to accept connections") {
            let _ = ready.send(Ok(()));
        }
        said.push_str(&line);
        said.push('\n');
    }
    let _ = ready.send(Err(said));
}

/// A server of one test, which the test stops and starts again.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    folder: TempDir,
    server: Option<Child>,
    /// Where it listens on loopback, if it does.
    port: Option<u16>,
}

impl PostgresServer {
    /// Starts a server with an empty database.
    pub(crate) fn start() -> Self {
        let mut server = Self::new();
        server.resume();
        server
    }

    /// Starts a server that listens on loopback too, where it speaks TLS and has those who are
    /// named in `methods` prove who they are, each by a method of `pg_hba.conf`.
    pub(crate) fn start_guarded(methods: &[(&str, &str)]) -> Self {
        let mut server = Self::new();
        server.port = Some(free_port());
        let mut rules = "local all all trust\n".to_owned();
        for (user, method) in methods {
            writeln!(rules, "host all {user} localhost {method}").unwrap();
        }
        fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
        let certificate = server.certificate();
        let key = server.data().join("server.key");
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        if let Some(user) = unprivileged_user() {
            chown(key, Some(user.id), Some(user.group)).unwrap();
        }
        server.resume();
        server
    }

    /// A server that has not started yet.
    fn new() -> Self {
        let user = unprivileged_user();
        let folder = tempfile::tempdir().unwrap();
        if let Some(user) = user {
            chown(folder.path(), Some(user.id), Some(user.group)).unwrap();
        }
        init(&programs(), user, folder.path());
        Self {
            folder,
            server: None,
            port: None,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The certificate of a guarded server, which nobody but itself has signed.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.data().join("server.crt")
    }

    /// Where its database is, for its owner, by a socket of the machine.
    pub(crate) fn url(&self) -> String {
        let url = url(self.folder.path(), "postgres");
        match self.port {
            Some(port) => url.replace("@localhost/", &format!("@localhost:{port}/")),
            None => url,
        }
    }

    /// Where its database is for others, over loopback.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        let port = self.port.unwrap();
        format!("postgres://{user}:{password}@localhost:{port}/postgres")
    }

    /// The folder of its files, which belongs to the user that it runs as.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the server; those who are connected lose their connections.
    pub(crate) fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let signalled = Command::new("kill")
            .arg("-INT")
            .arg(server.id().to_string())
            .status();
        assert!(signalled.unwrap().success());
        server.wait().unwrap();
    }

    /// Ends the server without a warning. What it has acknowledged is in its files.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts the server again, with everything it held.
    pub(crate) fn resume(&mut self) {
        // Who works for a server that was killed goes on for a moment, and a new one waits for it.
        let end = Instant::now() + PATIENCE;
        while let Err(log) = self.try_to_resume() {
            let goes_on = log.contains("still in use") || log.contains("already exists");
            assert!(
                goes_on && Instant::now() < end,
                "PostgreSQL did not start:\n{log}"
            );
            thread::sleep(PAUSE);
        }
    }

    fn try_to_resume(&mut self) -> Result<(), String> {
        // The program takes the place of the one that sets it up, so the child is the server.
        let mut command = run_as(unprivileged_user(), Some("INT"));
        command.arg(programs().join("postgres"));
        let folder = self.folder.path();
        serve(&mut command, folder, &folder.join("data"));
        // A test that kills the server looks for what was committed.
        command.args(["-c", "synchronous_commit=on"]);
        if let Some(port) = self.port {
            command.args(["-c", "listen_addresses=localhost", "-c", "ssl=on"]);
            command.args(["-p", &port.to_string()]);
        }
        let mut server = command.spawn().unwrap();
        let log = server.stderr.take().unwrap();
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || watch(log, &ready));
        let started = is_ready.recv().unwrap();
        if started.is_ok() {
            self.server = Some(server);
        } else {
            server.wait().unwrap();
        }
        started
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes a folder for this process, and removes those of processes that are gone.
fn new_folder(user: Option<User>) -> PathBuf {
    let place = std::env::temp_dir();
    for entry in fs::read_dir(&place).unwrap().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = place.join(format!("{FOLDER_PREFIX}{}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    DirBuilder::new().mode(0o700).create(&folder).unwrap();
    if let Some(user) = user {
        chown(&folder, Some(user.id), Some(user.group)).unwrap();
    }
    folder
}

/// The folder of PostgreSQL's programs, which Debian keeps off the search path.
fn programs() -> PathBuf {
    let has_initdb = |folder: &PathBuf| folder.join("initdb").exists();
    let named = std::env::var_os("PG_BINDIR").map(PathBuf::from);
    if let Some(named) = named {
        assert!(has_initdb(&named), "there is no initdb in PG_BINDIR");
        return named;
    }
    let configured = Command::new("pg_config").arg("--bindir").output();
    let configured = configured
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|text| PathBuf::from(text.trim()));
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    installed.sort_unstable();
    configured
        .into_iter()
        .chain(installed.into_iter().rev().map(|(_, folder)| folder))
        .find(has_initdb)
        .expect("PostgreSQL is not installed, or PG_BINDIR must say where its programs are")
}

#[derive(Debug, Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

/// Whom to run the server as: PostgreSQL refuses to run as root.
fn unprivileged_user() -> Option<User> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            let mut numbers = fields.skip(1).map(str::parse);
            Some(User {
                id: numbers.next()?.ok()?,
                group: numbers.next()?.ok()?,
            })
        })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Some(user.expect("there is neither a user `postgres` nor a user `nobody`"))
}

/// The start of a command that runs as `user` and gets `signal` when the thread that starts it
/// ends.
fn run_as(user: Option<User>, signal: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = user {
        command
            .arg(format!("--reuid={}", user.id))
            .arg(format!("--regid={}", user.group))
            .arg("--init-groups");
    }
    if let Some(signal) = signal {
        command.arg(format!("--pdeathsig={signal}"));
    }
    if user.is_none() && signal.is_none() {
        command = Command::new("env");
    }
    command
}
