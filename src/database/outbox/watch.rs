//! How a process on SQLite notices that another has changed something.
//!
//! SQLite has no channel on which processes could tell each other anything. But a connection can
//! be asked for a number that changes whenever another connection has committed something, and
//! all that this process writes goes through one connection: asked there, the number tells of the
//! changes of others alone. A new connection starts with a number of its own, so each connection is
//! marked when it is first asked.

use std::future::pending;
use std::time::Duration;

use sea_orm::sqlx::{self, SqlitePool};
use tokio::time::sleep;

use super::super::Database;

/// How often the number is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// What a connection reports.
struct FileVersion {
    file: String,
    version: i64,
    /// Whether the connection is asked for the first time.
    is_new: bool,
}

impl Database {
    /// Announces that changes may have gone unheard whenever the number is another.
    pub(super) async fn watch(&self, writer: &SqlitePool) {
        let mut seen = None;
        let mut is_blind = false;
        loop {
            match look(writer).await {
                // There is no file that others could open.
                Ok(FileVersion { file, .. }) if file.is_empty() => {
                    self.is_all_ears();
                    return pending().await;
                }
                Ok(FileVersion {
                    version, is_new, ..
                }) => {
                    is_blind = false;
                    if seen.replace(version) != Some(version) || is_new {
                        self.is_all_ears();
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_blind, true) {
                        tracing::warn!(%error, "cannot see the changes of other processes");
                    }
                    seen = None;
                    self.is_deaf();
                }
            }
            sleep(LOOK_PAUSE).await;
        }
    }
}

async fn look(writer: &SqlitePool) -> Result<FileVersion, sqlx::Error> {
    // Not through `Pool`, which counts what is sent for requests.
    let mut writer = writer.acquire().await?;
    let (file, version): (String, i64) = sqlx::query_as(
        "SELECT l.file, v.data_version FROM pragma_database_list AS l, pragma_data_version AS v \
         WHERE l.name = 'main'",
    )
    .fetch_one(&mut *writer)
    .await?;
    // This number belongs to the connection's temporary database, not to the file.
    let mark = sqlx::query_scalar("PRAGMA temp.user_version");
    let mark: i64 = mark.fetch_one(&mut *writer).await?;
    if mark == 0 {
        let mark = sqlx::query("PRAGMA temp.user_version = 1");
        mark.execute(&mut *writer).await?;
    }
    Ok(FileVersion {
        file,
        version,
        is_new: mark == 0,
    })
}
