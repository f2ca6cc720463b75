//! Who may import whom.
//!
//! The modules of the crate form layers. Each may name those that stand in its row, which all
//! stand above it, so there is no cycle; and each crate of others' making has the modules that may
//! know of it. Whoever adds to these tables ties two things together for good: it should be worth
//! it.

use std::collections::BTreeSet;
use std::path::Path;

use super::{root, rust_files};

/// A module, and those it may use. It differs from a textbook in two places. `sample` is data
/// without any dependency, which `cli` fills databases with. And `cli` knows `database`: `check`,
/// `seed` and `migrate` are about the database itself, which no service speaks of.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("sample", &[]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("worker", &[]),
    ("admission", &[]),
    ("service", &["domain"]),
    ("outbox", &["domain", "telemetry", "service"]),
    ("auth", &["domain", "config", "telemetry", "service"]),
    (
        "database",
        &[
            "domain",
            "config",
            "telemetry",
            "worker",
            "service",
            "outbox",
            "auth",
        ],
    ),
    (
        "cache",
        &["domain", "config", "telemetry", "service", "auth"],
    ),
    (
        "rpc",
        &[
            "domain",
            "config",
            "telemetry",
            "worker",
            "admission",
            "service",
            "auth",
        ],
    ),
    (
        "graphql",
        &["domain", "config", "telemetry", "service", "auth"],
    ),
    (
        "http",
        &[
            "domain",
            "config",
            "telemetry",
            "admission",
            "service",
            "auth",
            "rpc",
            "graphql",
        ],
    ),
    (
        "app",
        &[
            "domain",
            "sample",
            "config",
            "telemetry",
            "worker",
            "admission",
            "service",
            "outbox",
            "auth",
            "database",
            "cache",
            "rpc",
            "graphql",
            "http",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "sample",
            "config",
            "telemetry",
            "service",
            "outbox",
            "auth",
            "database",
            "graphql",
            "app",
        ],
    ),
    ("fuzz", &["database", "rpc", "graphql", "http"]),
];

/// A crate of others' making, or of this workspace, and who may know of it. `config` describes
/// flags where it describes settings, so that they cannot differ; it therefore knows clap's derive.
const OWNERS: &[(&str, &[&str])] = &[
    ("sea_orm", &["database"]),
    ("sea_query_sqlx", &["database"]),
    ("entity", &["database"]),
    ("migration", &["app", "cli"]),
    ("async_graphql", &["graphql"]),
    ("async_graphql_value", &["graphql"]),
    ("dataloader", &["graphql"]),
    ("indexmap", &["graphql"]),
    ("macros", &["graphql"]),
    ("base64", &["graphql"]),
    ("axum", &["admission", "rpc", "http", "app"]),
    ("tower", &["http"]),
    ("tower_http", &["http"]),
    ("hyper", &["http", "app"]),
    ("hyper_util", &["http", "app"]),
    ("http_body_util", &["admission", "app"]),
    ("rust_embed", &["http"]),
    ("brotli_decompressor", &["http"]),
    ("postgres_protocol", &["database"]),
    ("fallible_iterator", &["database"]),
    ("percent_encoding", &["database"]),
    ("socket2", &["database"]),
    ("tokio_rustls", &["database"]),
    ("webpki_roots", &["database"]),
    ("bytes", &["database"]),
    ("uuid", &["http", "database", "cache"]),
    ("hmac", &["rpc"]),
    ("sha2", &["auth", "rpc", "graphql"]),
    ("governor", &["auth"]),
    ("md5", &["database"]),
    ("arc_swap", &["cache"]),
    ("quick_cache", &["auth", "cache", "graphql"]),
    ("redis", &["cache"]),
    ("tracing_subscriber", &["telemetry"]),
    ("clap", &["config", "cli", "main"]),
    ("humantime", &["config", "cli"]),
    ("toml", &["config"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["app", "cli"]),
    ("jsonwebtoken", &["auth"]),
    ("backon", &["outbox", "rpc"]),
    ("reqwest", &["rpc", "app"]),
    ("rustls", &["database", "rpc", "app"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    (
        "tokio",
        &[
            "telemetry",
            "worker",
            "admission",
            "outbox",
            "auth",
            "database",
            "cache",
            "rpc",
            "graphql",
            "http",
            "app",
            "cli",
            "main",
        ],
    ),
    (
        "rand",
        &["auth", "database", "rpc", "graphql", "http", "fuzz"],
    ),
    ("tokio_tungstenite", &["http"]),
];

/// The source without comments and literals, which may speak of any module.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|rest| {
            let hashes = rest.len() - rest.trim_start_matches('#').len();
            (hashes, &rest[hashes..])
        });
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some((hashes, text)) = raw.filter(|(_, text)| text.starts_with('"'))
            && !code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            let end = format!("\"{}", "#".repeat(hashes));
            let text_length = text[1..].find(&end).unwrap_or(text.len() - 1);
            1 + hashes + 1 + text_length + end.len()
        } else if letter == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else {
            code.push(letter);
            rest = &rest[letter.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped.min(rest.len())..];
    }
    code
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The name that stands at the beginning of a text.
fn name_at(text: &str) -> &str {
    &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())]
}

