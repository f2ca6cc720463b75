//! What tests stand on: databases of their own, a clock they set, and an ear for events.

mod arrange;
mod clock;
mod database;
mod gateway;
mod listener;
mod postgres;

pub(crate) use arrange::Account;
pub(crate) use clock::at;
pub(crate) use database::{Engine, TestDatabase};
pub(crate) use gateway::Gateway;
pub(crate) use postgres::Contents;
