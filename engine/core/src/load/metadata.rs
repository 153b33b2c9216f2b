//! Metadata columns: where a row lies, which no file says of itself (spec: "Reserved Field IDs").
//!
//! `_file`, `_spec_id` and what a change did are constants of a file, as partition values are; `_pos` counts the rows of the file, those that
//! a filter or a delete leaves out among them. Must not know: how columns are decoded.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, StringViewArray};
use arrow_schema::Schema;

use crate::load::FileTask;
use crate::load::open::Group;
use crate::parquet::mapping::field_id;

/// Location of the row's file.
const FILE_ID: i32 = i32::MAX - 1;
/// Position of the row in its file.
const POSITION_ID: i32 = i32::MAX - 2;
/// Partition spec of the file.
const SPEC_ID: i32 = i32::MAX - 4;

/// What a snapshot did to the row (Iceberg's Java has the ids: MetadataColumns).
const CHANGE_ID: i32 = i32::MAX - 104;
/// That snapshot.
const CHANGED_BY_ID: i32 = i32::MAX - 106;

/// Adds the constants that are wanted to a file's.
pub(crate) fn add_constants(schema: &Schema, task: &mut FileTask) {
    for id in schema.fields().iter().filter_map(|field| field_id(field)) {
        let value: ArrayRef = match id {
            FILE_ID => Arc::new(StringViewArray::from(vec![task.location.as_str()])),
            POSITION_ID => Arc::new(Int64Array::from(vec![0])), // a place holder: see `positions`
            SPEC_ID => Arc::new(Int32Array::from(vec![task.spec_id])),
            CHANGE_ID => match &task.change {
                Some((change, _)) => Arc::new(StringViewArray::from(vec![change.as_str()])),
                None => continue,
            },
            CHANGED_BY_ID => match &task.change {
                Some((_, by)) => Arc::new(Int64Array::from(vec![*by])),
                None => continue,
            },
            _ => continue,
        };
        task.partition.insert(id, value);
    }
}

/// The positions of a group's rows that are left, if this column of the schema is `_pos`.
pub(crate) fn positions(schema: &Schema, column: usize, group: &Group) -> Option<ArrayRef> {
    (field_id(schema.field(column)) == Some(POSITION_ID)).then(|| {
        let at = |row: usize| i64::try_from(group.first_row + row as u64).unwrap_or(i64::MAX);
        let found: Int64Array = match &group.kept {
            Some(kept) => kept.mask.set_indices().map(at).collect::<Vec<_>>().into(),
            None => (0..group.total).map(at).collect::<Vec<_>>().into(),
        };
        Arc::new(found) as ArrayRef
    })
}
