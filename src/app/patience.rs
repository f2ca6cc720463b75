//! Connections whose other side has to take what is written to it.
//!
//! A client that does not read its answer, or reads slowly, would otherwise hold the answer and its
//! connection indefinitely: TCP does not time out while the client acknowledges.
//!
//! And one that is refused while it still sends is let finish for a moment; see [`super::unread`].

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::pulse::{Busy, Pulse};
use super::stream::TIMEOUTS;
use super::unread::Unread;

/// How long who is refused may go on sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what is dropped is read at a time.
const DROPPED_AT_ONCE: usize = 16 * 1024;

/// What is no longer than this is written as one piece, which is less work for the system than two.
const TOGETHER: usize = 1024;

/// How long the client may take to receive what is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteTimeouts {
    /// All that is buffered.
    pub(super) answer: Duration,
    /// The same, on an event stream or a WebSocket.
    pub(super) stream: Duration,
}

/// A connection on which writing fails after a timeout. `H` is held for as long as the connection
/// exists, also after an upgrade.
#[derive(Debug)]
pub(super) struct Patient<S, H> {
    stream: S,
    patience: WriteTimeouts,
    pulse: Pulse,
    unread: Unread,
    /// Runs while there is something that the other side does not take.
    waiting: Option<(Pin<Box<Sleep>>, Busy)>,
    has_said_goodbye: bool,
    /// Runs while something is to be dropped.
    lingering: Option<Pin<Box<Sleep>>>,
    _held: H,
}

impl<S, H> Patient<S, H> {
    pub(super) fn new(
        stream: S,
        patience: WriteTimeouts,
        pulse: Pulse,
        unread: Unread,
        held: H,
    ) -> Self {
        Self {
            stream,
            patience,
            pulse,
            unread,
            waiting: None,
            has_said_goodbye: false,
            lingering: None,
            _held: held,
        }
    }

    /// Applies the timeout to the result of a write; `is_all` says that nothing more is buffered. Partial
    /// progress does not extend the timeout.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        is_all: bool,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if is_all {
                self.waiting = None;
            }
            return written;
        }
        let begin = || {
            let patience = if self.pulse.is_streaming() {
                self.patience.stream
            } else {
                self.patience.answer
            };
            (Box::pin(sleep(patience)), self.pulse.busy())
        };
        let (waiting, _) = self.waiting.get_or_insert_with(begin);
        ready!(waiting.as_mut().poll(cx));
        counter!(TIMEOUTS, "protocol" => "tcp").increment(1);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, H> Patient<S, H> {
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

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Patient<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.note_received();
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, H: Unpin> AsyncWrite for Patient<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written, false)
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
        self.bounded(cx, written, false)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, flushed, true)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.bounded(cx, shut, true))?;
            self.has_said_goodbye = true;
        }
        // The client may still be sending a head that was refused.
        if self.unread.is_there() || self.pulse.is_in_head() {
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
    const SHORT: Duration = Duration::from_millis(10);

    fn patient<S>(stream: S, answer: Duration, stream_of: Duration) -> (Patient<S, ()>, Pulse) {
        let pulse = Pulse::default();
        let patience = WriteTimeouts {
            answer,
            stream: stream_of,
        };
        let stream = Patient::new(stream, patience, pulse.clone(), Unread::default(), ());
        (stream, pulse)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_up_after_a_while() {
        let (near, _far) = duplex(8);
        let (mut stream, _) = patient(near, SHORT, LONG);
        let written = stream.write_all(&[0; 64]).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn partial_reads_do_not_extend_the_timeout() {
        for (answer, events) in [(SHORT, None), (LONG, Some(SHORT))] {
            let (near, mut far) = duplex(8);
            let (mut stream, pulse) = patient(near, answer, events.unwrap_or(LONG));
            if events.is_some() {
                pulse.stream();
            }
            let reading = tokio::spawn(async move {
                while far.read_exact(&mut [0]).await.is_ok() {
                    tokio::time::sleep(SHORT / 5).await;
                }
            });
            let written = stream.write_all(&vec![0; 64 * 1024]).await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
            drop(stream);
            reading.await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_event_stream_has_a_timeout_of_its_own() {
        let (near, _far) = duplex(8);
        let (mut stream, pulse) = patient(near, LONG, SHORT);
        pulse.stream();
        let written = stream.write_all(&[0; 64]).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn to_wait_for_a_reader_is_a_sign_of_life() {
        let (near, mut far) = duplex(8);
        let (mut stream, pulse) = patient(near, LONG, LONG);
        let writing = tokio::spawn(async move {
            stream.write_all(&[0; 16]).await.unwrap();
            stream.flush().await.unwrap();
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
