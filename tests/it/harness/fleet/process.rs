//! A fleet in which everything is a process of its own, so that a test can kill any part of it.

use reqwest::Client;

use super::super::client::client;
use super::super::port::free_port;
use super::super::postgres::PostgresServer;
use super::super::process::{Process, Scratch};
use super::super::redis::RedisServer;

/// The setting of the token of every test: the name, the SHA-256 and the scopes.
const SERVICE_TOKEN: &str = "fleet:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08:\
                             user:read,user:admin,user:write,org:read";

/// A control silo over a PostgreSQL, two replicas of the region `us` that share a Redis, and the
/// region `de`, which has none.
#[derive(Debug)]
pub(crate) struct ProcessFleet {
    /// The database server of control.
    pub(crate) postgres: PostgresServer,
    /// The Redis of the region `us`.
    pub(crate) redis: RedisServer,
    /// Control, then the replicas.
    pub(crate) silos: Vec<Member>,
    /// A client for everybody who asks.
    pub(crate) client: Client,
}

/// A silo that keeps its port.
#[derive(Debug)]
pub(crate) struct Member {
    /// What it is called in a report.
    pub(crate) name: &'static str,
    /// The region that it serves; empty for control.
    pub(crate) region: &'static str,
    /// Where it is, such as `http://127.0.0.1:14001`.
    pub(crate) origin: String,
    arguments: Vec<String>,
    scratch: Scratch,
    process: Option<Process>,
}

impl ProcessFleet {
    /// The token of a service with every scope, which every silo knows by itself.
    pub(crate) const TOKEN: &str = "test";

    /// Starts everything over a database of `users` made-up users.
    pub(crate) fn start(users: usize) -> Self {
        let postgres = PostgresServer::start();
        let redis = RedisServer::start();
        let database = postgres.url();
        Scratch::new().must(&[
            "seed",
            "--users",
            &users.to_string(),
            "--database-url",
            &database,
        ]);
        let [control, us, de] = [(); 3].map(|()| format!("http://127.0.0.1:{}", free_port()));
        let regions = format!("us={us},de={de}");
        let region = |name: &'static str| {
            let own = [
                "--silo",
                "region",
                "--region",
                name,
                "--control-url",
                &control,
            ];
            own.map(str::to_owned).to_vec()
        };
        let cached = || {
            let redis = ["--redis-url".to_owned(), redis.url()];
            [region("us"), redis.to_vec()].concat()
        };
        let own = [
            "--silo",
            "control",
            "--regions",
            &regions,
            "--database-url",
            &database,
            // Who asks while the database is gone is to hear of it soon.
            "--database-acquire-timeout",
            "500ms",
        ];
        let own = own.map(str::to_owned).to_vec();
        let second = format!("http://127.0.0.1:{}", free_port());
        let mut silos = vec![
            Member::new("control", "", &control, own),
            Member::new("us, the first", "us", &us, cached()),
            Member::new("us, the second", "us", &second, cached()),
            Member::new("de", "de", &de, region("de")),
        ];
        for silo in &mut silos {
            silo.start();
        }
        Self {
            postgres,
            redis,
            silos,
            client: client(),
        }
    }
}

impl Member {
    fn new(
        name: &'static str,
        region: &'static str,
        origin: &str,
        mut arguments: Vec<String>,
    ) -> Self {
        let listen = origin.trim_start_matches("http://");
        let all = [
            "--listen",
            listen,
            "--rpc-secret",
            "a-secret-of-the-fleet",
            "--service-token",
            SERVICE_TOKEN,
        ];
        arguments.extend(all.map(str::to_owned));
        Self {
            name,
            region,
            origin: origin.to_owned(),
            arguments,
            scratch: Scratch::new(),
            process: None,
        }
    }

    /// Starts it where it was, and waits until it listens.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} is running", self.name);
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let arguments = [&["serve"], &*arguments].concat();
        self.process = Some(self.scratch.start_with(&arguments, &[]));
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// What it has logged since its last start.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}
