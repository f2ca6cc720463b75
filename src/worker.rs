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

/// How much more than another a worker may have to do before it gives away what it could keep:
/// what is passed on to another core costs more there.
const SLACK: usize = 4;

thread_local! {
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

static COUNT: OnceLock<usize> = OnceLock::new();

/// Sets how many workers there are, at least one. It has to be called before anybody asks
/// [`count`]; afterwards it changes nothing.
pub fn set_count(count: usize) {
    let _ = COUNT.set(count.max(1));
}

/// How many workers there are: as many as were set, or else as the machine did things at a time
/// when this was first called.
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
    /// Each ends a thread when it is dropped.
    stop: Vec<oneshot::Sender<Infallible>>,
}

/// Gives work to the workers. Clones are the same.
#[derive(Debug, Clone)]
pub struct Spawner(Arc<[Worker]>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Shared with everything that the worker was given and that has not ended.
    load: Arc<()>,
}

/// Something that a worker has to do, until this is dropped.
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

    /// What gives them work.
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
    /// Gives work to the worker that has the least to do. It counts for as long as the [`Load`]
    /// is kept with which it is begun.
    pub fn spawn<F>(&self, begin: impl FnOnce(Load) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(worker) = self.least() {
            worker.runtime.spawn(begin(worker.load()));
        }
    }

    /// Gives work to the worker that this thread is, unless another has clearly less to do.
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

    /// How much the worker has to do, and one.
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

    /// The requests of one connection would otherwise keep one core busy while others idle.
    #[tokio::test]
    async fn work_stays_near_until_another_worker_has_clearly_less() {
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
        // Its own connection counts, too.
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
