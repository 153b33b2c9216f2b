//! Values of fixed width: what is stored in four, eight, twelve or any number of bytes to what Arrow holds.
//!
//! Every encoding is brought to the layout of PLAIN, in final memory where no conversion follows. Must not know: nulls,
//! pages, columns.

#![allow(unsafe_code)]

use super::Refusal;
use super::bits::word_at;
use super::delta::{Prefixed, integers};
use super::hybrid::{Run, Runs};
use super::page::Encoding;
use super::scratch::{Scratch, sized};
use super::spread::{compact, compact_values};
use super::unpack::unpack;

/// What makes an Arrow value of a stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convert {
    /// The same bytes, so many
    Copy(usize),
    /// The lowest byte of four
    ToByte,
    /// The lowest two bytes of four
    ToShort,
    /// 32 to 64 bits, with sign
    Widen,
    /// 32 to 64 bits, without
    WidenUnsigned,
    /// float to double
    WidenFloat,
    /// 32-bit days to 64-bit seconds
    DaysToSeconds,
    /// 32 to 128 bits
    Decimal32,
    /// 64 to 128 bits
    Decimal64,
    /// So many bytes, the highest first, to 128 bits
    DecimalBytes(usize),
    /// Nanoseconds of the day and Julian day to microseconds since 1970
    Int96,
}

const JULIAN_DAY_OF_1970: i64 = 2_440_588;
const MICROSECONDS_A_DAY: i64 = 86_400_000_000;
const SECONDS_A_DAY: i64 = 86_400;

impl Convert {
    /// Bytes of a stored value.
    pub fn stored(self) -> usize {
        match self {
            Convert::Copy(width) | Convert::DecimalBytes(width) => width,
            Convert::Decimal64 => 8,
            Convert::Int96 => 12,
            _ => 4,
        }
    }

    /// Bytes of an Arrow value.
    pub fn width(self) -> usize {
        match self {
            Convert::Copy(width) => width,
            Convert::ToByte => 1,
            Convert::ToShort => 2,
            Convert::Decimal32 | Convert::Decimal64 | Convert::DecimalBytes(_) => 16,
            _ => 8,
        }
    }

    /// As many values as fit into `out`.
    fn apply(self, stored: &[u8], out: &mut [u8]) {
        match self {
            Convert::Copy(_) => {
                let length = stored.len().min(out.len());
                out[..length].copy_from_slice(&stored[..length]);
            }
            Convert::ToByte => each(stored, out, |[low, _, _, _]: [u8; 4]| [low]),
            Convert::ToShort => each(stored, out, |[low, high, _, _]: [u8; 4]| [low, high]),
            Convert::Widen => each(stored, out, |value| i64::from(i32::from_le_bytes(value)).to_le_bytes()),
            Convert::WidenUnsigned => each(stored, out, |value| u64::from(u32::from_le_bytes(value)).to_le_bytes()),
            Convert::WidenFloat => each(stored, out, |value| f64::from(f32::from_le_bytes(value)).to_le_bytes()),
            Convert::DaysToSeconds => {
                each(stored, out, |days| (i64::from(i32::from_le_bytes(days)) * SECONDS_A_DAY).to_le_bytes());
            }
            Convert::Decimal32 => each(stored, out, |value| i128::from(i32::from_le_bytes(value)).to_le_bytes()),
            Convert::Decimal64 => each(stored, out, |value| i128::from(i64::from_le_bytes(value)).to_le_bytes()),
            Convert::DecimalBytes(16) => each(stored, out, |value| i128::from_be_bytes(value).to_le_bytes()),
            Convert::DecimalBytes(width) => decimals(stored, width, out),
            Convert::Int96 => each(stored, out, |value: [u8; 12]| microseconds(value).to_le_bytes()),
        }
    }
}

fn each<const S: usize, const T: usize>(stored: &[u8], out: &mut [u8], convert: impl Fn([u8; S]) -> [u8; T]) {
    for (place, value) in out.as_chunks_mut::<T>().0.iter_mut().zip(stored.as_chunks::<S>().0) {
        *place = convert(*value);
    }
}

