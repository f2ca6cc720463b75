//! The connection beneath a WebSocket, of which few bytes are read before its client is known.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::WebSocketStream;

/// A WebSocket on a connection of a client.
pub(super) type Socket = WebSocketStream<Metered<TokioIo<Upgraded>>>;

/// How much of what is dropped is read at a time.
const DROPPED_AT_ONCE: usize = 4 * 1024;
/// How much is dropped at most. Who sends more may not see why it was closed.
const MAX_DROPPED: usize = 8 * 1024 * 1024;

/// A connection on which reading fails once a number of bytes has been read.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    /// How many bytes may still be read; `None` for any number.
    left: Option<usize>,
}

/// More was to be read than may be.
#[derive(Debug, thiserror::Error)]
#[error("the client has sent more than it may before it is known")]
pub(super) struct Exhausted;

impl<S> Metered<S> {
    /// A connection from which `left` bytes may be read.
    pub(super) const fn new(stream: S, left: usize) -> Self {
        Self {
            stream,
            left: Some(left),
        }
    }

    /// From here on any number of bytes may be read.
    pub(super) const fn lift(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Metered<S> {
    /// Says that nothing more will be written, and drops what comes until the client ends, too. A
    /// connection that is closed with something unread is reset, and what was written may be lost.
    pub(super) async fn drop_rest(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut dropped = vec![0; DROPPED_AT_ONCE];
        let mut left = MAX_DROPPED;
        while left > 0 {
            let read = self.stream.read(&mut dropped).await?;
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read);
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(left) = self.left else {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        };
        if left == 0 {
            return Poll::Ready(Err(io::Error::other(Exhausted)));
        }
        let most = left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        self.left = Some(left - read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn so_much_is_read_and_no_more_until_the_bound_is_lifted() {
        let (mut far, near) = duplex(64);
        let mut near = Metered::new(near, 5);
        far.write_all(b"12345678").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(near.read(&mut buffer).await.unwrap(), 5);
        let error = near.read(&mut buffer).await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<Exhausted>(), "{error}");
        near.lift();
        assert_eq!(near.read(&mut buffer).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_is_dropped_does_not_count() {
        let (mut far, near) = duplex(64);
        let mut near = Metered::new(near, 1);
        far.write_all(&[0; 64]).await.unwrap();
        far.shutdown().await.unwrap();
        near.drop_rest().await.unwrap();
    }
}
