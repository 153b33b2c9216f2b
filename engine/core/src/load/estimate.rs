//! How much memory rows will take in a frame, told from footers alone.
//!
//! Exact for types of fixed width. Of strings the footer says how long all values are together (`SizeStatistics`), or
//! their encoded size and their shortest and longest neighbours in order tell it about. Must not know: pages.

use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::DataType;
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use crate::error::Result;
use crate::frame::{StringLayout, array_bytes};
use crate::iceberg::files::FileList;
use crate::iceberg::predicate::Predicate;
use crate::load::open::{self, Group};
use crate::load::{Context, FileTask, LoadRequest, laid_out};
use crate::metrics::Progress;
use crate::parquet::columns::fixed_width;
use crate::parquet::columns::views::{INLINE_BYTES, VIEW_BYTES};
use crate::parquet::mapping::ColumnSource;
use crate::runtime::Cancel;
use crate::store::Store;

/// Bytes of the frame that a load of these files would give, without a filter. Reads the footers of `sample` files at
/// most; the others are taken to be like them, row by row.
pub async fn estimate(
    store: &Store,
    list: &FileList,
    mut request: LoadRequest,
    sample: usize,
    cancel: &Cancel,
) -> Result<u64> {
    request.all_columns = false; // footers are enough: no file is to come whole
    let chosen = spread(list.len(), sample.max(1));
    let sampled = list.take(&chosen)?;
    let limit = request.limit;
    let context = Arc::new(Context::new(store, request, Predicate::True, cancel, &Arc::new(Progress::default())));
    let groups = open::open(&context, &FileTask::of_list(&sampled)?).await?;
    let rows: u64 = groups.iter().map(|group| group.total as u64).sum();
    let bytes: u64 = groups.iter().map(|group| group_bytes(&context.request, group)).sum();
    let all = if sampled.len() == list.len() { rows } else { counted(list, &sampled, rows)? };
    let wanted = limit.map_or(all, |limit| all.min(limit as u64));
    if rows == 0 {
        return Ok(0);
    }
    Ok(u64::try_from(u128::from(bytes) * u128::from(wanted) / u128::from(rows)).unwrap_or(u64::MAX))
}

/// Rows of all files: as their manifests count them, else (Hive tables) as many a byte as in those that were opened.
fn counted(list: &FileList, sampled: &FileList, rows: u64) -> Result<u64> {
    let sum = |list: &FileList, column: &str| -> Result<u64> {
        Ok(list.int64(column)?.values().iter().map(|value| u64::try_from(*value).unwrap_or(0)).sum())
    };
    if list.int64("record_count")?.null_count() == 0 {
        return sum(list, "record_count");
    }
    let (all, opened) = (u128::from(sum(list, "length")?), u128::from(sum(sampled, "length")?.max(1)));
    Ok(u64::try_from(u128::from(rows) * all / opened).unwrap_or(u64::MAX))
}

/// Positions of `count` of `length` things, evenly spread.
fn spread(length: usize, count: usize) -> Vec<u32> {
    let count = count.min(length);
    (0..count).filter_map(|at| u32::try_from((2 * at + 1) * length / (2 * count)).ok()).collect()
}

/// Bytes that all rows of a row group take in the result.
pub(crate) fn group_bytes(request: &LoadRequest, group: &Group) -> u64 {
    let schema = laid_out(&request.wanted.schema, request);
    schema.fields().iter().enumerate().map(|(at, field)| column_bytes(request, group, at, field.data_type())).sum()
}

fn column_bytes(request: &LoadRequest, group: &Group, index: usize, target: &DataType) -> u64 {
    let rows = group.total as u64;
    match group.file.mapping.columns.get(index) {
        Some(ColumnSource::Leaves { leaves, .. }) => {
            let row_group = group.file.mapping.reader.metadata().row_group(group.index);
            let chunks: Vec<&ColumnChunkMetaData> = leaves.iter().map(|leaf| row_group.column(*leaf)).collect();
            let mut left = chunks.as_slice();
            nested_bytes(target, rows, request.strings, &mut left)
        }
        Some(ColumnSource::Constant(value)) if value.is_null(0) => match fixed_width(target) {
            Some(width) => rows * width as u64 + rows / 8,
            None => rows * VIEW_BYTES as u64 + rows / 8,
        },
        Some(ColumnSource::Constant(value)) => rows * array_bytes(value) as u64,
        None => 0,
    }
}

