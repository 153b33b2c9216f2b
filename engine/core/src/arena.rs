//! Column memory: regions whose size is known before the first byte arrives, written by many threads, then frozen.
//!
//! A [`Region`] is split into disjoint [`Slot`]s up front (row counts are known from the footers), each owned by the task
//! that decodes its rows. When every slot is gone the region freezes into an Arrow [`Buffer`] without a copy.
//!
//! Large regions are anonymous mappings that ask for 2 MiB pages: filling 1 GiB of fresh memory costs 0.45 s of system
//! time in 4 KiB pages on the development machine and a tenth of that in huge ones. Where the kernel refuses huge pages
//! the mapping is used as it is. Pages come zeroed from the kernel, so nothing here is ever uninitialised, and nothing
//! is zeroed twice.
//!
//! The only `unsafe` of the load path is here. Must not know: columns, types, files.

#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;

use crate::error::{Error, Kind, Result};

/// Below this a region is ordinary heap memory: a mapping is rounded up to 2 MiB, which would waste more than it saves.
const MAPPED_FROM_BYTES: usize = 4 << 20;
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Arrow asks for 64-byte alignment.
const ALIGNMENT_BYTES: usize = 64;

/// As aligned as every region, an empty one too: a buffer of 128-bit decimals refuses less.
#[repr(align(64))]
struct Aligned;

/// Memory of one column buffer, being written.
pub struct Region {
    memory: Arc<Memory>,
}

/// A part of a region that one task owns. Dereferences to its bytes.
pub struct Slot {
    start: NonNull<u8>,
    length: usize,
    _memory: Arc<Memory>,
}

struct Memory {
    start: NonNull<u8>,
    length: usize,
    kind: MemoryKind,
}

enum MemoryKind {
    Empty,
    Heap(std::alloc::Layout),
    Mapped { base: NonNull<u8>, mapped_bytes: usize },
}

// SAFETY: Memory is plain bytes; access goes through Slots, which are disjoint, or through the frozen Buffer, read-only.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}
// SAFETY: a Slot is the only way to its bytes while it lives (Region::split hands each byte out once).
unsafe impl Send for Slot {}

impl Region {
    /// A zeroed region of `length` bytes.
    pub fn new(length: usize) -> Result<Region> {
        let refused = || {
            Error::new(Kind::MemoryLimit, format!("the system refused {length} bytes of column memory"))
                .hint("load fewer columns or rows, or load in shards")
        };
        let memory = match length {
            0 => Memory { start: NonNull::<Aligned>::dangling().cast(), length, kind: MemoryKind::Empty },
            _ if length >= MAPPED_FROM_BYTES => Memory::map(length).ok_or_else(refused)?,
            _ => Memory::allocate(length).ok_or_else(refused)?,
        };
        Ok(Region { memory: Arc::new(memory) })
    }

    /// Splits the region into consecutive slots of these lengths.
    ///
    /// Takes the region, so every byte is handed out at most once; [`Frozen`] gives the whole back.
    pub fn split(self, lengths: impl IntoIterator<Item = usize>) -> Result<(Frozen, Vec<Slot>)> {
        let mut offset = 0usize;
        let mut slots = Vec::new();
        for length in lengths {
            let end = offset.checked_add(length).filter(|end| *end <= self.memory.length);
            let end = end.ok_or_else(|| Error::new(Kind::Internal, "slots are longer than their region"))?;
            // SAFETY: offset <= memory.length, so the pointer stays within (or one past) the allocation.
            let start = unsafe { self.memory.start.add(offset) };
            slots.push(Slot { start, length, _memory: Arc::clone(&self.memory) });
            offset = end;
        }
        Ok((Frozen { memory: self.memory }, slots))
    }
}

/// The whole of a region whose slots were handed out.
pub struct Frozen {
    memory: Arc<Memory>,
}

impl Frozen {
    /// The region as an Arrow buffer. Every slot must be gone: nobody may write what others read.
    pub fn freeze(self) -> Result<Buffer> {
        if Arc::strong_count(&self.memory) != 1 {
            return Err(Error::new(Kind::Internal, "column memory is still being written"));
        }
        let (start, length) = (self.memory.start, self.memory.length);
        // SAFETY: start..start+length is one live allocation, kept by the Arc handed over, and no Slot is left to write.
        Ok(unsafe { Buffer::from_custom_allocation(start, length, self.memory) })
    }
}

impl Deref for Slot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range is inside the live allocation, initialised (zeroed) and owned by this slot alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and &mut self makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Memory {
    fn allocate(length: usize) -> Option<Memory> {
        let layout = std::alloc::Layout::from_size_align(length, ALIGNMENT_BYTES).ok()?;
        // SAFETY: length is not zero here.
        let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })?;
        Some(Memory { start, length, kind: MemoryKind::Heap(layout) })
    }

    fn map(length: usize) -> Option<Memory> {
        let rounded = length.checked_next_multiple_of(HUGE_PAGE_BYTES)?;
        let mapped_bytes = rounded.checked_add(HUGE_PAGE_BYTES)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), mapped_bytes, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = NonNull::new(base.cast::<u8>())?;
        let skip = base.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // SAFETY: skip < HUGE_PAGE_BYTES, and the mapping is that much longer than `rounded`.
        let start = unsafe { base.add(skip) };
        // SAFETY: the range lies in the mapping just made. Refusal (no such feature) is harmless.
        #[cfg(target_os = "linux")]
        let _ = unsafe { libc::madvise(start.as_ptr().cast(), rounded, libc::MADV_HUGEPAGE) };
        Some(Memory { start, length, kind: MemoryKind::Mapped { base, mapped_bytes } })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.kind {
            MemoryKind::Empty => {}
            // SAFETY: allocated in `allocate` with this layout, and the last owner is gone.
            MemoryKind::Heap(layout) => unsafe { std::alloc::dealloc(self.start.as_ptr(), layout) },
            // SAFETY: mapped in `map` with this base and length, and the last owner is gone.
            MemoryKind::Mapped { base, mapped_bytes } => unsafe {
                libc::munmap(base.as_ptr().cast(), mapped_bytes);
            },
        }
    }
}

#[cfg(test)]
mod tests {
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
}
