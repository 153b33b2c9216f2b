//! Metadata columns: where a row lies, which no file says of itself (spec: "Reserved Field IDs").
//!
//! `_file`, `_spec_id`, `_partition` and what a change did are constants of a file, as partition values are; `_pos` counts
//! the rows of the file, those that a filter or a delete leaves out among them. `_row_id` and
//! `_last_updated_sequence_number` are who a row is and when it was last changed (spec: "Row Lineage"): what a file says of
//! a row stands, else its rows count on from the file's first row id and were changed with the file. Must not know: how
//! columns are decoded.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, StringViewArray, StructArray, new_null_array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Kind, Result};
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
/// Partition values of the file, those of all its table's specs.
const PARTITION_ID: i32 = i32::MAX - 5;
/// Who the row is.
const ROW_ID: i32 = i32::MAX - 107;
/// When it was last changed.
const UPDATED_ID: i32 = i32::MAX - 108;

/// Adds the constants that are wanted to a file's.
pub(crate) fn add_constants(schema: &Schema, task: &mut FileTask) -> Result<()> {
    for field in schema.fields() {
        let Some(id) = field_id(field) else { continue };
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
            PARTITION_ID => partition(field, task.tuple.as_ref())?,
            _ => continue,
        };
        task.partition.insert(id, value);
    }
    Ok(())
}

/// A file's partition values in one row: its fields are matched by partition field id.
fn partition(wanted: &Field, tuple: Option<&StructArray>) -> Result<ArrayRef> {
    let DataType::Struct(fields) = wanted.data_type() else {
        return Err(Error::new(Kind::InvalidArgument, "_partition is not a struct"));
    };
    let value = |field: &Arc<Field>| {
        let id = field_id(field).unwrap_or(-1).to_string();
        match tuple.and_then(|tuple| tuple.column_by_name(&id)) {
            Some(found) => cast(found, field.data_type()),
            None => Ok(new_null_array(field.data_type(), 1)),
        }
    };
    let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::InvalidData, format!("_partition: {e}"));
    let values = fields.iter().map(value).collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), values, None, 1).map_err(wrong)?))
}

/// The id of a column of the schema, if it is one of row lineage.
pub(crate) fn lineage(schema: &Schema, column: usize) -> Option<i32> {
    field_id(schema.field(column)).filter(|id| [ROW_ID, UPDATED_ID].contains(id))
}

/// A column of row lineage in the rows of a group that are left; `stored`: what the file says of all of them.
pub(crate) fn inherited(id: i32, stored: &ArrayRef, group: &Group) -> Result<ArrayRef> {
    let message = || Error::new(Kind::TypeMismatch, format!("a column of row lineage of type {}", stored.data_type()));
    let stored = stored.as_primitive_opt::<Int64Type>().ok_or_else(message)?;
    let task = &group.file.task;
    let value = |row: usize| match (stored.is_valid(row), id) {
        (true, _) => Some(stored.value(row)),
        (false, ROW_ID) => task.first_row_id?.checked_add_unsigned(group.first_row)?.checked_add_unsigned(row as u64),
        (false, _) => Some(task.sequence_number),
    };
    Ok(Arc::new(match &group.kept {
        Some(kept) => kept.mask.set_indices().map(value).collect::<Int64Array>(),
        None => (0..group.total).map(value).collect::<Int64Array>(),
    }))
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
