//! The `user-gateway` command.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use user_gateway::cli::{Cli, run};

/// A page makes and drops hundreds of small things, for which the system's allocator takes a tenth
/// of all instructions more. Without the huge pages that it would ask for, it takes a few MiB more.
/// It serves SQLite, too (the feature `override`): the system's allocator keeps the rows that SQLite has
/// copied for a large page, some 100 MiB, in its arenas. Version 2 returns freed memory after 10 ms,
/// version 3 after a second.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
