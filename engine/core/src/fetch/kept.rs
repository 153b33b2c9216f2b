//! Small objects that came whole: their bytes, kept for later reads, and how much all of them may hold.
//!
//! Must not know: what is read from them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// Objects of at most this size come whole unless told otherwise: a request costs about as much as 1 MiB of transfer, so
/// the whole is no dearer than its tail and one more range, even if a filter leaves little to read.
pub(crate) const WHOLE_BYTES: u64 = 1 << 20;
/// Bytes that all kept objects of a load may hold; beyond it, only what is asked for is read.
const MOST_KEPT: u64 = 256 << 20;

/// How much may still be kept, shared by all objects of a load.
#[derive(Debug)]
pub(crate) struct Allowance(AtomicU64);

impl Default for Allowance {
    fn default() -> Self {
        Allowance(AtomicU64::new(MOST_KEPT))
    }
}

impl Allowance {
    /// Takes so many bytes of it, if they are left.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Option<Share> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.ok().map(|_| Share { allowance: Arc::clone(self), bytes })
    }
}

/// A part of an [`Allowance`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    allowance: Arc<Allowance>,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.allowance.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// The whole of one object, once it came.
#[derive(Debug, Default)]
pub(crate) struct Kept(OnceLock<(Bytes, Share)>);

impl Kept {
    /// The object's bytes, if they are here.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        self.0.get().map(|(bytes, _)| bytes)
    }

    /// Keeps the object's bytes.
    pub(crate) fn keep(&self, bytes: Bytes, share: Share) {
        let _ = self.0.set((bytes, share)); // two readers at the same time: either will do
    }
}
