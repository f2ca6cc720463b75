//! Pages of other sites: what they may ask, and what they may read.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{CREATE, Open};
use crate::harness::{Answer, Engine, Scratch, TestDatabase};

const FRIEND: &str = "https://console.example.com";
const STRANGER: &str = "https://evil.example";

async fn with_a_friend() -> Open {
    Open::with(|config| config.server.cors_origins = vec![FRIEND.to_owned()]).await
}

fn create(open: &Open) -> RequestBuilder {
    open.post().json(&json!({ "query": CREATE }))
}

#[tokio::test]
async fn a_post_from_another_site_is_refused_and_not_executed() {
    let open = with_a_friend().await;
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", STRANGER)],
        &[("origin", "null")],
        &[("origin", "https://console.example.com:8443")],
        &[("origin", "http://console.example.com")],
        &[("sec-fetch-site", "cross-site"), ("origin", STRANGER)],
    ] {
        let request = headers
            .iter()
            .fold(create(&open), |request, (name, value)| {
                request.header(*name, *value)
            });
        let answer = Answer::to(request).await;
        answer.refuses(403, "CROSS_SITE_REQUEST");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn a_post_from_a_page_of_the_gateway_or_from_no_page_is_executed() {
    let open = with_a_friend().await;
    let origin = open.gateway.origin.clone();
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("origin", origin.as_str()),
        ("user-agent", "curl/8"),
    ] {
        let answer = Answer::to(create(&open).header(name, value)).await;
        assert_eq!(answer.status, 200, "{name}: {value}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    assert_eq!(open.others().await, 1);
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let open = with_a_friend().await;
    let request = create(&open)
        .header("origin", FRIEND)
        .header("sec-fetch-site", "cross-site");
    let answer = Answer::to(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), FRIEND);
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert_eq!(
        answer.header("access-control-expose-headers"),
        "x-request-id"
    );
    let vary = answer.header("vary");
    assert!(vary.contains("origin") && vary.contains("accept"), "{vary}");
    assert_eq!(open.others().await, 1);

    // A refusal must be readable, or the page cannot say what is wrong.
    let request = open
        .gateway
        .graphql()
        .header("origin", FRIEND)
        .json(&json!({ "query": CREATE }));
    let answer = Answer::to(request).await;
    answer.refuses(401, "UNAUTHENTICATED");
    assert_eq!(answer.header("access-control-allow-origin"), FRIEND);
}

fn preflight(open: &Open, origin: &str) -> RequestBuilder {
    let url = format!("{}/graphql", open.gateway.origin);
    open.gateway
        .client
        .request(Method::OPTIONS, url)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
}

#[tokio::test]
async fn a_preflight_tells_an_allowed_origin_what_it_may_send() {
    let open = with_a_friend().await;
    let answer = Answer::to(preflight(&open, FRIEND)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), FRIEND);
    assert_eq!(answer.header("access-control-allow-methods"), "GET,POST");
    let headers = answer.header("access-control-allow-headers");
    for name in ["authorization", "content-type", "accept"] {
        assert!(headers.contains(name), "{headers}");
    }
    assert_eq!(answer.header("access-control-max-age"), "600");
}

#[tokio::test]
async fn a_preflight_allows_a_stranger_nothing() {
    let closed = Open::start().await;
    let friendly = with_a_friend().await;
    for (open, origin) in [
        (&closed, FRIEND),
        (&closed, STRANGER),
        (&friendly, STRANGER),
    ] {
        let answer = Answer::to(preflight(open, origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn a_stranger_may_ask_by_get_as_any_link_may_and_not_read_the_answer() {
    let open = with_a_friend().await;
    let request = open
        .get(&[("query", "{ __typename }")])
        .header("origin", STRANGER);
    let answer = Answer::to(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let request = open.get(&[("query", CREATE)]).header("origin", STRANGER);
    Answer::to(request).await.refuses(405, "METHOD_NOT_ALLOWED");
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn an_origin_that_no_browser_sends_is_an_error_of_the_configuration() {
    let database = TestDatabase::open(Engine::Sqlite).await;
    let scratch = Scratch::new();
    for origin in [
        "*",
        "console.example.com",
        "https://console.example.com/",
        "https://console.example.com/path",
        "ftp://console.example.com",
        "null",
    ] {
        let said = scratch.must_fail(&[
            "serve",
            "--database-url",
            database.url(),
            "--cors-origin",
            origin,
            "--listen",
            "127.0.0.1:0",
        ]);
        assert!(said.contains("cors-origin"), "{origin}: {said}");
        assert!(said.contains(origin), "{origin}: {said}");
        assert!(!said.contains("panicked"), "{origin}: {said}");
    }
}
