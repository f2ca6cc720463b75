//! What tests stand on: databases of their own, a clock they set, and an ear for events.

/// Makes two tests of each function: one on SQLite and one on PostgreSQL.
macro_rules! on_each_engine {
    ($($name:ident)*) => {
        mod sqlite {$(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::harness::Engine::Sqlite).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test]
            #[ignore = "needs PostgreSQL"]
            async fn $name() {
                super::$name(crate::harness::Engine::Postgres).await;
            }
        )*}
    };
}

mod answer;
mod arrange;
mod client;
mod clock;
mod database;
mod fleet;
mod gateway;
mod http2;
mod identity;
mod listener;
mod node;
mod port;
mod postgres;
mod process;
mod raw;
mod redis;
mod region;
mod silo;
mod socket;
mod variable;

pub(crate) use self::redis::{RedisServer, Wire};
pub(crate) use answer::Answer;
pub(crate) use arrange::Account;
pub(crate) use client::{client, client_over_http2};
pub(crate) use clock::{MockClock, at};
pub(crate) use database::{Engine, TestDatabase};
pub(crate) use fleet::{Fleet, Plan, ProcessFleet, SECRET, Silo};
pub(crate) use gateway::{Beside, Gateway};
pub(crate) use http2::Http2;
pub(crate) use identity::{key_set, sign};
pub(crate) use listener::Recorder;
pub(crate) use node::run_script;
pub(crate) use port::free_port;
pub(crate) use postgres::{Contents, PostgresServer};
pub(crate) use process::{PATIENCE, PAUSE, Process, Scratch, eventually, look_into};
pub(crate) use raw::Raw;
pub(crate) use region::{FakeRegion, Mood};
pub(crate) use socket::{PROTOCOL, Socket};
pub(crate) use variable::variable;
