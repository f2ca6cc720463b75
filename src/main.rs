//! The `user-gateway` command.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use user_gateway::cli::{Cli, run};

/// A request makes and drops many small things. After hours of them, of all sizes, this allocator
/// hands out the next as fast as at first, which the system's does not.
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
