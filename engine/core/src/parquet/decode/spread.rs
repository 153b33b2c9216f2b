//! Values moved to their rows: dense values spread over the rows that hold one, and wanted rows moved together.
//!
//! Works on values of any width, in place, by 64 rows at a time; for 4 and 8 bytes AVX-512 expands and compresses where
//! the CPU has it. Must not know: types.

#![allow(unsafe_code)]

/// Of 64 rows that are wanted, from where on they are copied in runs.
const MANY: usize = 48;

/// Spreads the values at the front of `rows` (`width` bytes each) over the rows whose bit in `valid` is 1; the others
/// are zeroed. There must be as many values as ones.
pub fn expand(width: usize, rows: &mut [u8], valid: &[u64], present: usize) {
    match width {
        1 => expand_values::<[u8; 1]>(rows.as_chunks_mut().0, valid, present),
        2 => expand_values::<[u8; 2]>(rows.as_chunks_mut().0, valid, present),
        4 => expand_values::<[u8; 4]>(rows.as_chunks_mut().0, valid, present),
        8 => expand_values::<[u8; 8]>(rows.as_chunks_mut().0, valid, present),
        16 => expand_values::<[u8; 16]>(rows.as_chunks_mut().0, valid, present),
        _ => expand_any(width, rows, valid, present),
    }
}

/// Moves the rows of `values` whose bit in `wanted` is 1 to the front of `out`. Returns bytes written.
pub fn compact(width: usize, values: &[u8], wanted: &[u64], out: &mut [u8]) -> usize {
    match width {
        1 => compact_values::<[u8; 1]>(values.as_chunks().0, wanted, out.as_chunks_mut().0),
        2 => 2 * compact_values::<[u8; 2]>(values.as_chunks().0, wanted, out.as_chunks_mut().0),
        4 => 4 * compact_values::<[u8; 4]>(values.as_chunks().0, wanted, out.as_chunks_mut().0),
        8 => 8 * compact_values::<[u8; 8]>(values.as_chunks().0, wanted, out.as_chunks_mut().0),
        16 => 16 * compact_values::<[u8; 16]>(values.as_chunks().0, wanted, out.as_chunks_mut().0),
        _ => compact_any(width, values, wanted, out),
    }
}

/// [`expand`] for values of a type; the others become its default.
pub fn expand_values<T: Copy + Default>(rows: &mut [T], valid: &[u64], present: usize) {
    let mut source = present.min(rows.len());
    let mut end = rows.len();
    for word in valid.get(..rows.len().div_ceil(64)).unwrap_or_default().iter().rev() {
        if source == end {
            return; // every row before this one holds a value: they are in their places
        }
        let start = (end - 1) / 64 * 64;
        let ones = word.count_ones() as usize;
        let from = source.saturating_sub(ones);
        match ones {
            0 => rows[start..end].fill(T::default()),
            all if all == end - start => rows.copy_within(from..source, start),
            _ if vectors::expand(rows, start, end, from, *word) => {}
            _ => {
                let mut source = source;
                for at in (0..end - start).rev() {
                    let bit = (*word >> at & 1) as usize;
                    source = source.saturating_sub(bit);
                    let value = rows[source];
                    rows[start + at] = if bit == 1 { value } else { T::default() };
                }
            }
        }
        source = from;
        end = start;
    }
}

/// [`compact`] for values of a type. Returns values written.
pub fn compact_values<T: Copy + Default>(values: &[T], wanted: &[u64], out: &mut [T]) -> usize {
    let mut done = 0;
    for (rows, word) in values.chunks(64).zip(wanted) {
        let ones = word.count_ones() as usize;
        let Some(out) = out.get_mut(done..done + ones) else { break };
        match ones {
            0 => continue,
            all if all == rows.len() => out.copy_from_slice(rows),
            _ if vectors::compact(rows, *word, out) => {}
            many if many >= MANY => copy_runs(rows, *word, out),
            _ => {
                let mut left = *word;
                for place in out {
                    let row = left.trailing_zeros() as usize;
                    *place = rows.get(row).copied().unwrap_or_default();
                    left &= left.wrapping_sub(1);
                }
            }
        }
        done += ones;
    }
    done
}

