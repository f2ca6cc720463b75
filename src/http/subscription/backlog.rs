//! The answers that wait to be sent on a WebSocket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the bytes of waiting answers. Clones share the count.
#[derive(Debug, Clone)]
pub(super) struct Backlog(Arc<Waiting>);

#[derive(Debug)]
struct Waiting {
    bound: usize,
    bytes: AtomicUsize,
    exceeded: Notify,
}

impl Backlog {
    pub(super) fn new(bound: usize) -> Self {
        Self(Arc::new(Waiting {
            bound,
            bytes: AtomicUsize::new(0),
            exceeded: Notify::new(),
        }))
    }

    /// The most bytes that may wait.
    pub(super) fn bound(&self) -> usize {
        self.0.bound
    }

    /// Adds an answer of this size; `None` if that exceeds the bound, which closes the connection. If no
    /// other answer waits, it may have any size. An empty one always fits.
    pub(super) fn add(&self, bytes: usize) -> Option<Unsent> {
        let before = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        let unsent = Unsent {
            backlog: self.clone(),
            bytes,
        };
        let is_alone = before == 0 || bytes == 0;
        if !is_alone && before.saturating_add(bytes) > self.0.bound {
            self.0.exceeded.notify_one();
            return None;
        }
        Some(unsent)
    }

    /// Resolves once the bound has been exceeded.
    pub(super) async fn exceeded(&self) {
        self.0.exceeded.notified().await;
    }
}

/// Counts an answer as waiting until it is dropped.
#[derive(Debug)]
pub(super) struct Unsent {
    backlog: Backlog,
    bytes: usize,
}

impl Drop for Unsent {
    fn drop(&mut self) {
        let waiting = &self.backlog.0.bytes;
        waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn one_answer_may_have_any_size_and_several_are_bounded() {
        let backlog = Backlog::new(10);
        let large = backlog.add(100).unwrap();
        assert!(backlog.exceeded().now_or_never().is_none());
        assert!(backlog.add(1).is_none());
        assert!(backlog.exceeded().now_or_never().is_some());
        drop(large);
        let _several = [backlog.add(5).unwrap(), backlog.add(5).unwrap()];
        assert!(backlog.add(1).is_none());
    }
}
