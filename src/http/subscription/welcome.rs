//! The first message of a client, by which it says who it is.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use super::close::Close;
use super::line::{End, Line};
use super::message::ClientMessage;
use crate::domain::Error;
use crate::graphql::log;
use crate::http::HttpState;
use crate::http::graphql::authorize;

/// A client that has sent `connection_init`.
pub(super) struct Welcomed {
    /// Its credentials, as the value of an `Authorization` header.
    pub(super) credentials: Option<String>,
    /// Whether it has credentials; it need not where anonymous callers are allowed.
    pub(super) is_known: bool,
}

/// Waits for `connection_init`.
pub(super) async fn welcome(
    state: &HttpState,
    header: Option<String>,
    line: &mut Line<'_>,
) -> Result<Welcomed, End> {
    let deadline = Instant::now() + state.connections.config.init_timeout;
    let said = timeout_at(deadline, async {
        loop {
            match line.receive().await? {
                Some(ClientMessage::Init(payload)) => return Ok(payload),
                Some(ClientMessage::Subscribe { .. }) => return Err(Some(Close::too_early())),
                Some(ClientMessage::Ping(payload)) => line.pong(payload).await?,
                Some(ClientMessage::Pong | ClientMessage::Complete { .. }) | None => {}
            }
        }
    });
    let payload = said.await.unwrap_or_else(|_| Err(Some(Close::no_init())))?;
    let credentials = credentials(&payload).map_err(Some)?.or(header);
    let checked = authorize(state, credentials.as_deref());
    let checked = timeout(state.limits.timeout, checked).await;
    match checked {
        Ok(Ok(services)) => Ok(Welcomed {
            is_known: services.is_some(),
            credentials,
        }),
        Ok(Err(error)) => {
            log(&error);
            Err(Some(Close::unwelcome(&error)))
        }
        Err(elapsed) => {
            let error = Error::Timeout(Arc::new(elapsed));
            Err(Some(Close::unwelcome(&error)))
        }
    }
}

/// The credentials that a client has sent with its first message, if it has.
fn credentials(payload: &Map<String, Value>) -> Result<Option<String>, Close> {
    let given = |name: &str| payload.get(name).filter(|value| !value.is_null());
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| Close::invalid("the credentials of `connection_init` must be a text"))
    };
    if let Some(value) = given("Authorization").or_else(|| given("authorization")) {
        return text(value).map(Some);
    }
    given("token")
        .map(|value| text(value).map(|token| format!("Bearer {token}")))
        .transpose()
}
