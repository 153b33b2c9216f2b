//! Bytes in flight: what has been asked for and not yet handed over.
//!
//! Must not know: who asks, or what for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// A permit stands for so many bytes: tokio's semaphore counts in 32 bits.
const UNIT: u64 = 4 << 10;

/// A bound on bytes in flight. Cheap to clone; clones share the bound. First come, first served.
#[derive(Clone, Debug)]
pub struct Budget {
    units: u32,
    semaphore: Arc<Semaphore>,
}

/// A share of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _held: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of so many bytes (rounded up to 4 KiB).
    pub fn new(bytes: u64) -> Budget {
        let units = bytes.div_ceil(UNIT).clamp(1, 1 << 29);
        let units = u32::try_from(units).unwrap_or(1 << 29);
        Budget { units, semaphore: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits for so many bytes. More than the whole budget is admitted alone, so nobody waits for ever.
    pub async fn acquire(&self, bytes: u64) -> Result<Permit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        let held = Arc::clone(&self.semaphore).acquire_many_owned(units).await;
        held.map(|held| Permit { _held: held })
            .map_err(|_| Error::new(Kind::Internal, "the budget of a load was closed"))
    }

    /// Bytes that could be had at once now.
    pub fn available(&self) -> u64 {
        self.semaphore.available_permits() as u64 * UNIT
    }
}
