//! What a failure of the database means to a caller.

use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::domain::{Error, Invalid, InvalidCode};

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let cause = Arc::new(error.clone());
        match kind(&error) {
            Kind::Unavailable => Self::Unavailable(cause),
            Kind::Timeout => Self::Timeout(cause),
            Kind::Input(code, message) => Self::Invalid(Invalid::new(code, message, &[])),
            Kind::Fault => Self::Internal(cause),
        }
    }
}

enum Kind {
    Unavailable,
    Timeout,
    Input(InvalidCode, &'static str),
    Fault,
}

fn kind(error: &DbErr) -> Kind {
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return Kind::Unavailable,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return Kind::Fault,
    };
    let RuntimeErr::SqlxError(error) = runtime else {
        return Kind::Fault;
    };
    match &**error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Kind::Unavailable,
        sqlx::Error::Database(database) => match database.code().as_deref() {
            // PostgreSQL: statement timeout or cancel.
            Some("57014") => Kind::Timeout,
            // PostgreSQL: a character that its texts, and those in its JSON, cannot hold.
            Some("22021" | "22P05") => Kind::Input(
                InvalidCode::InvalidFormat,
                "a text holds the character U+0000, which cannot be stored or looked for",
            ),
            // PostgreSQL: longer than the column. SQLite's columns have no length.
            Some("22001") => {
                Kind::Input(InvalidCode::TooLong, "a text is longer than can be stored")
            }
            // PostgreSQL: connection trouble, shutdown, too many connections, disk full.
            Some(code)
                if ["08", "57P", "53"]
                    .iter()
                    .any(|class| code.starts_with(class)) =>
            {
                Kind::Unavailable
            }
            // SQLite's primary result codes: busy, locked, I/O error, disk full, cannot open. The
            // extended ones hold them in their low byte.
            Some(code)
                if matches!(
                    code.parse::<u32>().map(|c| c & 0xff),
                    Ok(5 | 6 | 10 | 13 | 14)
                ) =>
            {
                Kind::Unavailable
            }
            _ => Kind::Fault,
        },
        _ => Kind::Fault,
    }
}

/// Whether `error` says that a value must be unique and is not.
pub(super) fn is_unique_violation(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_))
    )
}

/// Whether `error` says that a row which another refers to does not exist.
pub(super) fn is_foreign_key_violation(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_))
    )
}
