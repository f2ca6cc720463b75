//! What a user of the same crates would write by their manuals: async-graphql's stock handler,
//! SeaORM's models whole, and async-graphql's data loader. It answers the loads W1 to W4 as the
//! gateway does, and neither asks who somebody is nor bounds what they ask for.
//!
//! Its one argument is the URL of a PostgreSQL that the gateway has filled.

mod loader;
mod schema;

use std::io::Write as _;

use anyhow::Context as _;
use async_graphql::dataloader::DataLoader;
use async_graphql::{EmptyMutation, EmptySubscription, Schema};
use async_graphql_axum::GraphQL;
use axum::Router;
use axum::routing::post_service;
use sea_orm::Database;
use tokio::net::TcpListener;

use loader::Parts;
use schema::Query;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("the URL of a database?")?;
    let database = Database::connect(url).await?;
    let parts = DataLoader::new(Parts(database.clone()), tokio::spawn);
    let schema = Schema::build(Query, EmptyMutation, EmptySubscription)
        .data(database)
        .data(parts)
        .finish();
    let router = Router::new().route("/graphql", post_service(GraphQL::new(schema)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "listening http://{address}")?;
    axum::serve(listener, router).await?;
    Ok(())
}
