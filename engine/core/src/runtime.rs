//! The process's tokio runtime, made on first use and remade in a forked child, and the token that cancels work.
//!
//! Metaflow forks. A child inherits the parent's memory but none of its threads, so a runtime or an HTTP client made
//! before the fork would wait for ever. [`PerProcess`] remembers the pid a value was made in; in a child the parent's
//! value is leaked (its threads do not exist, dropping it would hang) and a new one is made.
//!
//! Work that was given up may have to remove what it left ([`Tidying`]); a process that ends waits for it ([`settle`]).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Kind, Result};

/// A value that belongs to the process that made it.
pub struct PerProcess<T> {
    slot: RwLock<Option<(u32, Arc<T>)>>,
}

impl<T> PerProcess<T> {
    /// An empty slot.
    pub const fn new() -> Self {
        PerProcess { slot: RwLock::new(None) }
    }

    /// The value of this process, made by `make` if there is none. If two threads race, the first one's value stays.
    pub fn get_or_try_init(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let pid = std::process::id();
        // A fork may have copied a lock that a thread of the parent held: it will never be released here, so try, and
        // after a millisecond use a value of our own.
        for _ in 0..100 {
            if let Ok(slot) = self.slot.try_read() {
                match slot.as_ref() {
                    Some((owner, value)) if *owner == pid => return Ok(Arc::clone(value)),
                    _ => break,
                }
            }
            std::thread::sleep(Duration::from_micros(10));
        }
        let made = Arc::new(make()?);
        for _ in 0..100 {
            if let Ok(mut slot) = self.slot.try_write() {
                if let Some((owner, value)) = slot.as_ref()
                    && *owner == pid
                {
                    return Ok(Arc::clone(value));
                }
                if let Some((_, stale)) = slot.replace((pid, Arc::clone(&made))) {
                    std::mem::forget(stale); // a parent's: its threads are not here to be joined
                }
                return Ok(made);
            }
            std::thread::sleep(Duration::from_micros(10));
        }
        Ok(made)
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let slot = self.slot.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((owner, value)) = slot.take()
            && owner != std::process::id()
        {
            std::mem::forget(value);
        }
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

static RUNTIME: PerProcess<Runtime> = PerProcess::new();

/// Runs a future on its own task, so that several move bytes at once; dropping the handle ends it.
pub async fn spawn<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(work);
    let stopped = || Error::new(Kind::Cancelled, "cancelled");
    tasks.join_next().await.ok_or_else(stopped)?.map_err(|_| stopped())?
}

/// The runtime that carries network work. Two workers: they copy bytes and wait; decoding has threads of its own.
pub fn runtime() -> Result<Arc<Runtime>> {
    RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(64)
            .thread_name("headrace-io")
            .enable_all()
            .build()
            .map_err(|e| Error::new(Kind::Internal, format!("the I/O runtime did not start: {e}")))
    })
}

static TIDYING: PerProcess<AtomicUsize> = PerProcess::new();
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Lives as long as work that will remove what it wrote if it is given up.
pub struct Tidying(Arc<AtomicUsize>);

impl Tidying {
    /// Work of this process.
    pub fn begin() -> Result<Tidying> {
        let count = TIDYING.get_or_try_init(|| Ok(AtomicUsize::new(0)))?;
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Tidying(count))
    }
}

impl Drop for Tidying {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits, `longest` at most, until no work is left that may have to remove something; whether that is so.
pub fn settle(longest: Duration) -> Result<bool> {
    let count = TIDYING.get_or_try_init(|| Ok(AtomicUsize::new(0)))?;
    let ends = Instant::now() + longest;
    while count.load(Ordering::Relaxed) > 0 {
        if Instant::now() >= ends {
            return Ok(false);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(true)
}

/// Cores that this process may use (cgroup and affinity respected).
pub fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A flag shared by every task of one call; set on Ctrl-C or when a sibling failed.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks every holder to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// `Err(Cancelled)` once [`Cancel::cancel`] was called. Call it at least every 10 ms of work.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Error::new(Kind::Cancelled, "cancelled")) } else { Ok(()) }
    }
}
