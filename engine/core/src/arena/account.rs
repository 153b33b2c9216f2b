//! Bytes that one load may allocate: counted before they are touched, refused with a typed error before they hurt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};

/// A bound on memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Account {
    limit: u64,
    used: Arc<AtomicU64>,
}

/// A share of an [`Account`], given back when dropped.
#[derive(Debug)]
pub struct Share {
    bytes: u64,
    used: Arc<AtomicU64>,
}

impl Account {
    /// At most `limit` bytes at a time.
    pub fn new(limit: u64) -> Account {
        Account { limit, used: Arc::default() }
    }

    /// The bound.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes `bytes`, or refuses.
    pub fn take(&self, bytes: u64) -> Result<Share> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let share = Share { bytes, used: Arc::clone(&self.used) };
        if before.saturating_add(bytes) <= self.limit {
            return Ok(share);
        }
        let (needed, limit) = (before.saturating_add(bytes) >> 20, self.limit >> 20);
        Err(Error::new(Kind::MemoryLimit, format!("the result needs more than {needed} MiB, the limit is {limit} MiB"))
            .hint("name fewer columns, filter, load in shards, or raise memory_limit"))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Memory of this machine in bytes, or of its control group.
pub fn machine_memory() -> u64 {
    let unknown = 1 << 40;
    group_limit().unwrap_or(unknown).min(meminfo("MemTotal:").unwrap_or(unknown))
}

/// Memory that this process may hope for now: what is free or can be freed, and what waits in the pool.
pub fn available_memory() -> u64 {
    let waiting = super::pool::state().0 as u64;
    let free = meminfo("MemAvailable:").map_or(u64::MAX, |free| free.saturating_add(waiting));
    machine_memory().min(free)
}

fn group_limit() -> Option<u64> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    number("/sys/fs/cgroup/memory.max").or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
}

fn meminfo(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}
