//! The loads on PostgreSQL: prepared statements, pipelined over a few connections that all
//! requests share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;
use axum::body::Bytes;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::postgres_write::{Writers, set_option};
use super::{Backend, json, request};
use crate::workload::Load;

/// Connections that all requests share. PostgreSQL works on each in a process of its own.
const READERS: usize = 4;

const ONE: &str = "SELECT id, username, first_name, \
    CASE WHEN first_name = '' THEN COALESCE(NULLIF(email, ''), username) END, is_active \
    FROM auth_user WHERE id = $1";
const MANY: &str = "SELECT id, username, first_name, \
    CASE WHEN first_name = '' THEN COALESCE(NULLIF(email, ''), username) END, is_active \
    FROM auth_user WHERE id = ANY($1) ORDER BY id";
const ORGANIZATIONS: &str = "SELECT DISTINCT m.user_id, o.organization_id, o.slug, o.name \
    FROM sentry_organizationmembermapping m \
    JOIN sentry_organizationmapping o ON o.organization_id = m.organization_id \
    WHERE m.user_id = ANY($1) ORDER BY m.user_id, o.organization_id";
const OPTIONS: &str = "SELECT user_id, key, value::text FROM sentry_useroption \
    WHERE user_id = ANY($1) AND project_id IS NULL AND organization_id IS NULL \
    ORDER BY user_id, id";
const NAMES: &str = "SELECT username FROM auth_user WHERE username = ANY($1)";

/// A connection and its statements.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) client: Client,
    one: Statement,
    many: Statement,
    organizations: Statement,
    options: Statement,
    names: Statement,
    pub(super) set_option: Statement,
    pub(super) delivered: Statement,
    pub(super) by_email: Statement,
}

/// Everything there is on one database.
#[derive(Debug)]
pub(super) struct Postgres {
    readers: Vec<Reader>,
    next: AtomicUsize,
    writers: Writers,
}

/// Opens a connection and works for it until it ends.
pub(super) async fn connect(config: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(config, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Reader {
    async fn open(config: &str) -> anyhow::Result<Self> {
        let client = connect(config).await?;
        Ok(Self {
            one: client.prepare(ONE).await?,
            many: client.prepare(MANY).await?,
            organizations: client.prepare(ORGANIZATIONS).await?,
            options: client.prepare(OPTIONS).await?,
            names: client.prepare(NAMES).await?,
            set_option: client.prepare(super::postgres_write::SET_OPTION).await?,
            delivered: client.prepare(super::postgres_write::DELIVERED).await?,
            by_email: client.prepare(super::postgres_write::BY_EMAIL).await?,
            client,
        })
    }

    async fn w1(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let id = request::id(body)?;
        let row = self.client.query_opt(&self.one, &[&id]).await?;
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"data\":{\"user\":");
        match &row {
            Some(row) => user(row).write(&mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}}");
        Ok(out)
    }

    async fn w2(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let ids = request::ids(body)?;
        let rows = self.client.query(&self.many, &[&ids]).await?;
        let mut out = Vec::with_capacity(rows.len() * 192 + 64);
        out.extend_from_slice(b"{\"data\":{\"users\":{\"nodes\":");
        json::list(&mut out, &rows, |out, row| user(row).write(out));
        out.extend_from_slice(b"}}}");
        Ok(out)
    }

    /// The three statements need nothing of each other, so they travel together.
    async fn w3(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let ids = request::ids(body)?;
        let parameters: [&(dyn ToSql + Sync); 1] = [&ids];
        let (users, organizations, options) = tokio::try_join!(
            self.client.query(&self.many, &parameters),
            self.client.query(&self.organizations, &parameters),
            self.client.query(&self.options, &parameters),
        )?;
        let mut organizations = organizations.iter().peekable();
        let mut options = options.iter().peekable();
        let mut out = Vec::with_capacity(users.len() * 640 + 64);
        out.extend_from_slice(b"{\"data\":{\"users\":{\"nodes\":");
        json::list(&mut out, &users, |out, row| {
            let user = user(row);
            let is_theirs = |row: &&Row| row.get::<_, i64>(0) == user.id;
            json::start_of_page_user(out, &user);
            let theirs = std::iter::from_fn(|| organizations.next_if(is_theirs));
            json::list(out, theirs, |out, row| {
                json::organization(out, row.get(1), row.get(2), row.get(3));
            });
            out.extend_from_slice(b",\"options\":");
            let theirs = std::iter::from_fn(|| options.next_if(is_theirs));
            json::list(out, theirs, |out, row| {
                json::option(out, row.get(1), row.get(2));
            });
            out.push(b'}');
        });
        out.extend_from_slice(b"}}}");
        Ok(out)
    }

    async fn w4(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let names = request::names(body)?;
        let texts: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let rows = self.client.query(&self.names, &[&texts]).await?;
        let mut found: HashSet<&str> = rows.iter().map(|row| row.get(0)).collect();
        let mut out = Vec::with_capacity(body.len());
        json::existing(&mut out, &names, |name| found.remove(name));
        Ok(out)
    }
}

fn user(row: &Row) -> json::User<'_> {
    json::User {
        id: row.get(0),
        username: row.get(1),
        name: row.get(2),
        substitute: row.get(3),
        is_active: row.get(4),
    }
}

impl Postgres {
    /// Opens all connections and prepares all statements.
    pub(super) async fn connect(config: &str) -> anyhow::Result<Self> {
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(Reader::open(config).await?);
        }
        Ok(Self {
            readers,
            next: AtomicUsize::new(0),
            writers: Writers::open(config).await?,
        })
    }

    fn reader(&self) -> &Reader {
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        &self.readers[place % self.readers.len()]
    }
}

impl Backend for Postgres {
    async fn answer(&self, load: Load, body: &[u8]) -> anyhow::Result<Bytes> {
        let reader = self.reader();
        let answer = match load {
            Load::W1 | Load::W1N => reader.w1(body).await?,
            Load::W2 => reader.w2(body).await?,
            Load::W3 => reader.w3(body).await?,
            Load::W4 => reader.w4(body).await?,
            Load::W5 => set_option(reader, body).await?,
            Load::W6 => self.writers.provision(reader, body).await?,
            Load::FirstPage | Load::DeepPage | Load::Search | Load::CommonSearch => {
                bail!("not done by hand")
            }
        };
        Ok(answer.into())
    }
}
