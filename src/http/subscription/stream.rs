//! The connection beneath a WebSocket, with a limit on the bytes read before authentication. The bytes
//! of long incomplete messages count together with the bodies of requests.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::futures::OwnedNotified;
use tokio_tungstenite::WebSocketStream;

use crate::admission::{Bodies, Ticket};

/// A WebSocket on a connection of a client.
pub(super) type Socket = WebSocketStream<Metered<TokioIo<Upgraded>>>;

/// The bytes that are discarded at a time.
const DROPPED_AT_ONCE: usize = 4 * 1024;
/// The most bytes that are discarded. A client that sends more may not receive the close frame.
const MAX_DROPPED: usize = 8 * 1024 * 1024;

/// Messages of up to this size are not counted.
const MAX_UNCOUNTED_BYTES: usize = 16 * 1024;
/// The size of a client's control frame before its payload.
const CONTROL_HEADER_BYTES: usize = 6;

/// A connection on which reading fails after a number of bytes, or once an incomplete message is
/// evicted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    /// The bytes that may still be read; `None` for no limit.
    left: Option<usize>,
    unfinished: Unfinished,
}

/// An incomplete message.
#[derive(Debug)]
struct Unfinished {
    bodies: Bodies,
    /// The bytes that have arrived.
    bytes: usize,
    /// Set once they exceed [`MAX_UNCOUNTED_BYTES`].
    counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    ticket: Ticket,
    evicted: Pin<Box<OwnedNotified>>,
}

impl Unfinished {
    /// Adds bytes; `false` if they exceed the limit by themselves, or were evicted.
    fn grow(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        if let Some(counted) = &self.counted {
            return counted.ticket.grow(bytes);
        }
        if self.bytes <= MAX_UNCOUNTED_BYTES {
            return true;
        }
        self.counted = self.bodies.admit(self.bytes).map(|ticket| Counted {
            evicted: Box::pin(ticket.evicted()),
            ticket,
        });
        self.counted.is_some()
    }

    fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.counted {
            Some(counted) => counted.evicted.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// An incomplete message was evicted.
#[derive(Debug, thiserror::Error)]
#[error("the message was evicted before it was complete")]
pub(super) struct Evicted;

/// The limit on bytes was reached.
#[derive(Debug, thiserror::Error)]
#[error("the client has sent too many bytes before authentication")]
pub(super) struct Exhausted;

impl<S> Metered<S> {
    /// A connection from which `left` bytes may be read. Its messages count together with `bodies`.
    pub(super) const fn new(stream: S, left: usize, bodies: Bodies) -> Self {
        Self {
            stream,
            left: Some(left),
            unfinished: Unfinished {
                bodies,
                bytes: 0,
                counted: None,
            },
        }
    }

    /// A message has arrived completely.
    pub(super) fn message_arrived(&mut self) {
        self.unfinished.bytes = 0;
        self.unfinished.counted = None;
    }

    /// Takes a control frame, which may come between the frames of a message, out of the count.
    pub(super) const fn control_frame_arrived(&mut self, payload: usize) {
        let bytes = self.unfinished.bytes;
        self.unfinished.bytes = bytes.saturating_sub(payload + CONTROL_HEADER_BYTES);
    }

    /// Removes the limit.
    pub(super) const fn lift(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Metered<S> {
    /// Shuts down writing, and discards input until the client closes, too. Closing with unread input would
    /// reset the connection, and the last bytes written could be lost.
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
            if self.unfinished.poll_evicted(cx).is_ready() {
                return Poll::Ready(Err(io::Error::other(Evicted)));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            let read = buffer.filled().len() - before;
            return Poll::Ready(if self.unfinished.grow(read) {
                Ok(())
            } else {
                Err(io::Error::other(Evicted))
            });
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
    use std::time::Duration;

    use tokio::io::duplex;

    use super::*;

    fn bodies(bytes: usize) -> Bodies {
        Bodies::new(bytes, Duration::from_hours(1))
    }

    #[tokio::test]
    async fn reading_fails_at_the_limit_until_it_is_removed() {
        let (mut far, near) = duplex(64);
        let mut near = Metered::new(near, 5, bodies(64));
        far.write_all(b"12345678").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(near.read(&mut buffer).await.unwrap(), 5);
        let error = near.read(&mut buffer).await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<Exhausted>(), "{error}");
        near.lift();
        assert_eq!(near.read(&mut buffer).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn discarded_bytes_do_not_count() {
        let (mut far, near) = duplex(64);
        let mut near = Metered::new(near, 1, bodies(64));
        far.write_all(&[0; 64]).await.unwrap();
        far.shutdown().await.unwrap();
        near.drop_rest().await.unwrap();
    }

    #[tokio::test]
    async fn the_oldest_incomplete_message_is_evicted() {
        const LONG: usize = 2 * MAX_UNCOUNTED_BYTES;
        let bodies = bodies(LONG + MAX_UNCOUNTED_BYTES);
        let mut ends = Vec::new();
        for _ in 0..2 {
            let (far, near) = duplex(2 * LONG);
            let mut near = Metered::new(near, 1, bodies.clone());
            near.lift();
            ends.push((far, near));
        }
        let mut buffer = vec![0; LONG];
        for is_complete in [true, false] {
            for (far, near) in &mut ends {
                far.write_all(&vec![0; LONG]).await.unwrap();
                near.read_exact(&mut buffer).await.unwrap();
                if is_complete {
                    near.message_arrived();
                }
            }
        }
        let (old, new) = ends.split_at_mut(1);
        // The read fails though no more bytes arrive.
        let error = old[0].1.read(&mut buffer).await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<Evicted>(), "{error}");
        new[0].0.write_all(&[0; 8]).await.unwrap();
        assert_eq!(new[0].1.read(&mut buffer).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn control_frames_do_not_count_as_a_message() {
        let (mut far, near) = duplex(64);
        let mut near = Metered::new(near, 1, bodies(1));
        near.lift();
        for _ in 0..2 * MAX_UNCOUNTED_BYTES / 16 {
            far.write_all(&[0; 16]).await.unwrap();
            near.read_exact(&mut [0; 16]).await.unwrap();
            near.control_frame_arrived(10);
        }
    }
}
