//! What a failure of the database means to a caller.

use std::error::Error as StdError;
use std::sync::Arc;

use sea_orm::sqlx::postgres::{PgDatabaseError, PgSeverity};
use sea_orm::{DbErr, RuntimeErr, sqlx};

use super::pipeline::Failure;
use crate::domain::{Error, Invalid, InvalidCode};

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        kind(&error).because_of(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Value(error) => return error.clone(),
            failure if failure.is_lost() => Kind::Unavailable,
            failure => failure.code().map_or(Kind::Fault, kind_of),
        };
        kind.because_of(failure)
    }
}

/// PostgreSQL's code for a lock timeout.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// PostgreSQL's code for a read-only server or session.
pub(super) const READ_ONLY: &str = "25006";

enum Kind {
    Unavailable,
    Timeout,
    Input(InvalidCode, &'static str),
    Fault,
}

impl Kind {
    fn because_of(self, cause: impl StdError + Send + Sync + 'static) -> Error {
        match self {
            Self::Unavailable => Error::Unavailable(Arc::new(cause)),
            Self::Timeout => Error::Timeout(Arc::new(cause)),
            Self::Input(code, message) => Error::Invalid(Invalid::new(code, message, &[])),
            Self::Fault => Error::Internal(Arc::new(cause)),
        }
    }
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
        sqlx::Error::Database(database) => {
            let refusal = database.try_downcast_ref::<PgDatabaseError>();
            let severity = refusal.map(PgDatabaseError::severity);
            if let Some(PgSeverity::Fatal | PgSeverity::Panic) = severity {
                return Kind::Unavailable;
            }
            let code = database.code();
            code.as_deref().map_or(Kind::Fault, kind_of)
        }
        _ => Kind::Fault,
    }
}

/// What a code of either engine means; none of one is one of the other.
fn kind_of(code: &str) -> Kind {
    match code {
        // PostgreSQL: statement timeout or cancel, and lock timeout.
        "57014" | LOCK_NOT_AVAILABLE => Kind::Timeout,
        // PostgreSQL: a character that its texts, and those in its JSON, cannot hold.
        "22021" | "22P05" => Kind::Input(
            InvalidCode::InvalidFormat,
            "a text holds the character U+0000, which cannot be stored or looked for",
        ),
        // PostgreSQL: longer than the column. SQLite's columns have no length.
        "22001" => Kind::Input(InvalidCode::TooLong, "a text is longer than can be stored"),
        code if is_storage_code(code) => Kind::Unavailable,
        // PostgreSQL: connection trouble, shutdown, too many connections, no memory.
        code if ["08", "57P", "53"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Kind::Unavailable
        }
        // SQLite: busy, locked.
        code if matches!(primary_code(code), Some(5 | 6)) => Kind::Unavailable,
        _ => Kind::Fault,
    }
}

/// Whether a code of either engine says that nothing can be stored.
fn is_storage_code(code: &str) -> bool {
    match primary_code(code) {
        // SQLite: read-only, I/O error, disk full, cannot open.
        Some(primary) => matches!(primary, 8 | 10 | 13 | 14),
        // PostgreSQL: read-only, disk full, I/O error and other trouble of the system.
        None => matches!(code, READ_ONLY | "53100") || code.starts_with("58"),
    }
}

/// SQLite's primary result code, the low byte of an extended one. Codes of PostgreSQL have five
/// characters, those of SQLite fewer.
fn primary_code(code: &str) -> Option<u32> {
    let number = code.parse::<u32>().ok().filter(|_| code.len() < 5)?;
    Some(number & 0xff)
}

/// Whether `error` says that a change could not be stored, as when the disk is full or read-only.
pub(super) fn is_storage_failure(error: &Error) -> bool {
    let Error::Unavailable(cause) = error else {
        return false;
    };
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return failure.code().is_some_and(is_storage_code);
    }
    let Some(DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime)) =
        cause.downcast_ref::<DbErr>()
    else {
        return false;
    };
    let RuntimeErr::SqlxError(error) = runtime else {
        return false;
    };
    let sqlx::Error::Database(database) = &**error else {
        return false;
    };
    database.code().is_some_and(|code| is_storage_code(&code))
}

/// Whether `error` says that a statement does not fit the tables: an index that it relies on, say,
/// or the type of a column. Nothing has been carried out then.
pub(super) fn is_unfit(error: &Error) -> bool {
    pipelined_code(error).is_some_and(|code| code.starts_with("42"))
}

/// As [`is_unique_violation`], for statements that were pipelined.
pub(super) fn violates_unique(error: &Error) -> bool {
    const UNIQUE_VIOLATION: &str = "23505";
    pipelined_code(error) == Some(UNIQUE_VIOLATION)
}

/// Whether a pipelined statement may have failed because of one row that it read, and not because of the
/// statement or its connection.
pub(super) fn is_row_error(error: &Error) -> bool {
    match error {
        Error::Unavailable(_) | Error::Timeout(_) => false,
        // Class 22 of PostgreSQL: data exception.
        Error::Internal(cause) => cause
            .downcast_ref::<Failure>()
            .is_none_or(|failure| failure.code().is_some_and(|code| code.starts_with("22"))),
        _ => true,
    }
}

/// Whether `error` says that another connection has locked a SQLite file.
pub(super) fn is_locked_file(error: &DbErr) -> bool {
    const BUSY: u32 = 5;
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else {
        return false;
    };
    let Some(error) = error.as_database_error() else {
        return false;
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

/// Whether a pipelined statement failed with a lock timeout, and so changed nothing.
pub(super) fn is_locked(error: &Error) -> bool {
    pipelined_code(error) == Some(LOCK_NOT_AVAILABLE)
}

fn pipelined_code(error: &Error) -> Option<&str> {
    let (Error::Internal(cause) | Error::Timeout(cause)) = error else {
        return None;
    };
    cause.downcast_ref::<Failure>()?.code()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_of_sqlite_or_one_of_postgresql() {
        // Extended codes of SQLite: I/O error while syncing, read-only directory.
        for code in [
            "8", "10", "13", "14", "1034", "1544", "25006", "53100", "58030",
        ] {
            assert!(is_storage_code(code), "{code}");
            assert!(matches!(kind_of(code), Kind::Unavailable), "{code}");
        }
        // The last is a number whose low byte is that of a full disk.
        for code in ["1", "5", "19", "23505", "53300", "23053"] {
            assert!(!is_storage_code(code), "{code}");
        }
        assert!(matches!(kind_of("23053"), Kind::Fault));
    }
}
