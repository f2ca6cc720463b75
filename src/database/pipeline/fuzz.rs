//! Fuzz targets for what a PostgreSQL server sends.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::statement::{Columns, Parameter, Prepared, TextList};
use super::connection::Bound;
use super::startup::{Session, Started, start};
use super::wire::{Driver, Wire};
use crate::domain::Result;

/// The number of answers that are waited for: one to preparing a statement, the others to executing it.
const ASKED: usize = 3;

/// A server that sends its input in steps of this many bytes, and ignores what it receives.
struct Script {
    rest: Bytes,
    step: usize,
}

impl Script {
    fn new(data: &[u8], step: usize) -> Self {
        let rest = Bytes::copy_from_slice(data);
        Self { rest, step }
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.step.min(self.rest.len()).min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A row with a column of each type that is read anywhere.
fn read_row(columns: &mut Columns<'_>) -> Result<String> {
    let id: i64 = columns.take()?;
    let text = columns.text()?;
    let nullable = columns.nullable_text()?;
    let is_set: bool = columns.take()?;
    let number: i32 = columns.take()?;
    let small: Option<i16> = columns.take()?;
    let moment: Option<DateTime<Utc>> = columns.take()?;
    let list: Option<TextList> = columns.take()?;
    Ok(format!(
        "{id} {text} {nullable:?} {is_set} {number} {small:?} {moment:?} {list:?}"
    ))
}

/// What is read from the input when it arrives in steps of this many bytes.
fn interpret(data: &[u8], step: usize) -> Vec<String> {
    let wire = Arc::<Wire>::default();
    let asked = (0..ASKED).map(|_| wire.ask(|_| Ok(())));
    let mut asked = pin!(join_all(asked));
    assert!(
        asked.as_mut().now_or_never().is_none(),
        "nothing has arrived"
    );
    let started = Started {
        socket: Box::new(Script::new(data, step)),
        received: BytesMut::new(),
    };
    let ended = Driver::new(Arc::clone(&wire), started).now_or_never();
    assert!(ended.is_some(), "a connection outlives its socket");
    let answers = asked.now_or_never().unwrap_or_default();
    assert_eq!(answers.len(), ASKED, "a waiter is not answered");
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    let bytes: usize = answers.iter().map(|answer| answer.0.len()).sum();
    assert!(
        bytes <= data.len(),
        "answers have more bytes than the input"
    );

    let mut answers = answers.into_iter();
    let kinds = answers.next().map(super::answer::Answer::kinds);
    let mut made = vec![format!("{kinds:?}")];
    let kinds = kinds.and_then(std::result::Result::ok).unwrap_or_default();
    let statement = Prepared::new("", 0, read_row);
    let bound = Bound {
        statement: &statement,
        parameters: &[Parameter::Id(1)],
    };
    for answer in answers {
        for number in 0..2 {
            made.push(format!("{:?}", answer.rows(number, &bound, &kinds)));
        }
    }
    made
}

/// Bytes of a server that is ready: every waiter gets an answer or an error, and the answers do not depend
/// on how the bytes are split.
///
/// # Panics
///
/// If that is not so.
pub fn answers(data: &[u8]) {
    let at_once = interpret(data, usize::MAX);
    assert_eq!(
        at_once,
        interpret(data, 1),
        "the answers depend on how the bytes are split"
    );
}

/// Bytes of a server during startup, at once and one by one: the connection is ready or fails.
///
/// # Panics
///
/// If startup still waits after the end of the input.
pub fn startup(data: &[u8]) {
    for step in [usize::MAX, 1] {
        let session = Session {
            user: "gateway",
            password: Some(b"secret"),
            parameters: &[],
        };
        let started = start(Box::new(Script::new(data, step)), session).now_or_never();
        assert!(
            started.is_some(),
            "startup waits after the end of the input"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_regular_answer_are_read() {
        let seed = include_bytes!("../../../fuzz/seeds/postgres_answers/rows");
        let made = interpret(seed, usize::MAX);
        assert!(
            made[1].starts_with("Ok([\"7 ada None true 3 Some(2) Some("),
            "{made:?}"
        );
        assert!(made[1].contains("8  Some("), "{made:?}");
    }

    #[test]
    fn an_array_with_a_wrong_length_fails_its_row() {
        let seed = include_bytes!("../../../fuzz/seeds/postgres_answers/claimed-array");
        let made = interpret(seed, usize::MAX);
        assert!(made[1].starts_with("Err(Value("), "{made:?}");
    }
}
