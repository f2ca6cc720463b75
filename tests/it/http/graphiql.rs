//! The files of GraphiQL as browsers get them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Open;
use crate::harness::Answer;

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/graphiql/dist")
}

/// The names of all files as they are asked for, with `/`.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["", "assets/"] {
        for entry in fs::read_dir(dist().join(folder)).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if let Some(name) = name.strip_suffix(".br") {
                names.push(format!("{folder}{name}"));
            }
        }
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    brotli_decompressor::Decompressor::new(bytes, 4_096)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

#[tokio::test]
async fn every_way_leads_to_the_page() {
    let open = Open::start().await;
    for path in ["/", "/graphiql", "/graphiql/", "/graphiql/index.html"] {
        let response = open.gateway.get(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.url().path().starts_with("/graphiql/"), "{path}");
        let page = response.text().await.unwrap();
        assert!(page.contains("<title>user-gateway</title>"), "{page}");
    }
}

#[tokio::test]
async fn every_file_is_the_same_compressed_and_plain() {
    let open = Open::start().await;
    for name in names() {
        let path = format!("/graphiql/{name}");
        let embedded = fs::read(dist().join(format!("{name}.br"))).unwrap();

        let request = open.gateway.get(&path);
        let compressed = Answer::to(request.header("accept-encoding", "gzip, deflate, br")).await;
        assert_eq!(compressed.status, 200, "{name}");
        assert_eq!(compressed.header("content-encoding"), "br", "{name}");
        assert_eq!(compressed.body, embedded, "{name}");

        let plain = Answer::to(open.gateway.get(&path)).await;
        assert_eq!(plain.status, 200, "{name}");
        assert_eq!(plain.header("content-encoding"), "", "{name}");
        assert_eq!(plain.body, inflated(&embedded), "{name}");

        for answer in [&compressed, &plain] {
            assert!(answer.header("vary").contains("accept-encoding"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_client_that_refuses_brotli_does_not_get_it() {
    let open = Open::start().await;
    for encodings in ["identity", "br;q=0", "br;q=0.000, identity", "brotli"] {
        let request = open.gateway.get("/graphiql/");
        let answer = Answer::to(request.header("accept-encoding", encodings)).await;
        assert_eq!(answer.header("content-encoding"), "", "{encodings}");
        assert!(answer.text().contains("<html"), "{encodings}");
    }
}

#[tokio::test]
async fn every_file_says_what_it_is_and_how_long_it_keeps() {
    let open = Open::start().await;
    for name in names() {
        let answer = Answer::to(open.gateway.get(&format!("/graphiql/{name}"))).await;
        let extension = name.rsplit_once('.').unwrap().1;
        let expected = match extension {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "ttf" => "font/ttf",
            "txt" => "text/plain; charset=utf-8",
            _ => panic!("{name} has no type"),
        };
        assert_eq!(answer.header("content-type"), expected, "{name}");
        let keeps = if name.starts_with("assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        assert_eq!(answer.header("cache-control"), keeps, "{name}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn the_page_may_run_its_own_scripts_and_speak_to_its_own_server() {
    let open = Open::start().await;
    let answer = Answer::to(open.gateway.get("/graphiql/")).await;
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    // The page works under any prefix, and asks nobody else for anything.
    let page = answer.text();
    for quoted in page.split(['"', '\'']) {
        assert!(!quoted.starts_with("http") && !quoted.starts_with("//"));
        if let Some(name) = quoted.strip_prefix("./") {
            let request = open.gateway.get(&format!("/graphiql/{name}"));
            assert_eq!(Answer::to(request).await.status, 200, "{name}");
        }
    }
    assert!(page.contains("\"./assets/"), "{page}");
}

#[tokio::test]
async fn what_is_no_file_of_the_page_is_not_found() {
    let open = Open::start().await;
    for path in [
        "/graphiql/nothing",
        "/graphiql/assets/",
        "/graphiql/assets/nothing.js",
        "/graphiql/index.html.br",
        "/graphiql/..%2f..%2fmod.rs",
        "/graphiql/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fCargo.toml",
        "/graphiql//etc/passwd",
    ] {
        let answer = Answer::to(open.gateway.get(path)).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_page_can_be_switched_off() {
    let open = Open::with(|config| config.graphql.graphiql = false).await;
    for path in ["/", "/graphiql", "/graphiql/", "/graphiql/index.html"] {
        let answer = Answer::to(open.gateway.get(path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text().contains("<html"), "{path}");
    }
    assert_eq!(open.query("{ __typename }").await.status, 200);
}
