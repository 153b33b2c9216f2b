//! What moved: requests, retries, bytes, and the time during which anything was under way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counters of one load, shared by all its requests.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    throttles: AtomicU64,
    waiting_ns: AtomicU64,
    receiving_ns: AtomicU64,
    clock: Mutex<Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    active: u64,
    since: Option<Instant>,
    total: Duration,
}

impl Counters {
    /// Requests sent, retries included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that repeat or continue a failed one.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Body bytes received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Time during which at least one read was under way.
    pub fn wall(&self) -> Duration {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.total + clock.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Connections opened; the other requests went over one that was open. None through a proxy.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Answers that asked to slow down.
    pub fn throttles(&self) -> u64 {
        self.throttles.load(Ordering::Relaxed)
    }

    /// From a request until the head of its answer, summed over requests.
    pub fn waiting(&self) -> Duration {
        Duration::from_nanos(self.waiting_ns.load(Ordering::Relaxed))
    }

    /// From the head of an answer until the end of its body, summed over requests.
    pub fn receiving(&self) -> Duration {
        Duration::from_nanos(self.receiving_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn throttle(&self) {
        self.throttles.fetch_add(1, Ordering::Relaxed);
    }

    /// One attempt: its head came after `waited`, its body after `received` more.
    pub(crate) fn times(&self, waited: Duration, received: Duration) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.waiting_ns.fetch_add(nanoseconds(waited), Ordering::Relaxed);
        self.receiving_ns.fetch_add(nanoseconds(received), Ordering::Relaxed);
    }

    pub(crate) fn request(&self, is_retry: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(is_retry), Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Runs the clock until the guard is dropped.
    pub(crate) fn busy(&self) -> Busy<'_> {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.active += 1;
        clock.since.get_or_insert_with(Instant::now);
        Busy(self)
    }
}

/// A read under way.
pub(crate) struct Busy<'a>(&'a Counters);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut clock = self.0.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.active -= 1;
        if clock.active == 0
            && let Some(since) = clock.since.take()
        {
            clock.total += since.elapsed();
        }
    }
}
