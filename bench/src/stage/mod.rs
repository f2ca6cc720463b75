//! What stands on the stage: a database and the servers that are compared on it.

mod accounting;
mod build;
mod postgres;
mod process;
mod statements;

pub(crate) use accounting::{Accounts, memory};
pub(crate) use build::{gateway, stock};
pub(crate) use postgres::PostgresServer;
pub(crate) use process::{Server, free_port, run};
pub(crate) use statements::StatementCount;
