//! A connection on which a test writes what no client would, and stops where none would stop.

use std::io::{self, ErrorKind};

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::answer::Answer;
use super::process::PATIENCE;

/// A connection to a gateway.
#[derive(Debug)]
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects to an origin such as `http://127.0.0.1:40001`.
    pub(crate) async fn open(origin: &str) -> Self {
        let address = origin.strip_prefix("http://").unwrap();
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// As [`Raw::open`], with a small receive buffer.
    pub(crate) async fn open_small(origin: &str) -> Self {
        let address = origin.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        Self(socket.connect(address.parse().unwrap()).await.unwrap())
    }

    pub(crate) async fn send(&self, text: &str) {
        self.try_send(text).await.unwrap();
    }

    /// Sends a text to whom may have gone.
    pub(crate) async fn try_send(&self, text: &str) -> io::Result<()> {
        self.try_send_bytes(text.as_bytes()).await
    }

    /// Sends bytes on a connection that may have been closed.
    pub(crate) async fn try_send_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.0.writable().await?;
            match self.0.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends the head of a request, a blank line still missing, and waits until the gateway has
    /// taken the request on and asks for its body.
    pub(crate) async fn asked_for_the_body(origin: &str, head: &str) -> Self {
        const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let request = Self::open(origin).await;
        request
            .send(&format!("{head}expect: 100-continue\r\n\r\n"))
            .await;
        let mut said = Vec::new();
        while said.len() < GO_ON.len() {
            request.begins().await;
            let mut buffer = vec![0; GO_ON.len() - said.len()];
            match request.0.try_read(&mut buffer) {
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            }
            assert!(
                GO_ON.starts_with(&said),
                "{}",
                String::from_utf8_lossy(&said)
            );
        }
        request
    }

    /// Everything that comes until the other side closes the connection.
    pub(crate) async fn rest(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4_096];
        let read = async {
            loop {
                self.0.readable().await.unwrap();
                match self.0.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => all.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // Whoever closes without having read everything resets.
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let closed = timeout(PATIENCE, read).await;
        assert!(closed.is_ok(), "the connection is never closed");
        all
    }

    /// At most `most` received bytes; `None` once the other side has closed.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; most];
        match self.0.try_read(&mut buffer) {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some(buffer)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(Vec::new()),
            Err(_) => None,
        }
    }

    /// What comes next, at most `most` bytes; nothing once the other side has closed.
    pub(crate) async fn next(&self, most: usize) -> Vec<u8> {
        loop {
            self.begins().await;
            match self.take(most) {
                Some(bytes) if bytes.is_empty() => {}
                bytes => return bytes.unwrap_or_default(),
            }
        }
    }

    /// Waits until something comes, which is left where it is.
    pub(crate) async fn begins(&self) {
        let something = timeout(PATIENCE, self.0.readable()).await;
        something.expect("nothing comes").unwrap();
    }

    /// The response that comes before the other side closes the connection.
    pub(crate) async fn answer(&self) -> Answer {
        Answer::parse(&self.rest().await)
    }
}
