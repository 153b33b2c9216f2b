//! The footer of a Parquet file: found with one guess, its length capped before anything is allocated.
//!
//! Spec: <https://parquet.apache.org/docs/file-format/>: the file ends in a 4-byte little-endian footer length and
//! `PAR1`, or `PARE` where the footer is encrypted.

use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::{Error, Kind, Result};
use crate::fetch::PinnedObject;
use crate::parquet::{decoding, repair, thrift};

/// The first guess. A footer of 64 KiB holds 16 columns of some 100 row groups; a second request costs a round trip.
const GUESS_BYTES: u64 = 64 << 10;
/// Files of at most this size come whole with their footer, in one request.
pub const WHOLE_FILE_BYTES: u64 = 1 << 20;
/// A footer is refused beyond this: the largest seen in the wild (10,000 columns, 1,000 row groups) is a tenth of it.
const MAX_FOOTER_BYTES: u64 = 1 << 30;
const TAIL_BYTES: u64 = 8;
/// Groups within groups. Lists and maps take two levels, and Arrow's own formats end at 64 of them; every reader
/// recurses over them.
const MAX_SCHEMA_DEPTH: usize = 200;

/// A file's footer and what came with it.
pub struct Footer {
    /// The metadata
    pub metadata: Arc<ParquetMetaData>,
    /// Size of the file in bytes
    pub file_size: u64,
    /// The whole file, where it was small enough to come along
    pub whole: Option<Bytes>,
}

/// Reads the footer of an object.
pub async fn read(object: &PinnedObject) -> Result<Footer> {
    let guess = match object.size() {
        Some(size) if size <= WHOLE_FILE_BYTES => size.max(1),
        _ => GUESS_BYTES,
    };
    let (tail, file_size) = object.read_suffix(guess).await?;
    let place = |error: Error| error.at(object.location());
    let length = footer_length(&tail, file_size).map_err(place)?;
    let needed = length + TAIL_BYTES;
    let footer = match (tail.len() as u64).checked_sub(needed) {
        Some(start) => tail.slice(start as usize..tail.len() - TAIL_BYTES as usize),
        None => object.read_range(file_size - needed..file_size - TAIL_BYTES).await?,
    };
    let metadata = decode(&footer, file_size).map_err(|e| place(e).bytes(file_size - needed..file_size))?;
    let whole = (tail.len() as u64 == file_size).then_some(tail);
    Ok(Footer { metadata: Arc::new(metadata), file_size, whole })
}

/// The footer of a Parquet file that is in memory.
pub fn of_bytes(whole: Bytes) -> Result<Footer> {
    let file_size = whole.len() as u64;
    let end = file_size.saturating_sub(TAIL_BYTES);
    let start = end.saturating_sub(footer_length(&whole, file_size)?);
    let metadata = decode(&whole.slice(start as usize..end as usize), file_size)?;
    Ok(Footer { metadata: Arc::new(metadata), file_size, whole: Some(whole) })
}

fn footer_length(tail: &[u8], file_size: u64) -> Result<u64> {
    let damaged = |what: String| {
        Error::new(Kind::ParquetDecoding, what).hint("the file is not Parquet, or was not written whole")
    };
    let Some((rest, magic)) = tail.split_last_chunk::<4>() else {
        return Err(damaged(format!("a Parquet file has at least 12 bytes, this one {file_size}")));
    };
    if magic == b"PARE" {
        let message = "the file's footer is encrypted, and this version reads no encrypted files";
        return Err(Error::new(Kind::Unsupported, message));
    }
    let length = rest.last_chunk::<4>().map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
    match length {
        Some(length) if magic == b"PAR1" && length + TAIL_BYTES <= file_size && length <= MAX_FOOTER_BYTES => {
            Ok(length)
        }
        Some(length) if magic == b"PAR1" => {
            Err(damaged(format!("the footer claims {length} bytes in a file of {file_size}")))
        }
        _ => Err(damaged(format!("the file ends in {magic:?}, not in PAR1"))),
    }
}

fn decode(footer: &[u8], file_size: u64) -> Result<ParquetMetaData> {
    let depth = thrift::schema_depth(footer)?;
    if depth > MAX_SCHEMA_DEPTH {
        let message = format!("the schema is nested {depth} levels deep, the limit is {MAX_SCHEMA_DEPTH}");
        return Err(Error::new(Kind::Unsupported, message));
    }
    let metadata = match ParquetMetaDataReader::decode_metadata(footer) {
        Ok(metadata) => metadata,
        Err(error) => {
            let repaired = thrift::without_foreign_fields(footer).ok();
            let again = repaired.and_then(|footer| ParquetMetaDataReader::decode_metadata(&footer).ok());
            again.ok_or_else(|| decoding(error))?
        }
    };
    check(&metadata)?;
    // Encrypted columns have no statistics outside their encrypted metadata.
    let first = metadata.row_groups().first();
    let suspect = first.is_some_and(|group| group.columns().iter().any(|column| column.statistics().is_none()));
    if suspect && thrift::holds_encrypted_columns(footer) {
        let message = "the file holds encrypted columns, and this version reads no encrypted files";
        return Err(Error::new(Kind::Unsupported, message));
    }
    let end_of_data = file_size.saturating_sub(footer.len() as u64 + TAIL_BYTES);
    repair::repair(metadata, end_of_data)
}

fn check(metadata: &ParquetMetaData) -> Result<()> {
    let wrong = |what: &str| Error::new(Kind::ParquetDecoding, format!("the footer is wrong: {what}"));
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err(wrong("a row group with a negative number of rows"));
        }
        for column in group.columns() {
            if column.compressed_size() < 0 || column.data_page_offset() < 0 {
                return Err(wrong("a column chunk with a negative offset or size"));
            }
            if column.dictionary_page_offset().is_some_and(|offset| offset < 0) {
                return Err(wrong("a dictionary page with a negative offset"));
            }
        }
    }
    Ok(())
}
