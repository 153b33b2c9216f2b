//! What a row group says of single values beside their bounds: a Bloom filter, or a dictionary that every page uses.
//!
//! Only `=` and `in` are asked, of types whose values are compared byte by byte. Must not know: how bytes are fetched.
//! Spec: parquet.thrift and BloomFilter.md (split blocks, xxHash with seed 0). A filter or dictionary that cannot be read
//! refutes nothing: the column itself decides.

use std::ops::Range;

use parquet::basic::{Encoding, LogicalType, Type as PhysicalType};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescriptor;

use crate::iceberg::predicate::{Leaf, Literal, Op};
use crate::iceberg::schema::Type;
use crate::parquet::decode::{Chunk, holds_any};
use crate::parquet::pruning::{is_plain_integer, unit_ns};
use crate::parquet::thrift::{Cursor, wire};

/// A filter or dictionary that is longer is not worth its request,
const LONGEST_BYTES: u64 = 1 << 20;
/// nor one that is longer than this part of what it may save.
const LARGEST_SHARE: u64 = 2;
/// Read of a filter whose length the footer does not tell.
const GUESS_BYTES: u64 = 256 << 10;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A Bloom filter
    Bloom,
    /// A dictionary
    Dictionary,
}

/// What to fetch, and what to look for in it.
#[derive(Clone, Debug)]
pub struct Question {
    /// What it is
    pub probe: Probe,
    /// Where it is in the file
    pub range: Range<u64>,
    needles: Vec<Vec<u8>>,
}

/// What may be asked of a column chunk about a test; None where nothing, or where it is not worth its bytes.
pub fn question(leaf: &Leaf, chunk: &ColumnChunkMetaData, file_size: u64) -> Option<Question> {
    let column = chunk.column_descr();
    if !matches!(leaf.op, Op::Eq | Op::In) || column.max_rep_level() > 0 {
        return None;
    }
    let needles = leaf.values.iter().map(|value| needle(&leaf.field_type, value, column));
    // A value that the column cannot hold needs no looking for
    let needles: Vec<Vec<u8>> = needles.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    let (start, length) = chunk.byte_range();
    let worth = |range: &Range<u64>| {
        let bytes = range.end.saturating_sub(range.start);
        (1..=LONGEST_BYTES.min(length / LARGEST_SHARE)).contains(&bytes) && range.end <= file_size
    };
    let made = |probe, range: Range<u64>| worth(&range).then(|| Question { probe, range, needles: needles.clone() });
    let bloom = bloom_range(chunk, file_size).and_then(|range| made(Probe::Bloom, range));
    let dictionary = || {
        let range = dictionary_range(chunk)?;
        let inside = range.start >= start && range.end <= start + length;
        inside.then(|| made(Probe::Dictionary, range)).flatten()
    };
    bloom.or_else(dictionary)
}

impl Question {
    /// Whether one of the values may be in the chunk, given the bytes of `range`; `false` is a proof.
    pub fn may_hold(&self, bytes: &[u8], chunk: &ColumnChunkMetaData, memory: u64) -> bool {
        match self.probe {
            Probe::Bloom => self.in_filter(bytes).unwrap_or(true),
            Probe::Dictionary => {
                let column = chunk.column_descr();
                let width = usize::try_from(column.type_length()).unwrap_or(0);
                let pages = Chunk { codec: chunk.compression(), uncompressed: 0, limit: memory };
                holds_any(bytes, pages, column.physical_type(), width, &self.needles).unwrap_or(true)
            }
        }
    }

    fn in_filter(&self, bytes: &[u8]) -> Option<bool> {
        let length = usize::try_from(filter_length(bytes)?).ok()?;
        let filter = Sbbf::from_bytes(bytes.get(..length)?).ok().filter(|filter| filter.num_blocks() > 0)?;
        Some(self.needles.iter().any(|needle| filter.check(needle.as_slice())))
    }
}

