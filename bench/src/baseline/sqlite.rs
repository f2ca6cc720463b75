//! The loads that read, on SQLite: it answers on the thread that asks, in less time than it would
//! take to hand the work to another.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::bail;
use axum::body::Bytes;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};

use super::{Backend, json, request};
use crate::workload::Load;

const ONE: &str = "SELECT id, username, first_name, \
    CASE WHEN first_name = '' THEN COALESCE(NULLIF(email, ''), username) END, is_active \
    FROM auth_user WHERE id = ?1";
const MANY: &str = "SELECT id, username, first_name, \
    CASE WHEN first_name = '' THEN COALESCE(NULLIF(email, ''), username) END, is_active \
    FROM auth_user WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id";
const ORGANIZATIONS: &str = "SELECT DISTINCT m.user_id, o.organization_id, o.slug, o.name \
    FROM sentry_organizationmembermapping m \
    JOIN sentry_organizationmapping o ON o.organization_id = m.organization_id \
    WHERE m.user_id IN (SELECT value FROM json_each(?1)) ORDER BY m.user_id, o.organization_id";
const OPTIONS: &str = "SELECT user_id, key, CAST(value AS TEXT) FROM sentry_useroption \
    WHERE user_id IN (SELECT value FROM json_each(?1)) AND project_id IS NULL AND organization_id IS NULL \
    ORDER BY user_id, id";
const NAMES: &str =
    "SELECT username FROM auth_user WHERE username IN (SELECT value FROM json_each(?1))";

/// Connections that nobody uses at the moment.
#[derive(Debug)]
pub(super) struct Sqlite {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Sqlite {
    /// Opens a file.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let sqlite = Self {
            file: file.to_owned(),
            idle: Mutex::default(),
        };
        let connection = sqlite.connect()?;
        sqlite.idle().push(connection);
        Ok(sqlite)
    }

    fn connect(&self) -> anyhow::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        // Some indexes of the gateway use it; no statement here does.
        connection.create_collation("UNICODE_NOCASE", str::cmp)?;
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of a load.
    fn ask(&self, load: Load, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = match load {
            Load::W1 | Load::W1N => w1(&connection, body),
            Load::W2 => w2(&connection, body),
            Load::W3 => w3(&connection, body),
            Load::W4 => w4(&connection, body),
            Load::W5
            | Load::W6
            | Load::FirstPage
            | Load::DeepPage
            | Load::Search
            | Load::CommonSearch => {
                bail!("not done by hand on SQLite")
            }
        };
        self.idle().push(connection);
        answer
    }
}

impl Backend for Sqlite {
    async fn answer(&self, load: Load, body: &[u8]) -> anyhow::Result<Bytes> {
        Ok(self.ask(load, body)?.into())
    }
}

fn w1(connection: &Connection, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let id = request::id(body)?;
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"data\":{\"user\":");
    let mut statement = connection.prepare_cached(ONE)?;
    let found = statement
        .query_row([id], |row| {
            user(row)?.write(&mut out);
            Ok(())
        })
        .optional()?;
    if found.is_none() {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b"}}");
    Ok(out)
}

fn w2(connection: &Connection, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let ids = request::ids(body)?;
    let mut out = Vec::with_capacity(ids.len() * 192 + 64);
    out.extend_from_slice(b"{\"data\":{\"users\":{\"nodes\":[");
    let mut statement = connection.prepare_cached(MANY)?;
    let mut rows = statement.query([serde_json::to_string(&ids)?])?;
    let mut comma = false;
    while let Some(row) = rows.next()? {
        if comma {
            out.push(b',');
        }
        comma = true;
        user(row)?.write(&mut out);
    }
    out.extend_from_slice(b"]}}}");
    Ok(out)
}

/// The rows of users, organizations and options run side by side, each in the order of users.
fn w3(connection: &Connection, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let ids = request::ids(body)?;
    let mut users = connection.prepare_cached(MANY)?;
    let mut organizations = connection.prepare_cached(ORGANIZATIONS)?;
    let mut options = connection.prepare_cached(OPTIONS)?;
    let mut out = Vec::with_capacity(ids.len() * 640 + 64);
    let ids = serde_json::to_string(&ids)?;
    let mut users = users.query([&ids])?;
    let mut organizations = organizations.query([&ids])?;
    let mut options = options.query([&ids])?;
    organizations.advance()?;
    options.advance()?;
    out.extend_from_slice(b"{\"data\":{\"users\":{\"nodes\":[");
    let mut comma = false;
    while let Some(row) = users.next()? {
        if comma {
            out.push(b',');
        }
        comma = true;
        let user = user(row)?;
        json::start_of_page_user(&mut out, &user);
        theirs(&mut out, user.id, &mut organizations, |out, row| {
            let (slug, name) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
            json::organization(out, row.get(1)?, slug, name);
            Ok(())
        })?;
        out.extend_from_slice(b",\"options\":");
        theirs(&mut out, user.id, &mut options, |out, row| {
            json::option(
                out,
                row.get_ref(1)?.as_str()?,
                row.get_ref(2)?.as_str_or_null()?,
            );
            Ok(())
        })?;
        out.push(b'}');
    }
    out.extend_from_slice(b"]}}}");
    Ok(out)
}

/// Appends the rows of a user, and leaves the cursor on the first row of another.
fn theirs(
    out: &mut Vec<u8>,
    user: i64,
    rows: &mut rusqlite::Rows<'_>,
    write: impl Fn(&mut Vec<u8>, &Row<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    out.push(b'[');
    let mut comma = false;
    while let Some(row) = rows.get() {
        if row.get::<_, i64>(0)? != user {
            break;
        }
        if comma {
            out.push(b',');
        }
        comma = true;
        write(out, row)?;
        rows.advance()?;
    }
    out.push(b']');
    Ok(())
}

fn w4(connection: &Connection, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let names = request::names(body)?;
    let mut statement = connection.prepare_cached(NAMES)?;
    let found = statement.query_map([serde_json::to_string(&names)?], |row| row.get(0))?;
    let mut found: HashSet<String> = found.collect::<Result<_, _>>()?;
    let mut out = Vec::with_capacity(body.len());
    json::existing(&mut out, &names, |name| found.remove(name));
    Ok(out)
}

fn user<'a>(row: &'a Row<'_>) -> rusqlite::Result<json::User<'a>> {
    Ok(json::User {
        id: row.get(0)?,
        username: row.get_ref(1)?.as_str()?,
        name: row.get_ref(2)?.as_str()?,
        substitute: row.get_ref(3)?.as_str_or_null()?,
        is_active: row.get(4)?,
    })
}
