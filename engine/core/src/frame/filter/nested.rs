//! The leaf of a filter inside structs: where it is, and its values with the nulls of the structs around it.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Fields};
use arrow_select::nullif::nullif;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::FIELD_ID;

/// Position of a field id among columns, then among the children of each struct; lists and maps are not entered.
pub fn field_path(fields: &Fields, id: i32) -> Option<Vec<usize>> {
    fields.iter().enumerate().find_map(|(at, field)| {
        if field.metadata().get(FIELD_ID).is_some_and(|text| text.parse() == Ok(id)) {
            return Some(vec![at]);
        }
        let DataType::Struct(children) = field.data_type() else { return None };
        let mut path = field_path(children, id)?;
        path.insert(0, at);
        Some(path)
    })
}

/// The array at a path (see [`field_path`]); it is null where a struct around it is null.
pub fn struct_leaf(columns: &[ArrayRef], path: &[usize]) -> Result<ArrayRef> {
    let lost = || Error::new(Kind::Internal, format!("no column at path {path:?} of {} columns", columns.len()));
    let (first, rest) = path.split_first().ok_or_else(lost)?;
    let mut array = columns.get(*first).ok_or_else(lost)?;
    let mut nulls: Option<NullBuffer> = None;
    for at in rest {
        let parent = array.as_struct_opt().ok_or_else(lost)?;
        nulls = NullBuffer::union(nulls.as_ref(), parent.nulls());
        array = parent.columns().get(*at).ok_or_else(lost)?;
    }
    match nulls {
        None => Ok(array.clone()),
        Some(nulls) => nullif(array, &BooleanArray::new(!nulls.inner(), None))
            .map_err(|e| Error::new(Kind::Internal, format!("struct at path {path:?}: {e}"))),
    }
}