fn bloom_range(chunk: &ColumnChunkMetaData, file_size: u64) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
    match chunk.bloom_filter_length() {
        Some(length) => Some(start..start.checked_add(u64::try_from(length).ok()?)?),
        // Old writers leave the length to the filter's header: what is too short refutes nothing
        None => Some(start..start.checked_add(GUESS_BYTES)?.min(file_size)),
    }
}

/// Bytes of a filter with its header (parquet.thrift, BloomFilterHeader: `numBytes` is its first field).
fn filter_length(bytes: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(bytes);
    let (mut last, mut bits) = (0, None);
    while let Some(header) = cursor.header(&mut last).ok()? {
        match (header.id, header.wire) {
            (1, wire::I32) => bits = Some(cursor.signed().ok()?),
            (_, wire) => cursor.skip(wire, 0).ok()?,
        }
    }
    u64::try_from(bits?).ok()?.checked_add(cursor.position() as u64)
}

fn dictionary_range(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let all = chunk.page_encoding_stats_mask()?;
    if !all.is_only(Encoding::PLAIN_DICTIONARY) && !all.is_only(Encoding::RLE_DICTIONARY) {
        return None;
    }
    let start = u64::try_from(chunk.dictionary_page_offset()?).ok()?;
    let end = u64::try_from(chunk.data_page_offset()).ok()?;
    (start < end).then_some(start..end)
}

/// A value as the column's pages hold it: None where bytes do not tell, Some(None) where no such value can be there.
fn needle(field_type: &Type, value: &Literal, column: &ColumnDescriptor) -> Option<Option<Vec<u8>>> {
    let physical = column.physical_type();
    let integer = |value: i64| match physical {
        PhysicalType::INT32 => Some(i32::try_from(value).ok().map(|value| value.to_le_bytes().to_vec())),
        PhysicalType::INT64 => Some(Some(value.to_le_bytes().to_vec())),
        _ => None,
    };
    let signed = !matches!(column.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed);
    match (field_type, value, physical) {
        (Type::Int | Type::Long, Literal::Integer(value), _) if signed && is_plain_integer(column) => integer(*value),
        (Type::Date, Literal::Integer(value), PhysicalType::INT32) => integer(*value),
        (Type::Time | Type::Timestamp(_), Literal::Integer(value), PhysicalType::INT64)
            if unit_ns(column) == Some(1000) =>
        {
            integer(*value)
        }
        (Type::TimestampNs(_), Literal::Integer(value), PhysicalType::INT64) if unit_ns(column) == Some(1) => {
            integer(*value)
        }
        (Type::String, Literal::String(text), PhysicalType::BYTE_ARRAY) => Some(Some(text.as_bytes().to_vec())),
        (Type::Binary, Literal::Bytes(bytes), PhysicalType::BYTE_ARRAY)
        | (Type::Uuid | Type::Fixed(_), Literal::Bytes(bytes), PhysicalType::FIXED_LEN_BYTE_ARRAY) => {
            Some(Some(bytes.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_as_long_as_its_header_says() {
        let mut filter = Sbbf::new_with_ndv_fpp(100, 0.01).unwrap();
        filter.insert(&7i64);
        let mut bytes = Vec::new();
        filter.write(&mut bytes).unwrap();
        assert_eq!(filter_length(&bytes), Some(bytes.len() as u64));
        let ask = |value: i64, bytes: &[u8]| {
            let needles = vec![value.to_le_bytes().to_vec()];
            Question { probe: Probe::Bloom, range: 0..0, needles }.in_filter(bytes)
        };
        assert_eq!((ask(7, &bytes), ask(8, &bytes)), (Some(true), Some(false)));
        let longer = [bytes.as_slice(), &[0xff; 100]].concat();
        assert_eq!((ask(7, &longer), ask(8, &longer)), (Some(true), Some(false)));
        for cut in 0..bytes.len() {
            assert_eq!(ask(8, &bytes[..cut]), None, "a filter of {cut} bytes refutes");
        }
    }
}
