//! A PostgreSQL for the time of a run, in a folder of its own.
//!
//! It listens on loopback, and all who are compared reach it over TCP, as a database on another
//! machine is reached. What is committed is not flushed to the disk, on either side: the disk would
//! be measured.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::process::free_port;

const SUPERUSER: &str = "gateway";
const DATABASE: &str = "postgres";

/// The settings of the server. Pages cost what they do on a solid state disk, and statements are
/// counted only for as long as that is asked for.
const SETTINGS: [&str; 10] = [
    "listen_addresses='127.0.0.1'",
    "max_connections=200",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "shared_buffers=512MB",
    "random_page_cost=1.1",
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track=none",
];

/// A running server.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    /// Where the data are, for as long as this is.
    _folder: TempDir,
    port: u16,
    server: Child,
}

impl PostgresServer {
    /// Starts a server with an empty database.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let user = unprivileged_user()?;
        let folder = tempfile::Builder::new()
            .prefix("user-gateway-bench-")
            .tempdir()?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.id), Some(user.group))?;
        }
        let data = folder.path().join("data");
        let initdb = command(user, &programs.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["--no-sync", "-A", "trust", "-U", SUPERUSER])
            .args(["-E", "UTF8", "--locale=C.UTF-8"])
            .current_dir(folder.path())
            .output()
            .context("cannot run initdb")?;
        ensure!(
            initdb.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&initdb.stderr)
        );
        // In the file and not on the command line, where they could not be changed later.
        let mut file = OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))?;
        for setting in SETTINGS {
            writeln!(file, "{setting}")?;
        }
        let port = free_port()?;
        writeln!(file, "port={port}")?;
        let server = command(user, &programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start PostgreSQL")?;
        let mut server = Self {
            _folder: folder,
            port,
            server,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Reads the log until the server takes connections; a thread goes on reading.
    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let log = self.server.stderr.take().context("no log")?;
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut said = String::new();
        for line in lines.by_ref() {
            if line.contains("ready to accept connections") {
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
            said.push_str(&line);
            said.push('\n');
        }
        bail!("PostgreSQL did not start:\n{said}");
    }

    /// The process whose children work for the connections.
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// How the gateway reaches it.
    pub(crate) fn url(&self) -> String {
        let (host, port) = (Ipv4Addr::LOCALHOST, self.port);
        format!("postgres://{SUPERUSER}@{host}:{port}/{DATABASE}")
    }

    /// How tokio-postgres reaches it.
    pub(crate) fn config(&self) -> String {
        let (host, port) = (Ipv4Addr::LOCALHOST, self.port);
        format!("host={host} port={port} user={SUPERUSER} dbname={DATABASE}")
    }

    /// A connection for setting up and looking in.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.config(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // An interrupt ends all connections and then the server.
        let signalled = Command::new("kill")
            .arg("-INT")
            .arg(self.server.id().to_string())
            .status();
        if !signalled.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// The folder of PostgreSQL's programs, which Debian keeps off the search path.
fn programs() -> anyhow::Result<PathBuf> {
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured
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
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .context("PostgreSQL is not installed")
}

#[derive(Debug, Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

/// Whom to run the server as: PostgreSQL refuses to run as root.
fn unprivileged_user() -> anyhow::Result<Option<User>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
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
    user.map(Some)
        .context("there is neither a user `postgres` nor a user `nobody`")
}

/// A program that runs as `user` and is interrupted when whoever starts it ends.
fn command(user: Option<User>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = user {
        command
            .arg(format!("--reuid={}", user.id))
            .arg(format!("--regid={}", user.group))
            .arg("--init-groups");
    }
    command.arg("--pdeathsig=INT").arg(program);
    command
}
