//! The tables of existing Sentry installations, old and new: used as they are, and left so.

use crate::harness::{Contents, TestDatabase};

/// The forms of the tables of which the fixtures hold samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Before the migrations of July 2025.
    Mid2025,
    /// Of September 2026.
    September2026,
}

impl Form {
    async fn open(self) -> TestDatabase {
        let script = match self {
            Self::Mid2025 => include_str!("../../fixtures/sentry_mid_2025.sql"),
            Self::September2026 => include_str!("../../fixtures/sentry_september_2026.sql"),
        };
        TestDatabase::with(Contents::Script(script)).await
    }

    const fn is_old(self) -> bool {
        matches!(self, Self::Mid2025)
    }
}

/// Makes of each case two tests, `NAME::mid_2025` and `NAME::september_2026`.
macro_rules! existing {
    ($(
        $(#[$attribute:meta])*
        async fn $name:ident($db:ident: &TestDatabase, $form:ident: Form) $body:block
    )*) => {$(
        $(#[$attribute])*
        async fn $name($db: &TestDatabase, $form: Form) $body

        mod $name {
            use super::Form;

            #[tokio::test]
            #[ignore = "needs PostgreSQL"]
            async fn mid_2025() {
                let db = Form::Mid2025.open().await;
                Box::pin(super::$name(&db, Form::Mid2025)).await;
            }

            #[tokio::test]
            #[ignore = "needs PostgreSQL"]
            async fn september_2026() {
                let db = Form::September2026.open().await;
                Box::pin(super::$name(&db, Form::September2026)).await;
            }
        }
    )*};
}

mod index;
mod outbox;
mod read;
mod snapshot;
mod token;
mod write;
