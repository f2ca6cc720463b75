//! Large answers travel small, if the client wants them so.

use std::io::Read as _;

use serde_json::json;

use super::Open;
use crate::harness::Answer;

/// An answer of some kilobytes.
const LARGE: &str = "{ __schema { types { name fields { name description } } } }";

async fn ask(open: &Open, query: &str, encodings: &str) -> Answer {
    let request = open.post().json(&json!({ "query": query }));
    Answer::to(request.header("accept-encoding", encodings)).await
}

#[tokio::test]
async fn a_large_answer_is_compressed_and_says_the_same() {
    let open = Open::start().await;
    let plain = open.query(LARGE).await;
    assert_eq!(plain.header("content-encoding"), "");
    assert!(plain.body.len() > 4_096);

    let brotli = ask(&open, LARGE, "br").await;
    assert_eq!(brotli.header("content-encoding"), "br");
    assert!(brotli.header("vary").contains("accept-encoding"));
    assert!(brotli.body.len() < plain.body.len() / 2);
    let mut inflated = Vec::new();
    brotli_decompressor::Decompressor::new(&*brotli.body, 4_096)
        .read_to_end(&mut inflated)
        .unwrap();
    assert_eq!(inflated, plain.body);

    let gzip = ask(&open, LARGE, "gzip").await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_eq!(gzip.body[..2], [0x1f, 0x8b]);
    assert!(gzip.body.len() < plain.body.len() / 2);
}

#[tokio::test]
async fn a_small_answer_is_not_compressed() {
    let open = Open::start().await;
    let answer = ask(&open, "{ __typename }", "br, gzip").await;
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.json(), json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn an_answer_is_compressed_only_in_ways_the_client_knows() {
    let open = Open::start().await;
    for encodings in ["identity", "zstd, compress", "br;q=0, gzip;q=0"] {
        let answer = ask(&open, LARGE, encodings).await;
        assert_eq!(answer.status, 200, "{encodings}");
        assert_eq!(answer.header("content-encoding"), "", "{encodings}");
    }
}

#[tokio::test]
async fn a_client_that_refuses_every_encoding_is_told_that_there_is_none_left() {
    let open = Open::start().await;
    let answer = ask(&open, LARGE, "identity;q=0, br;q=0, gzip;q=0").await;
    assert_eq!(answer.status, 406);
}
