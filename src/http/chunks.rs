//! Long bodies, produced in chunks with a yield after each.
//!
//! A consumer polls a body for as long as it is ready, so compressing a long body would block its
//! worker thread.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// The size of a chunk, which takes about a millisecond to compress.
const CHUNK_BYTES: usize = 64 * 1_024;

/// A body of these bytes.
pub(super) fn whole(bytes: Vec<u8>) -> Body {
    if bytes.len() > CHUNK_BYTES {
        concatenated(vec![bytes.into()])
    } else {
        Body::from(bytes)
    }
}

/// A body of these parts in order.
pub(super) fn concatenated(parts: Vec<Bytes>) -> Body {
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    if bytes > CHUNK_BYTES {
        Body::new(Chunks {
            parts: parts.into(),
            bytes,
            must_yield: false,
        })
    } else {
        Body::from(parts.concat())
    }
}

/// A body that yields to the runtime after each chunk.
struct Chunks {
    parts: VecDeque<Bytes>,
    /// How many bytes remain.
    bytes: usize,
    must_yield: bool,
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.must_yield) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(part) = this.parts.front_mut() else {
            return Poll::Ready(None);
        };
        let chunk = part.split_to(part.len().min(CHUNK_BYTES));
        if part.is_empty() {
            this.parts.pop_front();
        }
        this.bytes -= chunk.len();
        this.must_yield = true;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
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
    fn a_long_body_comes_in_chunks_and_yields_after_each() {
        let parts = [1, CHUNK_BYTES + 1, 2 * CHUNK_BYTES].map(|len| Bytes::from(vec![b'a'; len]));
        let mut body = concatenated(parts.to_vec());
        let whole = 3 * CHUNK_BYTES + 2;
        assert_eq!(body.size_hint().exact(), Some(whole as u64));
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let (mut chunks, mut yields) = (Vec::new(), 0);
        loop {
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Pending => yields += 1,
                Poll::Ready(Some(frame)) => chunks.push(frame.unwrap().into_data().unwrap().len()),
                Poll::Ready(None) => break,
            }
        }
        assert_eq!(chunks, [1, CHUNK_BYTES, 1, CHUNK_BYTES, CHUNK_BYTES]);
        assert_eq!(chunks.iter().sum::<usize>(), whole);
        assert_eq!(yields, chunks.len());
    }
}
