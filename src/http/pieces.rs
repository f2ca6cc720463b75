//! Long bodies, handed over a piece at a time.
//!
//! Whoever takes a body asks for more for as long as there is some. What it does with it, such as
//! compressing it, would then be one stretch of work on a thread that serves others, too.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// A piece takes about a millisecond to compress.
const PIECE: usize = 64 * 1_024;

/// A body of these bytes.
pub(super) fn whole(bytes: Vec<u8>) -> Body {
    if bytes.len() > PIECE {
        joined(vec![bytes.into()])
    } else {
        Body::from(bytes)
    }
}

/// A body of these parts, one after the other.
pub(super) fn joined(parts: Vec<Bytes>) -> Body {
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    if bytes > PIECE {
        Body::new(Pieces {
            parts: parts.into(),
            bytes,
            is_turn_over: false,
        })
    } else {
        Body::from(parts.concat())
    }
}

/// A body that leaves the thread to others after each piece.
struct Pieces {
    parts: VecDeque<Bytes>,
    /// How many bytes are left.
    bytes: usize,
    is_turn_over: bool,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.is_turn_over) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(part) = this.parts.front_mut() else {
            return Poll::Ready(None);
        };
        let piece = part.split_to(part.len().min(PIECE));
        if part.is_empty() {
            this.parts.pop_front();
        }
        this.bytes -= piece.len();
        this.is_turn_over = true;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes as u64)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    #[test]
    fn a_long_body_comes_in_pieces_and_others_have_their_turn_in_between() {
        let parts = [1, PIECE + 1, 2 * PIECE].map(|len| Bytes::from(vec![b'a'; len]));
        let mut body = joined(parts.to_vec());
        let whole = 3 * PIECE + 2;
        assert_eq!(body.size_hint().exact(), Some(whole as u64));
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let (mut pieces, mut turns) = (Vec::new(), 0);
        loop {
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Pending => turns += 1,
                Poll::Ready(Some(frame)) => pieces.push(frame.unwrap().into_data().unwrap().len()),
                Poll::Ready(None) => break,
            }
        }
        assert_eq!(pieces, [1, PIECE, 1, PIECE, PIECE]);
        assert_eq!(pieces.iter().sum::<usize>(), whole);
        assert_eq!(turns, pieces.len());
    }
}
