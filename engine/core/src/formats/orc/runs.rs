//! Streams of whole numbers, run-length encoded -> the numbers; of lengths what they come to.
//!
//! The decoder allocates what lengths (of strings, lists, maps) claim, so they are added up before it sees them. Spec:
//! "Run Length Encoding", versions 1 and 2, signed and unsigned. Must not know: columns.

use super::damaged;
use crate::error::{Error, Result};

/// Longer is nothing.
const MAX_LENGTH: i64 = 1 << 40;

/// How a stream is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub is_version_2: bool,
    pub is_signed: bool,
}

/// What a stream of lengths comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    pub count: u64,
    pub sum: u64,
    pub largest: u64,
}

/// Adds up a stream to its end, or its first `most` lengths.
pub(super) fn measure(stream: &[u8], is_version_2: bool, most: u64) -> Result<Lengths> {
    let mut found = Lengths::default();
    let mut run = Run {
        rest: stream,
        is_signed: false,
        is_of_lengths: true,
        sink: |value: i64| {
            if found.count == most {
                return Ok(());
            }
            let length = u64::try_from(value).ok().filter(|_| value <= MAX_LENGTH);
            let length = length.ok_or_else(|| damaged(format!("a length of {value}")))?;
            found.count += 1;
            found.sum = found.sum.saturating_add(length);
            found.largest = found.largest.max(length);
            Ok(())
        },
    };
    let mut left = most;
    while !run.rest.is_empty() && left > 0 {
        let count = if is_version_2 { run.version_2() } else { run.version_1() }?;
        left = left.saturating_sub(count as u64);
    }
    Ok(found)
}

/// Hands out every number of a stream.
pub(super) fn each(stream: &[u8], coding: Coding, sink: impl FnMut(i64) -> Result<()>) -> Result<()> {
    let mut run = Run { rest: stream, is_signed: coding.is_signed, is_of_lengths: false, sink };
    while !run.rest.is_empty() {
        if coding.is_version_2 { run.version_2() } else { run.version_1() }?;
    }
    Ok(())
}

struct Run<'a, F> {
    rest: &'a [u8],
    is_signed: bool,
    /// The decoder takes a base below zero for a large number there; writers have none.
    is_of_lengths: bool,
    sink: F,
}

impl<'a, F: FnMut(i64) -> Result<()>> Run<'a, F> {
    fn add(&mut self, value: i64) -> Result<()> {
        (self.sink)(value)
    }

    /// A number as its sign is encoded in this stream.
    fn number(&self, encoded: i64) -> i64 {
        if self.is_signed { unzigzag(encoded) } else { encoded }
    }

    /// Reads a run; how many numbers it has.
    fn version_1(&mut self) -> Result<usize> {
        let header = self.byte()?.cast_signed();
        if header < 0 {
            let count = usize::from(header.unsigned_abs());
            for _ in 0..count {
                let value = self.varint()?;
                self.add(self.number(value))?;
            }
            return Ok(count);
        }
        let delta = i64::from(self.byte()?.cast_signed());
        let base = self.varint()?;
        let (base, count) = (self.number(base), i64::from(header) + 3);
        (0..count).try_for_each(|at| self.add(base.wrapping_add(delta * at)))?;
        Ok(count as usize)
    }

    fn version_2(&mut self) -> Result<usize> {
        let header = self.byte()?;
        match header >> 6 {
            0 => {
                let (value, count) = (self.big_endian(usize::from(header >> 3 & 7) + 1)?, usize::from(header & 7) + 3);
                let value = self.number(value);
                (0..count).try_for_each(|_| self.add(value))?;
                Ok(count)
            }
            1 => {
                let (width, count) = (width(header >> 1 & 31), self.count(header)?);
                let mut bits = self.bits(width * count)?;
                (0..count).try_for_each(|_| {
                    let value = self.number(bits.next(width));
                    self.add(value)
                })?;
                Ok(count)
            }
            2 => self.patched(header),
            _ => self.deltas(header),
        }
    }

