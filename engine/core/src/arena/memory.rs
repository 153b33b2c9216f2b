//! One allocation: heap memory where it is small, else an anonymous mapping that asks for 2 MiB pages where it is long.
//!
//! Filling 1 GiB of fresh memory costs 0.45 s of system time in 4 KiB pages on the development machine and a tenth of
//! that in huge ones. Where the kernel refuses huge pages the mapping is used as it is. Must not know: who writes what.

#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Below this, memory is the C library's: a mapping costs two system calls.
pub(super) const MAPPED_FROM_BYTES: usize = 128 << 10;
const HUGE_PAGE_BYTES: usize = 2 << 20;
pub(super) const PAGE_BYTES: usize = 4 << 10;
/// A mapping is rounded up to whole huge pages if that adds no more than this fraction; else its end lies in small pages.
const LARGEST_ROUNDING: usize = 16;
/// Arrow asks for 64-byte alignment.
pub(super) const ALIGNMENT_BYTES: usize = 64;

/// As aligned as every allocation, an empty one too: a buffer of 128-bit decimals refuses less.
#[repr(align(64))]
struct Aligned;

/// Bytes that are always initialised: zeroed when they came from the system, else what their last user left.
pub(super) enum Memory {
    Empty,
    Heap(Heap),
    Mapped(Mapping),
}

/// Memory of the allocator's.
pub(super) struct Heap {
    start: NonNull<u8>,
    layout: std::alloc::Layout,
}

/// Memory of whole pages; long enough for a huge page, it begins at one.
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: plain bytes without an owner thread; whoever holds the value decides who may touch them.
unsafe impl Send for Memory {}
// SAFETY: as above; a shared reference gives no more than the address.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Mapping {}

impl Memory {
    /// Zeroed memory of at least `length` bytes; None where the system refuses.
    pub(super) fn new(length: usize) -> Option<Memory> {
        match length {
            0 => Some(Memory::Empty),
            _ if length >= MAPPED_FROM_BYTES => Mapping::new(rounded(length)?).map(Memory::Mapped),
            _ => {
                let layout = std::alloc::Layout::from_size_align(length, ALIGNMENT_BYTES).ok()?;
                // SAFETY: length is not zero here.
                let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })?;
                Some(Memory::Heap(Heap { start, layout }))
            }
        }
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        match self {
            Memory::Empty => NonNull::<Aligned>::dangling().cast(),
            Memory::Heap(heap) => heap.start,
            Memory::Mapped(mapping) => mapping.start,
        }
    }
}

/// Bytes of a mapping for `length`: whole huge pages where that wastes little. None beyond the address space.
pub(super) fn rounded(length: usize) -> Option<usize> {
    let huge = length.checked_next_multiple_of(HUGE_PAGE_BYTES)?;
    if huge - length <= length / LARGEST_ROUNDING { Some(huge) } else { length.checked_next_multiple_of(PAGE_BYTES) }
}

impl Mapping {
    /// Zeroed memory of `length` bytes, a multiple of a page. None where the system refuses.
    pub(super) fn new(length: usize) -> Option<Mapping> {
        if length < HUGE_PAGE_BYTES {
            return Some(Mapping { start: map(length)?, length });
        }
        let base = map(length.checked_add(HUGE_PAGE_BYTES)?)?;
        let skip = base.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // SAFETY: skip < HUGE_PAGE_BYTES, and the mapping is that much longer than `length`.
        let start = unsafe { base.add(skip) };
        // The mapping ends where the memory does: the kernel would back its last part with a whole huge page else. A
        // refusal leaves addresses that nobody touches.
        // SAFETY: whole pages before `start` and behind `length`, of the mapping just made; nobody uses them.
        unsafe {
            libc::munmap(start.add(length).as_ptr().cast(), HUGE_PAGE_BYTES - skip);
            if skip > 0 {
                libc::munmap(base.as_ptr().cast(), skip);
            }
        }
        // SAFETY: the range lies in the mapping just made. Refusal (no such feature) is harmless.
        #[cfg(target_os = "linux")]
        let _ = unsafe { libc::madvise(start.as_ptr().cast(), length, libc::MADV_HUGEPAGE) };
        Some(Mapping { start, length })
    }

    /// Gives the memory away: whoever has the address owns it, until [`Mapping::reclaim`].
    pub(super) fn leak(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).start
    }

    /// The mapping that was leaked as `start`.
    ///
    /// # Safety
    /// `start` comes from [`Mapping::leak`] of a mapping of exactly `length` bytes, and nobody uses it any more.
    pub(super) unsafe fn reclaim(start: NonNull<u8>, length: usize) -> Mapping {
        Mapping { start, length }
    }

    /// Bytes that may be used.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Lets the kernel take the pages when it needs memory. Until it does they stay, and writing costs no fault.
    pub(super) fn lend_to_kernel(&self) {
        // SAFETY: the range is this mapping's own and nobody reads it: its owner is giving it up.
        #[cfg(target_os = "linux")]
        let _ = unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, libc::MADV_FREE) };
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `Memory::new` with this layout, and the last owner is gone.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and the last owner is gone.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.length);
        }
    }
}

/// Fresh memory at an address of the kernel's choice.
fn map(length: usize) -> Option<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: an anonymous mapping where nothing is touches no memory of ours.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED { None } else { NonNull::new(base.cast::<u8>()) }
}
