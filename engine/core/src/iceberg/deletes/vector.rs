//! A deletion vector's bytes <-> positions: the blob `deletion-vector-v1` of a Puffin file.
//!
//! Length (4 bytes, big-endian, of magic and bitmap), magic, a 64-bit Roaring bitmap in the portable form, CRC-32 of magic
//! and bitmap (big-endian). Spec: <https://iceberg.apache.org/puffin-spec/#deletion-vector-v1-blob-type>. All of it is
//! untrusted: containers are checked against the bytes that are there, and their number against what they are said to
//! hold. Must not know: stores, which data file a vector is about.

use roaring::{RoaringBitmap, RoaringTreemap};

use crate::error::{Error, Kind, Result};

const MAGIC: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];
/// Length and magic before the bitmap, CRC after it.
const LENGTH_BYTES: usize = 4;
const CRC_BYTES: usize = 4;
/// A longer vector is damage: Iceberg's own are read into one Java array.
pub const LONGEST_BYTES: u64 = (1 << 31) - 1;

/// Positions of a vector that is said to hold `record_count` of them.
///
/// # Errors
/// `InvalidData` for bytes that are no such vector.
pub fn positions(blob: &[u8], record_count: u64) -> Result<RoaringTreemap> {
    let bitmap = checked(blob)?;
    let found = treemap(bitmap)?;
    if found.len() != record_count {
        return Err(bad(format!("it holds {} positions, its manifest says {record_count}", found.len())));
    }
    Ok(found)
}

/// The blob of these positions, runs of them as runs.
///
/// # Errors
/// `Unsupported` if it is longer than readers take.
pub fn blob(positions: &RoaringTreemap) -> Result<Vec<u8>> {
    let optimized = positions.bitmaps().map(|(key, bitmap)| {
        let mut bitmap = bitmap.clone();
        bitmap.optimize();
        (key, bitmap)
    });
    let optimized = RoaringTreemap::from_bitmaps(optimized);
    if optimized.serialized_size() as u64 + 12 > LONGEST_BYTES {
        let message = format!("a deletion vector of {} positions is too long", positions.len());
        return Err(Error::new(Kind::Unsupported, message).hint("write the data file again: compact()"));
    }
    let mut bitmap = Vec::with_capacity(optimized.serialized_size());
    let written = optimized.serialize_into(&mut bitmap);
    written.map_err(|e| Error::new(Kind::Internal, format!("a bitmap could not be written: {e}")))?;
    Ok(frame(&bitmap))
}

/// The blob around the bytes of a bitmap: length, magic and checksum.
pub fn frame(bitmap: &[u8]) -> Vec<u8> {
    let content = [&MAGIC, bitmap].concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &content, &crc32fast::hash(&content).to_be_bytes()].concat()
}

/// The bytes of the bitmap: length, magic and CRC are right.
fn checked(blob: &[u8]) -> Result<&[u8]> {
    let inner = blob.len().checked_sub(LENGTH_BYTES + CRC_BYTES).filter(|inner| *inner >= MAGIC.len());
    let inner = inner.ok_or_else(|| bad(format!("it has only {} bytes", blob.len())))?;
    let (length, rest) = blob.split_at(LENGTH_BYTES);
    let (content, crc) = rest.split_at(inner);
    let number = |bytes: &[u8]| bytes.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    if number(length) as usize != inner {
        return Err(bad(format!("its length field says {}, there are {inner} bytes", number(length))));
    }
    let (magic, bitmap) = content.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(bad(format!("it starts with {magic:02x?}, expected {MAGIC:02x?}")));
    }
    let (found, expected) = (crc32fast::hash(content), number(crc));
    if found != expected {
        return Err(bad(format!("its CRC-32 is {found:08x}, expected {expected:08x}")));
    }
    Ok(bitmap)
}

/// A number of 32-bit bitmaps, each after the upper half of its positions, ascending.
fn treemap(bytes: &[u8]) -> Result<RoaringTreemap> {
    let (count, mut rest) = bytes.split_first_chunk::<8>().ok_or_else(|| bad("its bitmap is cut off"))?;
    let count = u64::from_le_bytes(*count);
    if count > rest.len() as u64 / 4 {
        return Err(bad(format!("{count} bitmaps in {} bytes", rest.len())));
    }
    let mut bitmaps: Vec<(u32, RoaringBitmap)> = Vec::new();
    for _ in 0..count {
        let (key, after) = rest.split_first_chunk::<4>().ok_or_else(|| bad("its bitmap is cut off"))?;
        let key = u32::from_le_bytes(*key);
        if key >> 31 != 0 || bitmaps.last().is_some_and(|(last, _)| *last >= key) {
            return Err(bad(format!("the key {key} of a bitmap is negative or not above the one before it")));
        }
        rest = after;
        let bitmap =
            RoaringBitmap::deserialize_from(&mut rest).map_err(|e| bad(format!("its bitmap is wrong: {e}")))?;
        bitmaps.push((key, bitmap));
    }
    if !rest.is_empty() {
        return Err(bad(format!("{} bytes follow its bitmap", rest.len())));
    }
    Ok(RoaringTreemap::from_bitmaps(bitmaps))
}

