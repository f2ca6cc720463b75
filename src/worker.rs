//! Threads that serve, each with a runtime of its own.
//!
//! A connection is given to one thread for good, and what its requests do happens there: reading,
//! answering, and talking to the database on connections that belong to the thread. On a runtime
//! of many threads work goes to whoever is free, so threads wake each other and take over what
//! lies in the cache of another core, which is a fifth of what a look-up of a user costs.
//!
//! The price is that a request which keeps its thread at work keeps others of that thread waiting.
//! What a request may cost is bounded; and there is nothing here that blocks a thread.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::num::NonZero;
use std::sync::{Arc, LazyLock};
use std::thread::{self, available_parallelism};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

thread_local! {
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How many workers there are: as many as the machine did things at a time when it was first asked.
#[must_use]
pub fn count() -> usize {
    static COUNT: LazyLock<usize> =
        LazyLock::new(|| available_parallelism().map_or(1, NonZero::get));
    *COUNT
}

/// The number of the worker that this thread is, from 0; `None` on other threads.
#[must_use]
pub fn current() -> Option<usize> {
    NUMBER.get()
}

/// The threads at work. They end with this, and what they are at work on is dropped.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Shared with everything that it was given and that has not ended.
    load: Arc<()>,
    thread: thread::JoinHandle<()>,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<Infallible>,
}

impl Workers {
    /// Starts them.
    pub fn start() -> io::Result<Self> {
        let workers = (0..count()).map(Worker::start);
        Ok(Self(workers.collect::<io::Result<_>>()?))
    }

    /// Gives `work` to the worker that has the least.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let least = self
            .0
            .iter()
            .min_by_key(|worker| Arc::strong_count(&worker.load));
        let Some(worker) = least else {
            return;
        };
        let load = Arc::clone(&worker.load);
        worker.runtime.spawn(async move {
            work.await;
            drop(load);
        });
    }

    /// Ends them, and waits until they have ended.
    pub fn stop(self) {
        let threads: Vec<_> = self.0.into_iter().map(|worker| worker.thread).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::warn!("a worker did not end as it should");
            }
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let thread = thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                NUMBER.set(Some(number));
                // Nothing is ever sent: it ends when the other side is dropped.
                let Err(_) = runtime.block_on(stopped);
            })?;
        Ok(Self {
            runtime: handle,
            load: Arc::default(),
            thread,
            _stop: stop,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::future::pending;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_goes_to_the_worker_that_has_the_least() {
        let workers = Workers::start().unwrap();
        let (say, mut said) = mpsc::unbounded_channel();
        for _ in 0..count() {
            let say = say.clone();
            workers.spawn(async move {
                say.send(current().unwrap()).unwrap();
                pending::<()>().await;
            });
        }
        let mut numbers = HashSet::new();
        for _ in 0..count() {
            numbers.insert(said.recv().await.unwrap());
        }
        assert_eq!(numbers, (0..count()).collect());
        assert_eq!(current(), None);
    }

    #[tokio::test]
    async fn what_is_at_work_ends_with_the_workers() {
        let workers = Workers::start().unwrap();
        let (kept, mut ended) = mpsc::unbounded_channel::<()>();
        workers.spawn(async move {
            let _kept = kept;
            pending::<()>().await;
        });
        workers.stop();
        assert_eq!(ended.recv().await, None);
    }
}
