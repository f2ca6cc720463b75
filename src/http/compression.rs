//! Large answers travel small to clients that want them so.

use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::{HeaderValue, Request, Response};
use tower::{Layer as _, Service as _, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// Answers bodies smaller than this as they are; compressing them costs more than it saves.
const COMPRESS_ABOVE_BYTES: u64 = 1_024;

/// A compressor would hold events back until it has enough of them.
fn worthwhile() -> impl Predicate {
    SizeAbove::new(COMPRESS_ABOVE_BYTES).and(NotForContentType::SSE)
}

/// Whether there is enough to a response that its client may want it compressed.
pub(super) fn is_worthwhile(response: &Response<Body>) -> bool {
    worthwhile().should_compress(response)
}

/// Compresses a response as a client likes it best that sends this `Accept-Encoding`.
pub(super) async fn compress(encodings: HeaderValue, response: Response<Body>) -> Response<Body> {
    let mut request = Request::new(());
    request.headers_mut().insert(ACCEPT_ENCODING, encodings);
    let mut response = Some(response);
    let answered = service_fn(|_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let layer = CompressionLayer::new().compress_when(worthwhile());
    let Ok(response) = layer.layer(answered).call(request).await;
    response.map(Body::new)
}
