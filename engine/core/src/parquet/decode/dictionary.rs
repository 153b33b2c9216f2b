//! Whether a dictionary page holds one of some values: all that a row group holds, where every page is of positions in it.
//!
//! Must not know: where the page came from, what the values mean. Whatever is unusual is "perhaps".

use parquet::basic::Type as PhysicalType;

use super::page::{self, Encoding, Found, Kind};
use super::{Chunk, codec};

/// A dictionary that is larger than this once decompressed is not looked through.
const LARGEST_BYTES: usize = 16 << 20;

/// Whether one of `needles`, encoded as the column's values are, is in the dictionary page at the front of `bytes`; None
/// where that cannot be told. `width`: of values of fixed length.
pub fn holds_any(
    bytes: &[u8],
    chunk: Chunk,
    physical: PhysicalType,
    width: usize,
    needles: &[Vec<u8>],
) -> Option<bool> {
    let Ok(Found::Page(page, _)) = page::first(bytes, true) else { return None };
    let is_plain = matches!(page.encoding, Encoding::Plain | Encoding::Dictionary); // PLAIN_DICTIONARY means PLAIN here
    if page.kind != Kind::Dictionary || !is_plain || page.uncompressed > LARGEST_BYTES {
        return None;
    }
    chunk.check(page.uncompressed).ok()?;
    let mut values = vec![0; page.uncompressed];
    codec::decompress(chunk.codec, page.body, &mut values).ok()?;
    match physical {
        PhysicalType::INT32 => fixed(&values, 4, page.values, needles),
        PhysicalType::INT64 => fixed(&values, 8, page.values, needles),
        PhysicalType::FIXED_LEN_BYTE_ARRAY => fixed(&values, width, page.values, needles),
        PhysicalType::BYTE_ARRAY => prefixed(&values, page.values, needles),
        _ => None,
    }
}

fn fixed(values: &[u8], width: usize, count: usize, needles: &[Vec<u8>]) -> Option<bool> {
    let whole = width > 0 && count.checked_mul(width) == Some(values.len());
    whole.then(|| values.chunks_exact(width).any(|value| needles.iter().any(|needle| needle == value)))
}

fn prefixed(mut values: &[u8], count: usize, needles: &[Vec<u8>]) -> Option<bool> {
    for _ in 0..count {
        let (length, rest) = values.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let value = rest.get(..length)?;
        if needles.iter().any(|needle| needle == value) {
            return Some(true);
        }
        values = rest.get(length..)?;
    }
    Some(false)
}
