//! DELTA_BINARY_PACKED integers, and the strings that are built on them.
//!
//! Format: parquet-format, Encodings.md, "Delta Encoding", "Delta-length byte array", "Delta Strings". Must not know:
//! columns.

use super::Refusal;
use super::hybrid::varint;
use super::strings::Span;
use super::unpack::unpack;

/// Values a block may announce: far more than any writer uses.
const LARGEST_BLOCK: u64 = 1 << 24;

/// Replaces `out` by `count` integers, wrapping in 64 bits. Returns what follows them.
pub fn integers<'a>(bytes: &'a [u8], count: usize, out: &mut Vec<i64>) -> Result<&'a [u8], Refusal> {
    out.clear();
    let (block, rest) = varint(bytes)?;
    let (minis, rest) = varint(rest)?;
    let (total, rest) = varint(rest)?;
    let (first, mut rest) = varint(rest)?;
    if total < count as u64 {
        return Err(Refusal::damaged(&format!("a page of {count} values with {total} differences")));
    }
    if total > count as u64 {
        return Err(Refusal::Unsupported);
    }
    if count == 0 {
        return Ok(rest);
    }
    if block > LARGEST_BLOCK || minis == 0 || block % minis != 0 || block / minis % 8 != 0 || block == 0 {
        return Err(Refusal::damaged(&format!("blocks of {block} differences in {minis} parts")));
    }
    let (minis, each) = (minis as usize, (block / minis) as usize);
    out.reserve(count);
    let mut value = zigzag(first);
    out.push(value);
    while out.len() < count {
        let (least, after) = varint(rest)?;
        let least = zigzag(least);
        let (widths, after) = after.split_at_checked(minis).ok_or_else(ended)?;
        rest = after;
        for width in widths {
            let left = count - out.len();
            if left == 0 {
                break; // widths of parts without values mean nothing
            }
            let (width, take) = (usize::from(*width), each.min(left));
            let stored = (each * width / 8).min(rest.len());
            if width > 64 || stored < (take * width).div_ceil(8) {
                return Err(ended());
            }
            let (packed, after) = rest.split_at_checked(stored).ok_or_else(ended)?;
            rest = after;
            value = add_differences(packed, width, take, least, value, out)?;
        }
    }
    Ok(rest)
}

fn add_differences(
    packed: &[u8],
    width: usize,
    count: usize,
    least: i64,
    mut value: i64,
    out: &mut Vec<i64>,
) -> Result<i64, Refusal> {
    if width > 32 {
        for at in 0..count {
            value = value.wrapping_add(least).wrapping_add(wide(packed, width, at) as i64);
            out.push(value);
        }
        return Ok(value);
    }
    let mut batch = [0u32; 256];
    let mut done = 0;
    while done < count {
        let take = (count - done).min(batch.len());
        let differences = batch.get_mut(..take).unwrap_or_default();
        unpack(packed.get(done * width / 8..).unwrap_or_default(), width as u32, differences)?;
        out.extend(differences.iter().map(|difference| {
            value = value.wrapping_add(least).wrapping_add(i64::from(*difference));
            value
        }));
        done += take;
    }
    Ok(value)
}

/// The value at `at` of more than 32 bits.
fn wide(packed: &[u8], width: usize, at: usize) -> u64 {
    let bit = at * width;
    let mut bytes = [0; 16];
    let rest = packed.get(bit / 8..).unwrap_or_default();
    let length = rest.len().min(16);
    bytes[..length].copy_from_slice(&rest[..length]);
    ((u128::from_le_bytes(bytes) >> (bit % 8)) as u64) & (u64::MAX >> (64 - width))
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// DELTA_LENGTH_BYTE_ARRAY: spans of `count` strings within `bytes`.
pub fn lengths(bytes: &[u8], count: usize, numbers: &mut Vec<i64>, spans: &mut Vec<Span>) -> Result<(), Refusal> {
    let rest = integers(bytes, count, numbers)?;
    let mut start = bytes.len() - rest.len();
    spans.clear();
    for length in numbers.iter() {
        let end = usize::try_from(*length).ok().and_then(|length| start.checked_add(length));
        let end = end.filter(|end| *end <= bytes.len()).ok_or_else(ended)?;
        spans.push(Span::new(start, end)?);
        start = end;
    }
    Ok(())
}

/// The parts of DELTA_BYTE_ARRAY strings: what each shares with the one before, and its own end.
pub struct Prefixed<'a> {
    prefixes: Vec<i64>,
    suffixes: Vec<i64>,
    bytes: &'a [u8],
    total: usize,
}

impl<'a> Prefixed<'a> {
    /// Reads the lengths of `count` strings.
    pub fn new(bytes: &'a [u8], count: usize) -> Result<Prefixed<'a>, Refusal> {
        let (mut prefixes, mut suffixes) = (Vec::new(), Vec::new());
        let rest = integers(bytes, count, &mut prefixes)?;
        let bytes = integers(rest, count, &mut suffixes)?;
        let (mut total, mut used, mut before) = (0usize, 0usize, 0usize);
        for (prefix, suffix) in prefixes.iter().zip(&suffixes) {
            let (prefix, suffix) = (usize::try_from(*prefix).map_err(|_| ended())?, usize::try_from(*suffix));
            let suffix = suffix.map_err(|_| ended())?;
            used = used.checked_add(suffix).filter(|used| *used <= bytes.len()).ok_or_else(ended)?;
            if prefix > before {
                return Err(Refusal::damaged("a string shares more than the one before it has"));
            }
            before = prefix + suffix;
            total = total.checked_add(before).ok_or_else(ended)?;
        }
        Ok(Prefixed { prefixes, suffixes, bytes, total })
    }

    /// Bytes of all strings.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Writes the strings one after another to the front of `out`, [`Prefixed::total`] bytes.
    pub fn write(&self, out: &mut [u8], spans: &mut Vec<Span>) -> Result<(), Refusal> {
        spans.clear();
        let (mut before, mut start, mut used) = (0, 0, 0);
        for (prefix, suffix) in self.prefixes.iter().zip(&self.suffixes) {
            let (prefix, suffix) = (*prefix as usize, *suffix as usize);
            let end = start + prefix + suffix;
            if end > out.len() {
                return Err(ended());
            }
            out.copy_within(before..before + prefix, start);
            out[start + prefix..end].copy_from_slice(self.bytes.get(used..used + suffix).ok_or_else(ended)?);
            spans.push(Span::new(start, end)?);
            used += suffix;
            (before, start) = (start, end);
        }
        Ok(())
    }
}

fn ended() -> Refusal {
    Refusal::damaged("a page ends within its differences")
}
