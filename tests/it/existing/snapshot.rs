//! What a database holds, so that before and after can be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::TestDatabase;

/// The catalogue, and a digest of the rows of each table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Every relation, column and index.
    pub(super) catalogue: Vec<String>,
    tables: BTreeMap<String, String>,
}

impl Snapshot {
    pub(super) async fn take(db: &TestDatabase) -> Self {
        let catalogue = db
            .rows(
                "SELECT relname || ' ' || relkind::text AS entry FROM pg_class \
                 WHERE relnamespace = 'public'::regnamespace \
                 UNION ALL SELECT table_name || '.' || column_name || ' ' || data_type \
                 FROM information_schema.columns WHERE table_schema = 'public' \
                 UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
                 UNION ALL SELECT extname::text FROM pg_extension ORDER BY 1",
            )
            .await
            .iter()
            .map(|row| row["entry"].as_str().unwrap().to_owned())
            .collect();
        let names = db
            .rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .await;
        let mut tables = BTreeMap::new();
        for name in names {
            let name = name["tablename"].as_str().unwrap();
            let digest = db
                .rows(&format!(
                    "SELECT COUNT(*) || ' ' || \
                     COALESCE(md5(string_agg(t::text, ';' ORDER BY t::text)), '') AS digest \
                     FROM \"{name}\" t"
                ))
                .await;
            let digest = digest[0]["digest"].as_str().unwrap().to_owned();
            tables.insert(name.to_owned(), digest);
        }
        Self { catalogue, tables }
    }

    /// The tables whose rows differ.
    pub(super) fn changed(&self, after: &Self) -> BTreeSet<String> {
        let differs = |table: &&String| self.tables.get(*table) != after.tables.get(*table);
        self.tables
            .keys()
            .chain(after.tables.keys())
            .filter(differs)
            .cloned()
            .collect()
    }
}
