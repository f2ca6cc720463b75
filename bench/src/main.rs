//! What a request costs the gateway, beside handlers that do the same by hand.
//!
//! `run` starts a PostgreSQL and every server of the comparison, sees to it that all give the same
//! answers, and then loads one after the other, again and again, on the same database. What counts
//! is the processor time of the server's process for each request, which a busy machine disturbs
//! least. `README.md` beside this package says how to run it and how to read it.

mod baseline;
mod chart;
mod compare;
mod directory;
mod load;
mod measure;
mod options;
mod random;
mod report;
mod stage;
mod workload;

use std::io::Write as _;

use clap::Parser as _;
use mimalloc::MiMalloc;

use options::{Cli, Command};

/// The gateway's: what is compared is not the allocators.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(options) => measure::run(options),
        Command::ServeBaseline(options) => baseline::serve(&options),
        Command::Overload(options) => measure::overload(&options),
        Command::Soak(options) => measure::soak(&options),
        Command::Chart { file } => chart::run(&file),
    }
}

/// Writes a line to standard output. That nobody reads any more is no fault.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line about progress to standard error.
fn note(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
