//! Look-ups reach a server in every way in which the pool reaches it.

use std::sync::Arc;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use user_gateway::database::{Connection, DatabaseOptions};
use user_gateway::service::UserService;

use super::{assert_answered, begin, block_by, look_up, open_patiently};
use crate::harness::{PATIENCE, PostgresServer, eventually};

/// Users of the server, and how they have to prove who they are.
const METHODS: [(&str, &str); 4] = [
    ("by_scram", "scram-sha-256"),
    ("by_md5", "md5"),
    ("by_word", "password"),
    ("by_name", "trust"),
];
/// A password, as it is and as it stands in a URL.
const PASSWORD: (&str, &str) = ("p@ss/%", "p%40ss%2F%25");

/// How many wait for a lock.
#[derive(Debug, PartialEq, FromQueryResult)]
struct Waiting {
    secured: i64,
    plain: i64,
}

async fn waiting(server: &Connection, user: &str) -> Waiting {
    let sql = format!(
        "SELECT COUNT(*) FILTER (WHERE ssl) AS secured, COUNT(*) FILTER (WHERE NOT ssl) AS plain \
         FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \
         WHERE wait_event_type = 'Lock' AND usename = '{user}'"
    );
    let statement = Statement::from_string(server.writer().get_database_backend(), sql);
    let row = server.writer().query_one_raw(statement).await.unwrap();
    Waiting::from_query_result(&row.unwrap(), "").unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn whoever_has_to_prove_who_they_are_does_so_in_secret_or_not() {
    let server = PostgresServer::start_guarded(&METHODS);
    let options = DatabaseOptions {
        url: server.url(),
        max_connections: 4,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        lock_timeout: PATIENCE,
    };
    let owner = Connection::open(&options).await.unwrap();
    Migrator::up(owner.writer(), None).await.unwrap();
    let run = async |sql: String| owner.writer().execute_unprepared(&sql).await.unwrap();
    for (user, method) in METHODS {
        let form = if method == "md5" {
            "md5"
        } else {
            "scram-sha-256"
        };
        // Together, for they might not go by the same connection.
        run(format!(
            "SET password_encryption = '{form}'; CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{}'",
            PASSWORD.0
        ))
        .await;
    }

    let mut ids = Vec::new();
    let certificate = server.certificate();
    let certificate = certificate.display();
    for (user, _) in METHODS {
        for (mode, is_secured) in [
            ("disable".to_owned(), false),
            ("prefer".to_owned(), true),
            ("require".to_owned(), true),
            (format!("verify-full&sslrootcert={certificate}"), true),
        ] {
            let url = server.url_of(user, PASSWORD.1);
            let database = open_patiently(&format!("{url}?sslmode={mode}")).await;
            let users: Arc<dyn UserService> = database.services().users;
            if ids.is_empty() {
                for number in 0..20 {
                    let name = format!("user{number}");
                    let user = users.create_by_username_and_email(&name, "").await;
                    ids.push(user.unwrap().id);
                }
            }
            assert_answered(look_up(&users, &ids[..1]), &ids[..1]).await;

            let block = block_by(&owner, "auth_user").await;
            let before = database.statement_count();
            let first = look_up(&users, &ids[..1]);
            let expected = Waiting {
                secured: i64::from(is_secured),
                plain: i64::from(!is_secured),
            };
            eventually("a look-up waits", async || {
                waiting(&owner, user).await == expected
            })
            .await;
            let rest = begin(&users, &ids[1..]).await;
            block.rollback().await.unwrap();
            assert_answered(first, &ids[..1]).await;
            assert_answered(rest, &ids[1..]).await;
            // Only those that do not go through the pool are shared.
            let sent = database.statement_count() - before;
            assert!(
                sent <= 4,
                "{user}, {mode}: {sent} statements for 20 look-ups"
            );
            database.close().await;
        }
    }
}
