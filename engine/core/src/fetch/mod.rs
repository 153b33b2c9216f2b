//! Ranges of objects -> bytes: coalesced, concurrent, bounded, and all of one version of each object.
//!
//! Must not know: Parquet, Arrow, what the bytes mean. Neighbours: [`crate::store`] below brings bytes of one object;
//! [`crate::load`] above asks. Inside: [`PinnedObject`] is the way in, [`runs`] decides what is fetched together,
//! [`Budget`] bounds the bytes in flight, [`pace`] finds how many requests, [`kept`] holds objects that came whole.

mod arrivals;
mod budget;
mod kept;
mod objects;
mod pace;
mod pinned;
mod runs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use crate::store::Counters;
pub use arrivals::Arrivals;
pub use budget::{Budget, Permit};
pub use objects::read_objects;
pub use pinned::PinnedObject;

use kept::Allowance;
use pace::Pace;

/// Bytes in flight of a fetcher that was not told.
const DEFAULT_BUDGET: u64 = 256 << 20;
/// Most requests at a time of a fetcher that was not told.
const DEFAULT_CONCURRENCY: usize = 64;

/// The bounds and counters that all reads of one load share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Bytes in flight: from the request until its bytes are handed over.
    pub budget: Budget,
    /// What moved.
    pub counters: Arc<Counters>,
    pace: Arc<Pace>,
    kept: Arc<Allowance>,
}

impl Fetcher {
    /// At most `concurrency` requests at a time (at least one), with at most `budget` in flight. It begins with few and
    /// finds by itself how many of these help.
    pub fn new(budget: Budget, concurrency: usize) -> Fetcher {
        Fetcher { budget, counters: Arc::default(), pace: Arc::new(Pace::new(concurrency)), kept: Arc::default() }
    }

    /// Requests that may be under way now.
    pub fn concurrency(&self) -> usize {
        self.pace.limit()
    }
}

impl Default for Fetcher {
    fn default() -> Self {
        Fetcher::new(Budget::new(DEFAULT_BUDGET), DEFAULT_CONCURRENCY)
    }
}
