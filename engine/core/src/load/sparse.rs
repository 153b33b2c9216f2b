//! The filter's columns of a row group of which only some pages can match: these pages alone are fetched and decoded.
//!
//! Only where every column is a constant, or top-level and decoded straight into memory; else the caller reads the columns
//! whole. Must not know: which pages are wanted, nor why ([`super::doubt`] finds them).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::Field;
use bytes::Bytes;

use crate::error::{Error, Kind, Result};
use crate::frame::filter::evaluate;
use crate::load::Context;
use crate::load::column::constant;
use crate::load::doubt::Pages;
use crate::load::leaves::{Wanted, leaf};
use crate::load::open::Group;
use crate::parquet::adapt::Adapt;
use crate::parquet::columns::{ColumnTarget, PartShape};
use crate::parquet::decode::Refusal;
use crate::parquet::fill::{direct, finish};
use crate::parquet::index::{Piece, pieces};
use crate::parquet::mapping::{promote, promotes};
use crate::parquet::reader::{ColumnTask, chunk_range};

/// The pieces of each of the filter's columns, with their bytes; none for a constant.
pub(crate) type Fetched = Vec<Vec<(Piece, Bytes)>>;

/// Fetches the pages of the filter's columns that are left.
pub(crate) async fn fetch(group: &Group, wanted: &[Wanted], pages: &Pages) -> Result<Fetched> {
    let planned = wanted.iter().map(|column| planned(group, column, pages)).collect::<Result<Vec<_>>>();
    let planned = planned.map_err(|error| error.at(&group.file.task.location))?;
    let ranges: Vec<Range<u64>> = planned.iter().flatten().map(|piece| piece.range.clone()).collect();
    let mut read = group.file.object.read_ranges(&ranges).await?.into_iter();
    let with_bytes = |pieces: Vec<Piece>| pieces.into_iter().zip(read.by_ref()).collect();
    Ok(planned.into_iter().map(with_bytes).collect())
}

/// The pieces of a column: none if it is a constant, the chunk where nobody asked for its index.
fn planned(group: &Group, column: &Wanted, pages: &Pages) -> Result<Vec<Piece>> {
    let Some(leaf) = leaf(&group.file, column.id) else { return Ok(Vec::new()) };
    let range = chunk_range(&group.file.mapping.reader, group.index, leaf, group.file.file_size)?;
    let found = pages.indexes.get(&leaf).and_then(|index| pieces(index, &range, &pages.rows));
    Ok(found.unwrap_or_else(|| vec![Piece { rows: 0..group.total, range }]))
}

/// Whether a column is a constant, or top-level: others are fetched whole at once, not after their pages in vain.
pub(crate) fn is_direct(group: &Group, column: &Wanted) -> bool {
    group.file.mapping.root.path(column.id).is_none_or(|path| path.len() == 1)
}

/// The rows that pass the filter; None where a column cannot be decoded this way.
pub(crate) fn passing(
    context: &Context,
    group: &Group,
    wanted: &[Wanted],
    pages: &Pages,
    fetched: &Fetched,
) -> Result<Option<BooleanBuffer>> {
    let rows = pages.rows.count_set_bits();
    let mut columns: HashMap<i32, ArrayRef> = HashMap::new();
    for (column, pieces) in wanted.iter().zip(fetched) {
        let values = match leaf(&group.file, column.id) {
            Some(leaf) => decode(context, group, column, leaf, &pages.rows, pieces)?,
            None => Some(match group.file.constant(column.id) {
                Some(value) => constant(&promote(value, column.data_type())?, rows, column.data_type())?,
                None => new_null_array(column.data_type(), rows),
            }),
        };
        let Some(values) = values else { return Ok(None) };
        columns.insert(column.id, values);
    }
    let resolve = |id: i32| {
        let missing = || Error::new(Kind::Internal, format!("the filter names field {id}, which was not decoded"));
        columns.get(&id).cloned().ok_or_else(missing)
    };
    let passed = evaluate(&context.predicate, &resolve, rows)?;
    Ok(Some(spread(&pages.rows, &passed)))
}

/// Bits of some rows as bits of all.
fn spread(rows: &BooleanBuffer, passed: &BooleanArray) -> BooleanBuffer {
    let mut all = BooleanBufferBuilder::new(rows.len());
    all.append_n(rows.len(), false);
    for (row, bit) in rows.set_indices().zip(passed.values()) {
        all.set_bit(row, bit);
    }
    all.finish()
}

fn decode(
    context: &Context,
    group: &Group,
    column: &Wanted,
    leaf: usize,
    rows: &BooleanBuffer,
    pieces: &[(Piece, Bytes)],
) -> Result<Option<ArrayRef>> {
    let mapping = &group.file.mapping;
    let path = mapping.root.path(column.id).unwrap_or_default();
    let [node] = path.as_slice() else { return Ok(None) };
    let target = column.data_type();
    if node.data_type != *target && !promotes(&node.data_type, target) {
        return Ok(None); // told where the column is read whole
    }
    let adapt = if node.data_type == *target { Adapt::Same } else { Adapt::Cast(target.clone()) };
    let task = ColumnTask {
        reader: &mapping.reader,
        row_group: group.index,
        leaves: &[leaf],
        node: Some(*node),
        adapt: &adapt,
        target,
        wanted: Some(rows),
        part: None,
    };
    let shape = PartShape { rows: rows.count_set_bits(), elements: None };
    let (whole, parts) = ColumnTarget::new(Arc::new(Field::new("", target.clone(), true)), &[shape], &context.account)?;
    for part in parts {
        let Ok(mut decoder) = direct(&task, part, context.limits()) else { return Ok(None) };
        for (at, (piece, bytes)) in pieces.iter().enumerate() {
            decoder.skip_to(piece.rows.start);
            match decoder.feed(bytes, at + 1 == pieces.len(), &context.cancel) {
                Ok(()) if decoder.is_at(piece.rows.end) => {}
                // Not known here, or not where the index says: the column as a whole has the last word
                Ok(()) | Err(Refusal::Unsupported) => return Ok(None),
                Err(Refusal::Failed(error)) => return Err(error),
            }
        }
        finish(decoder)?.finish()?;
    }
    let fetched = pieces.iter().map(|(piece, _)| piece.range.end - piece.range.start).sum();
    context.metrics.decoded(true, fetched);
    whole.finish(1).map(Some)
}
