//! Whether the process lives, and whether it can do its work. Neither says anything of the data.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::HttpState;
use crate::graphql::log;

/// A database that takes longer than this to say anything is not there for a request either.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process lives.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The process can do its work.
pub(super) async fn readyz(State(state): State<HttpState>) -> (StatusCode, Json<Value>) {
    let ready = match tokio::time::timeout(PATIENCE, (state.readiness)()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            log(&error);
            false
        }
        Err(_) => {
            tracing::warn!("the database does not answer");
            false
        }
    };
    if ready {
        (StatusCode::OK, Json(json!({ "status": "ok" })))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "unavailable" })),
        )
    }
}
