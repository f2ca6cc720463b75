//! The statements of the outbox that SeaORM's builder does not know.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::{DbBackend, Statement};
use serde_json::Value as Json;

use super::Dialect;

/// The channel on which processes of one PostgreSQL tell each other of changes.
pub(in crate::database) const CHANNEL: &str = "user_gateway_change";

/// Deletes the outbox rows in the regions `$1` of each of the users `$2` up to the row at the same
/// place in `$3`, on PostgreSQL. Rows that somebody else is deleting are passed over.
///
/// The outbox is empty most of the time, and of an empty table PostgreSQL believes that any plan is
/// as good as another. The one that it makes then is kept while rows of others pile up, so there
/// must be no other than the right one: users are looked up one by one, in an index that begins
/// with region and user, since no other has a condition to go by; and what was found and locked is
/// deleted where it lies.
pub(in crate::database) const DELETE_DELIVERED: &str = "\
    DELETE FROM sentry_controloutbox WHERE ctid = ANY(ARRAY(\
    SELECT o.ctid FROM UNNEST($2::bigint[], $3::bigint[]) AS covered(user_id, up_to) \
    CROSS JOIN LATERAL (SELECT ctid FROM sentry_controloutbox \
    WHERE region_name = ANY($1::text[]) AND shard_scope = 1 AND category = 0 \
    AND shard_identifier = covered.user_id AND id - covered.up_to <= 0 \
    FOR UPDATE SKIP LOCKED) AS o))";

impl Dialect {
    /// Inserts a row for each of `users` in each of `regions`, scheduled from and for `schedule`,
    /// and returns their ids. On PostgreSQL the same statement has `payload` sent on [`CHANNEL`]
    /// at the commit: equal notifications of one transaction are sent once. `None` where nothing
    /// is to be said to anybody.
    pub(in crate::database) fn insert_outbox<'a>(
        self,
        users: &[i64],
        regions: impl Iterator<Item = &'a str>,
        schedule: [DateTime<Utc>; 2],
        payload: &str,
    ) -> Option<Statement> {
        let regions: Vec<&str> = regions.collect();
        let [from, due] = schedule;
        match self {
            _ if regions.is_empty() => self.notify(payload),
            Self::Sqlite => Some(Statement::from_sql_and_values(
                DbBackend::Sqlite,
                "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
                 object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
                 SELECT 1, u.value, 0, u.value, $3, $4, $3, r.value \
                 FROM json_each($1) AS u CROSS JOIN json_each($2) AS r \
                 ORDER BY u.key, r.key RETURNING id",
                [
                    json_list(users.iter().copied()).into(),
                    json_list(regions).into(),
                    from.into(),
                    due.into(),
                ],
            )),
            Self::Postgres => Some(Statement::from_sql_and_values(
                DbBackend::Postgres,
                "INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
                 object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
                 SELECT 1, u.id, 0, u.id, $3, $4, $3, r.name \
                 FROM UNNEST($1::bigint[]) WITH ORDINALITY AS u(id, place) \
                 CROSS JOIN UNNEST($2::text[]) WITH ORDINALITY AS r(name, place) \
                 ORDER BY u.place, r.place \
                 RETURNING id, pg_notify('user_gateway_change', $5)",
                [
                    bigints(users),
                    texts(regions),
                    from.into(),
                    due.into(),
                    payload.into(),
                ],
            )),
        }
    }

    /// Has `payload` sent on [`CHANNEL`] at the commit; `None` where nobody can be told anything.
    fn notify(self, payload: &str) -> Option<Statement> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Statement::from_sql_and_values(
                DbBackend::Postgres,
                "SELECT NULL::bigint, pg_notify('user_gateway_change', $1)",
                [payload.into()],
            )),
        }
    }

    /// The users of the region's shards that `waiting` describes, longest wait first; a user may occur
    /// several times. Takes no lock.
    pub(in crate::database) fn waiting(self, waiting: &Waiting<'_>) -> Statement {
        waiting.statement(self, WAITING)
    }

    /// As [`Dialect::waiting`]. On PostgreSQL it skips shards that another transaction is claiming, and
    /// locks the others until its transaction ends.
    pub(in crate::database) fn claimable(self, waiting: &Waiting<'_>) -> Statement {
        match self {
            Self::Sqlite => self.waiting(waiting),
            Self::Postgres => {
                let sql = format!(
                    "SELECT w.user_id FROM ({WAITING}) AS w WHERE pg_try_advisory_xact_lock(\
                     hashtextextended('user-gateway:outbox:' || $1 || ':' || w.user_id, 0)) \
                     ORDER BY w.scheduled_for, w.id"
                );
                waiting.statement(self, &sql)
            }
        }
    }
}

/// See [`Dialect::waiting`]. A row whose `scheduled_from` lies beyond the horizon `$5` was postponed by a
/// machine whose clock is ahead: it is due and not claimed.
const WAITING: &str = "SELECT o.shard_identifier AS user_id, o.scheduled_for, o.id \
     FROM sentry_controloutbox o \
     WHERE o.region_name = $1 AND o.shard_scope = 1 AND o.category = 0 \
     AND o.object_identifier = o.shard_identifier \
     AND (o.scheduled_for <= $2 OR o.scheduled_from > $5) \
     AND NOT EXISTS (SELECT 1 FROM sentry_controloutbox c \
     WHERE c.region_name = $1 AND c.shard_scope = 1 AND c.category = 0 \
     AND c.shard_identifier = o.shard_identifier \
     AND c.scheduled_for > $3 AND c.scheduled_from > $3 AND c.scheduled_from <= $5) \
     ORDER BY o.scheduled_for, o.id LIMIT $4";

/// Selects shards of a region: those with a row scheduled no later than `until`, and without a claim
/// that is valid at `now`.
#[derive(Debug)]
pub(in crate::database) struct Waiting<'a> {
    pub(in crate::database) region: &'a str,
    pub(in crate::database) until: DateTime<Utc>,
    pub(in crate::database) now: DateTime<Utc>,
    /// The latest moment at which a claim can end.
    pub(in crate::database) horizon: DateTime<Utc>,
    /// The most rows to read.
    pub(in crate::database) rows: u32,
}

impl Waiting<'_> {
    fn statement(&self, dialect: Dialect, sql: &str) -> Statement {
        let values = [
            self.region.into(),
            self.until.into(),
            self.now.into(),
            i64::from(self.rows).into(),
            self.horizon.into(),
        ];
        Statement::from_sql_and_values(dialect.backend(), sql, values)
    }
}

fn bigints(list: &[i64]) -> Value {
    let list = list.iter().map(|id| Value::BigInt(Some(*id))).collect();
    Value::Array(ArrayType::BigInt, Some(Box::new(list)))
}

fn texts(list: Vec<&str>) -> Value {
    let list = list.into_iter().map(Value::from).collect();
    Value::Array(ArrayType::String, Some(Box::new(list)))
}

fn json_list<T: Into<Json>>(list: impl IntoIterator<Item = T>) -> String {
    list.into_iter().collect::<Json>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_no_lock_and_claiming_does() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let waiting = Waiting {
            region: "us",
            until: now,
            now,
            horizon: now,
            rows: 1,
        };
        let locks = |statement: Statement| statement.sql.contains("pg_try_advisory_xact_lock");
        assert!(!locks(Dialect::Postgres.waiting(&waiting)));
        assert!(locks(Dialect::Postgres.claimable(&waiting)));
        assert!(!locks(Dialect::Sqlite.claimable(&waiting)));
    }
}
