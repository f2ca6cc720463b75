//! GraphiQL, bundled in the binary: it works offline and under a strict policy.
//!
//! The files of `dist` are built from `app` and compressed; see the README there.

use std::io::Read as _;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use rust_embed::RustEmbed;

/// What the page may do: run its own scripts and speak to its own server, and nothing else.
/// Its editor needs inline styles; inline scripts it does not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "src/http/graphiql/dist"]
struct Files;

/// The page.
pub(super) async fn index(headers: HeaderMap) -> Response<Body> {
    serve("index.html", &headers)
}

/// A file of the page.
pub(super) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response<Body> {
    serve(&path, &headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Response<Body> {
    let Some(file) = Files::get(&format!("{path}.br")) else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let (body, encoding) = if accepts_brotli(headers) {
        (Bytes::from(file.data.into_owned()), Some("br"))
    } else {
        let mut plain = Vec::new();
        let mut decoder = brotli_decompressor::Decompressor::new(&*file.data, 64 * 1024);
        if let Err(error) = decoder.read_to_end(&mut plain) {
            tracing::error!(%error, "an embedded file cannot be inflated");
        }
        (Bytes::from(plain), None)
    };
    // The names of assets change with their contents; the page's does not.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = Response::new(Body::from(body));
    let mut set = |name, value| {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value))
    };
    set(CONTENT_TYPE, content_type(path));
    set(CACHE_CONTROL, cache);
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(REFERRER_POLICY, "no-referrer");
    set(VARY, "accept-encoding");
    if let Some(encoding) = encoding {
        set(CONTENT_ENCODING, encoding);
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("ttf") => "font/ttf",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn accepts_brotli(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let named = parts
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case("br"));
                named
                    && !parts.any(|parameter| {
                        matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
                    })
            })
        })
}
