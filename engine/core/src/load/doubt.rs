//! Stage 2, before anything of a row group is decoded: what its Bloom filters, dictionaries and page indexes say of the
//! filter, where the bounds in the footer leave doubt.
//!
//! All that is worth asking comes in one request where it lies together. Decides nothing that the rows would not: only
//! what certainly fails the filter is left out. Must not know: how columns are decoded. Neighbours: [`super::select`]
//! asks, [`super::sparse`] decodes the pages that are left.

use std::collections::HashMap;
use std::ops::Range;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use bytes::Bytes;
use parquet::file::metadata::ColumnChunkMetaData;

use crate::error::Result;
use crate::iceberg::bounds;
use crate::iceberg::predicate::{Leaf, Predicate};
use crate::load::Context;
use crate::load::open::{Group, leaf_source};
use crate::parquet::column_index::page_bounds;
use crate::parquet::index::{is_sparse, page_rows};
use crate::parquet::probe::{Probe, Question, question};
use crate::parquet::pruning::{LeafSource, leaf_may_match, order_of};
use crate::parquet::reader::chunk_range;

/// Nothing is asked about a chunk that is shorter: reading it costs about as much.
const ASKED_FROM_BYTES: u64 = 256 << 10;
/// No index is longer.
const LONGEST_INDEX_BYTES: u64 = 16 << 20;

/// What is left of a row group.
pub(crate) enum Left {
    /// No row can match
    Nothing,
    /// Any row may match, or too many pages hold one that may
    All,
    /// Only rows of some pages can match
    Pages(Pages),
}

/// Rows that may match, and where the pages of the filter's columns are.
pub(crate) struct Pages {
    pub rows: BooleanBuffer,
    /// Offset indexes by leaf column
    pub indexes: HashMap<usize, Bytes>,
}

/// What is asked about one test of the filter.
struct Asked<'a> {
    leaf: &'a Leaf,
    /// The leaf column that it tests
    column: usize,
    question: Option<Question>,
    /// Column index and offset index
    pages: Option<[Range<u64>; 2]>,
}

/// Asks what the file can say of the filter.
pub(crate) async fn ask(context: &Context, group: &Group) -> Result<Left> {
    if group.file.whole.is_some() || context.request.reference {
        return Ok(Left::All);
    }
    let asked: Vec<Asked> = context.predicate.leaves().into_iter().filter_map(|leaf| asked(group, leaf)).collect();
    let ranges = |each: &Asked| {
        let question = each.question.iter().map(|question| question.range.clone());
        question.chain(each.pages.iter().flatten().cloned()).collect::<Vec<_>>()
    };
    let ranges: Vec<Range<u64>> = asked.iter().flat_map(ranges).collect();
    if ranges.is_empty() {
        return Ok(Left::All);
    }
    let mut read = group.file.object.read_ranges(&ranges).await?.into_iter();
    let (mut refuted, mut known, mut indexes) = (Vec::new(), Vec::new(), HashMap::new());
    for each in &asked {
        if let (Some(question), Some(bytes)) = (&each.question, each.question.as_ref().and_then(|_| read.next()))
            && !question.may_hold(&bytes, chunk(group, each.column), context.request.memory_limit)
        {
            refuted.push((each.leaf, question.probe));
        }
        if let (Some(_), Some(bounds), Some(places)) =
            (&each.pages, each.pages.as_ref().and_then(|_| read.next()), each.pages.as_ref().and_then(|_| read.next()))
        {
            known.extend(matching_rows(group, each, &bounds, &places).map(|rows| (each.leaf, rows)));
            indexes.insert(each.column, places);
        }
    }
    Ok(judge(context, group, &refuted, &known, indexes))
}

