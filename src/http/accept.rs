//! Which of the media types of GraphQL responses a client gets.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

/// What a client takes for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The type of a single answer, if it takes one.
    pub(super) media: Option<MediaType>,
    /// Whether it takes events. It must say so: what goes by `*/*` does not expect any.
    pub(super) events: bool,
}

impl Accepted {
    /// What the client of a request with these headers takes.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut new, mut old) = (Liking::default(), Liking::default());
        let (mut events, mut is_silent, mut is_text) = (false, true, true);
        for value in headers.get_all(ACCEPT) {
            let Ok(value) = value.to_str() else {
                is_text = false;
                continue;
            };
            for range in value.split(',').filter_map(Range::parse) {
                is_silent = false;
                new.consider(&range, "graphql-response+json");
                old.consider(&range, "json");
                events |= range.names_events();
            }
        }
        let media = match () {
            () if !is_text => None,
            () if is_silent => Some(MediaType::Json),
            () => MediaType::liked_best(new, old),
        };
        Self { media, events }
    }

    /// Whether it takes nothing that there is.
    pub(super) fn is_nothing(self) -> bool {
        self.media.is_none() && !self.events
    }

    /// The type of a single answer, where there must be one.
    pub(super) fn media(self) -> MediaType {
        self.media.unwrap_or(MediaType::GraphqlResponse)
    }
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
    /// What a client likes best that likes the new and the old type as much as this; `None` if it
    /// accepts neither. Of two that are named and liked as much it gets the new one; a client that
    /// names none, with `*/*` or without the header, gets the old one, which everything
    /// understands.
    fn liked_best(new: Liking, old: Liking) -> Option<Self> {
        match (new.quality, old.quality) {
            (0, 0) => None,
            (0, _) if old.specificity == EXACT => Some(Self::LegacyJson),
            (0, _) => Some(Self::Json),
            _ if new > old || (new == old && new.specificity == EXACT) => {
                Some(Self::GraphqlResponse)
            }
            _ => Some(Self::Json),
        }
    }

    /// A response of this type.
    pub(super) fn response(self, status: StatusCode, json: Body) -> Response<Body> {
        let mut response = Response::new(json);
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
            .insert(VARY, HeaderValue::from_static("accept, origin"));
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
        let (range, quality) = match text.split_once(';') {
            Some((range, parameters)) => (range, quality(parameters)?),
            None => (text, 1_000),
        };
        let (ty, subtype) = range.trim().split_once('/')?;
        Some(Self {
            ty,
            subtype,
            quality,
        })
    }

    fn names_events(&self) -> bool {
        is(self.ty, "text") && is(self.subtype, "event-stream") && self.quality > 0
    }

    /// Whether the range takes in `application/SUBTYPE`.
    fn fits(&self, subtype: &str) -> bool {
        let matches = |range: &str, name: &str| range == "*" || is(range, name);
        matches(self.ty, "application") && matches(self.subtype, subtype)
    }

    fn specificity(&self) -> u8 {
        u8::from(self.ty != "*") + u8::from(self.subtype != "*")
    }
}

/// Whether a text is this name in letters of either case; mostly it is so to the letter.
fn is(text: &str, name: &str) -> bool {
    text == name || text.eq_ignore_ascii_case(name)
}

/// The quality among a range's parameters, in thousandths; `None` if it is no number.
fn quality(parameters: &str) -> Option<u16> {
    let mut parameters = parameters
        .split(';')
        .filter_map(|text| text.split_once('='));
    let given = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let quality = given.map_or(Some(1.0), |(_, value)| value.trim().parse::<f32>().ok())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what fits"
    )]
    Some((quality.clamp(0.0, 1.0) * 1_000.0) as u16)
}

/// How much a client likes a type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    quality: u16,
    /// How exactly it has named it.
    specificity: u8,
}

impl Liking {
    /// Goes by a range that takes in `application/SUBTYPE`, unless there was one more exact.
    fn consider(&mut self, range: &Range<'_>, subtype: &str) {
        let specificity = range.specificity();
        if specificity >= self.specificity && range.fits(subtype) {
            *self = Self {
                quality: range.quality,
                specificity,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        Accepted::of(&headers).media
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
