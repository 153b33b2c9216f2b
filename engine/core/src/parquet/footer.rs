//! The footer of a Parquet file: found with one guess, its length capped before anything is allocated.
//!
//! Spec: <https://parquet.apache.org/docs/file-format/>: the file ends in a 4-byte little-endian footer length and
//! `PAR1`, or `PARE` where the footer is encrypted.

use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::{Error, Kind, Result};
use crate::fetch::PinnedObject;
use crate::parquet::decoding;

/// The first guess. A footer of 64 KiB holds 16 columns of some 100 row groups; a second request costs a round trip.
const GUESS_BYTES: u64 = 64 << 10;
/// Files of at most this size come whole with their footer, in one request.
pub const WHOLE_FILE_BYTES: u64 = 1 << 20;
/// A footer is refused beyond this: the largest seen in the wild (10,000 columns, 1,000 row groups) is a tenth of it.
const MAX_FOOTER_BYTES: u64 = 1 << 30;
const TAIL_BYTES: u64 = 8;

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
    let metadata = decode(&footer).map_err(|e| place(e).bytes(file_size - needed..file_size))?;
    let whole = (tail.len() as u64 == file_size).then_some(tail);
    Ok(Footer { metadata: Arc::new(metadata), file_size, whole })
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

fn decode(footer: &[u8]) -> Result<ParquetMetaData> {
    let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(decoding)?;
    for group in metadata.row_groups() {
        let wrong = |what: &str| Error::new(Kind::ParquetDecoding, format!("the footer is wrong: {what}"));
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
    Ok(metadata)
}
