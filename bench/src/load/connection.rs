//! One connection of the smallest HTTP client that does.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// A connection that stays open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    read: Vec<u8>,
}

/// An answer, which lies in the connection that received it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    /// The status.
    pub(crate) status: u16,
    /// Whether it says when to come again.
    pub(crate) says_when: bool,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Whether the server has refused, as it should when it has too much to do.
    pub(crate) const fn is_refusal(&self) -> bool {
        self.status == 503 && self.says_when
    }

    /// Complains of an answer that does not say that all went well.
    pub(crate) fn must_be_good(&self) -> anyhow::Result<()> {
        let good = self.status == 200
            && self.body.starts_with(b"{\"data\":{")
            && memchr::memmem::find(self.body, b"\"errors\":[{").is_none();
        ensure!(
            good,
            "it was answered {}: {:.500}",
            self.status,
            String::from_utf8_lossy(self.body)
        );
        Ok(())
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    says_when: bool,
    /// Where the body begins.
    start: usize,
    length: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: Vec::with_capacity(4 * 1024),
            read: Vec::with_capacity(16 * 1024),
        })
    }

    /// Posts a body of JSON and waits for the answer.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> anyhow::Result<Answer<'_>> {
        let request = &mut self.request;
        request.clear();
        for part in [
            "POST ",
            path,
            " HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ",
            token,
        ] {
            request.extend_from_slice(part.as_bytes());
        }
        request.extend_from_slice(
            b"\r\ncontent-type: application/json\r\naccept: application/json\r\ncontent-length: ",
        );
        request.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
        self.stream.write_all(request).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<Answer<'_>> {
        self.read.clear();
        let head = loop {
            self.more().await?;
            if let Some(head) = head(&self.read)? {
                break head;
            }
        };
        let end = head.start + head.length;
        self.read.reserve(end.saturating_sub(self.read.len()));
        while self.read.len() < end {
            self.more().await?;
        }
        Ok(Answer {
            status: head.status,
            says_when: head.says_when,
            body: &self.read[head.start..end],
        })
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        let read = self.stream.read_buf(&mut self.read).await?;
        ensure!(read > 0, "the server has closed the connection");
        Ok(())
    }
}

/// The head of an answer, if all of it is there.
fn head(read: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(read, b"\r\n\r\n") else {
        ensure!(read.len() < MAX_ANSWER, "the answer has no end of its head");
        return Ok(None);
    };
    let text = std::str::from_utf8(&read[..end])?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.context("the answer has no status")?.parse()?;
    let (mut says_when, mut length) = (false, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("retry-after") {
            says_when = true;
        }
    }
    let length =
        length.with_context(|| format!("the answer does not say how long it is: {text}"))?;
    ensure!(length <= MAX_ANSWER, "the answer is too long");
    Ok(Some(Head {
        status,
        says_when,
        start: end + 4,
        length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_all_of_it_is_there() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(&whole[..30]).unwrap(), None);
        let read = head(whole).unwrap().unwrap();
        assert_eq!((read.status, read.length), (200, 2));
        assert_eq!(&whole[read.start..], b"{}");
    }

    #[test]
    fn an_answer_of_unknown_length_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        for (head_, refusal) in [
            ("503 X\r\nRetry-After: 1", true),
            ("503 X", false),
            ("200 OK\r\nretry-after: 1", false),
        ] {
            let whole = format!("HTTP/1.1 {head_}\r\ncontent-length: 0\r\n\r\n");
            let head = head(whole.as_bytes()).unwrap().unwrap();
            let answer = Answer {
                status: head.status,
                says_when: head.says_when,
                body: b"",
            };
            assert_eq!(answer.is_refusal(), refusal, "{whole}");
        }
    }

    #[test]
    fn an_answer_with_an_error_is_not_good() {
        let answer = |status, body: &'static str| Answer {
            status,
            says_when: false,
            body: body.as_bytes(),
        };
        let good = r#"{"data":{"setUserOption":{"errors":[]}}}"#;
        assert!(answer(200, good).must_be_good().is_ok());
        for (status, body) in [
            (500, good),
            (200, r#"{"data":{"user":null},"errors":[{"message":""}]}"#),
            (200, r#"{"errors":[{"message":""}]}"#),
        ] {
            assert!(answer(status, body).must_be_good().is_err(), "{body}");
        }
    }
}
