//! Pages straight into final column memory: the fast path beside the crate's reader.
//!
//! A [`Decoder`] takes the bytes of a column chunk as they arrive and walks over its pages ([`walk`]): [`page`] parses headers, [`codec`] decompresses, [`levels`] tells
//! which rows hold a value, and [`fixed`], [`text`] or [`lists`] bring the dense values of any encoding to the front of
//! their rows, from where [`spread`] moves them to their places. Rows that nobody wants are dropped page by page, without
//! decompressing pages that hold none; where several parts of a row group need a page, it is [`shared`], and [`starts`] says
//! with which page a part begins. [`plan`] says which columns come here.
//!
//! What this path does not know it refuses ([`Refusal::Unsupported`]); the part then forgets its rows, and the crate's
//! reader decodes the column. Must not know: files, connections, schemas.

mod bits;
mod codec;
mod delta;
mod dictionary;
mod fixed;
mod hybrid;
mod levels;
mod lists;
mod page;
mod plan;
mod positions;
mod scratch;
mod shared;
mod spread;
mod starts;
mod strings;
#[cfg(test)]
mod tests;
mod text;
mod unpack;
mod walk;

use parquet::basic::Compression;

use crate::error::{Error, Kind};

pub use dictionary::holds_any;
pub use plan::{Plan, Values};
pub use shared::SharedPages;
pub use starts::PageStarts;
pub use walk::Decoder;

/// Why a column was not decoded.
pub enum Refusal {
    /// Not known here: the crate's reader may know it
    Unsupported,
    /// An error whoever reads
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl Refusal {
    /// The error; what is not known here is one where no other reader is left.
    pub fn into_error(self) -> Error {
        match self {
            Refusal::Failed(error) => error,
            Refusal::Unsupported => Error::new(Kind::Unsupported, "a column is not decoded by this version"),
        }
    }

    fn damaged(what: &str) -> Refusal {
        let error = Error::new(Kind::ParquetDecoding, format!("the Parquet file cannot be decoded: {what}"));
        Refusal::Failed(error.hint("the file is damaged or was not written whole: write it again, or restore it"))
    }
}

/// What the footer says of a column chunk.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// How its pages are compressed
    pub codec: Compression,
    /// Bytes of all pages once decompressed
    pub uncompressed: usize,
    /// Bytes that one page may take
    pub limit: u64,
}

impl Chunk {
    fn check(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes as u64 <= self.limit {
            return Ok(());
        }
        let message = format!("a page of {} MiB, the limit is {} MiB", bytes >> 20, self.limit >> 20);
        Err(Error::new(Kind::MemoryLimit, message).hint("raise memory_limit").into())
    }
}

/// A data page whose values are decompressed.
struct Opened<'a> {
    repetition: &'a [u8],
    definition: &'a [u8],
    values: &'a [u8],
    /// Where the values begin in the memory that they were decompressed to
    start: usize,
}

fn short() -> Refusal {
    Refusal::damaged("a page is shorter than its values")
}

fn no_dictionary() -> Refusal {
    Refusal::damaged("a page of dictionary positions before the dictionary")
}

fn too_many() -> Refusal {
    Refusal::damaged("more rows than fit into memory")
}