fn bad(what: impl AsRef<str>) -> Error {
    let hint = "restore the file, or read a snapshot from before the deletes";
    Error::new(Kind::InvalidData, format!("a damaged deletion vector: {}", what.as_ref())).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(positions: &RoaringTreemap) -> Vec<u8> {
        let mut bitmap = Vec::new();
        positions.serialize_into(&mut bitmap).unwrap();
        frame(&bitmap)
    }

    fn message(blob: &[u8], count: u64) -> String {
        let error = positions(blob, count).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidData);
        error.message().to_string()
    }

    #[test]
    fn arrays_bitmaps_and_runs_of_several_keys() {
        let mut found: RoaringTreemap = [3, 70_000, (1 << 32) + 5, (7 << 32) + 1].into_iter().collect();
        found.extend((200_000..300_000).step_by(2)); // bitmaps
        assert_eq!(positions(&blob(&found), found.len()).unwrap(), found);
        let bytes = blob(&found).len();
        found.insert_range(400_000..900_000); // runs
        assert!(blob(&found).len() < bytes + 200);
        assert_eq!(positions(&blob(&found), found.len()).unwrap(), found);
        assert_eq!(positions(&blob(&RoaringTreemap::new()), 0).unwrap().len(), 0);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut found: RoaringTreemap = (0..1_000_000).filter(|at| at % 7 == 0 || at % 100_000 < 30_000).collect();
        found.extend([(3 << 32) + 1, (1 << 40) + 5]);
        for positions in [&RoaringTreemap::new(), &[5].into_iter().collect(), &found] {
            assert_eq!(super::positions(&super::blob(positions).unwrap(), positions.len()).unwrap(), *positions);
        }
        let all: RoaringTreemap = (0..1_000_000).collect();
        assert!(super::blob(&all).unwrap().len() < 400);
    }

    #[test]
    fn what_iceberg_writes() {
        // The layout by hand: one bitmap of key 0 with one array container of 1, 4 and 9.
        let mut content = Vec::new();
        content.extend_from_slice(&1u64.to_le_bytes());
        content.extend_from_slice(&0u32.to_le_bytes());
        for word in [12346u32, 1] {
            content.extend_from_slice(&word.to_le_bytes());
        }
        content.extend_from_slice(&[0, 0, 2, 0]); // container key 0, cardinality 3
        content.extend_from_slice(&16u32.to_le_bytes()); // its offset
        content.extend_from_slice(&[1, 0, 4, 0, 9, 0]);
        let found = positions(&frame(&content), 3).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [1, 4, 9]);
    }

    #[test]
    fn damage_is_named() {
        let good = blob(&(0..100).collect());
        assert!(message(&good, 99).contains("holds 100 positions, its manifest says 99"));
        for length in 0..good.len() {
            message(&good[..length], 100);
        }
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 0x40;
            message(&flipped, 100);
        }
        assert!(message(&good[..good.len() - 1], 100).contains("length field"));
        let mut crc = good.clone();
        *crc.last_mut().unwrap() ^= 1;
        assert!(message(&crc, 100).contains("CRC-32"));
    }

    #[test]
    fn a_right_checksum_does_not_make_a_bitmap() {
        let with = |bitmap: &[u8]| frame(bitmap);
        assert!(message(&with(&[1, 0]), 1).contains("cut off"));
        assert!(message(&with(&u64::MAX.to_le_bytes()), 1).contains("bitmaps in 0 bytes"));
        let mut two = 2u64.to_le_bytes().to_vec();
        let mut bitmap = Vec::new();
        RoaringBitmap::from_iter([1]).serialize_into(&mut bitmap).unwrap();
        for key in [4u32, 4] {
            two.extend_from_slice(&key.to_le_bytes());
            two.extend_from_slice(&bitmap);
        }
        assert!(message(&with(&two), 2).contains("not above"));
        two.push(0);
        let one = [&1u64.to_le_bytes()[..], &[0; 4], &bitmap, &[0]].concat();
        assert!(message(&with(&one), 1).contains("1 bytes follow"));
        let mut unsorted = one[..one.len() - 1].to_vec();
        let end = unsorted.len();
        unsorted[end - 2..].copy_from_slice(&[1, 0]);
        positions(&with(&unsorted), 1).unwrap();
        let absurd = [&1u64.to_le_bytes()[..], &[0; 4], &12346u32.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
        assert!(message(&with(&absurd), 1).contains("wrong"));
    }
}
