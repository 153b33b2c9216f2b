//! Positions and levels -> the hybrid of run lengths and bit packing.
//!
//! Format: parquet-format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid". Must not know: what they mean.

use arrow_buffer::BooleanBuffer;

use crate::parquet::put_varint;

/// Groups of eight values under one header: as many as fit one byte of it, which every reader knows.
const MOST_GROUPS: usize = 63;
const GROUP: usize = 8;
/// A run's header, and its value in one byte
const LONGEST_RUN: usize = 11;

/// The bits that numbers up to `highest` take.
pub(super) fn width_of(highest: u32) -> u32 {
    u32::BITS - highest.leading_zeros()
}

/// What [`levels`] of so many rows take at most.
pub(super) fn most_level_bytes(rows: usize) -> usize {
    let groups = rows.div_ceil(GROUP);
    4 + (groups + groups.div_ceil(MOST_GROUPS)).max(LONGEST_RUN)
}

/// The levels of a page in the form of data pages of version 1: their length in four bytes, then their runs. `nulls`: how many
/// are 0.
pub(super) fn levels(valid: &BooleanBuffer, nulls: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if nulls == 0 || nulls == valid.len() {
        run(valid.len(), u32::from(nulls == 0), 1, out);
    } else {
        let aligned = valid.sliced(); // bytes that begin with the first bit; bits beyond the last do not count
        let bytes = aligned.as_slice();
        for groups in bytes.get(..valid.len().div_ceil(GROUP)).unwrap_or_default().chunks(MOST_GROUPS) {
            out.push((groups.len() as u8) << 1 | 1);
            out.extend_from_slice(groups);
        }
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Positions in a dictionary: their width in one byte, then their runs.
pub(super) fn positions(positions: &[u32], width: u32, out: &mut Vec<u8>) {
    out.push(width as u8);
    out.reserve(positions.len() * width as usize / 8 + positions.len() / 256 + 64);
    let (mut at, mut header, mut groups) = (0, None, 0);
    while at < positions.len() {
        let rest = &positions[at..];
        let value = rest[0];
        if rest.iter().take(GROUP).all(|position| *position == value) {
            let length = rest.iter().take_while(|position| **position == value).count();
            // A shorter one at the very end is still shorter as a run.
            header = None;
            run(length, value, width, out);
            at += length;
            continue;
        }
        let place = match header {
            Some(place) if groups < MOST_GROUPS => place,
            _ => {
                out.push(0);
                groups = 0;
                out.len() - 1
            }
        };
        header = Some(place);
        groups += 1;
        out[place] = (groups as u8) << 1 | 1;
        match rest.first_chunk::<GROUP>() {
            Some(group) => pack(group, width, out),
            None => {
                let mut group = [0; GROUP];
                group[..rest.len()].copy_from_slice(rest);
                pack(&group, width, out);
            }
        }
        at += GROUP;
    }
}

fn run(length: usize, value: u32, width: u32, out: &mut Vec<u8>) {
    put_varint(out, (length as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Eight values in `width` bytes.
fn pack(group: &[u32; GROUP], width: u32, out: &mut Vec<u8>) {
    let joined = |values: &[u32]| {
        let shifted = values.iter().enumerate().map(|(at, value)| u64::from(*value) << (at as u32 * width));
        shifted.fold(0, |all, value| all | value)
    };
    match width {
        // Whole words, then shortened: a copy of a length that is not known costs a call.
        0..=8 => {
            out.extend_from_slice(&joined(group).to_le_bytes());
            out.truncate(out.len() - 8 + width as usize);
        }
        9..=16 => {
            let all = u128::from(joined(&group[..4])) | u128::from(joined(&group[4..])) << (4 * width);
            out.extend_from_slice(&all.to_le_bytes());
            out.truncate(out.len() - 16 + width as usize);
        }
        _ => {
            let (mut left, mut bits) = (0u64, 0);
            for value in group {
                left |= u64::from(*value) << bits;
                bits += width;
                while bits >= 8 {
                    out.push(left as u8);
                    left >>= 8;
                    bits -= 8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the format's text says it, bit by bit.
    fn unpacked(bytes: &[u8], count: usize) -> Vec<u32> {
        let (width, mut rest) = (bytes[0] as usize, &bytes[1..]);
        let mut values = Vec::new();
        while values.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let (byte, after) = rest.split_first().unwrap();
                rest = after;
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let length = (header >> 1) as usize;
            if header & 1 == 0 {
                let (value, after) = rest.split_at(width.div_ceil(8));
                rest = after;
                let value = value.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte));
                values.extend(std::iter::repeat_n(value, length));
            } else {
                let (packed, after) = rest.split_at(length * width);
                rest = after;
                let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
                let value = |at: usize| (0..width).fold(0, |all, place| all | bit(at * width + place) << place);
                values.extend((0..8 * length).map(value));
            }
        }
        assert!(rest.is_empty());
        values.truncate(count);
        values
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for width in 0..=32u32 {
            let mask = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
            for count in [1usize, 7, 8, 9, 63, 64, 505, 1009, 5000] {
                for run in [1usize, 3, 8, 100] {
                    let value = |at: usize| ((at / run) as u32).wrapping_mul(2_654_435_761).rotate_left(9) & mask;
                    let values: Vec<u32> = (0..count).map(value).collect();
                    let mut bytes = Vec::new();
                    positions(&values, width, &mut bytes);
                    assert_eq!(unpacked(&bytes, count), values, "{width} bits, {count}, runs of {run}");
                }
            }
        }
    }
}
