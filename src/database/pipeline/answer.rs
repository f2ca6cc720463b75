//! What the server answers to what was sent up to a `Sync`.

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::Oid;
use postgres_protocol::message::backend::{
    COMMAND_COMPLETE_TAG, DATA_ROW_TAG, ERROR_RESPONSE_TAG, Message, READY_FOR_QUERY_TAG,
};

use super::super::statement::Columns;
use super::binary::BinaryRow;
use super::connection::Bound;
use super::failure::Failure;

/// How long a message is before its body: a tag, and a length that counts itself.
const HEADER: usize = 5;

/// The messages of an answer. If the connection was lost meanwhile they are not all there.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Bytes);

impl Answer {
    /// The rows of a statement whose columns have these types; of the statements that the answer
    /// is about the one with this number, from 0.
    pub(super) fn rows<T>(
        &self,
        number: usize,
        bound: &Bound<'_, T>,
        kinds: &[Oid],
    ) -> Result<Vec<T>, Failure> {
        let asked = bound.asked();
        let mut rows = Vec::with_capacity(bound.statement.expected_rows(asked));
        let (mut complete, mut is_whole) = (0, false);
        let mut rest = &self.0[..];
        while let Some((tag, body, after)) = split(rest) {
            match tag {
                DATA_ROW_TAG if complete == number => {
                    let mut columns = Columns::from(BinaryRow::new(body, kinds));
                    let row = (bound.statement.read)(&mut columns);
                    rows.push(row.map_err(Failure::Value)?);
                }
                COMMAND_COMPLETE_TAG => complete += 1,
                // What was changed is committed.
                READY_FOR_QUERY_TAG => is_whole = true,
                ERROR_RESPONSE_TAG => return Err(refusal(rest)),
                // Notices, changed settings, and that something has been understood.
                _ => {}
            }
            rest = after;
        }
        if !is_whole || complete <= number {
            return Err(Failure::Ended);
        }
        bound.statement.remember_rows(asked, rows.len());
        Ok(rows)
    }

    /// The types of the columns of a statement that was prepared.
    pub(super) fn kinds(self) -> Result<Vec<Oid>, Failure> {
        let mut messages = BytesMut::from(self.0);
        // The parser allocates by the claimed length of a message, so it gets complete ones only.
        while split(&messages).is_some()
            && let Some(message) = Message::parse(&mut messages)?
        {
            match message {
                Message::RowDescription(row) => {
                    let kinds = row.fields().map(|field| Ok(field.type_oid()));
                    return Ok(kinds.collect()?);
                }
                Message::NoData => return Ok(Vec::new()),
                Message::ErrorResponse(body) => return Err(Failure::Refused((&body).into())),
                _ => {}
            }
        }
        Err(Failure::Ended)
    }
}

/// The tag of the first message, its body, and what comes after it.
fn split(messages: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, a, b, c, d], rest) = messages.split_first_chunk::<HEADER>()?;
    let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).ok()?;
    let (body, after) = rest.split_at_checked(length.checked_sub(HEADER - 1)?)?;
    Some((tag, body, after))
}

/// The error with which `messages` begin.
fn refusal(messages: &[u8]) -> Failure {
    match Message::parse(&mut messages.into()) {
        Ok(Some(Message::ErrorResponse(body))) => Failure::Refused((&body).into()),
        Ok(_) => Failure::Ended,
        Err(error) => error.into(),
    }
}
