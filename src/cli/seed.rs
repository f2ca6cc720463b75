//! `seed`.

use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{DatabaseArgs, say};
use crate::app;
use crate::database::{SeedProgress, seed};
use crate::domain::{Error, SystemClock};
use crate::sample::{Size, batches};
use crate::service::Announcer;

/// Users a transaction. More make few transactions of much memory, fewer the reverse.
const USERS_PER_BATCH: usize = 2_000;

#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    /// How many users to make up
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    users: u64,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: SeedArgs) -> anyhow::Result<()> {
    let config = args.database.load()?;
    let database =
        app::open_for_command(&config, Announcer::default(), Arc::new(SystemClock)).await?;
    let bar = ProgressBar::new(args.users).with_style(ProgressStyle::with_template(
        "{bar:40} {human_pos} of {human_len} users, {per_sec}, {eta} left",
    )?);
    let mut broken = None;
    let tables = batches(Size::with_users(args.users), USERS_PER_BATCH).map_while(|batch| {
        batch
            .into_tables()
            .map_err(|error| broken = Some(Error::internal(error)))
            .ok()
    });
    let mut total = SeedProgress { rows: 0, users: 0 };
    seed(&database, tables, |progress| {
        total = progress;
        bar.set_position(progress.users);
    })
    .await?;
    bar.finish_and_clear();
    if let Some(error) = broken {
        return Err(error.into());
    }
    database.close().await;
    say(format_args!(
        "seeded {} users, {} rows",
        total.users, total.rows
    ));
    Ok(())
}
