//! The same values under a type that differs only in the names, nullability and metadata of nested fields.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeListArray, MapArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};

use crate::error::{Error, Kind, Result};

/// Gives `array` the type `target`; values are shared. Types that differ in more are an error.
pub fn relabel(array: ArrayRef, target: &DataType) -> Result<ArrayRef> {
    below(array, target, None)
}

/// The same inside of structs of which some are null: what is required in them is only so where they are not.
fn below(array: ArrayRef, target: &DataType, above: Option<&NullBuffer>) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(array);
    }
    match target {
        DataType::Struct(fields) if array.as_struct_opt().is_some_and(|inner| inner.num_columns() == fields.len()) => {
            let inner = array.as_struct();
            let nulls = NullBuffer::union(inner.nulls(), above);
            let children = inner.columns().iter().zip(fields);
            let children = children.map(|(child, field)| below(Arc::clone(child), field.data_type(), nulls.as_ref()));
            let children = children.collect::<Result<Vec<_>>>()?;
            let made = StructArray::try_new_with_length(fields.clone(), children, nulls, inner.len());
            made.map(|made| Arc::new(made) as ArrayRef).map_err(wrong)
        }
        DataType::LargeList(field) if array.as_list_opt::<i64>().is_some() => {
            let list = array.as_list::<i64>();
            let values = relabel(Arc::clone(list.values()), field.data_type())?;
            let made =
                LargeListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned());
            made.map(|made| Arc::new(made) as ArrayRef).map_err(wrong)
        }
        DataType::Map(field, sorted) if array.as_map_opt().is_some() => {
            let map = array.as_map();
            let entries = relabel(Arc::new(map.entries().clone()), field.data_type())?;
            let made = MapArray::try_new(
                Arc::clone(field),
                map.offsets().clone(),
                entries.as_struct().clone(),
                map.nulls().cloned(),
                *sorted,
            );
            made.map(|made| Arc::new(made) as ArrayRef).map_err(wrong)
        }
        _ => {
            Err(Error::new(Kind::TypeMismatch, format!("a column of {} where {target} is expected", array.data_type())))
        }
    }
}

fn wrong(error: ArrowError) -> Error {
    Error::new(Kind::TypeMismatch, format!("the values do not fit the schema: {error}"))
        .hint("a required field may hold nulls")
}
