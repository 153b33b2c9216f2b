//! One column of one row group into its part of the result, by the fastest way that knows it.
//!
//! Pages are decoded straight into the part's memory ([`super::decode`]) where type, encoding and codec allow; else by the
//! crate's reader ([`super::reader`]), column by column. Must not know: connections, other columns.

use arrow_schema::DataType;

use crate::error::Result;
use crate::parquet::columns::ColumnPart;
use crate::parquet::decode::{Chunk, Decoder, Plan, Refusal, Values};
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

/// A decoder for a part, if its pages can be decoded straight into its memory; else the part.
pub fn direct(task: &ColumnTask<'_>, part: ColumnPart, limits: Limits) -> Result<Decoder, Box<ColumnPart>> {
    let ([leaf], Some(node), false) = (task.leaves, task.node, limits.reference) else { return Err(Box::new(part)) };
    let plan = Plan::of(&task.reader.parquet_schema().column(*leaf), node, part.data_type());
    let Some(plan) = plan else { return Err(Box::new(part)) };
    let column = task.reader.metadata().row_group(task.row_group).column(*leaf);
    let uncompressed = usize::try_from(column.uncompressed_size()).unwrap_or(0);
    let chunk = Chunk { codec: column.compression(), uncompressed, limit: limits.memory };
    let decoder = Decoder::new(plan, chunk, task.wanted.cloned(), part)?;
    Ok(match &task.part {
        Some(part) => decoder.sharing(part.shared, *leaf),
        None => decoder,
    })
}

/// Fills a part whole. Returns it, and whether its pages were decoded straight into its memory.
pub fn fill(
    task: &ColumnTask<'_>,
    chunks: &Chunks,
    part: ColumnPart,
    limits: Limits,
    cancel: &Cancel,
) -> Result<(ColumnPart, bool)> {
    let mut part = match (direct(task, part, limits), task.leaves) {
        (Ok(mut decoder), [leaf]) => {
            let bytes = chunks.bytes(&chunk_range(task.reader, task.row_group, *leaf, chunks.file_size())?)?;
            match feed(task, &mut decoder, &bytes, cancel) {
                Ok(()) => return Ok((finish(decoder)?, true)),
                Err(refusal) => give_up(decoder, refusal)?,
            }
        }
        (Ok(decoder), _) => give_up(decoder, Refusal::Unsupported)?,
        (Err(part), _) => *part,
    };
    decode_column(task, chunks, cancel, |batch| part.append(batch))?;
    Ok((part, false))
}

/// Feeds the pages that the task's rows need, of a chunk that is there.
fn feed(task: &ColumnTask<'_>, decoder: &mut Decoder, chunk: &[u8], cancel: &Cancel) -> Result<(), Refusal> {
    let Some((starts, rows)) = task.part.as_ref().and_then(|part| Some((part.starts?, &part.rows))) else {
        return decoder.feed(chunk, true, cancel);
    };
    let needed = starts.bytes(rows);
    decoder.feed(chunk.get(needed.dictionary).unwrap_or_default(), false, cancel)?;
    decoder.skip_to(needed.first_row);
    decoder.feed(chunk.get(needed.pages).unwrap_or_default(), true, cancel)
}

/// The part of a decoder that was fed all.
pub fn finish(decoder: Decoder) -> Result<ColumnPart> {
    decoder.finish().map_err(Refusal::into_error)
}

/// The part, empty again, for the crate's reader; an error if that would fail too.
pub fn give_up(decoder: Decoder, refusal: Refusal) -> Result<ColumnPart> {
    match refusal {
        Refusal::Unsupported => decoder.give_up().map_err(Refusal::into_error),
        Refusal::Failed(error) => Err(error),
    }
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