fn judge(
    context: &Context,
    group: &Group,
    refuted: &[(&Leaf, Probe)],
    known: &[(&Leaf, BooleanBuffer)],
    indexes: HashMap<usize, Bytes>,
) -> Left {
    let is_refuted = |leaf: &Leaf| refuted.iter().any(|(other, _)| std::ptr::eq(*other, leaf));
    let mut may_match = |leaf: &Leaf| !is_refuted(leaf) && in_bounds(group, leaf);
    if !bounds::may_match(&context.predicate, &mut may_match) {
        let by_filter = refuted.iter().any(|(_, probe)| *probe == Probe::Bloom);
        let pruned = &context.metrics.pruned;
        if by_filter {
            pruned.groups_by_bloom.add(1)
        } else {
            pruned.groups_by_dictionary.add(1)
        }
        return Left::Nothing;
    }
    let rows = rows(&context.predicate, group.total, &mut |leaf| {
        let pages = known.iter().find(|(other, _)| std::ptr::eq(*other, leaf)).map(|(_, rows)| rows.clone());
        match may_match(leaf) {
            false => BooleanBuffer::new_unset(group.total),
            true => pages.unwrap_or_else(|| BooleanBuffer::new_set(group.total)),
        }
    });
    if rows.count_set_bits() == 0 {
        context.metrics.pruned.groups_by_pages.add(1);
        return Left::Nothing;
    }
    if is_sparse(&rows) { Left::Pages(Pages { rows, indexes }) } else { Left::All }
}

/// Rows that may pass, where `of_leaf` answers for each test.
fn rows(predicate: &Predicate, total: usize, of_leaf: &mut dyn FnMut(&Leaf) -> BooleanBuffer) -> BooleanBuffer {
    match predicate {
        Predicate::True => BooleanBuffer::new_set(total),
        Predicate::False => BooleanBuffer::new_unset(total),
        Predicate::And(parts) => {
            parts.iter().fold(BooleanBuffer::new_set(total), |kept, part| &kept & &rows(part, total, of_leaf))
        }
        Predicate::Or(parts) => {
            parts.iter().fold(BooleanBuffer::new_unset(total), |kept, part| &kept | &rows(part, total, of_leaf))
        }
        Predicate::Leaf(leaf) => of_leaf(leaf),
    }
}

/// What is worth asking about a test; None where its bounds settle it, or nothing more is known.
fn asked<'a>(group: &Group, leaf: &'a Leaf) -> Option<Asked<'a>> {
    let LeafSource::Column(column) = leaf_source(&group.file, leaf.field) else { return None };
    let chunk = chunk(group, column);
    if group.chunk_bytes(column) < ASKED_FROM_BYTES || chunk.column_descr().max_rep_level() > 0 {
        return None;
    }
    if !in_bounds(group, leaf) {
        return None;
    }
    let question = question(leaf, chunk, group.file.file_size);
    let pages = places(chunk, group.file.file_size);
    (question.is_some() || pages.is_some()).then_some(Asked { leaf, column, question, pages })
}

/// Where a chunk's column index and offset index are.
fn places(chunk: &ColumnChunkMetaData, file_size: u64) -> Option<[Range<u64>; 2]> {
    let range = |offset: Option<i64>, length: Option<i32>| {
        let (start, length) = (u64::try_from(offset?).ok()?, u64::try_from(length?).ok()?);
        let end = start.checked_add(length).filter(|end| *end <= file_size)?;
        (1..=LONGEST_INDEX_BYTES).contains(&length).then_some(start..end)
    };
    Some([
        range(chunk.column_index_offset(), chunk.column_index_length())?,
        range(chunk.offset_index_offset(), chunk.offset_index_length())?,
    ])
}

/// The rows of pages whose bounds do not refute a test.
fn matching_rows(group: &Group, asked: &Asked, index: &[u8], places: &[u8]) -> Option<BooleanBuffer> {
    let reader = &group.file.mapping.reader;
    let range = chunk_range(reader, group.index, asked.column, group.file.file_size).ok()?;
    let pages = page_rows(places, &range, group.total)?;
    let lengths: Vec<usize> = pages.iter().map(Range::len).collect();
    let order = order_of(reader.metadata().file_metadata(), asked.column);
    let column = chunk(group, asked.column).column_descr();
    let bounds = page_bounds(index, asked.leaf, column, order, &lengths)?;
    let mut rows = BooleanBufferBuilder::new(group.total);
    for (length, bounds) in lengths.into_iter().zip(&bounds) {
        rows.append_n(length, bounds::leaf_may_match(asked.leaf, bounds));
    }
    Some(rows.finish())
}

fn in_bounds(group: &Group, leaf: &Leaf) -> bool {
    let metadata = group.file.mapping.reader.metadata();
    let source = leaf_source(&group.file, leaf.field);
    leaf_may_match(leaf, metadata.file_metadata(), metadata.row_group(group.index), &source)
}

fn chunk(group: &Group, leaf: usize) -> &ColumnChunkMetaData {
    group.file.mapping.reader.metadata().row_group(group.index).column(leaf)
}
