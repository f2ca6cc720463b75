//! Whether a connection is of any use to its client.
//!
//! Who sends nothing, or a head that never ends, would hold a connection for ever. hyper has a timer
//! against that, which it makes anew for each request, and which does not run before it knows whether
//! HTTP/1 or HTTP/2 is spoken. Here signs of life are left, which cost next to nothing, and somebody
//! looks for them now and then.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, Version};
use hyper::body::{Body as _, Frame, SizeHint};

/// How often one looks within the time that a connection may be of no use.
const LOOKS: u32 = 4;

/// The signs of life of a connection. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    /// How much is being done.
    busy: AtomicUsize,
    /// Whether something has ended or was written since somebody looked.
    has_stirred: AtomicBool,
    /// Whether HTTP/2 is spoken, which has its own way to see whether anybody is there.
    is_http2: AtomicBool,
}

impl Pulse {
    /// A request has come. It is being answered for as long as what this returns is kept.
    pub(super) fn request<B>(&self, request: &Request<B>) -> Busy {
        if request.version() >= Version::HTTP_2 {
            self.0.is_http2.store(true, Ordering::Relaxed);
        }
        self.busy()
    }

    /// Something is done that takes its time, for as long as what this returns is kept.
    pub(super) fn busy(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Something was written.
    pub(super) fn stir(&self) {
        self.0.has_stirred.store(true, Ordering::Relaxed);
    }

    /// Comes when there was no sign of life for `limit`, or a quarter more.
    pub(super) async fn stop(&self, limit: Duration) {
        let mut quiet = 0;
        while quiet < LOOKS {
            tokio::time::sleep(limit / LOOKS).await;
            quiet = if self.has_lived() { 0 } else { quiet + 1 };
        }
    }

    /// Whether there was a sign of life since this was last called.
    pub(super) fn has_lived(&self) -> bool {
        let signs = &*self.0;
        signs.has_stirred.swap(false, Ordering::Relaxed)
            || signs.busy.load(Ordering::Relaxed) > 0
            || signs.is_http2.load(Ordering::Relaxed)
    }
}

/// Something that a connection does, and that is no less than a sign of life.
#[derive(Debug)]
pub(super) struct Busy(Pulse);

impl Busy {
    /// An answer that keeps its connection busy as long as more of it may come. What is whole only
    /// has to be written.
    pub(super) fn until_sent(self, answer: Response<Body>) -> Response<Body> {
        if answer.body().size_hint().exact().is_some() {
            return answer;
        }
        answer.map(|body| Body::new(Unfinished { body, _busy: self }))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.stir();
        self.0.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer of which more may come.
struct Unfinished {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Unfinished {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version) -> Request<()> {
        Request::builder().version(version).body(()).unwrap()
    }

    #[tokio::test]
    async fn it_stops_without_a_sign_of_life() {
        let pulse = Pulse::default();
        assert!(!pulse.has_lived());
        pulse.stop(Duration::from_millis(4)).await;
    }

    #[test]
    fn what_was_written_is_a_sign_of_life_once() {
        let pulse = Pulse::default();
        pulse.stir();
        assert!(pulse.has_lived());
        assert!(!pulse.has_lived());
    }

    #[test]
    fn a_request_is_one_until_its_answer_is_whole() {
        let pulse = Pulse::default();
        let stream = futures_util::stream::pending::<Result<Bytes, axum::Error>>();
        let answers = [
            (Body::from("whole"), false),
            (Body::from_stream(stream), true),
        ];
        for (body, is_unfinished) in answers {
            let busy = pulse.request(&request(Version::HTTP_11));
            assert!(pulse.has_lived() && pulse.has_lived());
            let answer = busy.until_sent(Response::new(body));
            pulse.has_lived();
            assert_eq!(pulse.has_lived(), is_unfinished);
            drop(answer);
            pulse.has_lived();
            assert!(!pulse.has_lived());
        }
    }

    #[test]
    fn http2_looks_after_itself() {
        let pulse = Pulse::default();
        drop(pulse.request(&request(Version::HTTP_2)));
        assert!(pulse.has_lived() && pulse.has_lived());
    }
}
