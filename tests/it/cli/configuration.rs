//! Flags, variables and the file: where settings come from, and what is said of wrong ones.

use std::collections::BTreeSet;

use serde_json::json;

use super::{FILE, seeded};
use crate::harness::{Answer, Scratch};

/// The options that a command's help names.
fn options_of(help: &str) -> BTreeSet<String> {
    help.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.trim_end_matches(',').to_owned())
        .collect()
}

#[test]
fn every_command_has_a_help_that_names_its_options() {
    let scratch = Scratch::new();
    let help = scratch.must(&["--help"]);
    let commands = [
        "serve", "demo", "migrate", "schema", "token", "seed", "check",
    ];
    for command in commands {
        assert!(help.contains(&format!("  {command}")), "{help}");
    }
    let server = [
        "config",
        "listen",
        "database-url",
        "database-connections",
        "service-token",
        "graphiql",
        "introspection",
        "anonymous-introspection",
        "draft-statuses",
        "plans",
        "persisted-queries",
        "trusted-documents",
        "cors-origin",
        "internal-listen",
        "workers",
        "request-timeout",
        "response-timeout",
        "header-timeout",
        "shutdown-timeout",
        "max-connections",
        "max-connections-per-address",
        "max-connection-age",
        "max-http2-streams",
        "max-head-bytes",
        "max-concurrent-requests",
        "max-body-bytes",
        "max-depth",
        "max-cost",
        "max-response-bytes",
        "max-aliases",
        "max-directives",
        "max-document-bytes",
        "max-tokens",
        "max-selections",
        "max-operations",
        "max-mutation-fields",
        "max-errors",
        "max-batch",
        "max-list-items",
        "max-page-size",
        "max-options-per-user",
        "max-option-bytes-per-user",
        "max-usernames-per-minute",
        "log",
        "log-format",
    ];
    let database = ["database-url", "config", "log"];
    for (arguments, named) in [
        (&["serve"][..], &server[..]),
        (&["demo"], &["listen", "graphiql", "log"]),
        (&["migrate"], &["log"]),
        (&["migrate", "up"], &database),
        (&["migrate", "down"], &["steps", "database-url"]),
        (&["migrate", "status"], &database),
        (&["schema"], &["log"]),
        (&["token"], &["log"]),
        (
            &["token", "create"],
            &["user", "service", "scope", "expires", "database-url"],
        ),
        (&["token", "list"], &database),
        (&["token", "revoke"], &database),
        (&["seed"], &["users", "database-url"]),
        (&["check"], &database),
    ] {
        let long = scratch.must(&[arguments, &["--help"]].concat());
        let short = scratch.must(&[arguments, &["-h"]].concat());
        for help in [&long, &short] {
            let options = options_of(help);
            for name in named {
                assert!(options.contains(*name), "{arguments:?}: --{name} in {help}");
            }
        }
    }
    assert_eq!(scratch.files(), [""; 0]);
}

#[test]
fn every_option_of_a_server_is_a_variable_too() {
    let help = Scratch::new().must(&["serve", "--help"]);
    for option in options_of(&help) {
        if ["help", "version"].contains(&&*option) {
            continue;
        }
        let variable = match &*option {
            "database-url" => "DATABASE_URL".to_owned(),
            "redis-url" => "REDIS_URL".to_owned(),
            _ => format!("USER_GATEWAY_{}", option.to_uppercase().replace('-', "_")),
        };
        assert!(
            help.contains(&format!("[env: {variable}")),
            "{variable}: {help}"
        );
    }
}

