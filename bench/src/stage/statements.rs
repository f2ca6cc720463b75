//! How many statements PostgreSQL executes for a request.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio_postgres::Client;

/// How long PostgreSQL may take to hear of a setting, and how long between two looks.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Counting with `pg_stat_statements`, which is off but while something is counted, so that it
/// costs nothing while time is measured.
#[derive(Debug)]
pub(crate) struct StatementCount<'a> {
    client: &'a Client,
}

impl<'a> StatementCount<'a> {
    /// Starts counting on a database where nothing else happens.
    pub(crate) async fn begin(client: &'a Client) -> anyhow::Result<Self> {
        client
            .batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            .await?;
        switch(client, "top").await?;
        Ok(Self { client })
    }

    /// Forgets what was counted.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        self.client
            .execute("SELECT pg_stat_statements_reset()", &[])
            .await?;
        Ok(())
    }

    /// How many statements were executed. Those that look here are left out, and those by which
    /// PostgreSQL itself checks foreign keys.
    pub(crate) async fn read(&self) -> anyhow::Result<i64> {
        let row = self
            .client
            .query_one(
                "SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_statements \
                 WHERE query NOT LIKE '%pg_stat_statements%' \
                 AND query NOT LIKE 'SELECT 1 FROM ONLY %'",
                &[],
            )
            .await?;
        Ok(row.get(0))
    }

    /// Stops counting.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        switch(self.client, "none").await
    }
}

/// Sets which statements are counted, and waits until this connection has heard of it; the others
/// hear of it before their next statement.
async fn switch(client: &Client, what: &str) -> anyhow::Result<()> {
    client
        .batch_execute(&format!(
            "ALTER SYSTEM SET pg_stat_statements.track = '{what}'"
        ))
        .await?;
    client.execute("SELECT pg_reload_conf()", &[]).await?;
    for _ in 0..LOOKS {
        let row = client
            .query_one("SHOW pg_stat_statements.track", &[])
            .await?;
        if row.get::<_, &str>(0) == what {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    ensure!(what == "none", "PostgreSQL does not count statements");
    None.context("PostgreSQL does not stop counting statements")
}
