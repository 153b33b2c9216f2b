//! A bounds-checked reader of Avro's primitive encodings.
//!
//! Every length is compared with the bytes that remain before it is used. Must not know: schemas, columns, files.

use crate::error::{Error, Kind, Result};

/// The high bits of eight bytes: the last byte of a varint has it clear.
const LAST: u64 = 0x8080_8080_8080_8080;

/// A position in a decoded block (or in the file's header).
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// A zigzag varint: int, long, counts, lengths, union branches.
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Result<i64> {
        match self.bytes.get(self.position) {
            Some(&first) if first < 0x80 => {
                self.position += 1;
                Ok(i64::from(first >> 1) ^ -i64::from(first & 1))
            }
            _ => self.long_varint(),
        }
    }

    /// Up to eight bytes at once: their sevens of bits are moved together, by two, by four, by eight.
    fn long_varint(&mut self) -> Result<i64> {
        if let Some(word) = self.bytes.get(self.position..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let last = !word & LAST;
            if last != 0 {
                let length = last.trailing_zeros() / 8 + 1;
                let sevens = word & (u64::MAX >> (64 - 8 * length)) & !LAST;
                let pairs = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
                let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
                let value = fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4;
                self.position += length as usize;
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        self.longest_varint()
    }

    #[cold]
    fn longest_varint(&mut self) -> Result<i64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.position) else { return Err(ended("a number", 1, 0)) };
            self.position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(invalid("Avro: a number longer than 64 bits"))
    }

    /// Passes over `count` varints, eight bytes at a time.
    #[inline(always)]
    pub(super) fn skip_varints(&mut self, mut count: usize) -> Result<()> {
        while count > 8 {
            let Some(word) = self.bytes[self.position..].first_chunk::<8>() else { break };
            count -= (!u64::from_le_bytes(*word) & LAST).count_ones() as usize;
            self.position += 8;
        }
        while count > 0 {
            let Some(&byte) = self.bytes.get(self.position) else { return Err(ended("a number", 1, 0)) };
            self.position += 1;
            count -= usize::from(byte < 0x80);
        }
        Ok(())
    }

    /// The next `length` bytes.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        if length > self.remaining() {
            return Err(ended("a value", length, self.remaining()));
        }
        let taken = &self.bytes[self.position..self.position + length];
        self.position += length;
        Ok(taken)
    }

    /// A length that must fit into the bytes that remain.
    fn length(&mut self) -> Result<usize> {
        let length = self.varint()?;
        match usize::try_from(length) {
            Ok(length) if length <= self.remaining() => Ok(length),
            _ => Err(invalid(format!("Avro: a length of {length} where {} bytes remain", self.remaining()))),
        }
    }

    /// bytes or string.
    #[inline(always)]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        if let Some((&first, rest)) = self.bytes[self.position..].split_first()
            && first & 0x81 == 0 // one byte, not negative
            && let Some(taken) = rest.get(..usize::from(first >> 1))
        {
            self.position += 1 + taken.len();
            return Ok(taken);
        }
        self.long_bytes()
    }

    fn long_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Passes over `count` pairs of an int and bytes: bounds by field id.
    pub(super) fn skip_keyed_bytes(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let rest = &self.bytes[self.position..];
            match rest.first_chunk::<2>() {
                // One byte each, and the length is not negative.
                Some([key, length]) if (key | length) < 0x80 && length & 1 == 0 => {
                    self.position += 2;
                    self.take(usize::from(length >> 1))?;
                }
                _ => {
                    self.varint()?;
                    self.bytes()?;
                }
            }
        }
        Ok(())
    }

    /// boolean.
    pub(super) fn boolean(&mut self) -> Result<bool> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => Err(invalid(format!("Avro: a boolean of {other:?}"))),
        }
    }

    pub(super) fn float(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.chunk()?))
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.chunk()?))
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        taken.first_chunk().copied().ok_or_else(|| ended("a value", N, taken.len()))
    }

    /// The head of one block of an array or map: its item count and, where the writer gave it, its length in bytes.
    ///
    /// A count of 0 ends the array. `smallest` is the least number of bytes that an item takes.
    #[inline(always)]
    pub(super) fn items(&mut self, smallest: usize) -> Result<(usize, Option<usize>)> {
        let count = self.varint()?;
        let length = if count < 0 { Some(self.length()?) } else { None };
        let least =
            usize::try_from(count.unsigned_abs()).ok().and_then(|count| Some((count, count.checked_mul(smallest)?)));
        match least {
            Some((count, bytes)) if bytes <= self.remaining() => Ok((count, length)),
            _ => Err(invalid(format!("Avro: an array of {count} items where {} bytes remain", self.remaining()))),
        }
    }
}

fn ended(what: &str, needed: usize, found: usize) -> Error {
    invalid(format!("Avro: data ends within {what}: {needed} bytes needed, {found} left"))
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message)
}
