//! One column of one row group into its part of the result, by the fastest way that knows it.
//!
//! Pages are decoded straight into the part's memory ([`super::decode`]) where type, encoding and codec allow; else by the
//! crate's reader ([`super::reader`]), column by column. Must not know: connections, other columns.

use arrow_schema::DataType;

use crate::error::Result;
use crate::parquet::columns::ColumnPart;
use crate::parquet::decode::{self, Chunk, Plan, Refusal, Values};
use crate::parquet::mapping::FileMapping;
use crate::parquet::reader::{Chunks, ColumnTask, chunk_range, decode_column};
use crate::runtime::Cancel;

/// What may be done.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Only the crate's reader
    pub reference: bool,
    /// Bytes that one page may take
    pub memory: u64,
}

/// Fills a part whole. Returns whether its pages were decoded straight into its memory.
pub fn fill(
    task: &ColumnTask<'_>,
    chunks: &Chunks,
    part: &mut ColumnPart,
    limits: Limits,
    cancel: &Cancel,
) -> Result<bool> {
    if let ([leaf], Some(node), false) = (task.leaves, task.node, limits.reference)
        && let Some(plan) = Plan::of(&task.reader.parquet_schema().column(*leaf), node, part.data_type())
    {
        let leaf = *leaf;
        let column = task.reader.metadata().row_group(task.row_group).column(leaf);
        let bytes = chunks.bytes(&chunk_range(task.reader, task.row_group, leaf, chunks.file_size())?)?;
        let chunk = Chunk {
            bytes: &bytes,
            codec: column.compression(),
            uncompressed: usize::try_from(column.uncompressed_size()).unwrap_or(0),
            limit: limits.memory,
        };
        match decode::decode(plan, &chunk, task.wanted, part, cancel) {
            Ok(()) => return Ok(true),
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Unsupported) => part.reset()?,
        }
    }
    decode_column(task, chunks, cancel, |batch| part.append(batch))?;
    Ok(false)
}

/// Bytes of contiguous strings, or elements of lists of numbers, that a row group adds to a column of type `target`
/// which is a leaf of the file; None where the footer does not tell.
pub fn elements(mapping: &FileMapping, row_group: usize, leaf: usize, target: &DataType) -> Option<usize> {
    let column = mapping.reader.metadata().row_group(row_group).column(leaf);
    let plan = Plan::of(&mapping.reader.parquet_schema().column(leaf), mapping.root.top(leaf)?, target)?;
    match plan.values {
        Values::Strings { .. } => usize::try_from(column.unencoded_byte_array_data_bytes()?).ok(),
        Values::List { .. } => usize::try_from(column.num_values()).ok(),
        _ => None,
    }
}
