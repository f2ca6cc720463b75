//! Which implementation each service has.

use crate::database::Database;
use crate::service::Services;

/// The services of a monolith: the database answers for all of them.
pub(super) fn services(database: &Database) -> Services {
    database.services()
}
