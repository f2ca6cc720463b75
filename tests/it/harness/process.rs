//! The binary as its users run it: a process of its own, in a folder of its own.
//!
//! A process gets no variables of the environment but patience with the disk and those a test
//! gives it, listens on a free port, and is killed by its id when the test ends, however it ends.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, Read, pipe};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use user_gateway::database::{Connection, DatabaseOptions};

use super::answer::Answer;
use super::client::client;

/// How long anything may take that a test waits for. Only a test that fails ever waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A pause between two looks at a condition.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

const BINARY: &str = env!("CARGO_BIN_EXE_user-gateway");

/// A folder in which commands run; it goes when this does.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// The names of what is in the folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments);
        self.prepared(command, variables)
    }

    fn prepared(&self, mut command: Command, variables: &[(&str, &str)]) -> Command {
        // A disk that stalls for a moment, on a machine that does other things, is no failure.
        let patience = format!("{}s", PATIENCE.as_secs());
        command
            .env_clear()
            .env("USER_GATEWAY_DATABASE_ACQUIRE_TIMEOUT", patience)
            .envs(variables.iter().copied())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, &[])
    }

    /// Runs a command with these variables to its end.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut child = self.command(arguments, variables).spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let ended = wait(&mut child);
        let status = ended.unwrap_or_else(|| {
            let _ = child.kill();
            child.wait().unwrap()
        });
        let finished = Finished {
            status,
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        };
        assert!(ended.is_some(), "{arguments:?} does not end: {finished:?}");
        finished
    }

    /// Runs a command that must succeed; what it says on standard output.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(
            finished.status.code(),
            Some(0),
            "{arguments:?}: {finished:?}"
        );
        finished.stdout
    }

    /// Runs a command that must fail; what it says on standard error.
    pub(crate) fn must_fail(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert!(
            finished.status.code().is_some_and(|code| code != 0),
            "{arguments:?}: {finished:?}"
        );
        finished.stderr
    }

    /// Starts `serve` or `demo` on a free port and waits until it listens.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        self.start_with(&arguments, &[])
    }

    /// Starts a server with these variables and waits until it listens, wherever it is told to.
    pub(crate) fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
        Process::start(self.command(arguments, variables))
    }

    /// Starts a server on a free port in the hands of another program, such as `["valgrind"]`.
    pub(crate) fn start_under(&self, program: &[&str], arguments: &[&str]) -> Process {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(BINARY).args(arguments);
        command.args(["--listen", "127.0.0.1:0"]);
        Process::start(self.prepared(command, &[]))
    }

    /// Starts a server whose log is not read. It goes into a pipe, which fills up.
    pub(crate) fn start_unread(&self, arguments: &[&str]) -> (Process, PipeReader) {
        let (unread, log) = pipe().unwrap();
        let arguments = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let mut command = self.command(&arguments, &[]);
        command.stderr(log);
        (Process::start(command), unread)
    }

    /// A token of a user or a service, made by the command: `["--user", "1"]`.
    pub(crate) fn token(&self, url: &str, whose: &[&str]) -> String {
        let arguments = [&["token", "create", "--database-url", url], whose].concat();
        self.must(&arguments).trim().to_owned()
    }
}

impl Process {
    /// Starts a server and waits until it listens.
    fn start(mut command: Command) -> Self {
        // Nothing may fail between the start of the process and the value that ends it.
        let client = client();
        let mut child = command.spawn().unwrap();
        let (lines, said) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let kept = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&line);
                    log.push('\n');
                }
            });
        }
        let mut process = Self {
            child,
            said,
            log,
            origin: String::new(),
            client,
        };
        process.origin = process.said("listening");
        process
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        let _ = from.read_to_string(&mut text);
        text
    })
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Receiver<String>,
    log: Arc<Mutex<String>>,
    /// Where it is, such as `http://127.0.0.1:40001`.
    pub(crate) origin: String,
    /// A client without any credentials.
    pub(crate) client: Client,
}

impl Process {
    /// The rest of the next line on standard output, which must begin with `word`.
    pub(crate) fn said(&mut self, word: &str) -> String {
        let line = self.said.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            panic!("no line `{word} …` ({error}); the log is:\n{}", self.log())
        });
        let rest = line.strip_prefix(word).map(str::trim).map(str::to_owned);
        rest.unwrap_or_else(|| panic!("`{line}` instead of `{word} …`"))
    }

    /// What the process has logged so far.
    pub(crate) fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }

    /// A POST to `/graphql` that a test completes.
    pub(crate) fn graphql(&self) -> RequestBuilder {
        self.client.post(format!("{}/graphql", self.origin))
    }

    /// A GET of a path, which a test completes.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.origin))
    }

    /// The answer to a document.
    pub(crate) async fn answer(&self, token: &str, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        Answer::to(self.graphql().bearer_auth(token).json(&body)).await
    }

    /// The data of the answer to a document, which must have no errors.
    pub(crate) async fn data(&self, token: &str, query: &str, variables: Value) -> Value {
        let mut answer = self.answer(token, query, variables).await.json();
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many bytes of memory the process takes at the moment.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Ends the process without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of the process; its exit code, if it was not killed.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let status = wait(&mut self.child);
        status
            .unwrap_or_else(|| panic!("the process does not end; its log is:\n{}", self.log()))
            .code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection past the gateway to a database, for looking into it.
pub(crate) async fn look_into(url: &str) -> Connection {
    let options = DatabaseOptions {
        url: url.to_owned(),
        max_connections: 1,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        lock_timeout: PATIENCE,
    };
    Connection::open(&options).await.unwrap()
}

/// Asks again and again until `holds` says yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "it never came to pass that {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