#[test]
fn what_a_server_cannot_be_told_is_named() {
    let scratch = Scratch::new();
    for (arguments, expected) in [
        (&["--lisen", "127.0.0.1:0"][..], "--listen"),
        (&["--listen", "localhost"], "--listen"),
        (&["--listen", "127.0.0.1:99999"], "--listen"),
        (&["--graphiql", "maybe"], "off"),
        (&["--max-depth", "deep"], "--max-depth"),
        (&["--max-depth=-1"], "max-depth"),
        (&["--max-depth", "0"], "max-depth"),
        (&["--max-body-bytes", "0"], "max-body-bytes"),
        (
            &["--max-unfinished-body-bytes", "1048575"],
            "max-unfinished-body-bytes must be at least 1048576",
        ),
        (
            &["--max-body-bytes", "40000000"],
            "max-unfinished-body-bytes must be at least 40000000",
        ),
        (
            &[
                "--rpc-secret",
                "secret",
                "--max-unfinished-body-bytes",
                "1048576",
            ],
            "max-unfinished-body-bytes must be at least 5242880",
        ),
        (&["--request-timeout", "0s"], "request-timeout"),
        (&["--header-timeout", "0s"], "header-timeout"),
        (
            &["--max-concurrent-requests", "0"],
            "max-concurrent-requests",
        ),
        (&["--workers", "0"], "workers"),
        (&["--max-connections", "0"], "max-connections"),
        (&["--max-http2-streams", "0"], "max-http2-streams"),
        (&["--max-head-bytes", "8191"], "max-head-bytes"),
        (&["--response-timeout", "0s"], "response-timeout"),
        (&["--internal-listen", "127.0.0.1:8000"], "internal-listen"),
        (&["--database-connections", "0"], "database-connections"),
        (&["--max-options-per-user", "0"], "max-options-per-user"),
        (
            &["--max-option-bytes-per-user", "0"],
            "max-option-bytes-per-user",
        ),
        (&["--request-timeout", "soon"], "--request-timeout"),
        (&["--request-timeout", "30"], "--request-timeout"),
        (&["--database-url", "mysql://localhost/x"], "postgres://"),
        (&["--database-url", "nonsense"], "sqlite:"),
        (&["--config", "missing.toml"], "missing.toml"),
        (&["--service-token", "billing"], "service-token"),
        (
            &[
                "--silo",
                "region",
                "--region",
                "us",
                "--control-url",
                "http://localhost:1",
                "--rpc-secret",
                "secret",
                "--user-cache",
                "on",
            ],
            "user-cache",
        ),
        (&["--log", "user_gateway=nonsense"], "log filter"),
        (&["--log-format", "xml"], "json"),
        (&["extra"], "extra"),
    ] {
        let arguments = [&["serve"], arguments].concat();
        let finished = scratch.run(&arguments);
        assert!(
            matches!(finished.status.code(), Some(1 | 2)),
            "{arguments:?}: {finished:?}"
        );
        assert_eq!(finished.stdout, "", "{arguments:?}");
        assert!(
            finished.stderr.contains(expected),
            "{arguments:?}: {}",
            finished.stderr
        );
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
    assert!(scratch.must_fail(&["sevre"]).contains("serve"));
    assert!(scratch.must_fail(&[]).contains("demo"));
    // Nothing was made on the way.
    assert_eq!(scratch.files(), [""; 0]);
}

#[test]
fn what_a_file_cannot_say_is_named_with_its_place() {
    let scratch = Scratch::new();
    for (text, expected) in [
        ("max-dept = 9", "max-dept"),
        ("max-depth = \"deep\"", "max-depth"),
        ("listen = 8000", "listen"),
        ("graphiql = true", "graphiql"),
        ("graphiql = \"yes\"", "graphiql"),
        ("request-timeout = 30", "request-timeout"),
        ("request-timeout = \"soon\"", "request-timeout"),
        ("max-depth = 0", "max-depth"),
        ("config = \"other.toml\"", "config"),
        ("listen = ", "line 1"),
        ("[server]\nlisten = \"127.0.0.1:0\"", "server"),
    ] {
        scratch.write("gateway.toml", text);
        let said = scratch.must_fail(&["serve", "--config", "gateway.toml"]);
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert_eq!(scratch.files(), ["gateway.toml"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_no_secret_is_repeated() {
    let scratch = Scratch::new();
    let said = scratch.must_fail(&[
        "serve",
        "--max-depth",
        "0",
        "--max-page-size",
        "0",
        "--cors-origin",
        "*",
        "--service-token",
        "billing:ugsvc_0123456789abcdef:user:read",
    ]);
    for expected in ["max-depth", "max-page-size", "cors-origin", "billing"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("0123456789abcdef"), "{said}");
    let said = scratch.must_fail(&[
        "serve",
        "--database-url",
        "postgres://gateway:hunter2@127.0.0.1:1/users",
        "--database-acquire-timeout",
        "100ms",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert!(said.contains("cannot open the database"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let (scratch, token) = seeded();
    scratch.write(
        "gateway.toml",
        "listen = \"127.0.0.1:0\"\n\
         graphiql = \"off\"\n\
         max-page-size = 3\n\
         max-list-items = 3\n\
         max-batch = 3\n\
         request-timeout = \"20s\"\n\
         cors-origin = [\"https://console.example.com\"]\n",
    );
    let gateway = scratch.start_with(
        &["serve", "--config", "gateway.toml", "--max-batch", "1"],
        &[
            ("USER_GATEWAY_MAX_LIST_ITEMS", "2"),
            ("USER_GATEWAY_MAX_BATCH", "2"),
            ("DATABASE_URL", FILE),
        ],
    );
    assert_eq!(Answer::to(gateway.get("/graphiql/")).await.status, 404);
    let preflight = gateway
        .client
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/graphql", gateway.origin),
        )
        .header("origin", "https://console.example.com")
        .header("access-control-request-method", "POST");
    let allowed = Answer::to(preflight).await;
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://console.example.com"
    );
    let query = "{ users(first: 4) { nodes { id } } }";
    let answer = gateway.answer(&token, query, json!({})).await;
    assert!(answer.text().contains('3'), "{}", answer.text());
    assert_eq!(answer.code(), "BAD_USER_INPUT");
    let query = "{ existingUsernames(usernames: [\"a\", \"b\", \"c\"]) }";
    let answer = gateway.answer(&token, query, json!({})).await;
    assert!(answer.text().contains('2'), "{}", answer.text());
    assert_eq!(answer.code(), "BAD_USER_INPUT");
    let one = json!({ "query": "{ __typename }" });
    let two = gateway
        .graphql()
        .bearer_auth(&token)
        .json(&json!([one, one]));
    Answer::to(two).await.refuses(400, "BATCH_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn options_may_stand_behind_every_subcommand() {
    let scratch = Scratch::new();
    let url = "sqlite://other.db?mode=rwc";
    scratch.must(&["migrate", "up", "--database-url", url]);
    scratch.must(&["migrate", "--database-url", url, "status"]);
    scratch.must(&["seed", "--users", "10", "--database-url", url]);
    let token = scratch.must(&["token", "create", "--user", "1", "--database-url", url]);
    let list = scratch.must(&["token", "list", "--database-url", url, "--log", "off"]);
    assert!(list.contains("user 1"), "{list}");
    assert!(token.starts_with("sntryu_"));
    let gateway = scratch.start(&["serve", "--database-url", url]);
    gateway
        .data(token.trim(), "{ __typename }", json!({}))
        .await;
    let files = scratch.files();
    assert!(
        files.iter().all(|name| name.starts_with("other.db")),
        "{files:?}"
    );
}

#[test]
fn the_version_is_printed() {
    let said = Scratch::new().must(&["--version"]);
    assert_eq!(
        said.trim(),
        format!("user-gateway {}", env!("CARGO_PKG_VERSION"))
    );
}
