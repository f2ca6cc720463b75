//! A Redis of one test, which the test kills, stops and starts again, and a wire to it that the
//! test can hold up.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use redis::Client;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A server in a folder of its own, which listens on a socket there and nowhere else.
#[derive(Debug)]
pub(crate) struct RedisServer {
    folder: TempDir,
    server: Option<Child>,
}

impl RedisServer {
    /// Starts a server that holds nothing.
    pub(crate) fn start() -> Self {
        let mut server = Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
        };
        server.resume();
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Where the server is, for its users.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// A connection past the cache.
    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Ends the server at once; what it held is lost but for what was saved.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Runs a command past the cache.
    pub(crate) async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        let answer = command.query_async(&mut self.connect().await).await;
        answer.unwrap()
    }

    /// The keys of a pattern.
    pub(crate) async fn keys(&self, pattern: &str) -> Vec<String> {
        self.run(&["KEYS", pattern]).await
    }

    /// Saves what the server holds; it comes back with that when it is started again.
    pub(crate) async fn save(&self) {
        self.run::<()>(&["SAVE"]).await;
    }

    /// Removes what was saved.
    pub(crate) fn lose(&self) {
        let _ = fs::remove_file(self.folder.path().join("dump.rdb"));
    }

    /// Starts the server again, with what was saved, and waits until it takes connections.
    pub(crate) fn resume(&mut self) {
        let mut server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = BufReader::new(server.stdout.take().unwrap());
        self.server = Some(server);
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if line.contains("ready to accept connections") {
                    let _ = ready.send(());
                }
            }
        });
        is_ready.recv().expect("redis-server did not start");
    }

    /// Sends the server a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.server.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A wire to a server. While it is held up, nothing passes in either direction, and nobody at
/// either end is told.
#[derive(Debug)]
pub(crate) struct Wire {
    _folder: TempDir,
    url: String,
    state: watch::Sender<Passage>,
    task: AbortHandle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passage {
    is_open: bool,
    /// Whether subscribers hear what they subscribed to.
    is_audible: bool,
    /// How often it was cut.
    cuts: u32,
    /// How often what was connected was left without a word.
    losses: u32,
}

impl Wire {
    /// Lays a wire to a Redis. To be called within a runtime.
    pub(crate) fn to(server: &RedisServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let near = folder.path().join("wire.sock");
        let url = format!("redis+unix://{}", near.display());
        Self::lay(folder, &near, server.socket(), url)
    }

    /// Lays a wire to the PostgreSQL of a URL that ends with the folder of its socket. To be called
    /// within a runtime.
    pub(crate) fn to_postgres(url: &str) -> Self {
        const SOCKET: &str = ".s.PGSQL.5432";
        let folder = tempfile::tempdir().unwrap();
        let (_, far) = url.rsplit_once("host=").unwrap();
        let near = folder.path().join(SOCKET);
        let url = url.replace(far, &folder.path().display().to_string());
        Self::lay(folder, &near, Path::new(far).join(SOCKET), url)
    }

    fn lay(folder: TempDir, near: &Path, far: PathBuf, url: String) -> Self {
        let near = UnixListener::bind(near).unwrap();
        let (state, seen) = watch::channel(Passage {
            is_open: true,
            is_audible: true,
            cuts: 0,
            losses: 0,
        });
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = near.accept().await {
                let (far, seen) = (far.clone(), seen.clone());
                tokio::spawn(async move {
                    let Ok(far) = UnixStream::connect(far).await else {
                        return;
                    };
                    let (near_reads, near_writes) = near.into_split();
                    let (far_reads, far_writes) = far.into_split();
                    let mut cut = seen.clone();
                    let Passage { cuts, losses, .. } = *cut.borrow();
                    let subscribes = &AtomicBool::new(false);
                    tokio::select! {
                        () = pass(near_reads, far_writes, seen.clone(), |bytes, state| {
                            let word = b"SUBSCRIBE";
                            if bytes.windows(word.len()).any(|part| part == word) {
                                subscribes.store(true, Ordering::Release);
                            }
                            state.is_open && state.losses == losses
                        }) => {}
                        () = pass(far_reads, near_writes, seen, |_, state| {
                            let is_heard = !subscribes.load(Ordering::Acquire) || state.is_audible;
                            state.is_open && state.losses == losses && is_heard
                        }) => {}
                        _ = cut.wait_for(|state| state.cuts != cuts) => {}
                    }
                });
            }
        });
        Self {
            _folder: folder,
            url,
            state,
            task: task.abort_handle(),
        }
    }

    /// Where the near end is.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Holds everything up.
    pub(crate) fn hold(&self) {
        self.state.send_modify(|state| state.is_open = false);
    }

    /// Holds up what subscribers would hear, and nothing else.
    pub(crate) fn deafen(&self) {
        self.state.send_modify(|state| state.is_audible = false);
    }

    /// Lets everything pass, what was held up first.
    pub(crate) fn release(&self) {
        self.state.send_modify(|state| {
            state.is_open = true;
            state.is_audible = true;
        });
    }

    /// Delays all open connections without end. New ones pass.
    pub(crate) fn lose(&self) {
        self.state.send_modify(|state| state.losses += 1);
    }

    /// Ends every connection there is.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<Passage>,
    passes: impl Fn(&[u8], &Passage) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        if state.wait_for(|state| passes(bytes, state)).await.is_err()
            || to.write_all(bytes).await.is_err()
        {
            return;
        }
    }
}
