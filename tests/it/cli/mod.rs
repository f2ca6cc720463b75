//! The binary as its users run it: what it prints, how it ends, and what outlives it.

mod check;
mod configuration;
mod crash;
mod demo;
mod full_disk;
mod installation;
mod instructions;
mod internal;
mod migrate;
mod race;
mod seed;
mod serve;
mod token;
mod trusted_documents;

use serde_json::{Value, json};
use user_gateway::database::Connection;

use crate::harness::Scratch;

/// The address of a SQLite file in the folder where commands run.
const FILE: &str = "sqlite://user-gateway.db?mode=rwc";

/// A folder with a SQLite database of twenty made-up users, of whom the first is a superuser, and
/// a token of theirs.
fn seeded() -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20"]);
    let token = scratch.token(FILE, &["--user", "1"]);
    (scratch, token)
}

/// The rows of a query past the gateway.
async fn rows(connection: &Connection, sql: &str) -> Vec<Value> {
    use sea_orm::{FromQueryResult, JsonValue, Statement};
    let database = connection.writer();
    let statement = Statement::from_string(database.get_database_backend(), sql);
    JsonValue::find_by_statement(statement)
        .all(database)
        .await
        .unwrap()
}

/// The variables that ask for the user of an address.
fn of(email: &str) -> Value {
    json!({ "input": { "email": email } })
}

const GET_OR_CREATE: &str = "mutation GetOrCreate($input: GetOrCreateUserByEmailInput!) {
    getOrCreateUserByEmail(input: $input) { created user { id email } errors { code message } }
}";

const SET_OPTION: &str = "mutation SetOption($input: SetUserOptionInput!) {
    setUserOption(input: $input) { changed option { key value } errors { code message } }
}";
