//! Row lineage of rows that move to another file: who a row is, and when it was last changed (spec: Row Lineage).
//!
//! A file that was written as new has neither column: its rows count on from the file's first row id, and were changed by
//! the snapshot that added it. What a file does say of a row stands. Must not know: where files are.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};

use super::Frame;
use crate::error::{Error, Kind, Result};

/// Reserved columns, the last two of a frame with lineage, in this order.
pub const COLUMNS: [&str; 2] = ["_row_id", "_last_updated_sequence_number"];

/// What a file's rows inherit.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// Rows of the file
    pub rows: usize,
    /// Row id of the first one; None if it has none yet
    pub first_row_id: Option<i64>,
    /// Data sequence number of the file
    pub sequence_number: i64,
}

/// The frame of all rows of these files, one after another, with its last two columns filled in; None if it does not
/// hold all of their rows, so that nobody can tell which is which.
///
/// # Errors
/// `InvalidArgument` if the frame has no such columns.
pub fn fill(frame: &Frame, files: &[Inherited]) -> Result<Option<Frame>> {
    let rows = files.iter().fold(0usize, |sum, file| sum.saturating_add(file.rows));
    if rows != frame.num_rows() {
        return Ok(None);
    }
    let columns = frame.batch().columns();
    let first = columns.len().checked_sub(COLUMNS.len()).ok_or_else(missing)?;
    let of = |at: usize| columns[first + at].as_primitive_opt::<Int64Type>().ok_or_else(missing);
    let (ids, updated) = (of(0)?, of(1)?);
    let (mut made_ids, mut made_updated) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let value = |column: &Int64Array, row: usize| column.is_valid(row).then(|| column.value(row));
    for file in files {
        for position in 0..file.rows {
            let row = made_ids.len();
            let counted = file.first_row_id.and_then(|first| first.checked_add(position as i64));
            made_ids.push(value(ids, row).or(counted));
            made_updated.push(value(updated, row).or(Some(file.sequence_number)));
        }
    }
    let made = [made_ids, made_updated].map(|values| Arc::new(Int64Array::from(values)) as ArrayRef);
    let all = columns[..first].iter().cloned().chain(made).collect();
    Frame::new(frame.batch().schema(), all, rows).map(Some)
}

fn missing() -> Error {
    Error::new(Kind::InvalidArgument, format!("the last columns of the frame are not {}", COLUMNS.join(" and ")))
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;

    use super::*;

    fn frame(ids: Vec<Option<i64>>, updated: Vec<Option<i64>>) -> Frame {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("x", Arc::new(Int64Array::from_iter_values(0..ids.len() as i64))),
            (COLUMNS[0], Arc::new(Int64Array::from(ids))),
            (COLUMNS[1], Arc::new(Int64Array::from(updated))),
        ];
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, made)| (name, made, true)));
        let batch = batch.unwrap();
        Frame::of_batches(batch.schema(), &[batch]).unwrap()
    }

    #[test]
    fn rows_inherit_what_their_file_does_not_say() {
        let files = [
            Inherited { rows: 2, first_row_id: Some(100), sequence_number: 7 },
            Inherited { rows: 1, first_row_id: None, sequence_number: 8 },
        ];
        let loaded = frame(vec![None, Some(5), None], vec![None, Some(3), None]);
        let filled = fill(&loaded, &files).unwrap().unwrap();
        let column = |at: usize| filled.batch().column(at).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
        assert_eq!(column(1), [Some(100), Some(5), None]);
        assert_eq!(column(2), [Some(7), Some(3), Some(8)]);
        assert!(fill(&loaded, &files[..1]).unwrap().is_none());
        assert!(fill(&frame(vec![], vec![]).select(&[0]).unwrap(), &[]).is_err());
    }
}
