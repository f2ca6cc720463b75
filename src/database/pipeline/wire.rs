//! What is on its way to the server, and who waits for what comes back.
//!
//! Whoever asks puts messages into a buffer, up to a `Sync`, and waits for the answer to it. One
//! task a connection, its [`Driver`], sends all that has come together since it last looked in one
//! go, and hands each answer over when it is there to its end. So an answer wakes whoever waits for
//! it once, however many rows it has, and lies in one piece of memory, where it is read.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, READY_FOR_QUERY_TAG};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::sync::oneshot;

use super::answer::Answer;
use super::failure::Failure;
use super::startup::{Socket, Started};

/// How much is read at a time.
const READ: usize = 32 * 1024;
/// With less room than this no reading begins.
const MIN_READ: usize = 8 * 1024;
/// A buffer that has grown beyond this is not kept.
const MAX_KEPT: usize = 256 * 1024;

/// What those who ask share with the driver.
#[derive(Debug, Default)]
pub(super) struct Wire(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    outgoing: BytesMut,
    /// Who waits, for each `Sync` in the order in which they were sent.
    waiting: VecDeque<oneshot::Sender<Answer>>,
    /// The number of answers received.
    answered: u64,
    /// Wakes the driver, if it has nothing to send.
    idle: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Nobody will ask any more. What is under way is still answered.
    Closing,
    Closed,
}

impl Wire {
    /// Sends what `write` appends, with nothing of others in between, and a `Sync`. It is carried
    /// out also if nobody waits for the answer any more.
    pub(super) async fn ask(
        &self,
        write: impl FnOnce(&mut BytesMut) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        let answer = self.send(write)?;
        answer.await.map_err(|_| Failure::Ended)
    }

    fn send(
        &self,
        write: impl FnOnce(&mut BytesMut) -> Result<(), Failure>,
    ) -> Result<oneshot::Receiver<Answer>, Failure> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.phase != Phase::Open {
            return Err(Failure::Ended);
        }
        let start = state.outgoing.len();
        if let Err(failure) = write(&mut state.outgoing) {
            state.outgoing.truncate(start);
            return Err(failure);
        }
        frontend::sync(&mut state.outgoing);
        state.waiting.push_back(answer);
        state.wake_driver();
        Ok(answered)
    }

    /// Has the connection end when all that was asked is answered.
    pub(super) fn close(&self) {
        let mut state = self.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        state.wake_driver();
    }

    /// The number of answers received, if another is awaited.
    pub(super) fn answered_if_awaiting(&self) -> Option<u64> {
        let state = self.state();
        (!state.waiting.is_empty()).then_some(state.answered)
    }

    /// Whether nobody can ask any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state().phase != Phase::Open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_driver(&mut self) {
        if let Some(driver) = self.idle.take() {
            driver.wake();
        }
    }
}

/// Sends and receives until the connection ends, which is a failure unless it was closed.
pub(super) struct Driver {
    wire: Arc<Wire>,
    socket: Socket,
    sending: BytesMut,
    /// How much of `sending` is sent.
    sent: usize,
    /// Whether the last message is among what is being sent.
    is_last: bool,
    received: BytesMut,
    /// How much of `received` is whole messages.
    whole: usize,
}

impl Driver {
    pub(super) fn new(wire: Arc<Wire>, started: Started) -> Self {
        let Started { socket, received } = started;
        Self {
            wire,
            socket,
            sending: BytesMut::new(),
            sent: 0,
            is_last: false,
            received,
            whole: 0,
        }
    }

    /// Receives all there is; ready when no more can come.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        loop {
            self.make_room();
            let reading = pin!(self.socket.read_buf(&mut self.received));
            match ready!(reading.poll(context)) {
                Ok(0) => return Poll::Ready(Failure::Ended),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error.into()),
            }
            if let Err(error) = self.hand_over() {
                return Poll::Ready(error.into());
            }
        }
    }

    fn make_room(&mut self) {
        if self.received.capacity() - self.received.len() >= MIN_READ {
            return;
        }
        if self.received.is_empty() {
            // Not `reserve`, which would keep what a large answer has needed.
            self.received = BytesMut::with_capacity(READ);
        } else {
            self.received.reserve(READ);
        }
    }

    /// Gives those who wait the answers that are whole.
    fn hand_over(&mut self) -> io::Result<()> {
        while let Some(header) = Header::parse(&self.received[self.whole..])? {
            // The length counts itself, but not the tag. It is not negative.
            let end = self.whole + 1 + header.len().unsigned_abs() as usize;
            if self.received.len() < end {
                break;
            }
            self.whole = end;
            if header.tag() == READY_FOR_QUERY_TAG {
                let answer = self.received.split_to(mem::take(&mut self.whole));
                let mut state = self.wire.state();
                state.answered += 1;
                let asker = state.waiting.pop_front();
                drop(state);
                if let Some(asker) = asker {
                    // Whoever has gone needs no answer.
                    let _ = asker.send(Answer(answer.freeze()));
                }
            }
        }
        Ok(())
    }

    /// Sends all there is; ready when that was the last.
    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.sending.len() {
                let rest = &self.sending[self.sent..];
                let sent = ready!(Pin::new(&mut self.socket).poll_write(context, rest))?;
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.sent += sent;
            }
            ready!(Pin::new(&mut self.socket).poll_flush(context))?;
            if self.is_last {
                return Poll::Ready(Ok(()));
            }
            self.sent = 0;
            self.sending.clear();
            if self.sending.capacity() > MAX_KEPT {
                self.sending = BytesMut::new();
            }
            let mut state = self.wire.state();
            if !state.outgoing.is_empty() {
                mem::swap(&mut state.outgoing, &mut self.sending);
            } else if state.phase == Phase::Closing && state.waiting.is_empty() {
                self.is_last = true;
                frontend::terminate(&mut self.sending);
            } else {
                state.idle = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

impl Future for Driver {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(failure) = self.receive(context) {
            return Poll::Ready(Err(failure));
        }
        self.send(context).map_err(Failure::from)
    }
}

impl Drop for Driver {
    /// Nobody waits any longer. What the server said last tells the first of them why.
    fn drop(&mut self) {
        let mut state = self.wire.state();
        state.phase = Phase::Closed;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        if let Some(asker) = waiting.into_iter().next() {
            let _ = asker.send(Answer(self.received.split().freeze()));
        }
    }
}
