//! Pages straight into final column memory: the fast path beside the crate's reader.
//!
//! [`walk`] goes over the pages of a column chunk: [`page`] parses headers, [`codec`] decompresses, [`levels`] tells
//! which rows hold a value, and [`fixed`], [`text`] or [`lists`] bring the dense values of any encoding to the front of
//! their rows, from where [`spread`] moves them to their places. Rows that nobody wants are dropped page by page, without
//! decompressing pages that hold none. [`plan`] says which columns come here.
//!
//! What this path does not know it refuses ([`Refusal::Unsupported`]), and the caller takes the crate's reader for the
//! column. Must not know: files, connections, schemas.

mod bits;
mod codec;
mod delta;
mod fixed;
mod hybrid;
mod levels;
mod lists;
mod page;
mod plan;
mod scratch;
mod spread;
mod strings;
mod text;
mod unpack;
mod walk;

use arrow_buffer::BooleanBuffer;
use parquet::basic::Compression;

use self::scratch::Scratch;
use crate::error::{Error, Kind};
use crate::parquet::columns::ColumnPart;
use crate::runtime::Cancel;

pub use plan::{Plan, Values};

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
    fn damaged(what: &str) -> Refusal {
        let error = Error::new(Kind::ParquetDecoding, format!("the Parquet file cannot be decoded: {what}"));
        Refusal::Failed(error.hint("the file is damaged or was not written whole: write it again, or restore it"))
    }
}

/// A column chunk.
pub struct Chunk<'a> {
    /// Its pages
    pub bytes: &'a [u8],
    /// How they are compressed
    pub codec: Compression,
    /// Bytes of all pages once decompressed, as the footer has it
    pub uncompressed: usize,
    /// Bytes that one page may take
    pub limit: u64,
}

impl Chunk<'_> {
    fn check(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes as u64 <= self.limit {
            return Ok(());
        }
        let message = format!("a page of {} MiB, the limit is {} MiB", bytes >> 20, self.limit >> 20);
        Err(Error::new(Kind::MemoryLimit, message).hint("raise memory_limit").into())
    }
}

/// Decodes a chunk into a part whose type the plan was made for; rows whose bit in `wanted` is 0 are left out.
///
/// On [`Refusal::Unsupported`] the part may hold some rows already: reset it.
pub fn decode(
    plan: Plan,
    chunk: &Chunk<'_>,
    wanted: Option<&BooleanBuffer>,
    part: &mut ColumnPart,
    cancel: &Cancel,
) -> Result<(), Refusal> {
    let is_list = matches!(plan.values, Values::List { .. });
    if !codec::is_known(chunk.codec) || (is_list && wanted.is_some()) {
        return Err(Refusal::Unsupported);
    }
    Scratch::with(|scratch| {
        let mut decoder = walk::Decoder::new(plan, chunk, wanted, part, scratch);
        if is_list { decoder.lists(cancel) } else { decoder.rows(cancel) }
    })
}

/// A data page whose values are decompressed.
struct Opened<'a> {
    repetition: &'a [u8],
    definition: &'a [u8],
    values: &'a [u8],
    /// Where the values begin in the memory that they were decompressed to
    start: usize,
}

fn no_dictionary() -> Refusal {
    Refusal::damaged("a page of dictionary positions before the dictionary")
}

fn too_many() -> Refusal {
    Refusal::damaged("more rows than fit into memory")
}
