//! The versions of what the control silo keeps copies of, in Sentry's table.
//!
//! What the gateway keeps itself over a database it forgets by other means. A Sentry on the same
//! tables keeps copies too, and looks at the version of a key before it serves one.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbErr};

use super::Database;
use super::dialect::raise_cache_version;
use crate::domain::{Error, Invalid, InvalidCode, Result};
use crate::service::SiloCache;

#[async_trait]
impl SiloCache for Database {
    /// A table that does not exist, or a key that does not fit into it, is an error.
    async fn clear_key(&self, key: &str) -> Result<i64> {
        let Some((column, max_chars)) = self.facts().cache_key else {
            return Err(Error::NotSupported(
                "the database has no table `hybridcloud_controlcacheversion` with a column \
                 `keyname` or `key`, which versions of cached keys are kept in"
                    .to_owned(),
            ));
        };
        if key.chars().count() > max_chars {
            return Err(Error::Invalid(Invalid::new(
                InvalidCode::TooLong,
                format!(
                    "a key has at most {max_chars} characters in the column `{column}` of \
                     `hybridcloud_controlcacheversion`"
                ),
                &["key"],
            )));
        }
        let statement = raise_cache_version(self.dialect(), column, key);
        let change = self.change(|database| async move {
            let tx = database.begin().await?;
            let row = tx.query_one_raw(statement).await?;
            let version: i64 = row.ok_or(DbErr::RecordNotInserted)?.try_get_by_index(0)?;
            tx.commit().await?;
            Ok(version)
        });
        change.await
    }
}
