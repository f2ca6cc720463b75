//! What can be asked of the program.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// What a request costs the gateway, beside the same by hand.
#[derive(Debug, Parser)]
#[command(name = "user-gateway-bench")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure, print the table, and write it as JSON
    Run(RunOptions),
    /// Serve the hand-written handlers; `run` starts this by itself
    ServeBaseline(BaselineOptions),
    /// Ask ten times as much as the gateway takes, and see what becomes of it
    Overload(OverloadOptions),
    /// Ask for everything at once for long, and see whether memory grows
    Soak(SoakOptions),
    /// Draw the table of a JSON file as an SVG on standard output
    Chart {
        /// What `run --json` has written
        file: PathBuf,
    },
}

/// How to measure.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command, each by itself"
)]
pub(crate) struct RunOptions {
    /// The gateway's binary; it is built for release if none is named
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// Measure what the manuals of the gateway's crates show too, in W1 to W4
    #[arg(long)]
    pub(crate) stock: bool,
    /// The binary of that; it is built for release if none is named
    #[arg(long, value_name = "PATH", requires = "stock")]
    pub(crate) stock_binary: Option<PathBuf>,
    /// How many users the directory has
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(200..))]
    pub(crate) users: u64,
    /// How often each side has its turn
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long a turn takes
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
    /// Connections that ask at a time
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// About a minute instead of ten: 1,000 users, two rounds of half a second
    #[arg(long)]
    pub(crate) quick: bool,
    /// Compare the answers of all sides, run every load for a moment, and print no figures
    #[arg(long, conflicts_with_all = ["quick", "sizes", "json", "check"])]
    pub(crate) smoke: bool,
    /// Only these measurements, such as `W1,W3` or `W7`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Measure in directories of these sizes instead, W1 to W6 and pages, and compare the sizes
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(200..))]
    pub(crate) sizes: Vec<u64>,
    /// Measure over SQLite too
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) sqlite: bool,
    /// Further arguments for the gateway, such as `--gateway-args=--metrics=off`
    #[arg(
        long,
        value_name = "ARGS",
        value_delimiter = ' ',
        allow_hyphen_values = true
    )]
    pub(crate) gateway_args: Vec<String>,
    /// Where to write all figures as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// End with 1 if a target is missed
    #[arg(long)]
    pub(crate) check: bool,
}

impl RunOptions {
    /// The options after applying `--quick` or `--smoke`.
    pub(crate) fn resolved(mut self) -> Self {
        if self.quick {
            self.users = 1_000;
            self.rounds = 2;
            self.seconds = 0.5;
        }
        if self.smoke {
            self.users = 200;
            self.rounds = 1;
            self.seconds = 0.1;
        }
        self
    }

    /// How long a turn takes.
    pub(crate) fn turn(&self) -> Duration {
        seconds(self.seconds)
    }

    /// Whether a measurement is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(name))
    }
}

/// A time that is neither nothing nor for ever.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.05, 600.0))
}

/// How to overload.
#[derive(Debug, Clone, Args)]
pub(crate) struct OverloadOptions {
    /// The gateway's binary; it is built for release if none is named
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// How many users the directory has
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(200..))]
    pub(crate) users: u64,
    /// How many requests the gateway is to work on at a time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) capacity: u16,
    /// How long each of the three phases takes
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
}

/// How to ask for long.
#[derive(Debug, Clone, Args)]
pub(crate) struct SoakOptions {
    /// The gateway's binary; it is built for release if none is named
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// How many users the directory has at first
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(200..))]
    pub(crate) users: u64,
    /// How long to ask
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_440))]
    pub(crate) minutes: u64,
    /// Run hostile clients besides the others in the middle third of the time
    #[arg(long)]
    pub(crate) hostile: bool,
}

/// What the hand-written handlers stand on.
#[derive(Debug, Clone, Args)]
pub(crate) struct BaselineOptions {
    /// A PostgreSQL, as `host=… user=… dbname=…`
    #[arg(long, value_name = "CONFIG")]
    pub(crate) postgres: Option<String>,
    /// A file of SQLite
    #[arg(long, value_name = "FILE", conflicts_with = "postgres")]
    pub(crate) sqlite: Option<PathBuf>,
    /// A folder of constant answers, one file a path; instead of any database
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["postgres", "sqlite"])]
    pub(crate) constant: Option<PathBuf>,
}
