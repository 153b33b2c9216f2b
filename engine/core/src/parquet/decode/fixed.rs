//! Values of fixed width: what is stored in four, eight, twelve or any number of bytes to what Arrow holds.
//!
//! Every encoding is brought to the layout of PLAIN, in final memory where no conversion follows. Must not know: nulls,
//! pages, columns.

use super::delta::{Prefixed, integers};
use super::page::Encoding;
use super::positions::{look_up, pick};
use super::scratch::{Scratch, sized};
use super::spread::compact;
use super::{Refusal, short};

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
