//! A connection on which a test writes what no client would, and stops where none would stop.

use std::io::ErrorKind;
use std::time::Instant;

use tokio::net::TcpStream;
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

    pub(crate) async fn send(&self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            self.0.writable().await.unwrap();
            match self.0.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends the head of a request that the gateway takes on and then waits for the body of,
    /// once `is_busy` finds that it does. The gateway must take on one request at a time.
    pub(crate) async fn hold<F>(origin: &str, head: &str, mut is_busy: impl FnMut() -> F) -> Self
    where
        F: Future<Output = bool>,
    {
        let mut request = Self::open(origin).await;
        request.send(head).await;
        let end = Instant::now() + PATIENCE;
        while !is_busy().await {
            // It came while the gateway was busy with the question whether it is.
            if request.0.try_read(&mut [0; 1]).is_ok() {
                request = Self::open(origin).await;
                request.send(head).await;
            }
            assert!(Instant::now() < end, "the gateway never gets busy");
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
