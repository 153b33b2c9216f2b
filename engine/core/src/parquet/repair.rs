//! Known faults of writers, corrected in the footer before anyone trusts it.
//!
//! Must not know: bytes of pages. The faults:
//!
//! - The file's number of rows is not the sum of its row groups' (parquet-rs 0.3 wrote 0). The row groups are right.
//! - A dictionary page at byte 0, where there is none (Dremio). The magic bytes lie there.
//! - parquet-mr before 1.2.9 left the header of the dictionary page out of a column chunk's size (PARQUET-816).

use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData};

use crate::error::{Error, Kind, Result};
use crate::parquet::decoding;

/// The header of a dictionary page is shorter than this (PARQUET-816).
const MAX_DICTIONARY_HEADER_BYTES: u64 = 100;

/// The footer with its known faults corrected; `end_of_data` is where the footer begins.
pub fn repair(metadata: ParquetMetaData, end_of_data: u64) -> Result<ParquetMetaData> {
    let rows = metadata.row_groups().iter().try_fold(0i64, |sum, group| sum.checked_add(group.num_rows()));
    let rows = rows.ok_or_else(|| Error::new(Kind::ParquetDecoding, "the footer is wrong: more than 2^63 rows"))?;
    let metadata = if rows == metadata.file_metadata().num_rows() { metadata } else { with_rows(&metadata, rows) };
    let has_one = chunks(&metadata).any(has_dictionary_at_zero);
    let metadata = match has_one {
        true => with_chunks(&metadata, |chunk| match has_dictionary_at_zero(chunk) {
            true => chunk.clone().into_builder().set_dictionary_page_offset(None).build(),
            false => Ok(chunk.clone()),
        })?,
        false => metadata,
    };
    match omits_dictionary_headers(metadata.file_metadata().created_by()) {
        true => with_dictionary_headers(&metadata, end_of_data),
        false => Ok(metadata),
    }
}

fn chunks(metadata: &ParquetMetaData) -> impl Iterator<Item = &ColumnChunkMetaData> {
    metadata.row_groups().iter().flat_map(RowGroupMetaData::columns)
}

fn has_dictionary_at_zero(chunk: &ColumnChunkMetaData) -> bool {
    chunk.dictionary_page_offset() == Some(0)
}

/// The same footer, each of its column chunks changed.
fn with_chunks(
    metadata: &ParquetMetaData,
    change: impl Fn(&ColumnChunkMetaData) -> parquet::errors::Result<ColumnChunkMetaData>,
) -> Result<ParquetMetaData> {
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(&change).collect::<parquet::errors::Result<Vec<_>>>()?;
        group.clone().into_builder().set_column_metadata(columns).build()
    });
    let groups = groups.collect::<parquet::errors::Result<Vec<_>>>().map_err(decoding)?;
    Ok(ParquetMetaData::new(metadata.file_metadata().clone(), groups))
}

fn with_rows(metadata: &ParquetMetaData, rows: i64) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let file = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_string),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    ParquetMetaData::new(file, metadata.row_groups().to_vec())
}

/// `parquet-mr` without a version, or before 1.2.9.
fn omits_dictionary_headers(created_by: Option<&str>) -> bool {
    let Some(rest) = created_by.and_then(|writer| writer.strip_prefix("parquet-mr")) else { return false };
    let Some(version) = rest.trim().strip_prefix("version ") else { return rest.trim().is_empty() };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next()) < (1, 2, 9)
}

/// Lets a column chunk reach to the next one, where no more than a dictionary page's header lies between them.
fn with_dictionary_headers(metadata: &ParquetMetaData, end_of_data: u64) -> Result<ParquetMetaData> {
    let mut starts: Vec<u64> = chunks(metadata).map(|chunk| chunk.byte_range().0).collect();
    starts.push(end_of_data);
    starts.sort_unstable();
    with_chunks(metadata, |chunk| {
        let (start, length) = chunk.byte_range();
        let end = start.saturating_add(length);
        let next = starts.get(starts.partition_point(|other| *other < end)).copied().unwrap_or(end);
        let missing = if next - end <= MAX_DICTIONARY_HEADER_BYTES { next - end } else { 0 };
        let length = i64::try_from(length.saturating_add(missing)).unwrap_or(i64::MAX);
        chunk.clone().into_builder().set_total_compressed_size(length).build()
    })
}
