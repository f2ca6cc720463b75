//! What the contracts of the services promise, held against every engine.

/// One test of a case, over what `$open` opens.
macro_rules! case {
    ($name:ident::$engine:ident over $open:expr $(, $needs:literal)?) => {
        #[tokio::test]
        $(#[ignore = $needs])?
        async fn $engine() {
            let db = $open.await;
            Box::pin(super::$name(&db)).await;
        }
    };
}

/// Makes of each case one test for each way in which services are answered, such as
/// `NAME::sqlite`, `NAME::postgres`, `NAME::remembered`, `NAME::remote` and `NAME::cached`.
macro_rules! contract {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($db:ident: &TestDatabase) $body:block
    )*) => {$(
        $(#[$attribute])*
        async fn $name($db: &TestDatabase) $body

        mod $name {
            use crate::harness::{Engine, TestDatabase};

            case!($name::sqlite over TestDatabase::open(Engine::Sqlite));
            case!($name::postgres over TestDatabase::open(Engine::Postgres), "needs PostgreSQL");
            case!($name::remembered over TestDatabase::remembered());
            case!($name::remote over TestDatabase::remote());
            case!($name::cached over TestDatabase::cached());
        }
    )*};
}

/// As `contract`, for cases that are about the database itself, which stands behind no service.
macro_rules! database_contract {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($db:ident: &TestDatabase) $body:block
    )*) => {$(
        $(#[$attribute])*
        async fn $name($db: &TestDatabase) $body

        mod $name {
            use crate::harness::{Engine, TestDatabase};

            case!($name::sqlite over TestDatabase::open(Engine::Sqlite));
            case!($name::postgres over TestDatabase::open(Engine::Postgres), "needs PostgreSQL");
        }
    )*};
}

mod cache_version;
mod concurrency;
mod giving_up;
mod listen;
mod organization;
mod outbox;
mod outbox_store;
mod relay;
mod token;
mod user;
mod user_option;
