//! The README's control silo and region, each in a terminal of its own.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::json;

use crate::harness::{Process, Scratch, eventually, free_port};
use crate::house::readme::{arguments, commands, readme, words};

/// A command of the README that starts a silo.
#[derive(Debug)]
struct Terminal {
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Terminal {
    fn of(words: &[Option<String>]) -> Option<Self> {
        let words: Vec<String> = words.iter().flatten().cloned().collect();
        let arguments = arguments(&words)?;
        let variables = words.iter().map_while(|word| word.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Self {
            variables: variables.collect(),
            arguments,
        })
    }

    /// Whether it starts this kind of silo.
    fn is(&self, mode: &str) -> bool {
        let by_flag = self.arguments.windows(2).any(|two| two == ["--silo", mode]);
        let by_variable = self
            .variables
            .iter()
            .any(|(name, value)| name == "USER_GATEWAY_SILO" && value == mode);
        by_flag || by_variable
    }

    /// Runs the command as it stands, but for the ports, which somebody else may have.
    fn start(&self, scratch: &Scratch, ports: &mut Ports) -> Process {
        let mut arguments: Vec<_> = self.arguments.iter().map(|text| ports.free(text)).collect();
        if !arguments.iter().any(|argument| argument == "--listen") {
            let usual = ports.free("127.0.0.1:8000");
            arguments.extend(["--listen".to_owned(), usual]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), ports.free(value)))
            .collect();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        scratch.start_with(&arguments, &variables)
    }
}

/// A free port for each port of the README.
#[derive(Debug, Default)]
struct Ports(HashMap<String, u16>);

impl Ports {
    /// The text with another port behind each address of loopback.
    fn free(&mut self, text: &str) -> String {
        let mut parts = text.split("127.0.0.1:");
        let mut changed = parts.next().unwrap().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit());
            let (port, rest) = part.split_at(end.unwrap_or(part.len()));
            let port = self.0.entry(port.to_owned()).or_insert_with(free_port);
            let _ = write!(changed, "127.0.0.1:{port}{rest}");
        }
        changed
    }
}

#[test]
fn each_port_of_a_text_is_replaced_by_the_same_free_one() {
    let mut ports = Ports::default();
    let changed = ports.free("us=http://127.0.0.1:8001,de=http://127.0.0.1:8002");
    let [us, de] = [ports.0["8001"], ports.0["8002"]];
    assert_ne!(us, de);
    assert_eq!(
        changed,
        format!("us=http://127.0.0.1:{us},de=http://127.0.0.1:{de}")
    );
    assert_eq!(ports.free("127.0.0.1:8001"), format!("127.0.0.1:{us}"));
    assert_eq!(ports.free("plain"), "plain");
}

#[tokio::test]
async fn the_silos_of_the_readme_start_in_two_terminals_and_know_of_changes() {
    let lines = commands(&readme());
    let lines: Vec<_> = lines.iter().map(|line| words(line)).collect();
    let terminals: Vec<_> = lines
        .iter()
        .flat_map(|words| words.split(Option::is_none))
        .filter_map(Terminal::of)
        .filter(|terminal| {
            terminal
                .arguments
                .first()
                .is_some_and(|first| first == "serve")
        })
        .collect();
    let find = |mode: &str| {
        let found = terminals.iter().find(|terminal| terminal.is(mode));
        found.unwrap_or_else(|| panic!("README.md starts no {mode} silo"))
    };
    // Both are started in one folder, as a reader does.
    let scratch = Scratch::new();
    scratch.must(&["seed", "--users", "20"]);
    let url = "sqlite://user-gateway.db?mode=rwc";
    let token = scratch.token(url, &["--user", "1"]);
    let mut ports = Ports::default();
    let control = find("control").start(&scratch, &mut ports);
    let region = find("region").start(&scratch, &mut ports);

    let ask = "{ user(id: 2) { name option(key: \"theme\") } }";
    let before = region.data(&token, ask, json!({})).await;
    let change = "mutation {
        updateUser(input: { userId: 2, name: \"Augusta\" }) { errors { code } }
        setUserOption(input: { userId: 2, key: \"theme\", value: \"sepia\" }) { errors { code } }
    }";
    control.data(&token, change, json!({})).await;
    let after = json!({ "user": { "name": "Augusta", "option": "sepia" } });
    assert_ne!(before, after);
    eventually("the region knows of the change", async || {
        region.data(&token, ask, json!({})).await == after
    })
    .await;
    let change = "mutation { updateUser(input: { userId: 2, name: \"Ada\" }) { errors { code } } }";
    region.data(&token, change, json!({})).await;
    for silo in [&region, &control] {
        let data = silo.data(&token, ask, json!({})).await;
        assert_eq!(data["user"]["name"], "Ada");
    }
}
