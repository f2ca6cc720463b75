//! What the contracts of the services promise, held against every engine.

/// Makes of each case two tests, `NAME::sqlite` and `NAME::postgres`.
macro_rules! contract {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($db:ident: &TestDatabase) $body:block
    )*) => {$(
        $(#[$attribute])*
        async fn $name($db: &TestDatabase) $body

        mod $name {
            use crate::harness::{Engine, TestDatabase};

            #[tokio::test]
            async fn sqlite() {
                let db = TestDatabase::open(Engine::Sqlite).await;
                Box::pin(super::$name(&db)).await;
            }

            #[tokio::test]
            #[ignore = "needs PostgreSQL"]
            async fn postgres() {
                let db = TestDatabase::open(Engine::Postgres).await;
                Box::pin(super::$name(&db)).await;
            }
        }
    )*};
}

mod cache_version;
mod concurrency;
mod organization;
mod outbox;
mod token;
mod user;
mod user_option;
