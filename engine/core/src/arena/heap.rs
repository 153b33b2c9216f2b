//! The allocator of everything that is not column memory: small allocations are the C library's, large ones mappings.
//!
//! The C library keeps what was freed in an arena a thread, and the longer a buffer was that it saw freed the longer are
//! those that it keeps: a stream of 64 MiB windows was seen to hold 75 MiB of freed buffers. Mappings wait in the one
//! [`pool`], whose size is known, which streams trim and `release_memory()` empties. Must not know: who allocates.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

use super::memory::{MAPPED_FROM_BYTES, Mapping, PAGE_BYTES};
use super::pool;

/// Lengths of mappings have so many leading bits: at most a quarter is wasted, and what waits fits the next one.
const LENGTH_BITS: u32 = 3;

/// Beyond this, zeroed memory is always fresh: of a large table much may never be touched.
const LONGEST_CLEARED_BYTES: usize = 4 << 20;

/// A process' allocator (`#[global_allocator]`).
pub struct Heap;

// SAFETY: every pointer comes from System or is a mapping of `length_of` its layout, which is long enough, and goes back
// to where it came from: `is_mapped` follows from the layout alone, which callers give unchanged. Pages are aligned to
// 4 KiB, and what asks for more is System's. Nothing here unwinds: the pool's lock is tried, never poisoned by a panic.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_mapped(layout) {
            // SAFETY: as the caller promises of the layout.
            return unsafe { System.alloc(layout) };
        }
        let length = length_of(layout.size());
        let found = length.and_then(|length| pool::take_exactly(length).or_else(|| fresh(length)));
        found.map_or(std::ptr::null_mut(), |mapping| mapping.leak().as_ptr())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_mapped(layout) {
            // SAFETY: as the caller promises of the layout.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let Some(length) = length_of(layout.size()) else { return std::ptr::null_mut() };
        // Warm memory is cleared in a third of the time that the kernel takes to clear and map fresh memory.
        if layout.size() <= LONGEST_CLEARED_BYTES
            && let Some(mapping) = pool::take_exactly(length)
        {
            let start = mapping.leak().as_ptr();
            // SAFETY: the mapping is `length` bytes, and nobody else has it.
            unsafe { start.write_bytes(0, layout.size()) };
            return start;
        }
        fresh(length).map_or(std::ptr::null_mut(), |mapping| mapping.leak().as_ptr())
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let (true, Some(length), Some(place)) = (is_mapped(layout), length_of(layout.size()), NonNull::new(start))
        else {
            // SAFETY: small or widely aligned memory was System's.
            return unsafe { System.dealloc(start, layout) };
        };
        // SAFETY: `alloc` leaked a mapping of this length, and the caller gives it up.
        pool::keep(unsafe { Mapping::reclaim(place, length) });
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` fits the alignment.
        let wished = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_mapped(layout), is_mapped(wished)) {
            // SAFETY: memory of System's that stays there.
            (false, false) => return unsafe { System.realloc(start, layout, size) },
            (true, true) if length_of(layout.size()) == length_of(size) => return start,
            _ => {}
        }
        // SAFETY: two allocations of these layouts, both at least as long as what is copied; the old one is given up.
        unsafe {
            let new = self.alloc(wished);
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(start, new, layout.size().min(size));
                self.dealloc(start, layout);
            }
            new
        }
    }
}

fn fresh(length: usize) -> Option<Mapping> {
    pool::fresh(|| Mapping::new(length))
}

fn is_mapped(layout: Layout) -> bool {
    layout.size() >= MAPPED_FROM_BYTES && layout.align() <= PAGE_BYTES
}

/// Bytes of the mapping for an allocation of `size` bytes; None beyond the address space.
fn length_of(size: usize) -> Option<usize> {
    let step = 1usize.checked_shl(size.checked_ilog2()?.saturating_sub(LENGTH_BITS - 1))?;
    size.checked_next_multiple_of(step.max(PAGE_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_few_and_waste_little() {
        for size in [MAPPED_FROM_BYTES, MAPPED_FROM_BYTES + 1, 200_000, 1 << 20, (1 << 20) + 1, 12_345_678] {
            let length = length_of(size).unwrap();
            assert!(length >= size && length.is_multiple_of(PAGE_BYTES));
            assert!(length - size <= size / 4, "{size} takes {length}");
            assert_eq!(length_of(length), Some(length));
        }
        assert_eq!(length_of(usize::MAX), None);
    }

    #[test]
    fn memory_grows_and_shrinks_over_the_bound_and_keeps_its_bytes() {
        let sizes = [1000, MAPPED_FROM_BYTES - 1, MAPPED_FROM_BYTES, 150_000, 3 << 20, 5 << 20, 140_000, 10];
        let mut layout = Layout::from_size_align(sizes[0], 8).unwrap();
        // SAFETY: layouts are those of the memory at hand.
        unsafe {
            let mut start = Heap.alloc(layout);
            start.write_bytes(7, layout.size());
            for size in sizes {
                let kept = layout.size().min(size);
                start = Heap.realloc(start, layout, size);
                layout = Layout::from_size_align(size, 8).unwrap();
                assert!(std::slice::from_raw_parts(start, kept).iter().all(|byte| *byte == 7));
                start.write_bytes(7, size);
            }
            Heap.dealloc(start, layout);
        }
    }

    #[test]
    fn zeroed_memory_is_zero_though_written_memory_waits() {
        let layout = Layout::from_size_align(300_000, 8).unwrap();
        // SAFETY: as above.
        unsafe {
            let first = Heap.alloc(layout);
            first.write_bytes(9, layout.size());
            Heap.dealloc(first, layout);
            let second = Heap.alloc_zeroed(layout);
            assert!(std::slice::from_raw_parts(second, layout.size()).iter().all(|byte| *byte == 0));
            Heap.dealloc(second, layout);
        }
    }

    #[test]
    fn wide_alignment_is_kept() {
        let layout = Layout::from_size_align(1 << 20, 1 << 16).unwrap();
        // SAFETY: as above.
        unsafe {
            let start = Heap.alloc(layout);
            assert_eq!(start.align_offset(1 << 16), 0);
            Heap.dealloc(start, layout);
        }
    }
}