/// The modules that `crate::…` leads to, inside groups too.
fn modules_in(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (place, _) in code.match_indices("crate::") {
        if code[..place].ends_with(|c: char| is_name(c) || c == '$') {
            continue;
        }
        let path = code[place + "crate::".len()..].trim_start();
        let Some(group) = path.strip_prefix('{') else {
            found.insert(name_at(path).to_owned());
            continue;
        };
        let mut depth = 0_usize;
        let mut item = String::new();
        for letter in group.chars() {
            match letter {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(name_at(item.trim()).to_owned());
                    item.clear();
                    continue;
                }
                _ => {}
            }
            item.push(letter);
        }
        found.insert(name_at(item.trim()).to_owned());
    }
    found.remove("");
    found
}

/// The names that paths begin with, and those behind `use`.
fn heads_in(code: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (place, _) in code.match_indices("::") {
        let before = code[..place].trim_end();
        let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        if !code[..start].ends_with("::") {
            found.insert(&before[start..]);
        }
    }
    let uses = code.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("pub ")
            .unwrap_or(line)
            .strip_prefix("use ")
    });
    found.extend(uses.map(|rest| name_at(rest.trim_start_matches([' ', ':']))));
    found
}

/// The module of a file: its folder, or its name where it has none.
fn module_of(path: &Path) -> String {
    let first = path.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn a_layer_uses_only_layers_above_it() {
    for (place, (module, uses)) in LAYERS.iter().enumerate() {
        for used in *uses {
            let above = LAYERS[..place].iter().any(|(name, _)| name == used);
            assert!(above, "{used} does not stand above {module}");
        }
    }
}

#[test]
fn every_module_is_in_the_table_and_uses_what_its_row_allows() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, source) in rust_files(&root().join("src")) {
        let module = module_of(&path);
        if ["lib", "main"].contains(&&*module) {
            continue;
        }
        let row = LAYERS.iter().find(|(name, _)| *name == module);
        let (_, uses) = row.unwrap_or_else(|| panic!("{module} is not in the table"));
        for used in modules_in(&code_of(&source)) {
            if used != module && !uses.contains(&&*used) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
        seen.insert(module);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), LAYERS.len(), "a row has no module: {seen:?}");
}

#[test]
fn the_crates_of_others_are_known_to_their_owners_alone() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, source) in rust_files(&root().join("src")) {
        let module = module_of(&path);
        let code = code_of(&source);
        for head in heads_in(&code) {
            let Some((name, owners)) = OWNERS.iter().find(|(name, _)| *name == head) else {
                continue;
            };
            if !owners.contains(&&*module) {
                wrong.push(format!("{} uses {name}", path.display()));
            }
            seen.insert((*name, module.clone()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, owners) in OWNERS {
        for owner in *owners {
            let known = seen.contains(&(name, (*owner).to_owned()));
            assert!(known, "{owner} owns {name} and does not use it");
        }
    }
}

#[test]
fn entities_know_no_graphql_and_migrations_no_entities() {
    for (folder, strangers) in [
        (
            "entity",
            &["async_graphql", "user_gateway", "migration"][..],
        ),
        ("migration", &["entity", "user_gateway", "async_graphql"]),
    ] {
        for (path, source) in rust_files(&root().join(folder).join("src")) {
            let code = code_of(&source);
            let heads = heads_in(&code);
            for stranger in strangers {
                assert!(!heads.contains(stranger), "{}: {stranger}", path.display());
            }
        }
    }
}

#[test]
fn nobody_leaves_a_module_upwards_or_takes_all_there_is() {
    let mut wrong = Vec::new();
    for (path, source) in rust_files(&root().join("src")) {
        let code = code_of(&source);
        // A file in a module is as many steps below the crate as its path has parts, and stays in
        // its module if it goes up fewer.
        let parts = path.iter().filter(|part| *part != "mod.rs").count();
        let leaving = "super::".repeat(parts);
        let is_test = code.contains("mod tests") || path.ends_with("tests.rs");
        for line in code.lines().map(str::trim) {
            let leaves = line.contains(&leaving) && !(is_test && line == "use super::*;");
            let takes = line.starts_with("use ") && line.contains("::*");
            if leaves || (takes && !(is_test && line == "use super::*;")) {
                wrong.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in [
        "src",
        "tests",
        "bench/src",
        "bench/stock/src",
        "entity/src",
        "migration/src",
    ] {
        for (path, source) in rust_files(&root().join(folder)) {
            let opens = source.starts_with("//!") || source.starts_with("#![doc = include_str!");
            assert!(opens, "{folder}/{} does not begin with //!", path.display());
        }
    }
}

#[test]
fn comments_and_literals_are_not_code() {
    let code = code_of(
        "use crate::{a::{b, c}, d}; // crate::e\n/* crate::f */ \"crate::g\" r#\"crate::\"h\"# \
         '\"' crate :: x; $crate::i crate::j::k \"\\\"crate::l\" crate::m",
    );
    let modules: Vec<_> = modules_in(&code).into_iter().collect();
    assert_eq!(modules, ["a", "d", "j", "m"]);
    let heads = heads_in("use ::sea_orm::Set;\nuse toml;\na::tokio::b");
    assert!(heads.contains("sea_orm") && heads.contains("toml") && heads.contains("a"));
    assert!(!heads.contains("tokio"));
}
