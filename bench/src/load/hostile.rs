//! Hostile clients: they disconnect, read slowly or never, leave requests unfinished, and send documents
//! that are refused. Their number is bounded, and none of them waits for long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::{Connection, Target};
use crate::random::below;

/// The clients of each kind.
const CLIENTS: u64 = 6;

/// The connections of a flooding client at a time.
const FLOOD: usize = 40;

/// How long a round of a client takes.
const ROUND: Duration = Duration::from_secs(2);

/// The pause of a client between two rounds.
const PAUSE: Duration = Duration::from_millis(5);

/// The pause between steps of a slow client.
const SLOWLY: Duration = Duration::from_millis(50);

/// The requests of a client that reads slowly.
const PIPELINED: usize = 20;

/// The frames that a client sends over a WebSocket without authentication.
const PINGS: usize = 2_000;

/// A query that takes a gateway some time.
const PAGE: &str = r#"{"query":"{ users(first: 100) { nodes { id username organizations { id slug } options { key value } } } }"}"#;

/// Clients on a thread of their own, which stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Company(Option<Runtime>);

impl Company {
    /// Starts clients of each kind for a gateway over a directory with this number of users.
    pub(crate) fn start(target: &Target, users: u64) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let documents: Arc<[String]> = refused_documents().into();
        for kind in Kind::ALL {
            for number in 0..CLIENTS {
                let client = Client {
                    kind,
                    number,
                    target: target.clone(),
                    users,
                    documents: Arc::clone(&documents),
                };
                runtime.spawn(client.go_on());
            }
        }
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Disconnects while it is being answered.
    HangUp,
    /// Disconnects during a change, or before its request is complete.
    HangUpOnChange,
    /// Requests a large answer and reads a byte at a time.
    SlowReader,
    /// Opens many connections, and sends nothing or half of a head.
    Flood,
    /// Opens a WebSocket, does not authenticate, and sends pings without reading.
    Ping,
    /// Leaves a body unfinished.
    SlowBody,
    /// Sends documents that are refused.
    Refused,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::HangUp,
        Self::HangUpOnChange,
        Self::SlowReader,
        Self::Flood,
        Self::Ping,
        Self::SlowBody,
        Self::Refused,
    ];
}

struct Client {
    kind: Kind,
    number: u64,
    target: Target,
    users: u64,
    documents: Arc<[String]>,
}

impl Client {
    async fn go_on(self) {
        for round in 0.. {
            // The gateway may refuse them or close the connection.
            let _ = timeout(ROUND, self.misbehave(round)).await;
            sleep(PAUSE).await;
        }
    }

    async fn misbehave(&self, round: u64) -> anyhow::Result<()> {
        match self.kind {
            Kind::HangUp => self.hang_up(&self.request(PAGE, PAGE.len()), round).await?,
            Kind::HangUpOnChange => {
                let change = self.change(round);
                let whole = self.request(&change, change.len());
                let said = if round.is_multiple_of(2) {
                    whole.len()
                } else {
                    whole.len() / 2
                };
                self.hang_up(&whole[..said], round).await?;
            }
            Kind::SlowReader => self.read_slowly().await?,
            Kind::Flood => self.flood().await?,
            Kind::Ping => self.ping().await?,
            Kind::SlowBody => self.begin_body().await?,
            Kind::Refused => self.be_refused().await?,
        }
        Ok(())
    }

