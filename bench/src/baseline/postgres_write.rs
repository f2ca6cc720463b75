//! The loads that write, with the guarantees of the gateway: the lock on the option or the
//! address, the row of the outbox in the transaction of the change, the notification, and the
//! removal of the row, since the only region has been told then.

use anyhow::Context as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::postgres::{Reader, connect};
use super::{json, request};

/// Sets an option, in one statement: the unique index sees to it that whoever waited finds what
/// the other has written.
pub(super) const SET_OPTION: &str = "WITH lock AS MATERIALIZED ( \
    SELECT pg_advisory_xact_lock(hashtextextended($4::text, 0))), \
    changed AS (INSERT INTO sentry_useroption (user_id, key, value) \
    SELECT $1::bigint, $2::text, $3::text::jsonb FROM lock \
    ON CONFLICT (user_id, key) WHERE project_id IS NULL AND organization_id IS NULL \
    DO UPDATE SET value = excluded.value \
    WHERE sentry_useroption.value IS DISTINCT FROM excluded.value RETURNING id), \
    noted AS (INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
    object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
    SELECT 1, $1::bigint, 0, $1::bigint, now(), '2016-08-01T00:00:00Z', now(), '--monolith--' \
    FROM changed \
    RETURNING pg_notify('user_gateway_change', 'by-hand ' || object_identifier)) \
    SELECT id, (SELECT count(*) FROM noted) > 0 FROM changed";

/// Removes the rows of the outbox of a user.
pub(super) const DELIVERED: &str = "DELETE FROM sentry_controloutbox \
    WHERE region_name = '--monolith--' AND shard_scope = 1 AND shard_identifier = $1 \
    AND category = 0";

/// The option that was not changed.
const STORED_OPTION: &str = "SELECT id, false FROM sentry_useroption WHERE user_id = $1 \
    AND key = $2 AND project_id IS NULL AND organization_id IS NULL";

/// The user of an address.
pub(super) const BY_EMAIL: &str = "SELECT id, username, \
    COALESCE(NULLIF(first_name, ''), NULLIF(email, ''), username), false \
    FROM auth_user WHERE UPPER(email) = UPPER($1::text) AND is_active ORDER BY id LIMIT 1";

const LOCK_EMAIL: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('user-gateway:email:' || UPPER($1::text), 0))";

/// Creates the user of an address that is locked, unless somebody has done so.
const CREATE: &str = "WITH stored AS (SELECT id, username, \
    COALESCE(NULLIF(first_name, ''), NULLIF(email, ''), username) AS shown FROM auth_user \
    WHERE UPPER(email) = UPPER($1::text) AND is_active ORDER BY id LIMIT 1), \
    created AS (INSERT INTO auth_user (password, username, first_name, email, email_unique, \
    is_staff, is_active, is_unclaimed, is_superuser, is_managed, is_password_expired, \
    is_suspended, flags, date_joined, last_active, avatar_type) \
    SELECT '', $2::text || '-' || replace(gen_random_uuid()::text, '-', ''), $1::text, $1::text, \
    $1::text, \
    false, true, false, false, false, false, false, 1, now(), now(), 0 \
    WHERE NOT EXISTS (SELECT FROM stored) RETURNING id, username, first_name), \
    address AS (INSERT INTO sentry_useremail (user_id, email, validation_hash, \
    date_hash_added, is_verified) \
    SELECT id, $1::text, md5(random()::text), now(), false FROM created), \
    noted AS (INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
    object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
    SELECT 1, id, 0, id, now(), '2016-08-01T00:00:00Z', now(), '--monolith--' FROM created \
    RETURNING pg_notify('user_gateway_change', 'by-hand ' || object_identifier)) \
    SELECT id, username, first_name, (SELECT count(*) FROM noted) > 0 FROM created \
    UNION ALL SELECT id, username, shown, false FROM stored";

const DELIVERED_BY_EMAIL: &str = "DELETE FROM sentry_controloutbox \
    WHERE region_name = '--monolith--' AND shard_scope = 1 AND category = 0 \
    AND shard_identifier = (SELECT id FROM auth_user WHERE email_unique = $1::text)";

