//! Which of the media types of GraphQL responses a client gets.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

/// Whether the client of a request with these headers takes an answer as a stream of events. It
/// must say so: what goes by `*/*` does not expect one.
pub(super) fn accepts_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').filter_map(Range::parse))
        .any(|range| {
            range.ty.eq_ignore_ascii_case("text")
                && range.subtype.eq_ignore_ascii_case("event-stream")
                && range.quality > 0
        })
}

/// The form of a GraphQL response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/graphql-response+json`, whose statuses tell whether anything was executed.
    GraphqlResponse,
    /// `application/json`, with the same statuses.
    Json,
    /// `application/json` for clients that accept nothing else. They are from before, and take
    /// any status but 200 for an answer that is not GraphQL's.
    LegacyJson,
}

impl MediaType {
    /// What the client of a request with these headers likes best; `None` if it accepts neither
    /// type. Of two that are named and liked as much it gets the new one; a client that names
    /// none, with `*/*` or without the header, gets the old one, which everything understands.
    pub(super) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let mut ranges = Vec::new();
        for value in headers.get_all(ACCEPT) {
            ranges.extend(value.to_str().ok()?.split(',').filter_map(Range::parse));
        }
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        // How much the client likes a type, and how exactly it has named it.
        let liking = |subtype: &str| {
            let fitting = ranges.iter().filter(|range| range.fits(subtype));
            fitting
                .max_by_key(|range| range.specificity())
                .map_or((0, 0), |range| (range.quality, range.specificity()))
        };
        let (new, old) = (liking("graphql-response+json"), liking("json"));
        match (new, old) {
            ((0, _), (0, _)) => None,
            ((0, _), (_, EXACT)) => Some(Self::LegacyJson),
            ((0, _), _) => Some(Self::Json),
            _ if new > old || (new == old && new.1 == EXACT) => Some(Self::GraphqlResponse),
            _ => Some(Self::Json),
        }
    }

    /// A response of this type.
    pub(super) fn response(self, status: StatusCode, json: Vec<u8>) -> Response<Body> {
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        let content_type = match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json | Self::LegacyJson => "application/json; charset=utf-8",
        };
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("accept"));
        response
    }
}

/// The specificity of a range without a `*`.
const EXACT: u8 = 2;

/// A range of an `Accept` header, such as `application/*;q=0.5`.
#[derive(Debug)]
struct Range<'a> {
    ty: &'a str,
    subtype: &'a str,
    /// In thousandths, as the header gives it.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (ty, subtype) = parts.next()?.split_once('/')?;
        let quality = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(Some(1.0), |(_, value)| value.trim().parse::<f32>().ok())?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what fits"
        )]
        let quality = (quality.clamp(0.0, 1.0) * 1_000.0) as u16;
        Some(Self {
            ty,
            subtype,
            quality,
        })
    }

    /// Whether the range takes in `application/SUBTYPE`.
    fn fits(&self, subtype: &str) -> bool {
        let matches = |range: &str, name: &str| range == "*" || range.eq_ignore_ascii_case(name);
        matches(self.ty, "application") && matches(self.subtype, subtype)
    }

    fn specificity(&self) -> u8 {
        u8::from(self.ty != "*") + u8::from(self.subtype != "*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        MediaType::negotiate(&headers)
    }

    #[test]
    fn the_type_the_client_likes_best_is_taken() {
        use MediaType::{GraphqlResponse, Json, LegacyJson};
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("text/html, */*;q=0.1", Some(Json)),
            ("application/json", Some(LegacyJson)),
            ("Application/JSON; charset=utf-8", Some(LegacyJson)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            (
                "application/json, application/graphql-response+json",
                Some(GraphqlResponse),
            ),
            (
                "application/json, application/graphql-response+json;q=0.9",
                Some(Json),
            ),
            (
                "application/graphql-response+json, */*",
                Some(GraphqlResponse),
            ),
            ("application/json, */*", Some(Json)),
            ("application/graphql-response+json;q=0, */*", Some(Json)),
            ("text/html", None),
            ("*/*;q=0", None),
        ] {
            assert_eq!(negotiate(accept), expected, "{accept}");
        }
    }
}
