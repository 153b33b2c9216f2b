//! The memory that bytes of objects come into: a region of the arena, lent as [`Bytes`] when it is full.
//!
//! Must not know: where the bytes come from.

use bytes::Bytes;

use crate::arena::{Frozen, Region, Slot};
use crate::error::Result;

/// Longer memory is no loan: whoever asks for so much at once keeps it.
const LONGEST_LOAN: usize = 16 << 20;

/// Memory for `length` bytes in one piece. Its content means nothing yet.
pub(crate) fn room(length: usize) -> Result<(Frozen, Slot)> {
    region(length)?.whole()
}

fn region(length: usize) -> Result<Region> {
    if length <= LONGEST_LOAN { Region::lent(length) } else { Region::new(length) }
}

/// Memory for parts that are filled by different tasks and lie one after another.
pub(crate) fn rooms(lengths: &[usize]) -> Result<(Frozen, Vec<Slot>)> {
    region(lengths.iter().sum())?.split(lengths.iter().copied())
}

/// The memory as bytes, once every slot of it is gone. No copy: it is given back when the last of the bytes are dropped.
pub(crate) fn bytes(frozen: Frozen) -> Result<Bytes> {
    frozen.freeze().map(Bytes::from_owner)
}

/// Memory that is filled from its front, by one attempt after another.
pub(crate) struct Filling<'a> {
    memory: &'a mut [u8],
    filled: usize,
}

impl<'a> Filling<'a> {
    /// All of it is still to be filled.
    pub(crate) fn new(memory: &'a mut [u8]) -> Filling<'a> {
        Filling { memory, filled: 0 }
    }

    /// Bytes that came.
    pub(crate) fn filled(&self) -> u64 {
        self.filled as u64
    }

    /// The part that is still to be filled.
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        &mut self.memory[self.filled..]
    }

    /// So many bytes more were written to the front of [`Filling::rest`].
    pub(crate) fn advance(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.memory.len());
    }

    /// Forgets what came.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }
}