    fn patched(&mut self, header: u8) -> Result<usize> {
        let (bit_width, count) = (width(header >> 1 & 31), self.count(header)?);
        let (third, fourth) = (self.byte()?, self.byte()?);
        let (base_bytes, patch_width) = (usize::from(third >> 5) + 1, width(third & 31));
        let (gap_width, patches) = (usize::from(fourth >> 5) + 1, usize::from(fourth & 31));
        let base = self.big_endian(base_bytes)?;
        let sign = 1_i64 << (8 * base_bytes - 1);
        if self.is_of_lengths && base & sign != 0 {
            return Err(damaged("lengths below zero"));
        }
        let base = if base & sign == 0 { base } else { (base ^ sign).wrapping_neg() };
        let patch_bits = closest_width(patch_width + gap_width).filter(|_| bit_width + patch_width <= 64);
        let patch_bits = patch_bits.ok_or_else(|| damaged("patches of too many bits"))?;
        let mut bits = self.bits(bit_width * count)?;
        let mut values: Vec<i64> = (0..count).map(|_| bits.next(bit_width)).collect();
        let (mut bits, mut place) = (self.bits(patch_bits * patches)?, 0_usize);
        for _ in 0..patches {
            let entry = bits.next(patch_bits).cast_unsigned();
            let patch = if patch_width == 64 { entry } else { entry & ((1 << patch_width) - 1) };
            place += entry.checked_shr(patch_width as u32).unwrap_or(0) as usize & 255;
            if let Some(value) = values.get_mut(place).filter(|_| patch != 0) {
                *value |= patch.checked_shl(bit_width as u32).unwrap_or(0).cast_signed();
            }
        }
        values.into_iter().try_for_each(|value| self.add(base.wrapping_add(value)))?;
        Ok(count)
    }

    fn deltas(&mut self, header: u8) -> Result<usize> {
        let code = header >> 1 & 31;
        let (bit_width, count) = (if code == 0 { 0 } else { width(code) }, self.count(header)?);
        let base = self.varint()?;
        let (base, first) = (self.number(base), unzigzag(self.varint()?));
        self.add(base)?;
        let mut bits = self.bits(bit_width * count.saturating_sub(2))?;
        let mut value = base;
        for at in 1..count {
            let step = match at == 1 || bit_width == 0 {
                true => first,
                false if first < 0 => bits.next(bit_width).wrapping_neg(),
                false => bits.next(bit_width),
            };
            value = value.wrapping_add(step);
            self.add(value)?;
        }
        Ok(count)
    }

    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*first)
    }

    fn count(&mut self, header: u8) -> Result<usize> {
        Ok((usize::from(header & 1) << 8 | usize::from(self.byte()?)) + 1)
    }

    fn big_endian(&mut self, bytes: usize) -> Result<i64> {
        (0..bytes).try_fold(0_i64, |value, _| Ok(value << 8 | i64::from(self.byte()?)))
    }

    fn varint(&mut self) -> Result<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value.cast_signed());
            }
        }
        Err(damaged("a number of too many bytes"))
    }

    fn bits(&mut self, bits: usize) -> Result<Bits<'a>> {
        let (bytes, rest) = self.rest.split_at_checked(bits.div_ceil(8)).ok_or_else(cut)?;
        self.rest = rest;
        Ok(Bits { bytes, at: 0 })
    }
}

/// Numbers of some bits each, the most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self, width: usize) -> i64 {
        let mut value = 0_u64;
        for _ in 0..width {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            value = value << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        value.cast_signed()
    }
}

fn unzigzag(encoded: i64) -> i64 {
    (encoded.cast_unsigned() >> 1).cast_signed() ^ -(encoded & 1)
}

fn width(code: u8) -> usize {
    match usize::from(code) {
        code @ 0..=23 => code + 1,
        code @ 24..=27 => 26 + 2 * (code - 24),
        code => 40 + 8 * (code - 28),
    }
}

/// The width that patches of so many bits are written with.
fn closest_width(bits: usize) -> Option<usize> {
    (0..32).map(width).find(|width| *width >= bits)
}

fn cut() -> Error {
    damaged("numbers that end early")
}
