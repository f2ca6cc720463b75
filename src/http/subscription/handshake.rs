//! From a request to `/graphql` to a WebSocket.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::message::PROTOCOL;
use super::session;
use super::stream::Metered;
use crate::admission::ConnectionTicket;
use crate::domain::Code;
use crate::http::HttpState;
use crate::http::failure::Failure;
use crate::telemetry::carry;

/// The size of the read buffer of a WebSocket, in bytes.
const READ_AT_ONCE: usize = 4 * 1024;

/// Whether a request wants to become a WebSocket.
pub(in crate::http) fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(UPGRADE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case("websocket"))
}

/// Makes a WebSocket of a request.
pub(in crate::http) fn upgrade(
    state: &HttpState,
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
    let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        return Err(Failure::bad_request(
            "this connection cannot become a WebSocket",
        ));
    };
    let request = Request::from_parts(parts.clone(), ());
    let mut response = create_response_with_body(&request, Body::empty)
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    let protocol = HeaderValue::from_static(PROTOCOL);
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    let connection = parts.extensions.remove::<ConnectionTicket>();
    let place = state.connections.enter_pending(connection);
    let place = place.ok_or_else(Failure::overloaded)?;
    let bound = Some(state.limits.max_body_bytes);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_AT_ONCE)
        .write_buffer_size(0)
        .max_message_size(bound)
        .max_frame_size(bound);
    // What is no text is no token either.
    let header = parts.headers.get(AUTHORIZATION);
    let header = header.map(|value| value.to_str().unwrap_or_default().to_owned());
    let state = state.clone();
    // The session belongs to this request and runs in a task outside of it.
    tokio::spawn(carry(async move {
        // A client that does not receive the answer can be evicted like others.
        let upgraded = tokio::select! {
            upgraded = upgrade => upgraded,
            _ = place.evicted() => return,
            () = place.closing() => return,
        };
        match upgraded {
            Ok(upgraded) => {
                let init_bytes = state.connections.config.init_bytes;
                let bodies = state.limits.bodies.clone();
                let stream = Metered::new(TokioIo::new(upgraded), init_bytes, bodies);
                let open = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config));
                session::run(state, place, header, open.await).await;
            }
            Err(error) => tracing::debug!(%error, "the upgrade to a WebSocket failed"),
        }
    }));
    Ok(response)
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
