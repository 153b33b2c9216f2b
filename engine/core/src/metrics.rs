//! What moved at what speed: counted while a load runs, told as JSON when it is done.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::frame::Frame;

/// A number that many threads add to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Time that threads spent in one kind of work, summed over threads.
#[derive(Debug, Default)]
pub struct Busy(Counter);

impl Busy {
    /// Runs `work` and adds its time.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.0.add(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        done
    }

    /// Seconds in all.
    pub fn seconds(&self) -> f64 {
        self.0.get() as f64 / 1e9
    }
}

/// Counters of one load.
#[derive(Debug, Default)]
pub struct LoadMetrics {
    /// Files opened
    pub files: Counter,
    /// Row groups decoded
    pub row_groups: Counter,
    /// Row groups that statistics ruled out
    pub row_groups_pruned: Counter,
    /// Decoding, summed over threads
    pub decode: Busy,
    stages: Mutex<Vec<(&'static str, Duration)>>,
}

impl LoadMetrics {
    /// Records the wall time of a stage.
    pub fn stage(&self, name: &'static str, took: Duration) {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).push((name, took));
    }
}

impl LoadMetrics {
    /// The whole as JSON; `fetch` is the fetcher's own account.
    pub fn to_json(&self, wall: Duration, frame: &Frame, fetch: serde_json::Value) -> String {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let stages: serde_json::Map<_, _> =
            stages.iter().map(|(name, took)| (format!("{name}_s"), json!(took.as_secs_f64()))).collect();
        json!({
            "wall_s": wall.as_secs_f64(),
            "rows": frame.num_rows(),
            "result_bytes": frame.nbytes(),
            "files": self.files.get(),
            "row_groups": self.row_groups.get(),
            "row_groups_pruned": self.row_groups_pruned.get(),
            "decode_thread_s": self.decode.seconds(),
            "stages": stages,
            "fetch": fetch,
        })
        .to_string()
    }
}
