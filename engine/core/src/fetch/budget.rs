//! Bytes in flight: what has been asked for and not yet handed over.
//!
//! Must not know: who asks, or what for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// A permit stands for so many bytes: tokio's semaphore counts in 32 bits.
const UNIT: u64 = 4 << 10;

/// A bound on bytes in flight. Cheap to clone; clones share the bound. First come, first served.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<AtomicU32>,
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
        Budget { units: Arc::new(AtomicU32::new(units)), semaphore: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Lowers the bound to so many bytes, if it is higher and nothing is in flight.
    pub fn lower(&self, bytes: u64) {
        let wanted = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let units = self.units.load(Ordering::Relaxed);
        if wanted < units && self.semaphore.available_permits() == units as usize {
            self.semaphore.forget_permits((units - wanted) as usize);
            self.units.store(wanted, Ordering::Relaxed);
        }
    }

    /// Waits for so many bytes. More than the whole budget is admitted alone, so nobody waits for ever.
    pub async fn acquire(&self, bytes: u64) -> Result<Permit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units.load(Ordering::Relaxed));
        let held = Arc::clone(&self.semaphore).acquire_many_owned(units).await;
        held.map(|held| Permit { _held: held })
            .map_err(|_| Error::new(Kind::Internal, "the budget of a load was closed"))
    }

    /// Bytes that could be had at once now.
    pub fn available(&self) -> u64 {
        self.semaphore.available_permits() as u64 * UNIT
    }
}
