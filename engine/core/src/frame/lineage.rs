//! Row lineage of rows that move to another file: who a row is, and when it was last changed (spec: Row Lineage).
//!
//! A file that was written as new has neither column: its rows count on from the file's first row id, and were changed by
//! the snapshot that added it. What a file does say of a row stands. Where a row lies is told by its metadata columns, so
//! rows that a filter or row deletes leave out do not matter. Must not know: where files are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::Schema;

use super::Frame;
use crate::error::{Error, Kind, Result};

/// The last columns of a frame that is to be filled, in this order; the last two of the one that is.
pub const COLUMNS: [&str; 4] = ["_file", "_pos", "_row_id", "_last_updated_sequence_number"];
const PLACES: usize = 2;

/// What a file's rows inherit.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// Row id of the first one; None if it has none yet
    pub first_row_id: Option<i64>,
    /// Data sequence number of the file
    pub sequence_number: i64,
}

/// The frame with its row ids and sequence numbers filled in, and without the columns that say where rows lie.
///
/// # Errors
/// `InvalidArgument` if the frame has no such columns, or rows of other files than these.
pub fn fill(frame: &Frame, files: &HashMap<&str, Inherited>) -> Result<Frame> {
    let columns = frame.batch().columns();
    let first = columns.len().checked_sub(COLUMNS.len()).ok_or_else(missing)?;
    let of = |at: usize| columns[first + at].as_primitive_opt::<Int64Type>().ok_or_else(missing);
    let paths = columns[first].as_string_view_opt().ok_or_else(missing)?;
    let (positions, ids, updated) = (of(1)?, of(2)?, of(3)?);
    let value = |column: &Int64Array, row: usize| column.is_valid(row).then(|| column.value(row));
    let rows = frame.num_rows();
    let (mut made_ids, mut made_updated) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut start = 0;
    while start < rows {
        let view = paths.views()[start]; // rows of a file follow one another, and their locations are one string
        let end = paths.views()[start..].iter().position(|other| *other != view).map_or(rows, |at| start + at);
        let path = paths.value(start);
        let unknown = || Error::new(Kind::InvalidArgument, "rows of a file that is not in the list").at(path);
        let file = files.get(path).ok_or_else(unknown)?;
        for row in start..end {
            let counted = file.first_row_id.and_then(|first| first.checked_add(positions.value(row)));
            made_ids.push(value(ids, row).or(counted));
            made_updated.push(value(updated, row).or(Some(file.sequence_number)));
        }
        start = end;
    }
    let made = [made_ids, made_updated].map(|values| Arc::new(Int64Array::from(values)) as ArrayRef);
    let all = columns[..first].iter().cloned().chain(made).collect();
    let fields = frame.batch().schema_ref().fields();
    let fields: Vec<_> = fields[..first].iter().chain(&fields[first + PLACES..]).cloned().collect();
    Frame::new(Arc::new(Schema::new(fields)), all, rows)
}

fn missing() -> Error {
    Error::new(Kind::InvalidArgument, format!("the last columns of the frame are not {}", COLUMNS.join(", ")))
}

#[cfg(test)]
mod tests {
    use arrow_array::{RecordBatch, StringViewArray};

    use super::*;

    fn frame(rows: Vec<(&str, i64, Option<i64>, Option<i64>)>) -> Frame {
        let int64 = |of: &dyn Fn(&(&str, i64, Option<i64>, Option<i64>)) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<Int64Array>())
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("x", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
            (COLUMNS[0], Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| row.0)))),
            (COLUMNS[1], int64(&|row| Some(row.1))),
            (COLUMNS[2], int64(&|row| row.2)),
            (COLUMNS[3], int64(&|row| row.3)),
        ];
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, made)| (name, made, true)));
        let batch = batch.unwrap();
        Frame::of_batches(batch.schema(), &[batch]).unwrap()
    }

    #[test]
    fn rows_inherit_what_their_file_does_not_say() {
        let files = HashMap::from([
            ("a", Inherited { first_row_id: Some(100), sequence_number: 7 }),
            ("b", Inherited { first_row_id: None, sequence_number: 8 }),
        ]);
        let rows = vec![("a", 0, None, None), ("a", 5, None, None), ("a", 6, Some(5), Some(3)), ("b", 1, None, None)];
        let filled = fill(&frame(rows), &files).unwrap();
        let names: Vec<_> = filled.batch().schema_ref().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["x", COLUMNS[2], COLUMNS[3]]);
        let column = |at: usize| filled.batch().column(at).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
        assert_eq!(column(1), [Some(100), Some(105), Some(5), None]);
        assert_eq!(column(2), [Some(7), Some(7), Some(3), Some(8)]);
        assert!(fill(&frame(vec![("c", 0, None, None)]), &files).is_err());
        assert!(fill(&frame(vec![]).select(&[0]).unwrap(), &files).is_err());
    }
}