/// Two's complement of `width` bytes, 1 to 15, the highest first.
fn decimals(stored: &[u8], width: usize, out: &mut [u8]) {
    let shift = 128 - 8 * width.clamp(1, 16) as u32;
    let places = out.as_chunks_mut::<16>().0;
    for (at, place) in places.iter_mut().enumerate() {
        // 16 bytes from where the value begins; what belongs to the next one is shifted out.
        let start = at * width;
        let bytes = match stored.get(start..start + 16) {
            Some(bytes) => bytes.try_into().unwrap_or([0; 16]),
            None => {
                let mut bytes = [0; 16];
                let rest = stored.get(start..).unwrap_or_default();
                let length = rest.len().min(16);
                bytes[..length].copy_from_slice(&rest[..length]);
                bytes
            }
        };
        *place = (i128::from_be_bytes(bytes) >> shift).to_le_bytes();
    }
}

fn microseconds(value: [u8; 12]) -> i64 {
    let [low, high, day] = [0, 4, 8].map(|at| {
        let word = value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_le_bytes(word.unwrap_or_default())
    });
    let nanoseconds = (i64::from(high) << 32).wrapping_add(i64::from(low));
    (i64::from(day as i32) - JULIAN_DAY_OF_1970).wrapping_mul(MICROSECONDS_A_DAY).wrapping_add(nanoseconds / 1000)
}

/// A dictionary page's values, converted once.
pub fn dictionary(convert: Convert, values: &[u8], count: usize, table: &mut Vec<u8>) -> Result<(), Refusal> {
    let stored = count.checked_mul(convert.stored()).and_then(|length| values.get(..length));
    let stored = stored.ok_or_else(|| Refusal::damaged("a dictionary page is shorter than its values"))?;
    convert.apply(stored, sized(table, count * convert.width())?);
    table.truncate(count * convert.width());
    Ok(())
}

/// Fills `out` with dense values.
pub fn dense(
    convert: Convert,
    encoding: Encoding,
    values: &[u8],
    out: &mut [u8],
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let count = out.len() / convert.width();
    match encoding {
        Encoding::Plain => {
            let stored = values.get(..count * convert.stored()).ok_or_else(short)?;
            convert.apply(stored, out);
            Ok(())
        }
        Encoding::Dictionary => {
            if !scratch.has_dictionary {
                return Err(super::no_dictionary());
            }
            look_up(values, convert.width(), &scratch.dictionary, out)
        }
        Encoding::DeltaBinaryPacked if matches!(convert.stored(), 4 | 8) => {
            integers(values, count, &mut scratch.numbers)?;
            let narrow = convert.stored() == 4;
            let stored = sized(&mut scratch.values, count * convert.stored())?;
            match narrow {
                true => {
                    for (place, value) in stored.as_chunks_mut::<4>().0.iter_mut().zip(&scratch.numbers) {
                        *place = (*value as i32).to_le_bytes();
                    }
                }
                false => {
                    for (place, value) in stored.as_chunks_mut::<8>().0.iter_mut().zip(&scratch.numbers) {
                        *place = value.to_le_bytes();
                    }
                }
            }
            convert.apply(stored, out);
            Ok(())
        }
        Encoding::ByteStreamSplit => {
            let length = count * convert.stored();
            let streams = values.get(..length).ok_or_else(short)?;
            match convert {
                Convert::Copy(width) => unsplit(streams, width, out),
                _ => {
                    let stored = sized(&mut scratch.values, length)?;
                    unsplit(streams, convert.stored(), stored);
                    convert.apply(stored, out);
                }
            }
            Ok(())
        }
        Encoding::DeltaByteArray => {
            let strings = Prefixed::new(values, count)?;
            if strings.total() != count * convert.stored() {
                return Err(Refusal::damaged("values of another length than their column's"));
            }
            let stored = sized(&mut scratch.values, strings.total())?;
            strings.write(stored, &mut scratch.spans)?;
            if scratch.spans.iter().any(|span| span.length() != convert.stored()) {
                return Err(Refusal::damaged("values of another length than their column's"));
            }
            convert.apply(stored, out);
            Ok(())
        }
        _ => Err(Refusal::Unsupported),
    }
}

