//! What moved at what speed: counted while a load runs, told as JSON when it is done.
//!
//! CPU time is the kernel's own account: exact for a thread, user and system apart only for the process (by ticks, so not
//! for work of milliseconds). Must not know: how bytes are fetched or decoded.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::frame::Frame;

/// Decoders that worked less than this share of the time waited for bytes.
const IDLE_BELOW: f64 = 0.5;

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

/// Bytes dealt with so far, and in all: read by whoever draws a bar. Of a load as they are in the files, of a write as
/// they are in the frame.
#[derive(Debug, Default)]
pub struct Progress {
    done: Counter,
    total: Counter,
}

impl Progress {
    /// (done, total) in bytes.
    pub fn read(&self) -> (u64, u64) {
        (self.done.get(), self.total.get())
    }

    /// So many bytes more are to be dealt with.
    pub fn announce(&self, bytes: u64) {
        self.total.add(bytes);
    }

    /// So many more are done.
    pub fn add(&self, bytes: u64) {
        self.done.add(bytes);
    }
}

/// Time that threads spent in one kind of work, summed over threads.
#[derive(Debug, Default)]
pub struct Busy {
    wall: Counter,
    cpu: Counter,
}

impl Busy {
    /// Runs `work` and adds its time.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let (started, cpu) = (Instant::now(), thread_cpu());
        let done = work();
        self.wall.add(nanoseconds(started.elapsed()));
        self.cpu.add(nanoseconds(thread_cpu().saturating_sub(cpu)));
        done
    }

    /// Seconds in all.
    pub fn seconds(&self) -> f64 {
        seconds(&self.wall)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn seconds(counter: &Counter) -> f64 {
    counter.get() as f64 / 1e9
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of our own.
    match unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) } {
        0 => Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0)),
        _ => Duration::ZERO,
    }
}

/// User and system time of the process.
fn process_cpu() -> (Duration, Duration) {
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a rusage of our own.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return (Duration::ZERO, Duration::ZERO);
    }
    let time = |value: libc::timeval| {
        let (seconds, micros) = (u64::try_from(value.tv_sec), u64::try_from(value.tv_usec));
        Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
    };
    (time(usage.ru_utime), time(usage.ru_stime))
}

/// Counters of one load.
#[derive(Debug)]
pub struct LoadMetrics {
    /// Files opened
    pub files: Counter,
    /// Row groups decoded
    pub row_groups: Counter,
    /// Row groups that statistics ruled out
    pub row_groups_pruned: Counter,
    /// What was left out beyond that
    pub pruned: PruneCounters,
    /// Decoding, summed over threads
    pub decode: Busy,
    /// Bytes of column chunks that were decoded, as they are in the files
    pub encoded: Counter,
    /// Column chunks decoded straight into column memory
    pub direct: Counter,
    /// Column chunks decoded by the general reader
    pub general: Counter,
    /// Row deletes
    pub deletes: DeleteCounters,
    started: Instant,
    cpu_before: (Duration, Duration),
    stages: Mutex<Vec<(&'static str, Duration)>>,
}

/// What a load's row deletes were, and did.
#[derive(Debug, Default)]
pub struct DeleteCounters {
    /// Delete files and deletion vectors read
    pub files: Counter,
    /// Deletes in them
    pub records: Counter,
    /// Rows that positions removed, of the row groups that the filter's statistics left
    pub rows_by_position: Counter,
    /// Rows that values removed, of those that passed the filter
    pub rows_by_value: Counter,
    /// Positions that are about no data file of the load
    pub unmatched_positions: Counter,
}

impl DeleteCounters {
    fn to_json(&self) -> Value {
        json!({
            "files": self.files.get(),
            "records": self.records.get(),
            "rows_by_position": self.rows_by_position.get(),
            "rows_by_value": self.rows_by_value.get(),
            "unmatched_positions": self.unmatched_positions.get(),
        })
    }
}

/// What a filter left out by more than the bounds of row groups.
#[derive(Debug, Default)]
pub struct PruneCounters {
    /// Row groups whose Bloom filters hold none of the values
    pub groups_by_bloom: Counter,
    /// Row groups whose dictionaries hold none of the values
    pub groups_by_dictionary: Counter,
    /// Row groups of whose pages none can match
    pub groups_by_pages: Counter,
    /// Rows of other row groups, in pages that cannot match
    pub rows_by_pages: Counter,
}

impl PruneCounters {
    fn to_json(&self) -> Value {
        json!({
            "row_groups_by_bloom": self.groups_by_bloom.get(),
            "row_groups_by_dictionary": self.groups_by_dictionary.get(),
            "row_groups_by_pages": self.groups_by_pages.get(),
            "rows_by_pages": self.rows_by_pages.get(),
        })
    }
}

/// What a load's fetcher counted.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Requests, retries among them
    pub requests: u64,
    /// Requests that repeat or continue a failed one
    pub retries: u64,
    /// Body bytes
    pub bytes: u64,
    /// Time during which any was under way
    pub busy: Duration,
}