/// Sets an option.
pub(super) async fn set_option(reader: &Reader, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let input: request::SetOption<'_> = request::input(body)?;
    let user = input.user()?;
    let (key, value) = (&*input.key, input.value.get());
    let lock = format!("user-gateway:option:{user}:None:None:{key}");
    let client = &reader.client;
    let option: [&(dyn ToSql + Sync); 4] = [&user, &key, &value, &lock];
    let owner: [&(dyn ToSql + Sync); 1] = [&user];
    let (row, _) = tokio::try_join!(
        biased;
        client.query_opt(&reader.set_option, &option),
        client.execute(&reader.delivered, &owner),
    )?;
    let row = match row {
        Some(row) => row,
        None => client.query_one(STORED_OPTION, &[&user, &key]).await?,
    };
    let mut out = Vec::with_capacity(192);
    out.extend_from_slice(b"{\"data\":{\"setUserOption\":{\"option\":{\"id\":");
    json::id(&mut out, "UserOption:", row.get(0));
    out.extend_from_slice(b",\"key\":");
    json::text(&mut out, key);
    out.extend_from_slice(b",\"value\":");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"},\"changed\":");
    json::boolean(&mut out, row.get(1));
    out.extend_from_slice(b",\"errors\":[]}}}");
    Ok(out)
}

/// A connection for transactions of several statements, which no other request may get between.
#[derive(Debug)]
struct Writer {
    client: Client,
    lock: Statement,
    create: Statement,
    delivered: Statement,
}

/// How many transactions may run at a time.
const WRITERS: usize = 6;

/// The connections for transactions, lent to one request at a time.
#[derive(Debug)]
pub(super) struct Writers {
    idle: std::sync::Mutex<Vec<Writer>>,
    places: Semaphore,
}

/// A connection that is lent.
struct Lent<'a> {
    writer: Option<Writer>,
    writers: &'a Writers,
    _place: SemaphorePermit<'a>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.writers.idle().push(writer);
        }
    }
}

impl Writers {
    /// Opens all connections.
    pub(super) async fn open(config: &str) -> anyhow::Result<Self> {
        let mut idle = Vec::with_capacity(WRITERS);
        for _ in 0..WRITERS {
            let client = connect(config).await?;
            idle.push(Writer {
                lock: client.prepare(LOCK_EMAIL).await?,
                create: client.prepare(CREATE).await?,
                delivered: client.prepare(DELIVERED_BY_EMAIL).await?,
                client,
            });
        }
        Ok(Self {
            idle: std::sync::Mutex::new(idle),
            places: Semaphore::new(WRITERS),
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Writer>> {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn lend(&self) -> anyhow::Result<Lent<'_>> {
        let place = self.places.acquire().await?;
        let writer = self.idle().pop();
        Ok(Lent {
            writer,
            writers: self,
            _place: place,
        })
    }

    /// The user of an address, created if there is none.
    pub(super) async fn provision(&self, reader: &Reader, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let input: request::Provision<'_> = request::input(body)?;
        let email = &*input.email;
        // Most calls are for somebody who exists; they take no lock.
        let found = reader.client.query_opt(&reader.by_email, &[&email]).await?;
        let row = match found {
            Some(row) => row,
            None => self.create(email).await?,
        };
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"data\":{\"getOrCreateUserByEmail\":{\"user\":{\"id\":");
        json::id(&mut out, "User:", row.get(0));
        out.extend_from_slice(b",\"username\":");
        json::text(&mut out, row.get(1));
        out.extend_from_slice(b",\"displayName\":");
        json::text(&mut out, row.get(2));
        out.extend_from_slice(b"},\"created\":");
        json::boolean(&mut out, row.get(3));
        out.extend_from_slice(b",\"errors\":[]}}}");
        Ok(out)
    }

    /// All statements travel together; the third sees what was committed before the lock was
    /// there to be had, because each sees what is committed when it begins.
    async fn create(&self, email: &str) -> anyhow::Result<Row> {
        let slug = slug(email);
        let lent = self.lend().await?;
        let writer = lent.writer.as_ref().context("no connection is left")?;
        let client = &writer.client;
        let address: [&(dyn ToSql + Sync); 1] = [&email];
        let draft: [&(dyn ToSql + Sync); 2] = [&email, &slug];
        let ((), _, row, (), _) = tokio::try_join!(
            biased;
            client.batch_execute("BEGIN"),
            client.execute(&writer.lock, &address),
            client.query_one(&writer.create, &draft),
            client.batch_execute("COMMIT"),
            client.execute(&writer.delivered, &address),
        )?;
        Ok(row)
    }
}

/// The part of an address before the `@` as a username begins with it.
fn slug(email: &str) -> String {
    let local = email.split('@').next().unwrap_or_default();
    let kept = local
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    kept.map(|c| c.to_ascii_lowercase()).take(95).collect()
}
