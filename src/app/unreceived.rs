//! Responses that are aborted when clients leave too many bytes of responses unreceived.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use ::metrics::counter;
use axum::body::Body;
use axum::http::Response;
use http_body_util::BodyExt as _;
use tokio::sync::futures::OwnedNotified;

use crate::http::ResponseTicket;

/// Counts responses that were aborted because clients had not received them when others needed the memory.
const EVICTED: &str = "user_gateway_responses_evicted_total";

thread_local! {
    /// The eviction of the response that the task polled on this thread has begun to send.
    static EVICTION: Cell<Option<OwnedNotified>> = const { Cell::new(None) };
}

/// A response that releases its [`ResponseTicket`] with its body, for [`until_evicted`].
pub(super) fn with_ticket(mut response: Response<Body>) -> Response<Body> {
    let Some(ResponseTicket(ticket)) = response.extensions_mut().remove() else {
        return response;
    };
    EVICTION.set(Some(ticket.evicted()));
    // This passes everything on, and holds the ticket.
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _ticket = &ticket;
            error
        }))
    })
}

/// Runs what sends responses, one at a time, until it ends or a response is evicted. Dropping it
/// aborts the response.
pub(super) async fn until_evicted<F: Future>(sending: F) -> Option<F::Output> {
    let mut sending = pin!(sending);
    let mut eviction = None;
    poll_fn(|cx| {
        EVICTION.set(None);
        if let Poll::Ready(output) = sending.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if let Some(begun) = EVICTION.take() {
            eviction = Some(Box::pin(begun));
        }
        let evicted = eviction.as_mut().map(|eviction| eviction.as_mut().poll(cx));
        if evicted.is_some_and(|evicted| evicted.is_ready()) {
            counter!(EVICTED).increment(1);
            tracing::debug!("a response was aborted: clients left too many unreceived");
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::admission::Admission;

    fn response(admission: &Admission) -> Response<Body> {
        let mut response = Response::new(Body::from("body"));
        let ticket = admission.admit(4).unwrap();
        response
            .extensions_mut()
            .insert(ResponseTicket(Arc::new(ticket)));
        response
    }

    #[tokio::test]
    async fn the_oldest_response_is_aborted() {
        let admission = Admission::new(8);
        let sending = |response| until_evicted(async { with_ticket(response).into_body() });
        let unreceived = |response| {
            Box::pin(until_evicted(async {
                let _body = with_ticket(response).into_body();
                std::future::pending::<()>().await;
            }))
        };
        let mut first = unreceived(response(&admission));
        assert_eq!((&mut first).now_or_never(), None);
        // One that is received makes room.
        for _ in 0..3 {
            let body = sending(response(&admission)).await.unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "body");
        }
        assert_eq!((&mut first).now_or_never(), None);
        let mut second = unreceived(response(&admission));
        assert_eq!((&mut second).now_or_never(), None);
        let _third = response(&admission);
        assert_eq!((&mut first).now_or_never(), Some(None));
        assert_eq!((&mut second).now_or_never(), None);
    }
}
