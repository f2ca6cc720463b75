//! Who is in the directory, as far as requests have to know.

use anyhow::{Context as _, ensure};
use tokio_postgres::Client;

/// The seeded users. Their ids are 1 to their number.
#[derive(Debug)]
pub(crate) struct Directory {
    /// As JSON texts, by id.
    usernames: Vec<String>,
    /// As JSON texts: primary addresses that one active user has.
    addresses: Vec<String>,
    /// As JSON texts: places in the list of all users.
    cursors: Vec<String>,
}

impl Directory {
    /// A directory of these texts, which are JSON.
    pub(crate) const fn new(usernames: Vec<String>, addresses: Vec<String>) -> Self {
        Self {
            usernames,
            addresses,
            cursors: Vec::new(),
        }
    }

    /// The directory with places in the list of all users, which are JSON.
    pub(crate) fn with_cursors(self, cursors: Vec<String>) -> Self {
        Self { cursors, ..self }
    }

    /// Reads the directory of a database of `users` seeded users.
    pub(crate) async fn read(client: &Client, users: u64) -> anyhow::Result<Self> {
        let last = i64::try_from(users)?;
        let usernames = client
            .query(
                "SELECT username FROM auth_user WHERE id <= $1 ORDER BY id",
                &[&last],
            )
            .await?;
        let addresses = client
            .query(
                "SELECT min(email) FROM auth_user WHERE id <= $1 GROUP BY upper(email) \
                 HAVING count(*) = 1 AND bool_and(is_active) ORDER BY min(id)",
                &[&last],
            )
            .await?;
        let json = |rows: Vec<tokio_postgres::Row>| {
            let texts = rows
                .iter()
                .map(|row| serde_json::to_string(row.get::<_, &str>(0)));
            texts
                .collect::<Result<Vec<_>, _>>()
                .context("a text is no JSON")
        };
        let directory = Self::new(json(usernames)?, json(addresses)?);
        ensure!(
            directory.users() == users && !directory.addresses.is_empty(),
            "{} users were seeded and not {users}",
            directory.users()
        );
        Ok(directory)
    }

    /// The first of these users; a small directory whose users a cache can hold.
    pub(crate) fn first(&self, users: usize) -> Self {
        let first = |texts: &[String]| texts.iter().take(users).cloned().collect();
        Self::new(first(&self.usernames), first(&self.addresses))
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> u64 {
        self.usernames.len() as u64
    }

    /// The username in a place, as JSON.
    pub(crate) fn username(&self, place: u64) -> &str {
        pick(&self.usernames, place)
    }

    /// The address in a place, as JSON; places go round.
    pub(crate) fn address(&self, place: u64) -> &str {
        pick(&self.addresses, place)
    }

    /// A place in the list of all users, as JSON; places go round.
    pub(crate) fn cursor(&self, place: u64) -> &str {
        pick(&self.cursors, place)
    }
}

fn pick(texts: &[String], place: u64) -> &str {
    let place = place % (texts.len() as u64).max(1);
    let place = usize::try_from(place).unwrap_or_default();
    texts.get(place).map_or("\"\"", String::as_str)
}
