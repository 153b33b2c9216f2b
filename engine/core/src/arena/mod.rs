//! Column memory: regions whose size is known before the first byte arrives, written by many threads, then frozen.
//!
//! A [`Region`] is split into disjoint [`Slot`]s up front (row counts are known from the footers), each owned by the task
//! that decodes its rows. When every slot is gone the region freezes into an Arrow [`Buffer`] without a copy, and when
//! the last buffer is gone its memory waits in the [`pool`] for the next load.
//!
//! Nothing here is ever uninitialised, and nothing is zeroed: a region holds zeros or what its last user left. Whoever
//! takes one writes all of it. Inside: [`memory`] talks to the system, [`pool`] keeps, [`account`] counts, [`heap`] lets
//! the engine's other large allocations have mappings too. Must not know: columns, types, files.

#![allow(unsafe_code)]

mod account;
mod heap;
mod memory;
mod pool;

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;

pub use account::{Account, Share, available_memory};
pub use heap::Heap;
use memory::Memory;
pub use pool::{Tight, release, state};

use crate::error::{Error, Kind, Result};

/// Memory of one column buffer, being written.
pub struct Region {
    owned: Arc<Owned>,
}

/// A part of a region that one task owns. Dereferences to its bytes.
pub struct Slot {
    start: NonNull<u8>,
    length: usize,
    _owned: Arc<Owned>,
}

struct Owned {
    memory: Memory,
    length: usize,
    _share: Option<Share>,
}

// SAFETY: a Slot is the only way to its bytes while it lives (Region::split hands each byte out once).
unsafe impl Send for Slot {}
// SAFETY: a shared Slot only reads.
unsafe impl Sync for Slot {}

impl Region {
    /// A region of `length` bytes whose contents mean nothing yet.
    pub fn new(length: usize) -> Result<Region> {
        Region::of(length, None, false)
    }

    /// The same for memory that is soon given back: it may lie in a mapping that is several times as large.
    pub fn lent(length: usize) -> Result<Region> {
        Region::of(length, None, true)
    }

    /// A region that stays, counted against a load's account.
    pub fn counted(length: usize, account: &Account) -> Result<Region> {
        let share = account.take(length as u64)?;
        Region::of(length, Some(share), false)
    }

    fn of(length: usize, share: Option<Share>, is_loan: bool) -> Result<Region> {
        let refused = || {
            Error::new(Kind::MemoryLimit, format!("the system refused {length} bytes of column memory"))
                .hint("load fewer columns or rows, or load in shards")
        };
        let memory = pool::take(length, is_loan).ok_or_else(refused)?;
        Ok(Region { owned: Arc::new(Owned { memory, length, _share: share }) })
    }

    /// Splits the region into consecutive slots of these lengths.
    ///
    /// Takes the region, so every byte is handed out at most once; [`Frozen`] gives the whole back.
    pub fn split(self, lengths: impl IntoIterator<Item = usize>) -> Result<(Frozen, Vec<Slot>)> {
        let mut offset = 0usize;
        let mut slots = Vec::new();
        for length in lengths {
            let end = offset.checked_add(length).filter(|end| *end <= self.owned.length);
            let end = end.ok_or_else(|| Error::new(Kind::Internal, "slots are longer than their region"))?;
            // SAFETY: offset <= length, so the pointer stays within (or one past) the allocation.
            let start = unsafe { self.owned.memory.start().add(offset) };
            slots.push(Slot { start, length, _owned: Arc::clone(&self.owned) });
            offset = end;
        }
        Ok((Frozen { owned: self.owned }, slots))
    }

    /// The whole region as one slot.
    pub fn whole(self) -> Result<(Frozen, Slot)> {
        let length = self.owned.length;
        let (frozen, slots) = self.split([length])?;
        let slot = slots.into_iter().next().ok_or_else(|| Error::new(Kind::Internal, "a region without its slot"))?;
        Ok((frozen, slot))
    }
}

/// The whole of a region whose slots were handed out.
pub struct Frozen {
    owned: Arc<Owned>,
}

impl Frozen {
    /// The region as an Arrow buffer. Every slot must be gone: nobody may write what others read.
    pub fn freeze(self) -> Result<Buffer> {
        self.check()?;
        let (start, length) = (self.owned.memory.start(), self.owned.length);
        // SAFETY: start..start+length is one live allocation, kept by the Arc handed over, and no Slot is left to write.
        Ok(unsafe { Buffer::from_custom_allocation(start, length, self.owned) })
    }

    /// The region once more as one slot, for what can only be done when every part is there.
    pub fn reopen(self) -> Result<(Frozen, Slot)> {
        self.check()?;
        Region { owned: self.owned }.whole()
    }

    fn check(&self) -> Result<()> {
        match Arc::strong_count(&self.owned) {
            1 => Ok(()),
            _ => Err(Error::new(Kind::Internal, "column memory is still being written")),
        }
    }
}

impl Deref for Slot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range is inside the live allocation, initialised and owned by this slot alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and &mut self makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        pool::give(&mut self.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::memory::{ALIGNMENT_BYTES, MAPPED_FROM_BYTES};
    use super::*;

    #[test]
    fn slots_write_their_part_of_one_buffer() {
        for length in [0usize, 10, MAPPED_FROM_BYTES + 3] {
            let region = Region::new(length).unwrap();
            let (frozen, slots) = region.split([length / 3, length - length / 3]).unwrap();
            std::thread::scope(|scope| {
                for (value, mut slot) in slots.into_iter().enumerate() {
                    scope.spawn(move || slot.fill(value as u8 + 1));
                }
            });
            let buffer = frozen.freeze().unwrap();
            assert_eq!(buffer.len(), length);
            assert_eq!(buffer.as_ptr().align_offset(ALIGNMENT_BYTES), 0);
            assert!(buffer[..length / 3].iter().all(|byte| *byte == 1));
            assert!(buffer[length / 3..].iter().all(|byte| *byte == 2));
        }
    }

    #[test]
    fn a_region_is_not_read_while_it_is_written() {
        let (frozen, slots) = Region::new(100).unwrap().split([100]).unwrap();
        assert_eq!(frozen.freeze().unwrap_err().kind(), Kind::Internal);
        drop(slots);
    }

    #[test]
    fn slots_beyond_the_region_are_refused() {
        assert!(Region::new(100).unwrap().split([60, 41]).is_err());
        assert!(Region::new(100).unwrap().split([usize::MAX, 2]).is_err());
    }

    #[test]
    fn a_region_may_be_written_again_when_its_slots_are_gone() {
        let (frozen, slots) = Region::new(10).unwrap().split([10]).unwrap();
        drop(slots);
        let (frozen, mut slot) = frozen.reopen().unwrap();
        slot.copy_from_slice(b"0123456789");
        drop(slot);
        assert_eq!(frozen.freeze().unwrap().as_slice(), b"0123456789");
    }

    #[test]
    fn an_account_refuses_what_is_too_much_and_gets_back_what_is_gone() {
        let account = Account::new(100);
        let first = Region::counted(60, &account).unwrap();
        assert_eq!(Region::counted(41, &account).map(|_| ()).unwrap_err().kind(), Kind::MemoryLimit);
        drop(first);
        assert!(Region::counted(100, &account).is_ok());
    }
}
