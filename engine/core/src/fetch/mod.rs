//! Ranges of objects -> bytes: coalesced, concurrent, bounded, and all of one version of each object.
//!
//! Must not know: Parquet, Arrow, what the bytes mean. Neighbours: [`crate::store`] below brings bytes of one object;
//! [`crate::load`] above asks. Inside: [`PinnedObject`] is the way in, [`runs`] decides what is fetched together,
//! [`Budget`] bounds what is in flight.

mod budget;
mod pinned;
mod runs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub use crate::store::Counters;
pub use budget::{Budget, Permit};
pub use pinned::PinnedObject;

/// Bytes in flight of a fetcher that was not told.
const DEFAULT_BUDGET: u64 = 256 << 20;
/// Requests at a time of a fetcher that was not told: S3 gives 40 to 90 MB/s to each.
const DEFAULT_CONCURRENCY: usize = 16;

/// The bounds and counters that all reads of one load share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Bytes in flight: from the request until its bytes are handed over.
    pub budget: Budget,
    /// What moved.
    pub counters: Arc<Counters>,
    slots: Arc<Semaphore>,
}

impl Fetcher {
    /// At most `concurrency` requests at a time (at least one), with at most `budget` in flight.
    pub fn new(budget: Budget, concurrency: usize) -> Fetcher {
        Fetcher { budget, counters: Arc::default(), slots: Arc::new(Semaphore::new(concurrency.clamp(1, 4096))) }
    }
}

impl Default for Fetcher {
    fn default() -> Self {
        Fetcher::new(Budget::new(DEFAULT_BUDGET), DEFAULT_CONCURRENCY)
    }
}
