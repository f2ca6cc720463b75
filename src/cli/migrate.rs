//! `migrate`.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use migration::{Migrator, MigratorTrait};

use super::{DatabaseArgs, say};
use crate::app;
use crate::database::Ownership;

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Bring the tables up to date
    Up,
    /// Undo the newest migrations; their tables and what they hold are gone then
    Down {
        /// How many migrations to undo
        #[arg(long, default_value_t = 1, value_name = "N")]
        steps: u32,
    },
    /// Say which migrations are applied
    Status,
}

pub(super) async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let config = args.database.load()?;
    let connection = app::connect(&config.database).await?;
    if connection.ownership().await? == Ownership::Theirs {
        bail!(
            "the tables belong to another installation, which migrates them; \
             `user-gateway check` says what is missing"
        );
    }
    match args.step {
        Step::Up => app::migrate(&connection).await.context("cannot migrate")?,
        Step::Down { steps } => app::undo(&connection, steps).await.context("cannot undo")?,
        Step::Status => {}
    }
    // Asking for the state of migrations makes the table that records them; a database that is
    // merely asked about stays as it is.
    if !connection.has_table("seaql_migrations").await? {
        for migration in Migrator::migrations() {
            say(format_args!("{:<8} {}", "pending", migration.name()));
        }
        return Ok(());
    }
    for migration in Migrator::get_migration_with_status(connection.writer()).await? {
        let status = migration.status().to_string().to_lowercase();
        say(format_args!("{status:<8} {}", migration.name()));
    }
    Ok(())
}