    /// A request with this `Content-Length`.
    fn request(&self, body: &str, claimed: usize) -> Vec<u8> {
        let Target { path, token, .. } = &self.target;
        format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\naccept: application/json\r\n\
             content-length: {claimed}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// A request that changes something.
    fn change(&self, round: u64) -> String {
        let id = below(self.users, self.number, round) + 1;
        let number = self.number;
        format!(
            "{{\"query\":\"mutation {{ setUserOption(input: {{userId: \\\"User:{id}\\\", \
             key: \\\"theme\\\", value: \\\"h{number}x{round}\\\"}}) {{ changed }} }}\"}}"
        )
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        connect(self.target.address).await
    }

    async fn hang_up(&self, request: &[u8], round: u64) -> io::Result<()> {
        let mut stream = self.connect().await?;
        stream.write_all(request).await?;
        sleep(Duration::from_micros(below(4_000, self.number, round))).await;
        Ok(())
    }

    async fn read_slowly(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        let request = self.request(PAGE, PAGE.len());
        stream.write_all(&request.repeat(PIPELINED)).await?;
        while stream.read(&mut [0]).await? > 0 {
            sleep(SLOWLY).await;
        }
        Ok(())
    }

    async fn flood(&self) -> io::Result<()> {
        let mut streams = Vec::with_capacity(FLOOD);
        for place in 0..FLOOD {
            let mut stream = self.connect().await?;
            if place % 2 == 0 {
                stream
                    .write_all(b"POST /graphql HTTP/1.1\r\nhost: ")
                    .await?;
            }
            streams.push(stream);
        }
        sleep(ROUND / 2).await;
        Ok(())
    }

    async fn ping(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        let head = format!(
            "GET {} HTTP/1.1\r\nhost: bench\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n",
            self.target.path
        );
        stream.write_all(head.as_bytes()).await?;
        // A ping of 125 bytes, which a mask of zeros leaves as they are.
        let mut frame = vec![0x89_u8, 0x80 | 0x7d];
        frame.resize(2 + 4 + 125, 0);
        stream.write_all(&frame.repeat(PINGS)).await?;
        sleep(ROUND / 2).await;
        Ok(())
    }

    async fn begin_body(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        stream.write_all(&self.request("{", 900_000)).await?;
        loop {
            stream.write_all(&[b' '; 1_024]).await?;
            sleep(SLOWLY).await;
        }
    }

    async fn be_refused(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.target.address).await?;
        let (path, token) = (&self.target.path, &self.target.token);
        for document in &*self.documents {
            connection.post(path, token, document.as_bytes()).await?;
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Bodies of requests none of which is to be answered with data.
fn refused_documents() -> Vec<String> {
    let body = |document: &str| format!("{{\"query\":\"{document}\"}}");
    let doubling = |levels: usize, end: &str| {
        let fragments = (0..levels).map(|level| {
            let next = level + 1;
            format!("fragment F{level} on Query{{...F{next} ...F{next}}}")
        });
        let fragments = fragments.collect::<Vec<_>>().concat();
        body(&format!(
            "{{...F0}}{fragments}fragment F{levels} on Query{{{end}}}"
        ))
    };
    let aliases = (0..1_000).map(|number| format!("a{number}:__typename "));
    let aliases = aliases.collect::<Vec<_>>().concat();
    vec![
        doubling(45, "...U"),
        doubling(45, "...F0"),
        doubling(45, "viewer{scopes}"),
        body(&format!("{{a(b:{}", "[".repeat(2_500))),
        body(&format!("{{{aliases}}}")),
        body(&format!("{{{}}}", "nothing ".repeat(1_500))),
        body(
            "{ users(first: 500) { nodes { organizations { members(first: 500) { nodes { id } } } } } }",
        ),
        body("{"),
        "{\"query\":".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_documents_are_json_as_they_are_meant_to_be() {
        let client = Client {
            kind: Kind::HangUpOnChange,
            number: 3,
            target: Target {
                address: SocketAddr::from(([127, 0, 0, 1], 1)),
                path: "/graphql".to_owned(),
                token: String::new(),
            },
            users: 1,
            documents: Arc::default(),
        };
        let change: serde_json::Value = serde_json::from_str(&client.change(7)).unwrap();
        let expected = r#"mutation { setUserOption(input: {userId: "User:1", key: "theme", value: "h3x7"}) { changed } }"#;
        assert_eq!(change["query"], expected);
        let documents = refused_documents();
        let (last, documents) = documents.split_last().unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(last).is_err());
        for document in documents {
            assert!(serde_json::from_str::<serde_json::Value>(document).is_ok());
        }
    }
}
