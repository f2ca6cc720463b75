//! Connections whose other side has to take what is written to it.
//!
//! A client that asks and does not read would otherwise hold what it asked for, and its
//! connection, until the system gives up on it, which it does not as long as the client lives.
//!
//! And one that is refused while it still sends is let finish for a moment; see [`super::unread`].

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::pulse::{Busy, Pulse};
use super::unread::Unread;

/// How long who is refused may go on sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what is dropped is read at a time.
const DROPPED_AT_ONCE: usize = 16 * 1024;

/// What is no longer than this is written as one piece, which is less work for the system than two.
const TOGETHER: usize = 1024;

/// A connection on which writing fails once the other side has taken nothing for too long.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    pulse: Pulse,
    unread: Unread,
    /// Runs while there is something that the other side does not take.
    waiting: Option<(Pin<Box<Sleep>>, Busy)>,
    has_said_goodbye: bool,
    /// Runs while something is to be dropped.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration, pulse: Pulse, unread: Unread) -> Self {
        Self {
            stream,
            patience,
            pulse,
            unread,
            waiting: None,
            has_said_goodbye: false,
            lingering: None,
        }
    }

    /// What has become of a write, with the wait for it bounded.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let begin = || (Box::pin(sleep(self.patience)), self.pulse.busy());
        let (waiting, _) = self.waiting.get_or_insert_with(begin);
        waiting
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// Drops what the other side sends, until it stops or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self
            .lingering
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut space = [MaybeUninit::uninit(); DROPPED_AT_ONCE];
        while lingering.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.pulse.stir();
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        let stream = Pin::new(&mut self.stream);
        let written = if length <= TOGETHER {
            let mut together = [0; TOGETHER];
            let mut rest = &mut together[..];
            for slice in slices {
                let (part, after) = rest.split_at_mut(slice.len());
                part.copy_from_slice(slice);
                rest = after;
            }
            stream.poll_write(cx, &together[..length])
        } else {
            stream.poll_write_vectored(cx, slices)
        };
        self.pulse.stir();
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.bounded(cx, shut))?;
            self.has_said_goodbye = true;
        }
        if self.unread.is_there() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn patient<S>(stream: S, patience: Duration) -> (Patient<S>, Pulse) {
        let pulse = Pulse::default();
        let stream = Patient::new(stream, patience, pulse.clone(), Unread::default());
        (stream, pulse)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_up_after_a_while() {
        let (near, _far) = duplex(8);
        let (mut stream, _) = patient(near, Duration::from_millis(10));
        let written = stream.write_all(&[0; 64]).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn to_wait_for_a_reader_is_a_sign_of_life() {
        let (near, mut far) = duplex(8);
        let (mut stream, pulse) = patient(near, LONG);
        let writing = tokio::spawn(async move {
            stream.write_all(&[0; 16]).await.unwrap();
            stream
        });
        tokio::task::yield_now().await;
        assert!(pulse.has_lived() && pulse.has_lived());
        far.read_exact(&mut [0; 16]).await.unwrap();
        let _stream = writing.await.unwrap();
        pulse.has_lived();
        assert!(!pulse.has_lived());
    }
}
