//! Which values a dictionary holds, and at which position: open addressing over positions.
//!
//! Hashes are seeded by chance, so that no data can be made to collide. Must not know: what values are.

use std::sync::LazyLock;

static SEED: LazyLock<u64> = LazyLock::new(rand::random);
pub(super) const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const FIRST_SLOTS: usize = 1024;

/// Positions by hash; 0 is a free slot, else the position and one.
pub(super) struct Table {
    slots: Vec<u32>,
    used: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table { slots: vec![0; FIRST_SLOTS], used: 0 }
    }
}

impl Table {
    /// The position of a value that hashes to `hash`; `is_equal` tells whether it is the one at a position. None: it is
    /// new, and now at the next position.
    pub(super) fn find(
        &mut self,
        hash: u64,
        is_equal: impl Fn(u32) -> bool,
        hash_of: impl Fn(u32) -> u64,
    ) -> Option<u32> {
        if 2 * self.used >= self.slots.len() {
            self.grow(hash_of);
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                0 => break,
                taken if is_equal(taken - 1) => return Some(taken - 1),
                _ => at = (at + 1) & mask,
            }
        }
        self.used += 1;
        self.slots[at] = self.used as u32;
        None
    }

    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let mask = 4 * self.slots.len() - 1;
        self.slots = vec![0; mask + 1];
        for position in 0..self.used as u32 {
            let mut at = hash_of(position) as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = position + 1;
        }
    }
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

/// Of a number's bits.
pub(super) fn hash_bits(bits: u64) -> u64 {
    fold(bits ^ *SEED, FACTOR)
}

/// Of bytes.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let word = |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
    let half = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes);
    let length = bytes.len();
    let mut hash = *SEED ^ (length as u64).wrapping_mul(FACTOR);
    let last = match length {
        0 => 0,
        1..=3 => u64::from(bytes[0]) | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]) << 16,
        4..=8 => u64::from(half(0)) | u64::from(half(length - 4)) << 32,
        _ => {
            for at in (0..length - 8).step_by(8) {
                hash = fold(hash ^ word(at), FACTOR);
            }
            word(length - 8)
        }
    };
    fold(hash ^ last, FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_were_put() {
        let (mut table, mut known) = (Table::default(), Vec::<u64>::new());
        for round in 0..3 {
            for value in (0..20_000u64).map(|at| at * at) {
                let found =
                    table.find(hash_bits(value), |at| known[at as usize] == value, |at| hash_bits(known[at as usize]));
                match found {
                    Some(at) => assert_eq!(known[at as usize], value),
                    None => {
                        assert_eq!(round, 0);
                        known.push(value);
                    }
                }
            }
        }
        assert_eq!(known.len(), 20_000);
    }

    #[test]
    fn every_byte_counts() {
        for length in 1..40 {
            let bytes = vec![7u8; length];
            for at in 0..length {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert_ne!(hash_bytes(&bytes), hash_bytes(&other), "byte {at} of {length}");
            }
            assert_ne!(hash_bytes(&bytes), hash_bytes(&bytes[1..]));
        }
    }
}
