//! Parquet: footers, the mapping of a file's columns to the table's, row groups decoded into final column memory.
//!
//! Must not know: connections (it is handed bytes), catalogs, Python. Neighbours: [`crate::fetch`] brings the bytes,
//! [`crate::load`] drives both.

pub mod adapt;
pub mod column_index;
pub mod columns;
pub mod decode;
pub mod fill;
pub mod footer;
pub mod index;
pub mod layout;
pub mod mapping;
pub mod probe;
pub mod pruning;
pub mod reader;
mod repair;
mod thrift;
pub mod variant;

pub use thrift::put_varint;

use crate::error::{Error, Kind};

/// A Parquet error as ours: the file is damaged, or holds what this version does not read.
pub(crate) fn decoding(error: parquet::errors::ParquetError) -> Error {
    use parquet::errors::ParquetError;
    match error {
        ParquetError::NYI(what) => Error::new(Kind::Unsupported, format!("not read by this version: {what}")),
        other => Error::new(Kind::ParquetDecoding, format!("the Parquet file cannot be decoded: {other}"))
            .hint("the file is damaged or was not written whole: write it again, or restore it"),
    }
}
