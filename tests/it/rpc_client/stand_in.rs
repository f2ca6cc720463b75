//! A silo that answers as a test tells it to, down to the bytes, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done about one request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// It is answered with this status and this body.
    Answer(u16, String),
    /// It is answered with a redirection to this address.
    Redirect(String),
    /// It is never answered, and the connection stays.
    Hang,
    /// The connection is closed without a word.
    Drop,
    /// A part of the answer is sent, then the connection is closed.
    Half,
    /// An answer of this many bytes is announced, and none of them sent.
    Announce(usize),
    /// An answer of this many bytes is sent, with none announced.
    Stream(usize),
}

impl Act {
    /// A good answer of a gateway.
    pub(super) fn gateway(value: &Value) -> Self {
        let body = format!(r#"{{"meta":{{"user_gateway":{{"version":1}}}},"value":{value}}}"#);
        Self::Answer(200, body)
    }

    /// A good answer of a silo of Sentry's.
    pub(super) fn sentry(value: &Value) -> Self {
        Self::Answer(200, format!(r#"{{"meta":{{}},"value":{value}}}"#))
    }

    /// An answer of this status with nothing in it that means anything.
    pub(super) fn status(status: u16) -> Self {
        Self::Answer(status, r#"{"detail":"hunter2@example.com"}"#.to_owned())
    }
}

/// One request, as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    /// The value of a header, whose name is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| &**value)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A silo on a free port.
#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    acts: Arc<Mutex<VecDeque<Act>>>,
    serving: JoinHandle<()>,
}

impl StandIn {
    /// Does `acts` one after the other, and the last of them for ever.
    pub(super) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::default();
        let acts = Arc::new(Mutex::new(acts.into_iter().collect()));
        let (heard, script) = (Arc::clone(&asked), Arc::clone(&acts));
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&heard), Arc::clone(&script)));
            }
        });
        Self {
            url,
            asked,
            acts,
            serving,
        }
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Does `act` from now on.
    pub(super) fn change(&self, act: Act) {
        self.script([act]);
    }

    /// Does `acts` from now on, and the last of them for ever.
    pub(super) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        *self.acts.lock().unwrap() = acts.into_iter().collect();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers what comes on one connection until the other side or the script ends it.
async fn serve(
    stream: TcpStream,
    asked: Arc<Mutex<Vec<Asked>>>,
    acts: Arc<Mutex<VecDeque<Act>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        asked.lock().unwrap().push(request);
        let act = {
            let mut acts = acts.lock().unwrap();
            let next = acts.front().cloned()?;
            if acts.len() > 1 {
                acts.pop_front();
            }
            next
        };
        let head = |status: u16, rest: &str| format!("HTTP/1.1 {status} Some\r\n{rest}\r\n");
        match act {
            Act::Answer(status, body) => {
                let head = head(status, &format!("content-length: {}\r\n", body.len()));
                stream
                    .write_all(format!("{head}{body}").as_bytes())
                    .await
                    .ok()?;
            }
            Act::Redirect(place) => {
                let head = head(307, &format!("location: {place}\r\ncontent-length: 0\r\n"));
                stream.write_all(head.as_bytes()).await.ok()?;
            }
            Act::Hang => std::future::pending().await,
            Act::Drop => return None,
            Act::Half => {
                let head = head(200, "content-length: 100\r\n");
                let half = format!("{head}{{\"meta\":{{}},\"val");
                stream.write_all(half.as_bytes()).await.ok()?;
                return None;
            }
            Act::Announce(length) => {
                let head = head(200, &format!("content-length: {length}\r\n"));
                stream.write_all(head.as_bytes()).await.ok()?;
            }
            Act::Stream(length) => {
                stream.write_all(head(200, "").as_bytes()).await.ok()?;
                let block = vec![b' '; 1024 * 1024];
                for _ in 0..length.div_ceil(block.len()) {
                    stream.write_all(&block).await.ok()?;
                }
                return None;
            }
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?;
    let mut body = vec![0; length.1.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        path,
        headers,
        body,
    })
}
