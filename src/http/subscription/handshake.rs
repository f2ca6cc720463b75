//! From a request to `/graphql` to a WebSocket.

use axum::body::Body;
use axum::extract::{FromRequestParts, WebSocketUpgrade};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use tokio::sync::oneshot;

use super::message::PROTOCOL;
use super::session;
use crate::domain::Code;
use crate::http::HttpState;
use crate::http::failure::Failure;
use crate::telemetry::carry;

/// Whether a request wants to become a WebSocket.
pub(in crate::http) fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(UPGRADE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case("websocket"))
}

/// Makes a WebSocket of a request.
pub(in crate::http) async fn upgrade(
    state: HttpState,
    parts: &mut Parts,
) -> Result<Response<Body>, Failure> {
    require_known_page(&parts.headers, &parts.uri, &state.connections.origins)?;
    let wanted = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let is_offered = wanted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == PROTOCOL);
    if !is_offered {
        return Err(Failure::bad_request(format!(
            "the WebSocket must speak the subprotocol `{PROTOCOL}`, and say so"
        )));
    }
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    let place = state
        .connections
        .enter("websocket")
        .ok_or_else(Failure::overloaded)?;
    let bound = state.limits.max_body_bytes;
    // What is no text is no token either.
    let header = parts.headers.get(AUTHORIZATION);
    let header = header.map(|value| value.to_str().unwrap_or_default().to_owned());
    // The session is a part of this request, and begins in a task that is not.
    let (hand_over, socket) = oneshot::channel();
    let session = carry(async move {
        if let Ok(socket) = socket.await {
            session::run(state, place, header, socket).await;
        }
    });
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(bound)
        .max_frame_size(bound)
        .on_upgrade(move |socket| {
            let _ = hand_over.send(socket);
            session
        }))
}

/// Refuses pages of other sites. A browser lets any page open a WebSocket, says whose page it is,
/// and leaves the rest to the server.
fn require_known_page(headers: &HeaderMap, uri: &Uri, known: &[String]) -> Result<(), Failure> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = uri.authority().map(Authority::as_str);
    let host = host.or_else(|| headers.get(HOST)?.to_str().ok());
    let page = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    let is_own = page.is_some() && page == host;
    if is_own || known.iter().any(|known| known == origin) {
        return Ok(());
    }
    tracing::info!("a WebSocket of another site's page was refused");
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        Code::CrossSiteRequest,
        "the request comes from a page of another site; its origin must be allowed with \
         `--cors-origin`",
    ))
}