/// Fills `out` with the wanted ones of values that no null is among, and looks at no others, where the encoding allows.
/// False where it does not.
pub fn wanted(
    convert: Convert,
    encoding: Encoding,
    values: &[u8],
    (rows, wanted): (usize, &[u64]),
    out: &mut [u8],
    scratch: &mut Scratch,
) -> Result<bool, Refusal> {
    match encoding {
        Encoding::Plain => {
            let stored = convert.stored();
            if let Convert::Copy(_) = convert {
                return if compact(stored, values, wanted, out) < out.len() { Err(short()) } else { Ok(true) };
            }
            let kept = sized(&mut scratch.values, out.len() / convert.width() * stored)?;
            if compact(stored, values, wanted, kept) < kept.len() {
                return Err(short());
            }
            convert.apply(kept, out);
            Ok(true)
        }
        Encoding::Dictionary if scratch.has_dictionary => {
            let table = scratch.dictionary.as_slice();
            match convert.width() {
                4 => pick::<[u8; 4]>(values, table.as_chunks().0, (rows, wanted), out.as_chunks_mut().0)?,
                8 => pick::<[u8; 8]>(values, table.as_chunks().0, (rows, wanted), out.as_chunks_mut().0)?,
                16 => pick::<[u8; 16]>(values, table.as_chunks().0, (rows, wanted), out.as_chunks_mut().0)?,
                _ => return Ok(false),
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The wanted ones of values by their positions in a table. Where few are wanted, positions are unpacked 64 at a time, and
/// only if one of the 64 is; else many at a time, and moved together before they are looked up.
pub fn pick<T: Copy>(
    positions: &[u8],
    table: &[T],
    (rows, wanted): (usize, &[u64]),
    out: &mut [T],
) -> Result<(), Refusal> {
    let mut runs = Runs::positions(positions, rows)?;
    let width = runs.width();
    let (mut row, mut done) = (0, 0);
    let mut batch = [0u32; BATCH];
    let mut kept = [0u32; BATCH];
    while done < out.len()
        && let Some(run) = runs.next_run()?
    {
        match run {
            Run::Same { value, count } => {
                let ones: usize = windows(wanted, row, count).map(|(window, _)| window.count_ones() as usize).sum();
                if ones > 0 {
                    let value = table.get(value as usize).ok_or_else(beyond)?;
                    out.get_mut(done..done + ones).ok_or_else(short)?.fill(*value);
                }
                (row, done) = (row + count, done + ones);
            }
            Run::Packed { mut bytes, count } => {
                let end = row + count;
                while row < end {
                    let length = (end - row).min(BATCH);
                    let mut words = [0; BATCH / 64];
                    words.iter_mut().zip(windows(wanted, row, length)).for_each(|(word, (window, _))| *word = window);
                    let ones: usize = words.iter().map(|word| word.count_ones() as usize).sum();
                    let target = out.get_mut(done..done + ones).ok_or_else(short)?;
                    let found = batch.get_mut(..length).unwrap_or_default();
                    if ones * FEW < length {
                        pick_few(bytes, width, table, (found, &words), target)?;
                    } else {
                        unpack(bytes, width, found)?;
                        let moved = kept.get_mut(..ones).unwrap_or_default();
                        compact_values(found, &words, moved);
                        gather(table, moved, target)?;
                    }
                    bytes = bytes.get(length * width as usize / 8..).unwrap_or_default();
                    (row, done) = (row + length, done + ones);
                }
            }
        }
    }
    if done == out.len() { Ok(()) } else { Err(short()) }
}

/// One after another; `found` is room for all positions.
fn pick_few<T: Copy>(
    bytes: &[u8],
    width: u32,
    table: &[T],
    (found, words): (&mut [u32], &[u64]),
    out: &mut [T],
) -> Result<(), Refusal> {
    let mut places = out.iter_mut();
    for (at, (found, word)) in found.chunks_mut(64).zip(words).enumerate() {
        if *word == 0 {
            continue;
        }
        unpack(bytes.get(at * 8 * width as usize..).unwrap_or_default(), width, found)?;
        let mut left = *word;
        while left != 0
            && let Some(place) = places.next()
        {
            let position = found.get(left.trailing_zeros() as usize).copied().unwrap_or(0);
            *place = *table.get(position as usize).ok_or_else(beyond)?;
            left &= left - 1;
        }
    }
    Ok(())
}

/// The bits of `count` rows from `row` on, 64 at a time, with the number of rows each stands for.
fn windows(words: &[u64], row: usize, count: usize) -> impl Iterator<Item = (u64, usize)> {
    (0..count).step_by(64).map(move |at| {
        let length = (count - at).min(64);
        (word_at(words, row + at) & (u64::MAX >> (64 - length)), length)
    })
}

/// BYTE_STREAM_SPLIT: the first bytes of all values, then the second ones.
fn unsplit(streams: &[u8], width: usize, out: &mut [u8]) {
    fn fixed<const W: usize>(streams: &[u8], out: &mut [u8]) {
        let places = out.as_chunks_mut::<W>().0;
        let count = places.len();
        let streams: [&[u8]; W] =
            std::array::from_fn(|at| streams.get(at * count..(at + 1) * count).unwrap_or_default());
        if streams.iter().any(|stream| stream.len() != count) {
            return;
        }
        for (at, place) in places.iter_mut().enumerate() {
            *place = std::array::from_fn(|byte| streams[byte][at]);
        }
    }
    match width {
        2 => fixed::<2>(streams, out),
        4 => fixed::<4>(streams, out),
        8 => fixed::<8>(streams, out),
        _ => {
            let count = out.len() / width.max(1);
            for (at, place) in out.chunks_exact_mut(width.max(1)).enumerate() {
                for (byte, place) in place.iter_mut().enumerate() {
                    *place = streams.get(byte * count + at).copied().unwrap_or(0);
                }
            }
        }
    }
}

/// Values by their positions in a table.
pub fn look_up(positions: &[u8], width: usize, table: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    match width {
        1 => look_up_values::<[u8; 1]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        2 => look_up_values::<[u8; 2]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        4 => look_up_values::<[u8; 4]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        8 => look_up_values::<[u8; 8]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        16 => look_up_values::<[u8; 16]>(positions, table.as_chunks().0, out.as_chunks_mut().0),
        _ => look_up_any(positions, width, table, out),
    }
}

const BATCH: usize = 1024;
/// Where fewer than one in so many rows are wanted, each is looked up for itself.
const FEW: usize = 4;

/// [`look_up`] for values of a type.
pub fn look_up_values<T: Copy>(positions: &[u8], table: &[T], mut out: &mut [T]) -> Result<(), Refusal> {
    let mut runs = Runs::positions(positions, out.len())?;
    let width = runs.width();
    let mut batch = [0u32; BATCH];
    while let Some(run) = runs.next_run()? {
        match run {
            Run::Same { value, count } => {
                let value = table.get(value as usize).ok_or_else(beyond)?;
                let (places, rest) = out.split_at_mut_checked(count).ok_or_else(short)?;
                places.fill(*value);
                out = rest;
            }
            Run::Packed { mut bytes, count } => {
                let (mut places, rest) = out.split_at_mut_checked(count).ok_or_else(short)?;
                out = rest;
                while !places.is_empty() {
                    let (now, later) = places.split_at_mut(places.len().min(BATCH));
                    let found = batch.get_mut(..now.len()).unwrap_or_default();
                    unpack(bytes, width, found)?;
                    gather(table, found, now)?;
                    bytes = bytes.get(now.len() * width as usize / 8..).unwrap_or_default();
                    places = later;
                }
            }
        }
    }
    Ok(())
}

fn gather<T: Copy>(table: &[T], positions: &[u32], out: &mut [T]) -> Result<(), Refusal> {
    let highest = positions.iter().fold(0, |highest, position| highest.max(*position));
    if highest as usize >= table.len() {
        return Err(beyond());
    }
    for (place, position) in out.iter_mut().zip(positions) {
        // SAFETY: no position is higher than `highest`, which is inside the table.
        *place = unsafe { *table.get_unchecked(*position as usize) };
    }
    Ok(())
}

fn look_up_any(positions: &[u8], width: usize, table: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    if width == 0 {
        return Ok(());
    }
    let mut found = vec![0; out.len() / width];
    super::hybrid::collect(Runs::positions(positions, found.len())?, &mut found)?;
    for (place, position) in out.chunks_exact_mut(width).zip(&found) {
        let start = (*position as usize).checked_mul(width).ok_or_else(beyond)?;
        place.copy_from_slice(table.get(start..start.saturating_add(width)).ok_or_else(beyond)?);
    }
    Ok(())
}

fn beyond() -> Refusal {
    Refusal::damaged("a position beyond the dictionary")
}

fn short() -> Refusal {
    Refusal::damaged("a page is shorter than its values")
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// A page of positions of `width` bits: runs of packed ones and of equal ones, as Encodings.md has them.
    fn encoded(positions: &[u32], width: u32, random: &mut SmallRng) -> Vec<u8> {
        let mut page = vec![width as u8];
        let mut rest = positions;
        while !rest.is_empty() {
            let length = (8 * random.random_range(1..300usize)).min(rest.len());
            let (run, later) = rest.split_at(length);
            rest = later;
            if run.iter().all(|position| *position == run[0]) {
                crate::parquet::put_varint(&mut page, (length as u64) << 1);
                page.extend_from_slice(&run[0].to_le_bytes()[..width.div_ceil(8) as usize]);
                continue;
            }
            crate::parquet::put_varint(&mut page, (length.div_ceil(8) as u64) << 1 | 1);
            let mut bits = vec![0u8; length.div_ceil(8) * width as usize];
            for (at, position) in run.iter().enumerate() {
                for bit in (0..width as usize).filter(|bit| position >> bit & 1 == 1) {
                    let place = at * width as usize + bit;
                    bits[place / 8] |= 1 << (place % 8);
                }
            }
            page.extend(bits);
        }
        page
    }

    #[test]
    fn wanted_values_are_those_of_all_that_are_wanted() {
        let mut random = SmallRng::seed_from_u64(11);
        for case in 0..400 {
            let width = random.random_range(1..=14u32);
            let rows = [1, 64, 1000, 1024, 1025, 7000][case % 6];
            let share = [0.0, 0.002, 0.2, 0.5, 0.99, 1.0][case / 6 % 6];
            let table: Vec<[u8; 16]> = (0..1u128 << width).map(|at| (at * 77).to_le_bytes()).collect();
            let equal = random.random_range(0..1u32 << width);
            let mut position =
                |at: usize| if at / 700 % 3 == 1 { equal } else { random.random_range(0..1u32 << width) };
            let positions: Vec<u32> = (0..rows).map(&mut position).collect();
            let page = encoded(&positions, width, &mut random);
            let mut wanted = vec![0u64; rows.div_ceil(64)];
            let mut expected = Vec::new();
            for (row, position) in positions.iter().enumerate() {
                if random.random_bool(share) {
                    wanted[row / 64] |= 1 << (row % 64);
                    expected.push(table[*position as usize]);
                }
            }
            let mut found = vec![[0xee; 16]; expected.len()];
            pick(&page, &table, (rows, &wanted), &mut found).map_err(|_| ()).unwrap();
            assert!(found == expected, "case {case}: {rows} rows of {width} bits, {share} wanted");
            let last = positions.iter().max().copied().unwrap_or(0) as usize;
            if share == 1.0 {
                assert!(
                    pick(&page, &table[..last], (rows, &wanted), &mut found).is_err(),
                    "a position beyond the table"
                );
            }
        }
    }
}