/// The rows of the bits that are 1, in runs.
fn copy_runs<T: Copy>(rows: &[T], word: u64, out: &mut [T]) {
    let (mut left, mut done) = (word, 0);
    while left != 0 {
        let start = left.trailing_zeros();
        let length = (left >> start).trailing_ones();
        let (from, to) = (start as usize..(start + length) as usize, done..done + length as usize);
        if let (Some(from), Some(to)) = (rows.get(from), out.get_mut(to)) {
            to.copy_from_slice(from);
        }
        done += length as usize;
        left = if start + length < 64 { left >> (start + length) << (start + length) } else { 0 };
    }
}

fn expand_any(width: usize, rows: &mut [u8], valid: &[u64], present: usize) {
    let count = rows.len().checked_div(width).unwrap_or(0);
    let mut source = present.min(count);
    for row in (0..count).rev() {
        let place = row * width;
        if valid.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1) {
            source = source.saturating_sub(1);
            rows.copy_within(source * width..(source + 1) * width, place);
        } else {
            rows[place..place + width].fill(0);
        }
    }
}

fn compact_any(width: usize, values: &[u8], wanted: &[u64], out: &mut [u8]) -> usize {
    let mut done = 0;
    for (row, value) in values.chunks_exact(width.max(1)).enumerate() {
        if wanted.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
            && let Some(place) = out.get_mut(done..done + width)
        {
            place.copy_from_slice(value);
            done += width;
        }
    }
    done
}

#[cfg(not(target_arch = "x86_64"))]
mod vectors {
    pub fn expand<T>(_: &mut [T], _: usize, _: usize, _: usize, _: u64) -> bool {
        false
    }

