//! Files that are to be written again, in bins of about one file's size: small ones of a partition together.
//!
//! ```json
//! {"target_size": 536870912, "min_size": 402653184, "max_size": 966367641, "min_input_files": 5, "spec_id": 0}
//! ```
//!
//! A file is a candidate if its size is not between `min_size` and `max_size`, if rows of it were deleted since, or if it is of
//! another spec than the current one. A bin is worth its while with `min_input_files`, with more bytes than one file
//! should have, or with a candidate that is there for another reason than its size. Must not know: how files are written.

use std::collections::HashMap;

use arrow_cast::display::{ArrayFormatter, FormatOptions};
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::iceberg::files::FileList;

#[derive(Deserialize)]
struct Request {
    target_size: i64,
    min_size: i64,
    max_size: i64,
    min_input_files: usize,
    spec_id: i32,
}

/// Positions of files in bins, each of one partition, in order of the partitions' appearance.
pub fn pack(files: &FileList, asked: &str) -> Result<Vec<Vec<u32>>> {
    let asked: Request = serde_json::from_str(asked)
        .map_err(|e| Error::new(Kind::InvalidArgument, format!("not a request to pack files: {e}")))?;
    let sizes = files.int64("file_size")?;
    let specs = files.spec_ids()?;
    let must = |row: usize| Ok::<_, Error>(specs.value(row) != asked.spec_id || has_deletes(files, row)?);
    let mut bins = Vec::new();
    for partition in partitions(files)? {
        let mut bin = Bin::default();
        for row in partition {
            let (size, must) = (sizes.value(row), must(row)?);
            if !must && (asked.min_size..=asked.max_size).contains(&size) {
                continue;
            }
            if !bin.rows.is_empty() && bin.size.saturating_add(size) > asked.target_size {
                bins.push(std::mem::take(&mut bin));
            }
            bin.rows.push(row as u32);
            bin.size = bin.size.saturating_add(size);
            bin.must |= must || size > asked.max_size;
        }
        bins.push(bin);
    }
    bins.retain(|bin| {
        let count = bin.rows.len();
        bin.must || (count > 1 && (count >= asked.min_input_files || bin.size >= asked.target_size))
    });
    Ok(bins.into_iter().map(|bin| bin.rows).collect())
}

#[derive(Default)]
struct Bin {
    rows: Vec<u32>,
    size: i64,
    must: bool,
}

/// Rows of the list by spec and partition.
fn partitions(files: &FileList) -> Result<Vec<Vec<usize>>> {
    let wrong =
        |e: arrow_schema::ArrowError| Error::new(Kind::Internal, format!("partitions cannot be told apart: {e}"));
    let (specs, values) = (files.spec_ids()?, files.partitions()?);
    let options = FormatOptions::new().with_null("\u{0}null");
    let formatters = values.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).map_err(wrong));
    let formatters = formatters.collect::<Result<Vec<_>>>()?;
    let mut known: HashMap<(i32, Vec<String>), usize> = HashMap::new();
    let mut found: Vec<Vec<usize>> = Vec::new();
    for row in 0..files.len() {
        let tuple = formatters.iter().map(|formatter| formatter.value(row).to_string()).collect();
        let at = *known.entry((specs.value(row), tuple)).or_insert_with(|| {
            found.push(Vec::new());
            found.len() - 1
        });
        found[at].push(row);
    }
    Ok(found)
}

/// Whether rows may have been deleted since the file was written. What is as old as the file was applied when it was
/// written again, and still names files of its partition.
fn has_deletes(files: &FileList, row: usize) -> Result<bool> {
    let written = files.int64("sequence_number")?.value(row);
    Ok(files.deletes(row)?.iter().any(|deletes| deletes.sequence_number > written))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
    use arrow_schema::{DataType, Field, Fields};

    use super::*;
    use crate::iceberg::deletes::{DeleteFile, DeleteKind, DeleteList};

    /// Deletes that came later than the files, and some that are as old as they are.
    fn deletes() -> DeleteList {
        let one = |sequence_number: i64| DeleteFile {
            kind: DeleteKind::Positions,
            location: "d".into(),
            file_size: 1,
            record_count: 1,
            range: 0..0,
            sequence_number,
            scope: 0,
            fields: Vec::new(),
        };
        DeleteList::new(vec![Arc::new(one(2)), Arc::new(one(1))])
    }

    /// Files of (size, spec, partition, whether rows were deleted later).
    fn files(of: &[(i64, i32, Option<&str>, bool)]) -> FileList {
        let numbers =
            |of: &dyn Fn(usize) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..SIX).map(of))) };
        const SIX: usize = 6;
        assert_eq!(of.len(), SIX);
        let values: ArrayRef = Arc::new(StringArray::from_iter(of.iter().map(|each| each.2)));
        let fields = Fields::from(vec![Field::new("1000", DataType::Utf8, true)]);
        let runs = of.iter().map(|each| Some(if each.3 { vec![Some(0), Some(2)] } else { vec![Some(1), Some(2)] }));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("location", Arc::new(StringArray::from_iter_values((0..SIX).map(|at| at.to_string())))),
            ("file_size", numbers(&|at| of[at].0)),
            ("record_count", numbers(&|_| 1)),
            ("start", numbers(&|_| 0)),
            ("length", numbers(&|at| of[at].0)),
            ("spec_id", Arc::new(Int32Array::from_iter_values(of.iter().map(|each| each.1)))),
            ("sequence_number", numbers(&|_| 1)),
            ("first_row_id", numbers(&|_| 0)),
            ("partition", Arc::new(StructArray::new(fields, vec![values], None))),
            ("deletes", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(runs))),
        ];
        FileList::with_deletes(RecordBatch::try_from_iter(columns).unwrap(), deletes()).unwrap()
    }

    fn packed(of: &[(i64, i32, Option<&str>, bool)], min_input_files: usize) -> Vec<Vec<u32>> {
        let asked = format!(
            "{{\"target_size\": 100, \"min_size\": 75, \"max_size\": 180, \"min_input_files\": {min_input_files}, \
             \"spec_id\": 1}}"
        );
        pack(&files(of), &asked).unwrap()
    }

    #[test]
    fn small_files_of_a_partition_share_a_bin() {
        let small = |partition| (30, 1, partition, false);
        let of = [small(Some("a")), small(None), small(Some("a")), small(None), small(Some("a")), small(Some("a"))];
        assert_eq!(packed(&of, 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(packed(&of, 3), [vec![0, 2, 4]]);
        assert!(packed(&of, 4).is_empty());
    }

    #[test]
    fn files_are_left_alone_unless_there_is_a_reason() {
        let of = [
            (100, 1, Some("a"), false),
            (100, 1, Some("a"), true),
            (200, 1, Some("b"), false),
            (100, 0, Some("c"), false),
            (10, 1, Some("d"), false),
            (180, 1, Some("e"), false),
        ];
        assert_eq!(packed(&of, 1), [vec![1], vec![2], vec![3]]);
    }
}
