//! Mappings that were given up and wait for the next load: touching fresh memory costs more than decoding into it.
//!
//! Bounded: by default a quarter of the machine's memory (or of its control group), `HEADRACE_POOL_BYTES` says
//! otherwise. What waits is lent to the kernel (`MADV_FREE`), which takes it first when memory runs short. Must not
//! know: columns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use super::memory::{Mapping, Memory};

/// The bound's share of the machine's memory.
const SHARE: u64 = 4;
/// A waiting mapping is taken for memory that stays if it is no more than this fraction larger than what is asked for;
const LARGEST_WASTE: usize = 8;
/// for memory that soon comes back, whatever its size up to this.
const LARGEST_LOAN_BYTES: usize = 16 << 20;
/// Loans longer than this get a mapping that any loan fits in: what is not touched of it takes no memory, and the next
/// loan, which may be longer, finds the touched part warm.
const SMALL_LOAN_BYTES: usize = 2 << 20;
/// More mappings than this are not kept: a search walks over all of them.
const LONGEST: usize = 4095;
/// Of what a [`Tight`] lets wait, one mapping is at most this fraction: a few large ones would push out all small ones,
/// and are the cheaper to make anew.
const LARGEST_TIGHT_SHARE: usize = 4;
/// The list of them, with one more that just came, is no mapping itself: the pool would wait for its own lock.
const _: () = assert!((LONGEST + 1).next_power_of_two() * size_of::<Mapping>() < super::memory::MAPPED_FROM_BYTES);

#[derive(Default)]
struct Pool {
    /// Oldest first.
    waiting: Vec<Mapping>,
    bytes: usize,
    /// Of every [`Tight`]
    bounds: Vec<usize>,
}

/// Whether there is a [`Tight`], for those who have not the pool's lock
static IS_TIGHT: AtomicBool = AtomicBool::new(false);

static POOL: Mutex<Pool> = Mutex::new(Pool { waiting: Vec::new(), bytes: 0, bounds: Vec::new() });

/// Memory of at least `length` bytes, used before if some is waiting.
pub(super) fn take(length: usize, is_loan: bool) -> Option<Memory> {
    if length >= super::memory::MAPPED_FROM_BYTES
        && let Some(found) = lock().and_then(|mut pool| pool.take(length, is_loan))
    {
        return Some(Memory::Mapped(found));
    }
    let length = match length {
        SMALL_LOAN_BYTES..=LARGEST_LOAN_BYTES if is_loan => LARGEST_LOAN_BYTES,
        length => length,
    };
    fresh(|| Memory::new(length))
}

/// What `make` gets of the system; where it refuses, what waits may be what is missing.
pub(super) fn fresh<T>(make: impl Fn() -> Option<T>) -> Option<T> {
    make().or_else(|| {
        release();
        make()
    })
}

/// A mapping of exactly `length` bytes that was used before, if one is waiting.
pub(super) fn take_exactly(length: usize) -> Option<Mapping> {
    lock()?.take_between(length, length)
}

/// Takes memory back; small memory goes to the heap.
pub(super) fn give(memory: &mut Memory) {
    if let Memory::Mapped(mapping) = std::mem::replace(memory, Memory::Empty) {
        keep(mapping);
    }
}

/// Takes a mapping back.
pub(super) fn keep(mapping: Mapping) {
    // What a stream gives up it takes again at once, and it is little: the kernel's work would be for nothing.
    if !IS_TIGHT.load(Ordering::Relaxed) {
        mapping.lend_to_kernel();
    }
    let Some(mut pool) = lock() else { return };
    let surplus = pool.put(mapping, bound());
    drop(pool); // unmapping takes time: not under the lock
    drop(surplus);
}

/// Gives everything that waits back to the system. Returns bytes.
pub fn release() -> usize {
    let Some(mut pool) = lock() else { return 0 };
    let bytes = pool.bytes;
    let waiting = pool.trim(0);
    drop(pool);
    drop(waiting);
    bytes
}

/// While this lives, no more waits than it allows: for work that was told how much memory it may take.
pub struct Tight(usize);

impl Tight {
    /// At most `bytes` wait from now on; what is more is given back, the oldest first.
    pub fn new(bytes: usize) -> Tight {
        let surplus = lock().map(|mut pool| {
            pool.bounds.push(bytes);
            IS_TIGHT.store(true, Ordering::Relaxed);
            pool.trim(bytes)
        });
        drop(surplus); // unmapping takes time: not under the lock
        Tight(bytes)
    }
}

impl Drop for Tight {
    fn drop(&mut self) {
        let Some(mut pool) = lock() else { return };
        if let Some(at) = pool.bounds.iter().position(|bytes| *bytes == self.0) {
            pool.bounds.swap_remove(at);
        }
        if pool.bounds.is_empty() && IS_TIGHT.swap(false, Ordering::Relaxed) {
            pool.waiting.iter().for_each(Mapping::lend_to_kernel);
        }
    }
}