    pub fn compact<T>(_: &[T], _: u64, _: &mut [T]) -> bool {
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::*;

    /// Rows `start..end` (at most 64) from the values that begin at `from`. False where the CPU cannot.
    pub fn expand<T: Copy>(rows: &mut [T], start: usize, end: usize, from: usize, word: u64) -> bool {
        let whole = end - start == 64 && from <= start && end <= rows.len();
        if !whole || !matches!(size_of::<T>(), 4 | 8) || !is_x86_feature_detected!("avx512f") {
            return false;
        }
        // SAFETY: the CPU has AVX-512F; rows start..start+64 and the values, of which there are as many as ones in
        // `word` and which lie before `end`, are inside `rows`. Values are read before rows at or after them are
        // written: steps go backwards, and the value of a row never lies after it.
        unsafe {
            match size_of::<T>() {
                4 => expand_4(rows.as_mut_ptr().cast(), start, from, word),
                _ => expand_8(rows.as_mut_ptr().cast(), start, from, word),
            }
        }
        true
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn expand_4(rows: *mut i32, start: usize, from: usize, word: u64) {
        let mut source = from + word.count_ones() as usize;
        for step in (0..4).rev() {
            let mask = (word >> (16 * step)) as u16;
            source -= mask.count_ones() as usize;
            // SAFETY: see `expand`; a masked expanding load reads only as many values as the mask has ones.
            unsafe {
                let values = _mm512_maskz_expandloadu_epi32(mask, rows.add(source));
                _mm512_storeu_si512(rows.add(start + 16 * step).cast(), values);
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn expand_8(rows: *mut i64, start: usize, from: usize, word: u64) {
        let mut source = from + word.count_ones() as usize;
        for step in (0..8).rev() {
            let mask = (word >> (8 * step)) as u8;
            source -= mask.count_ones() as usize;
            // SAFETY: as above.
            unsafe {
                let values = _mm512_maskz_expandloadu_epi64(mask, rows.add(source));
                _mm512_storeu_si512(rows.add(start + 8 * step).cast(), values);
            }
        }
    }

    /// The wanted ones of 64 rows; `out` has exactly their number. False where the CPU cannot.
    pub fn compact<T: Copy>(rows: &[T], word: u64, out: &mut [T]) -> bool {
        let whole = rows.len() == 64 && out.len() == word.count_ones() as usize;
        if !whole || !matches!(size_of::<T>(), 4 | 8) || out.len() < 8 || !is_x86_feature_detected!("avx512f") {
            return false;
        }
        // SAFETY: the CPU has AVX-512F; 64 rows are read, and as many values written as `word` has ones.
        unsafe {
            match size_of::<T>() {
                4 => compact_4(rows.as_ptr().cast(), word, out.as_mut_ptr().cast()),
                _ => compact_8(rows.as_ptr().cast(), word, out.as_mut_ptr().cast()),
            }
        }
        true
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn compact_4(rows: *const i32, word: u64, out: *mut i32) {
        let mut done = 0;
        for step in 0..4 {
            let mask = (word >> (16 * step)) as u16;
            let ones = mask.count_ones();
            // Compressed in a register, stored under a mask: a compressing store is slow on some CPUs.
            // SAFETY: see `compact`; the mask of the store has `ones` bits.
            unsafe {
                let values = _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(rows.add(16 * step).cast()));
                _mm512_mask_storeu_epi32(out.add(done), ((1u32 << ones) - 1) as u16, values);
            }
            done += ones as usize;
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn compact_8(rows: *const i64, word: u64, out: *mut i64) {
        let mut done = 0;
        for step in 0..8 {
            let mask = (word >> (8 * step)) as u8;
            let ones = mask.count_ones();
            // SAFETY: as above.
            unsafe {
                let values = _mm512_maskz_compress_epi64(mask, _mm512_loadu_si512(rows.add(8 * step).cast()));
                _mm512_mask_storeu_epi64(out.add(done), ((1u16 << ones) - 1) as u8, values);
            }
            done += ones as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(rows: usize, kind: u64) -> Vec<u64> {
        let mut state = kind.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let words = (0..rows.div_ceil(64)).map(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match kind {
                0 => u64::MAX,
                1 => 0,
                2 => state,
                3 => state & (state >> 7) & (state << 9),
                4 => u64::MAX << 5,
                _ => [0, u64::MAX, state][at % 3],
            }
        });
        let mut words: Vec<u64> = words.collect();
        if !rows.is_multiple_of(64) {
            *words.last_mut().unwrap() &= u64::MAX >> (64 - rows % 64);
        }
        words
    }

    #[test]
    fn values_reach_their_rows_and_come_back() {
        for width in [1usize, 2, 3, 4, 8, 12, 16, 20] {
            for rows in [0usize, 1, 63, 64, 65, 128, 200, 1000] {
                for kind in 0..6 {
                    let valid = pattern(rows, kind);
                    let bit = |row: usize| valid[row / 64] >> (row % 64) & 1 == 1;
                    let present = super::super::bits::ones(&valid);
                    let value =
                        |at: usize| -> Vec<u8> { (0..width).map(|byte| (at * 31 + byte * 7 + 1) as u8).collect() };
                    let mut memory = vec![0xee; rows * width];
                    for at in 0..present {
                        memory[at * width..(at + 1) * width].copy_from_slice(&value(at));
                    }
                    let dense = memory[..present * width].to_vec();
                    expand(width, &mut memory, &valid, present);
                    let mut next = 0;
                    for row in 0..rows {
                        let expected = if bit(row) {
                            next += 1;
                            value(next - 1)
                        } else {
                            vec![0; width]
                        };
                        assert_eq!(
                            memory[row * width..(row + 1) * width],
                            expected,
                            "width {width} row {row} of {rows}"
                        );
                    }
                    let mut out = vec![0; present * width];
                    assert_eq!(compact(width, &memory, &valid, &mut out), present * width);
                    assert_eq!(out, dense);
                }
            }
        }
    }
}