/// Bytes of a column of any type; `values`: of its own, `chunks`: of the leaves below it, in order.
fn nested_bytes(data_type: &DataType, values: u64, strings: StringLayout, chunks: &mut &[&ColumnChunkMetaData]) -> u64 {
    let mut list = |element: &DataType, offset_bytes: u64| {
        let elements = chunks.first().map_or(0, |chunk| u64::try_from(chunk.num_values()).unwrap_or(0));
        (values + 1) * offset_bytes + nested_bytes(element, elements, strings, chunks)
    };
    match data_type {
        DataType::LargeList(element) => list(element.data_type(), 8),
        DataType::List(element) | DataType::Map(element, _) => list(element.data_type(), 4),
        DataType::Struct(fields) => {
            fields.iter().map(|field| nested_bytes(field.data_type(), values, strings, chunks)).sum()
        }
        _ => match chunks.split_first() {
            Some((chunk, rest)) => {
                *chunks = rest;
                leaf_bytes(data_type, values, strings, chunk)
            }
            None => 0,
        },
    }
}

fn leaf_bytes(data_type: &DataType, values: u64, strings: StringLayout, chunk: &ColumnChunkMetaData) -> u64 {
    let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
    let may_be_null = chunk.column_descr().max_def_level() > 0 && nulls != Some(0);
    let bitmap = if may_be_null { values.div_ceil(8) } else { 0 };
    let contiguous = |values: u64| (values + 1) * 8 + text_bytes(chunk, values.saturating_sub(nulls.unwrap_or(0)));
    let own = match (data_type, strings) {
        (DataType::Boolean, _) => values.div_ceil(8),
        (DataType::Utf8View | DataType::BinaryView, StringLayout::View) => {
            values * VIEW_BYTES as u64 + kept_bytes(chunk, values.saturating_sub(nulls.unwrap_or(0)))
        }
        (DataType::Utf8View | DataType::BinaryView | DataType::LargeUtf8 | DataType::LargeBinary, _) => {
            contiguous(values)
        }
        (other, _) => values * fixed_width(other).unwrap_or(0) as u64,
    };
    own + bitmap
}

/// Bytes of all strings of a chunk, `present` of them.
fn text_bytes(chunk: &ColumnChunkMetaData, present: u64) -> u64 {
    if let Some(bytes) = chunk.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok()) {
        return bytes;
    }
    match (is_all_dictionary(chunk), bounds(chunk)) {
        (true, Some((low, high))) => present * (low + high) as u64 / 2,
        // Before each value its length.
        _ => uncompressed(chunk).saturating_sub(4 * present),
    }
}

/// Bytes of the pages that views of a chunk keep: all pages with a string that does not fit into its view.
fn kept_bytes(chunk: &ColumnChunkMetaData, present: u64) -> u64 {
    let inline = INLINE_BYTES as usize;
    let known = chunk.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
    let is_short_on_average = known.is_none_or(|bytes| bytes <= present * u64::from(INLINE_BYTES));
    // What the crate's reader gives keeps its pages in any case.
    let is_flat = chunk.column_path().parts().len() == 1;
    if is_flat && is_short_on_average && bounds(chunk).is_some_and(|(low, high)| low <= inline && high <= inline) {
        return 0;
    }
    if is_all_dictionary(chunk) { dictionary_bytes(chunk, present) } else { uncompressed(chunk) }
}

/// Lengths of the least and the greatest value.
fn bounds(chunk: &ColumnChunkMetaData) -> Option<(usize, usize)> {
    let statistics = chunk.statistics()?;
    Some((statistics.min_bytes_opt()?.len(), statistics.max_bytes_opt()?.len()))
}

fn is_all_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let is_dictionary = |encoding: Encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    let has_dictionary = chunk.encodings().any(is_dictionary);
    has_dictionary
        && match chunk.page_encoding_stats_mask() {
            Some(mask) => mask.encodings().all(is_dictionary),
            // Without counts of pages: indexes take less than four bytes each.
            None => uncompressed(chunk) < u64::try_from(chunk.num_values()).unwrap_or(0) * 4,
        }
}

/// Bytes of the dictionary page. What the footer has is its compressed size, so either all of the chunk is compressed
/// alike, or what is not the indexes of `present` values, packed to as many bits as its entries need, is dictionary.
fn dictionary_bytes(chunk: &ColumnChunkMetaData, present: u64) -> u64 {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let compressed = u64::try_from(chunk.data_page_offset() - start).unwrap_or(0);
    let whole = u64::try_from(chunk.compressed_size()).unwrap_or(0).max(1);
    let alike = u128::from(compressed) * u128::from(uncompressed(chunk)) / u128::from(whole);
    let known = chunk.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
    let average =
        known.map(|bytes| bytes / present.max(1)).or(bounds(chunk).map(|(low, high)| (low + high) as u64 / 2));
    let Some(average) = average else { return u64::try_from(alike).unwrap_or(0) };
    let rest = |bits: u64| uncompressed(chunk).saturating_sub(present * bits / 8);
    let is_enough = |bits: &u64| rest(*bits) / (average + 4) <= 1 << *bits;
    let packed = (0..32).find(is_enough).map_or(0, rest);
    u64::try_from(alike).unwrap_or(0).max(packed)
}

fn uncompressed(chunk: &ColumnChunkMetaData) -> u64 {
    u64::try_from(chunk.uncompressed_size()).unwrap_or(0)
}
