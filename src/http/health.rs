//! Whether the process lives, and whether it can do its work. Neither says anything of the data.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::HttpState;
use crate::domain::Code;
use crate::graphql::log;

/// A database that takes longer than this to say anything is not there for a request either.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process lives.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The process can do its work.
pub(super) async fn readyz(State(state): State<HttpState>) -> (StatusCode, Json<Value>) {
    let code = match tokio::time::timeout(PATIENCE, (state.readiness)()).await {
        Ok(Ok(())) => return (StatusCode::OK, Json(json!({ "status": "ok" }))),
        Ok(Err(error)) => {
            log(&error);
            error.code()
        }
        Err(_) => {
            tracing::warn!("the database does not answer");
            Code::Timeout
        }
    };
    let body = json!({ "status": "unavailable", "code": code.as_str() });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}
