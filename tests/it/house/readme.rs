//! What the README promises, checked against the binary and the code.

use std::fs;

use clap::Parser as _;
use serde_json::Value;
use strum::IntoEnumIterator as _;
use user_gateway::cli::Cli;
use user_gateway::domain::Code;

use super::root;
use crate::harness::Scratch;

pub(crate) fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The cells of the row of a table that begins with this text in backticks.
fn row(readme: &str, first: &str) -> Option<Vec<String>> {
    let start = format!("| `{first}` |");
    let line = readme.lines().find(|line| line.starts_with(&start))?;
    let cells = line.trim_matches('|').split(" | ");
    Some(cells.map(|cell| cell.trim().replace('`', "")).collect())
}

/// The settings that a help names, each with its default where it says one.
fn settings(help: &str) -> Vec<(String, Option<String>)> {
    let mut settings: Vec<(String, Option<String>)> = Vec::new();
    for line in help.lines().map(str::trim) {
        let name = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("--"));
        if let Some(name) = name.filter(|_| line.starts_with('-')) {
            settings.push((name.to_owned(), None));
        }
    }
    // A default may be broken over two lines.
    let flowing = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, default) in &mut settings {
        let Some((_, rest)) = flowing.split_once(&format!("--{name} <")) else {
            continue;
        };
        let own = rest.split(" --").next().unwrap_or(rest);
        *default = own
            .split_once("[default: ")
            .and_then(|(_, rest)| rest.split_once(']'))
            .map(|(default, _)| default.to_owned());
    }
    settings.retain(|(name, _)| !["help", "version"].contains(&&**name));
    settings
}

#[test]
fn every_setting_stands_in_the_readme_with_its_default() {
    let readme = readme();
    let help = Scratch::new().must(&["serve", "--help"]);
    let settings = settings(&help);
    assert!(settings.len() > 20, "{settings:?}");
    for (name, default) in settings {
        let cells = row(&readme, &format!("--{name}"));
        let cells = cells.unwrap_or_else(|| panic!("--{name} is not in README.md"));
        if let Some(default) = default {
            assert_eq!(cells[1], default, "--{name}");
        }
        assert!(!cells[2].is_empty(), "--{name}");
    }
}

#[test]
fn the_readme_names_no_setting_that_does_not_exist() {
    let readme = readme();
    let help = Scratch::new().must(&["serve", "--help"]);
    for line in readme.lines() {
        let Some((name, _)) = line
            .strip_prefix("| `--")
            .and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        assert!(help.contains(&format!("--{name} <")), "--{name}");
    }
}

#[test]
fn every_error_code_stands_in_the_readme_and_no_other() {
    let readme = readme();
    let (_, errors) = readme.split_once("\n## Errors\n").unwrap();
    let errors = errors.split("\n## ").next().unwrap();
    for code in Code::iter() {
        let cells = row(errors, code.as_str());
        let cells = cells.unwrap_or_else(|| panic!("{} is not in README.md", code.as_str()));
        assert!(!cells[1].is_empty());
    }
    let rows = errors.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), Code::iter().count());
}

/// The lines of the blocks of commands, continued ones joined.
pub(crate) fn commands(readme: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for block in readme.split("\n```sh\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let joined = block.replace("\\\n", " ");
        lines.extend(joined.lines().map(str::to_owned));
    }
    lines
}

/// The words of a line as a shell takes them, with a `None` where another command begins.
pub(crate) fn words(line: &str) -> Vec<Option<String>> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take().map(Some)),
            (None | Some('"'), '(' | ')') | (None, '|' | '&' | ';' | '<' | '>') => {
                words.extend(word.take().map(Some));
                words.push(None);
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word.map(Some));
    words
}

/// The arguments for the binary in a command, if it starts the binary.
pub(crate) fn arguments(command: &[String]) -> Option<Vec<String>> {
    let is_variable = |word: &&String| word.contains('=') && !word.starts_with('-');
    let mut words = command.iter().skip_while(is_variable);
    let program = words.next()?;
    if program == "cargo" {
        let runs = words.next().is_some_and(|word| word == "run");
        let rest: Vec<String> = words
            .skip_while(|word| *word != "--")
            .skip(1)
            .cloned()
            .collect();
        return runs.then_some(rest);
    }
    let name = program.rsplit('/').next()?;
    (name == "user-gateway").then(|| words.cloned().collect())
}

#[test]
fn the_binary_understands_every_command_of_the_readme() {
    let mut understood = 0;
    for line in commands(&readme()) {
        let words = words(&line);
        for command in words.split(Option::is_none) {
            let command: Vec<String> = command.iter().flatten().cloned().collect();
            let Some(arguments) = arguments(&command) else {
                continue;
            };
            let named = std::iter::once("user-gateway".to_owned()).chain(arguments);
            let parsed = Cli::try_parse_from(named);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            understood += 1;
        }
    }
    assert!(understood > 3, "{understood}");
}

#[test]
fn commands_are_found_in_what_a_shell_makes_of_a_line() {
    let line = words("A=1 ./target/user-gateway demo --log 'a b' | tee x # user-gateway nonsense");
    let commands: Vec<_> = line
        .split(Option::is_none)
        .map(|command| command.iter().flatten().cloned().collect::<Vec<_>>())
        .collect();
    assert_eq!(arguments(&commands[0]).unwrap(), ["demo", "--log", "a b"]);
    assert_eq!(arguments(&commands[1]), None);
    let line = words("TOKEN=$(user-gateway token list)");
    let inner: Vec<_> = line.split(Option::is_none).nth(1).unwrap().to_vec();
    let inner: Vec<String> = inner.into_iter().flatten().collect();
    assert_eq!(arguments(&inner).unwrap(), ["token", "list"]);
}

#[test]
fn the_readme_names_the_rust_version_that_cargo_demands() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.unwrap().trim_matches('"');
    assert!(readme().contains(&format!("With Rust {version} or later")));
}

#[test]
fn the_pinned_node_is_new_enough_for_every_package_beside_it() {
    fn major(version: &str) -> u32 {
        version.split('.').next().unwrap().parse().unwrap()
    }
    let lock = fs::read_to_string(root().join("tests/node/package-lock.json")).unwrap();
    let lock: Value = serde_json::from_str(&lock).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    let engines = packages.values().map(|package| &package["engines"]["node"]);
    let lowest = engines.filter_map(|engine| engine.as_str()?.strip_prefix(">="));
    let wanted = lowest.map(major).max().unwrap();
    // `tests/run` compares with this one, where a machine is not among those of the pins.
    assert_eq!(packages[""]["engines"]["node"], format!(">={wanted}"));
    let pinned = packages
        .iter()
        .filter(|(name, _)| name.starts_with("node_modules/node-linux-"))
        .map(|(_, package)| package["version"].as_str().unwrap());
    let pinned: Vec<&str> = pinned.collect();
    assert_eq!(pinned.len(), 2, "{pinned:?}");
    for version in &pinned {
        assert_eq!(*version, pinned[0]);
        assert!(major(version) >= wanted, "{version}");
    }
}
