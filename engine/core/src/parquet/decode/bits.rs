//! Runs of bits, the first one lowest, in 64-bit words.
//!
//! Must not know: what a bit stands for.

/// Bits appended one run after another.
#[derive(Default)]
pub struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.length = 0;
    }

    /// Bits so far.
    pub fn len(&self) -> usize {
        self.length
    }

    /// The words; bits beyond the length are 0.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// How many are 1.
    pub fn ones(&self) -> usize {
        ones(&self.words)
    }

    /// `count` times the same bit.
    pub fn append_run(&mut self, count: usize, bit: bool) {
        let (start, end) = (self.length, self.length + count);
        self.words.resize(end.div_ceil(64), 0);
        self.length = end;
        if !bit || count == 0 {
            return;
        }
        let (first, last) = (start / 64, (end - 1) / 64);
        let (from, to) = (u64::MAX << (start % 64), u64::MAX >> (63 - (end - 1) % 64));
        match self.words.get_mut(first..=last) {
            Some([only]) => *only |= from & to,
            Some([first, middle @ .., last]) => {
                *first |= from;
                middle.fill(u64::MAX);
                *last |= to;
            }
            _ => {}
        }
    }

    /// The first `count` bits of `bytes`; missing ones are 0.
    pub fn append_packed(&mut self, bytes: &[u8], count: usize) {
        let mut left = count;
        let (whole, rest) = bytes.as_chunks::<8>();
        for word in whole {
            if left == 0 {
                return;
            }
            self.append_word(u64::from_le_bytes(*word), left.min(64));
            left -= left.min(64);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.append_word(u64::from_le_bytes(last), left.min(64));
        self.append_run(left - left.min(64), false);
    }

    /// The lowest `count` bits of a word, at most 64.
    pub fn append_word(&mut self, word: u64, count: usize) {
        if count == 0 {
            return;
        }
        let word = word & (u64::MAX >> (64 - count));
        let shift = self.length % 64;
        if shift == 0 {
            self.words.push(word);
        } else {
            if let Some(last) = self.words.last_mut() {
                *last |= word << shift;
            }
            if shift + count > 64 {
                self.words.push(word >> (64 - shift));
            }
        }
        self.length += count;
    }
}

/// How many bits of the words are 1.
pub fn ones(words: &[u64]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}

/// The bits of `word` where `mask` has ones, moved together at the low end.
pub fn extract(word: u64, mask: u64) -> u64 {
    match (word & mask, mask) {
        (_, u64::MAX) => word,
        (0, _) => 0,
        _ => {
            let (mut out, mut left, mut place) = (0, mask, 0);
            while left != 0 {
                out |= (word >> left.trailing_zeros() & 1) << place;
                left &= left - 1;
                place += 1;
            }
            out
        }
    }
}

/// The lowest bits of `word` moved to where `mask` has ones.
pub fn deposit(word: u64, mask: u64) -> u64 {
    if mask == u64::MAX {
        return word;
    }
    let (mut out, mut left, mut rest) = (0, mask, word);
    while left != 0 {
        let place = left & left.wrapping_neg();
        if rest & 1 == 1 {
            out |= place;
        }
        rest >>= 1;
        left ^= place;
    }
    out
}

/// The 64 bits from `at` on; 0 beyond the end.
pub fn word_at(words: &[u64], at: usize) -> u64 {
    let (index, shift) = (at / 64, at % 64);
    let low = words.get(index).copied().unwrap_or(0) >> shift;
    match shift {
        0 => low,
        _ => low | words.get(index + 1).copied().unwrap_or(0) << (64 - shift),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(bits: &Bits) -> Vec<bool> {
        (0..bits.len()).map(|at| bits.words()[at / 64] >> (at % 64) & 1 == 1).collect()
    }

    #[test]
    fn runs_and_packed_bits_follow_one_another() {
        let mut bits = Bits::default();
        let mut expected = Vec::new();
        for (count, bit) in [(3usize, true), (0, true), (61, false), (64, true), (130, true), (1, false), (7, true)] {
            bits.append_run(count, bit);
            expected.extend(std::iter::repeat_n(bit, count));
            let bytes: Vec<u8> = (0..20u8).map(|byte| byte.wrapping_mul(77) ^ count as u8).collect();
            let take = (count * 5) % 150;
            bits.append_packed(&bytes, take);
            expected.extend((0..take).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1));
        }
        assert_eq!(reference(&bits), expected);
        assert_eq!(bits.ones(), expected.iter().filter(|bit| **bit).count());
        for at in [0, 1, 63, 64, 65, 200] {
            let word = word_at(bits.words(), at);
            assert!((0..64).all(|bit| (word >> bit & 1 == 1) == expected.get(at + bit).copied().unwrap_or(false)));
        }
    }

    #[test]
    fn extract_undoes_deposit() {
        for mask in [0, 1, u64::MAX, 0xf0f0_1234_8000_0001] {
            let value = 0x0123_4567_89ab_cdef_u64;
            let low = if mask == 0 { 0 } else { value & (u64::MAX >> (64 - mask.count_ones())) };
            assert_eq!(extract(deposit(value, mask), mask), low);
        }
    }
}
