//! From a file's column to the table's: promotions, fields added or dropped since, at any depth.
//!
//! Spec: "Schema Evolution" and "Column Projection". An [`Adapt`] is made once a file by [`super::mapping`] and applied
//! to every batch; where the file already has the table's type it is the identity and costs nothing.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeListArray, MapArray, StructArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field};

use crate::error::{Error, Kind, Result};
use crate::parquet::columns::repeat;
use crate::parquet::variant;

/// How one column or nested field is made.
#[derive(Clone, Debug)]
pub enum Adapt {
    /// As the file has it
    Same,
    /// Cast without loss, to this type
    Cast(DataType),
    /// A struct, field by field
    Struct(Vec<Source>),
    /// A list's elements
    List(Box<Adapt>),
    /// A variant, whose parts may be columns of their own
    Variant,
    /// A map's keys and values
    Map(Box<Adapt>, Box<Adapt>),
}

/// Where a field of a struct (or a top-level column) comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The file's child at this position
    Child(usize, Adapt),
    /// Not in the file: this one value in every row
    Constant(ArrayRef),
}

impl Adapt {
    /// Nothing to do.
    pub fn is_same(&self) -> bool {
        matches!(self, Adapt::Same)
    }

    /// Applies it to a decoded array.
    pub fn apply(&self, array: ArrayRef, target: &DataType) -> Result<ArrayRef> {
        match self {
            Adapt::Same if array.data_type() == target => Ok(array),
            Adapt::Same => cast(&array, target),
            Adapt::Cast(to) => cast(&array, to),
            Adapt::Variant => variant::whole(&array, target),
            Adapt::Struct(sources) => adapt_struct(&array, sources, target),
            Adapt::List(element) => adapt_list(&array, element, target),
            Adapt::Map(key, value) => adapt_map(&array, key, value, target),
        }
    }
}

fn cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, target, &options).map_err(|e| {
        let message = format!("values of type {} do not fit {target}: {e}", array.data_type());
        Error::new(Kind::TypeMismatch, message)
    })
}

fn adapt_struct(array: &ArrayRef, sources: &[Source], target: &DataType) -> Result<ArrayRef> {
    let (DataType::Struct(fields), Some(array)) = (target, array.as_struct_opt()) else {
        return Err(mismatch(array, target));
    };
    let rows = array.len();
    let children = sources.iter().zip(fields).map(|(source, field)| match source {
        Source::Child(index, adapt) => adapt.apply(Arc::clone(array.column(*index)), field.data_type()),
        Source::Constant(value) if value.is_null(0) => Ok(new_null_array(field.data_type(), rows)),
        Source::Constant(value) => repeat(value, rows),
    });
    let children = children.collect::<Result<Vec<_>>>()?;
    let made = StructArray::try_new_with_length(fields.clone(), children, array.nulls().cloned(), rows);
    made.map(|array| Arc::new(array) as ArrayRef).map_err(wrong)
}

fn adapt_list(array: &ArrayRef, element: &Adapt, target: &DataType) -> Result<ArrayRef> {
    let (DataType::LargeList(field), Some(list)) = (target, array.as_list_opt::<i64>()) else {
        return Err(mismatch(array, target));
    };
    let values = element.apply(Arc::clone(list.values()), field.data_type())?;
    let made = LargeListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned());
    made.map(|array| Arc::new(array) as ArrayRef).map_err(wrong)
}

fn adapt_map(array: &ArrayRef, key: &Adapt, value: &Adapt, target: &DataType) -> Result<ArrayRef> {
    let (DataType::Map(entries, sorted), Some(map)) = (target, array.as_map_opt()) else {
        return Err(mismatch(array, target));
    };
    let DataType::Struct(fields) = entries.data_type() else { return Err(mismatch(array, target)) };
    let [key_field, value_field] = pair(fields).ok_or_else(|| mismatch(array, target))?;
    let keys = key.apply(Arc::clone(map.keys()), key_field.data_type())?;
    let values = value.apply(Arc::clone(map.values()), value_field.data_type())?;
    let inner = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(wrong)?;
    let made = MapArray::try_new(Arc::clone(entries), map.offsets().clone(), inner, map.nulls().cloned(), *sorted);
    made.map(|array| Arc::new(array) as ArrayRef).map_err(wrong)
}

fn pair(fields: &arrow_schema::Fields) -> Option<[&Arc<Field>; 2]> {
    match fields.iter().collect::<Vec<_>>().as_slice() {
        [key, value] => Some([key, value]),
        _ => None,
    }
}

fn mismatch(array: &ArrayRef, target: &DataType) -> Error {
    Error::new(Kind::TypeMismatch, format!("decoded {} where {target} is expected", array.data_type()))
}

fn wrong(error: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::TypeMismatch, format!("the file's values do not fit the table's schema: {error}"))
        .hint("a required field may hold nulls in this file")
}
