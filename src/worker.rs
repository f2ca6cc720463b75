//! Threads that serve, each with a runtime of its own.
//!
//! A connection is given to one thread for good, and what its requests do happens there: reading,
//! answering, and talking to the database on connections that belong to the thread. Only requests
//! of an HTTP/2 connection go to other threads, once their own has clearly more to do than those. On a runtime
//! of many threads work goes to whoever is free, so threads wake each other and take over what
//! lies in the cache of another core, which is a fifth of what a look-up of a user costs.
//!
//! The price is that a request which keeps its thread at work keeps others of that thread waiting.
//! What a request may cost is bounded; and there is nothing here that blocks a thread.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::thread::{self, available_parallelism};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many more tasks than another a worker may have before it passes work on, which costs more on
/// another core.
const SLACK: usize = 4;

thread_local! {
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

static COUNT: OnceLock<usize> = OnceLock::new();

/// Sets the number of workers, at least one. Has no effect after the first call of [`count`].
pub fn set_count(count: usize) {
    let _ = COUNT.set(count.max(1));
}

/// The number of workers: as set, or else the parallelism of the machine at the first call.
#[must_use]
pub fn count() -> usize {
    *COUNT.get_or_init(|| available_parallelism().map_or(1, NonZero::get))
}

/// The number of the worker that this thread is, from 0; `None` on other threads.
#[must_use]
pub fn current() -> Option<usize> {
    NUMBER.get()
}

/// The threads at work. They end with this, and what they are at work on is dropped.
#[derive(Debug)]
pub struct Workers {
    spawner: Spawner,
    threads: Vec<thread::JoinHandle<()>>,
    /// Dropping one ends its thread.
    stop: Vec<oneshot::Sender<Infallible>>,
}

/// Spawns work on the workers. Clones share them.
#[derive(Debug, Clone)]
pub struct Spawner(Arc<[Worker]>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Its reference count is the number of unfinished tasks, and one.
    load: Arc<()>,
}

/// Counts as a task of a worker until it is dropped.
#[derive(Debug)]
pub struct Load {
    _shared: Arc<()>,
}

impl Workers {
    /// Starts them.
    pub fn start() -> io::Result<Self> {
        let mut workers = Vec::with_capacity(count());
        let mut threads = Vec::with_capacity(count());
        let mut stop = Vec::with_capacity(count());
        for number in 0..count() {
            let (worker, thread, stop_it) = Worker::start(number)?;
            workers.push(worker);
            threads.push(thread);
            stop.push(stop_it);
        }
        Ok(Self {
            spawner: Spawner(workers.into()),
            threads,
            stop,
        })
    }

    /// Spawns work on them.
    #[must_use]
    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Ends them, and waits until they have ended.
    pub fn stop(self) {
        drop(self.stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::warn!("a worker did not end as it should");
            }
        }
    }
}

impl Spawner {
    /// Spawns work on the worker with the fewest tasks. It counts as one for as long as its [`Load`]
    /// exists.
    pub fn spawn<F>(&self, begin: impl FnOnce(Load) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(worker) = self.least() {
            worker.runtime.spawn(begin(worker.load()));
        }
    }

    /// Spawns work on the worker of this thread, unless another has clearly fewer tasks.
    pub fn spawn_near(&self, work: impl Future<Output = ()> + Send + 'static) {
        let own = current().and_then(|number| self.0.get(number));
        let worker = match (own, self.least()) {
            (Some(own), Some(least)) if own.tasks() <= least.tasks() + SLACK => own,
            (_, Some(least)) => least,
            (_, None) => return,
        };
        let load = worker.load();
        worker.runtime.spawn(async move {
            work.await;
            drop(load);
        });
    }

    fn least(&self) -> Option<&Worker> {
        self.0.iter().min_by_key(|worker| worker.tasks())
    }
}

impl Worker {
    fn start(
        number: usize,
    ) -> io::Result<(Self, thread::JoinHandle<()>, oneshot::Sender<Infallible>)> {
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
        let worker = Self {
            runtime: handle,
            load: Arc::default(),
        };
        Ok((worker, thread, stop))
    }

    fn load(&self) -> Load {
        Load {
            _shared: Arc::clone(&self.load),
        }
    }

    /// The number of its tasks, and one.
    fn tasks(&self) -> usize {
        Arc::strong_count(&self.load)
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
            workers.spawner().spawn(|load| async move {
                say.send(current().unwrap()).unwrap();
                pending::<()>().await;
                drop(load);
            });
        }
        let mut numbers = HashSet::new();
        for _ in 0..count() {
            numbers.insert(said.recv().await.unwrap());
        }
        assert_eq!(numbers, (0..count()).collect());
        assert_eq!(current(), None);
    }

    /// Otherwise the requests of one connection would use one core while others are idle.
    #[tokio::test]
    async fn work_stays_on_its_worker_until_another_has_clearly_fewer_tasks() {
        let workers = Workers::start().unwrap();
        let (say, mut said) = mpsc::unbounded_channel();
        let spawner = workers.spawner().clone();
        let total = (SLACK + 1) * count();
        workers.spawner().spawn(|load| async move {
            say.send(current().unwrap()).unwrap();
            for _ in 0..total {
                let say = say.clone();
                spawner.spawn_near(async move {
                    say.send(current().unwrap()).unwrap();
                    pending::<()>().await;
                });
            }
            pending::<()>().await;
            drop(load);
        });
        let own = said.recv().await.unwrap();
        let mut counts = vec![0; count()];
        for _ in 0..total {
            counts[said.recv().await.unwrap()] += 1;
        }
        // The connection itself counts, too.
        let most = counts[own] + 1;
        for (number, count) in counts.iter().enumerate() {
            let is_near = (1..=SLACK + 1).contains(&(most - count));
            assert!(number == own || is_near, "{counts:?}");
        }
    }

    #[tokio::test]
    async fn what_is_at_work_ends_with_the_workers() {
        let workers = Workers::start().unwrap();
        let (kept, mut ended) = mpsc::unbounded_channel::<()>();
        workers.spawner().spawn(|_| async move {
            let _kept = kept;
            pending::<()>().await;
        });
        workers.stop();
        assert_eq!(ended.recv().await, None);
    }
}
