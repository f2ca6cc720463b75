//! Which request the process is at work on, so that log lines and calls to other silos can say so.

use std::sync::Arc;

use futures_util::future::Either;

tokio::task_local! {
    static CURRENT: RequestTrace;
}

/// By what a request is known here and in the next system's logs and traces.
#[derive(Debug, Clone)]
pub struct RequestTrace {
    /// Its name, `x-request-id`.
    pub id: Arc<str>,
    /// Its place in a distributed trace, `traceparent` of W3C's Trace Context, if the caller gave it.
    pub traceparent: Option<Arc<str>>,
    /// What tracing systems add to that, `tracestate`.
    pub tracestate: Option<Arc<str>>,
}

impl RequestTrace {
    /// Works on `future` as a part of this request.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }
}

/// The request that the current task works on.
#[must_use]
pub fn current_request() -> Option<RequestTrace> {
    CURRENT.try_with(Clone::clone).ok()
}

/// `future`, which stays a part of the current request even in a task of its own.
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    match current_request() {
        Some(trace) => Either::Left(CURRENT.scope(trace, future)),
        None => Either::Right(future),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_carried_knows_its_request() {
        let trace = RequestTrace {
            id: Arc::from("a-request"),
            traceparent: None,
            tracestate: None,
        };
        let id = || current_request().map(|trace| trace.id);
        let (carried, lost) = trace
            .scope(async {
                let carried = tokio::spawn(carry(async move { id() }));
                let lost = tokio::spawn(async move { id() });
                (carried.await.unwrap(), lost.await.unwrap())
            })
            .await;
        assert_eq!(carried.as_deref(), Some("a-request"));
        assert_eq!(lost, None);
        assert!(current_request().is_none());
    }
}