impl Default for LoadMetrics {
    fn default() -> LoadMetrics {
        LoadMetrics {
            files: Counter::default(),
            row_groups: Counter::default(),
            row_groups_pruned: Counter::default(),
            pruned: PruneCounters::default(),
            decode: Busy::default(),
            encoded: Counter::default(),
            direct: Counter::default(),
            general: Counter::default(),
            deletes: DeleteCounters::default(),
            started: Instant::now(),
            cpu_before: process_cpu(),
            stages: Mutex::default(),
        }
    }
}

impl LoadMetrics {
    /// Records the wall time of a stage.
    pub fn stage(&self, name: &'static str, took: Duration) {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).push((name, took));
    }

    /// Counts a decoded column chunk of `bytes` bytes in its file.
    pub fn decoded(&self, direct: bool, bytes: u64) {
        if direct {
            self.direct.add(1)
        } else {
            self.general.add(1)
        }
        self.encoded.add(bytes);
    }

    /// The whole as JSON; `threads` decoders were allowed.
    pub fn to_json(&self, frame: &Frame, fetched: Fetched, threads: usize) -> String {
        let wall = self.started.elapsed().as_secs_f64();
        let (user, system) = process_cpu();
        let cpu = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64();
        let (user, system) = (cpu(user, self.cpu_before.0), cpu(system, self.cpu_before.1));
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let stages: serde_json::Map<_, _> =
            stages.iter().map(|(name, took)| (format!("{name}_s"), json!(took.as_secs_f64()))).collect();
        json!({
            "wall_s": wall,
            "cpu_user_s": user,
            "cpu_system_s": system,
            "rows": frame.num_rows(),
            "result_bytes": frame.nbytes(),
            "files": self.files.get(),
            "row_groups": self.row_groups.get(),
            "row_groups_pruned": self.row_groups_pruned.get(),
            "pruned": self.pruned.to_json(),
            "stages": stages,
            "deletes": self.deletes.to_json(),
            "fetch": {
                "requests": fetched.requests,
                "retries": fetched.retries,
                "bytes": fetched.bytes,
                "busy_s": fetched.busy.as_secs_f64(),
                "mb_per_s": rate(fetched.bytes, fetched.busy.as_secs_f64()),
            },
            "decode": {
                "bytes": self.encoded.get(),
                "thread_s": self.decode.seconds(),
                "cpu_s": seconds(&self.decode.cpu),
                "mb_per_s": rate(self.encoded.get(), self.decode.seconds()),
                "direct_chunks": self.direct.get(),
                "general_chunks": self.general.get(),
            },
            "bound": self.bound(wall, (user, system), fetched, threads),
        })
        .to_string()
    }

    /// What the load waited for, as a word and in words.
    fn bound(&self, wall: f64, (user, system): (f64, f64), fetched: Fetched, threads: usize) -> Value {
        let share = if wall > 0.0 { self.decode.seconds() / (wall * threads.max(1) as f64) } else { 0.0 };
        let busy = format!("{threads} decoders worked {:.0} % of {wall:.2} s", 100.0 * share.min(1.0));
        let megabytes = rate(fetched.bytes, fetched.busy.as_secs_f64());
        let (by, why) = if share < IDLE_BELOW {
            let advice = "a closer region, a larger instance or fewer columns would help, more cores would not";
            ("network", format!("{busy} and waited for bytes, which came at {megabytes:.0} MB/s: {advice}"))
        } else if system > user {
            let advice = "memory that a load used before is faster: load again in this process, or in smaller shards";
            let spent = format!("{system:.2} s of CPU in the kernel, handing out memory, {user:.2} s outside");
            ("memory", format!("{busy}; {spent}: {advice}"))
        } else {
            ("decode", format!("{busy}: more cores or fewer columns would help, a faster network would not"))
        };
        json!({"by": by, "why": why})
    }
}

fn rate(bytes: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { bytes as f64 / 1e6 / seconds } else { 0.0 }
}