/// Bytes that wait, and the most that may.
pub fn state() -> (usize, usize) {
    (lock().map_or(0, |pool| pool.bytes), bound())
}

/// None where a thread of a parent process held the lock when it forked: then there is no pool here, ever.
fn lock() -> Option<MutexGuard<'static, Pool>> {
    static MADE_IN: OnceLock<u32> = OnceLock::new();
    static IS_LOST: AtomicBool = AtomicBool::new(false);
    if IS_LOST.load(Ordering::Relaxed) {
        return None;
    }
    for _ in 0..1000 {
        if let Ok(pool) = POOL.try_lock() {
            MADE_IN.get_or_init(std::process::id);
            return Some(pool);
        }
        std::thread::yield_now();
    }
    let is_forked = MADE_IN.get().is_some_and(|pid| *pid != std::process::id());
    IS_LOST.store(is_forked, Ordering::Relaxed); // else it is only much in demand
    None
}

fn bound() -> usize {
    static BOUND: OnceLock<usize> = OnceLock::new();
    *BOUND.get_or_init(|| {
        let asked = std::env::var("HEADRACE_POOL_BYTES").ok().and_then(|text| text.trim().parse().ok());
        asked.unwrap_or_else(|| usize::try_from(super::account::machine_memory() / SHARE).unwrap_or(usize::MAX))
    })
}

impl Pool {
    fn take(&mut self, length: usize, is_loan: bool) -> Option<Mapping> {
        let close = length + length / LARGEST_WASTE;
        self.take_between(length, if is_loan { close.max(LARGEST_LOAN_BYTES) } else { close })
    }

    /// The shortest mapping of at least `length` and at most `most` bytes.
    fn take_between(&mut self, length: usize, most: usize) -> Option<Mapping> {
        let fits = |mapping: &Mapping| (length..=most).contains(&mapping.length());
        let candidates = self.waiting.iter().enumerate().filter(|(_, mapping)| fits(mapping));
        let (at, _) = candidates.min_by_key(|(_, mapping)| mapping.length())?;
        let found = self.waiting.remove(at);
        self.bytes -= found.length();
        Some(found)
    }

    /// Returns what the bound leaves no place for: the oldest, or what is too large where the bound is tight.
    fn put(&mut self, mapping: Mapping, bound: usize) -> Vec<Mapping> {
        let tight = self.bounds.iter().copied().min().unwrap_or(usize::MAX);
        if mapping.length() > tight / LARGEST_TIGHT_SHARE {
            return vec![mapping];
        }
        self.bytes += mapping.length();
        self.waiting.push(mapping);
        self.trim(bound.min(tight))
    }

    fn trim(&mut self, bound: usize) -> Vec<Mapping> {
        let mut surplus = 0;
        while self.bytes > bound || self.waiting.len() - surplus > LONGEST {
            self.bytes -= self.waiting.get(surplus).map_or(0, Mapping::length);
            surplus += 1;
        }
        self.waiting.drain(..surplus).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(length: usize) -> Mapping {
        match Memory::new(length).unwrap() {
            Memory::Mapped(mapping) => mapping,
            _ => panic!("not mapped"),
        }
    }

    #[test]
    fn memory_waits_within_the_bound_and_is_taken_where_it_fits() {
        let mut pool = Pool::default();
        assert!(pool.put(mapping(8 << 20), 32 << 20).is_empty());
        assert!(pool.put(mapping(16 << 20), 32 << 20).is_empty());
        assert!(pool.take(4 << 20, false).is_none(), "twice as large as what is asked for");
        assert_eq!(pool.take(4 << 20, true).unwrap().length(), 8 << 20);
        assert!(pool.put(mapping(8 << 20), 32 << 20).is_empty());
        assert_eq!(pool.take(16 << 20, false).unwrap().length(), 16 << 20);
        assert_eq!(pool.bytes, 8 << 20);
        let surplus = pool.put(mapping(28 << 20), 32 << 20);
        assert_eq!(surplus.iter().map(Mapping::length).collect::<Vec<_>>(), [8 << 20], "the oldest goes first");
        assert!(pool.put(mapping(64 << 20), 32 << 20).len() == 2 && pool.bytes == 0);
        pool.bounds = vec![16 << 20, 8 << 20];
        assert_eq!(pool.put(mapping(4 << 20), 32 << 20).len(), 1, "too large for the tightest bound");
        (0..4).for_each(|_| assert!(pool.put(mapping(2 << 20), 32 << 20).is_empty()));
        assert_eq!(pool.put(mapping(1 << 20), 32 << 20).len(), 1, "the tightest bound counts");
    }
}
