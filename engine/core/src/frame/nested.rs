//! What is inside nested columns, as columns of their own: elements and lengths of lists, fields of structs, keys and
//! values of maps. A null above is a null below: it is carried down. Must not know: Python.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, LargeListArray, ListArray, StructArray, UInt64Array, make_array};
use arrow_buffer::{ArrowNativeType, NullBuffer, OffsetBuffer};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Field, FieldRef};

use crate::error::{Error, Kind, Result};

/// Elements of a list column's rows, end to end; those under a null list are left out. A view unless there are some.
pub fn elements(array: &ArrayRef) -> Result<(FieldRef, ArrayRef)> {
    let list = Lists::of(array)?;
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let hidden = nulls.is_some_and(|nulls| (0..array.len()).any(|row| nulls.is_null(row) && list.length(row) > 0));
    if !hidden {
        let (start, end) = (list.start(0), list.start(array.len()));
        return Ok((list.field, list.values.slice(start, end - start)));
    }
    let shown = (0..array.len()).filter(|row| array.is_valid(*row));
    let positions: UInt64Array = shown.flat_map(|row| list.start(row) as u64..list.start(row + 1) as u64).collect();
    Ok((Arc::clone(&list.field), arrow_select::take::take(&list.values, &positions, None).map_err(wrong)?))
}

/// Elements in each row, 0 for a null.
pub fn lengths(array: &ArrayRef) -> Result<Int64Array> {
    let list = Lists::of(array)?;
    let length = |row| if array.is_null(row) { 0 } else { list.length(row) as i64 };
    Ok(Int64Array::from_iter_values((0..array.len()).map(length)))
}

/// Field `index` of a struct column, null where the struct is. Shares values.
pub fn field(array: &ArrayRef, index: usize) -> Result<(FieldRef, ArrayRef)> {
    let (DataType::Struct(fields), Some(inner)) = (array.data_type(), array.as_struct_opt()) else {
        return Err(not(array, "a struct"));
    };
    let (Some(field), Some(child)) = (fields.get(index), inner.columns().get(index)) else {
        return Err(Error::new(Kind::ColumnNotFound, format!("field {index} of {} fields", fields.len())));
    };
    if inner.null_count() == 0 || child.data_type() == &DataType::Null {
        return Ok((Arc::clone(field), Arc::clone(child)));
    }
    let nulls = NullBuffer::union(child.logical_nulls().as_ref(), inner.nulls());
    let data = child.to_data().into_builder().nulls(nulls).build().map_err(wrong)?;
    Ok((Arc::new(field.as_ref().clone().with_nullable(true)), make_array(data)))
}

/// Keys (0) or values (1) of a map column as a list column. Shares values.
pub fn map_part(array: &ArrayRef, part: usize) -> Result<ArrayRef> {
    let map = array.as_map_opt().ok_or_else(|| not(array, "a map"))?;
    let (field, values) = match part {
        0 => (map.entries().fields().first(), map.keys()),
        _ => (map.entries().fields().get(1), map.values()),
    };
    let field = field.ok_or_else(|| not(array, "a map of keys and values"))?;
    let list = ListArray::try_new(Arc::clone(field), map.offsets().clone(), Arc::clone(values), map.nulls().cloned());
    list.map(|list| Arc::new(list) as ArrayRef).map_err(wrong)
}

/// A column with every map, at any depth, as a list of {key, value} structs. Shares values.
pub fn maps_as_lists(array: &ArrayRef) -> Result<ArrayRef> {
    if !holds_map(array.data_type()) {
        return Ok(Arc::clone(array));
    }
    let nulls = array.nulls().cloned();
    let renewed = |field: &FieldRef, values: &ArrayRef| {
        Arc::new(field.as_ref().clone().with_data_type(values.data_type().clone()))
    };
    let made: std::result::Result<ArrayRef, ArrowError> = match array.data_type() {
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (keys, values) = (maps_as_lists(map.keys())?, maps_as_lists(map.values())?);
            let fields = vec![
                Arc::new(Field::new("key", keys.data_type().clone(), false)),
                Arc::new(Field::new("value", values.data_type().clone(), true)),
            ];
            let entries = StructArray::try_new(fields.into(), vec![keys, values], None).map_err(wrong)?;
            let field = Arc::new(Field::new("item", entries.data_type().clone(), false));
            ListArray::try_new(field, map.offsets().clone(), Arc::new(entries), nulls).map(|list| Arc::new(list) as _)
        }
        DataType::Struct(fields) => {
            let children = array.as_struct().columns().iter().map(maps_as_lists).collect::<Result<Vec<_>>>()?;
            let fields = fields.iter().zip(&children).map(|(field, child)| renewed(field, child)).collect();
            StructArray::try_new_with_length(fields, children, nulls, array.len()).map(|inner| Arc::new(inner) as _)
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = maps_as_lists(list.values())?;
            ListArray::try_new(renewed(field, &values), list.offsets().clone(), values, nulls).map(|l| Arc::new(l) as _)
        }
        DataType::LargeList(field) => {
            let list = array.as_list::<i64>();
            let values = maps_as_lists(list.values())?;
            let made = LargeListArray::try_new(renewed(field, &values), list.offsets().clone(), values, nulls);
            made.map(|list| Arc::new(list) as _)
        }
        other => Err(ArrowError::NotYetImplemented(format!("maps inside of {other}"))),
    };
    made.map_err(wrong)
}

/// The values of a dictionary-encoded column, one a row; any other column as it is.
pub fn decoded(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, value) => arrow_cast::cast(array, value).map_err(wrong),
        DataType::RunEndEncoded(_, value) => arrow_cast::cast(array, value.data_type()).map_err(wrong),
        _ => Ok(Arc::clone(array)),
    }
}

/// A column as (32-bit codes, distinct values in order of appearance).
pub fn encoded(array: &ArrayRef) -> Result<(ArrayRef, ArrayRef)> {
    let plain = decoded(array)?;
    let target = DataType::Dictionary(Box::new(DataType::Int32), Box::new(plain.data_type().clone()));
    let made = match array.data_type() {
        DataType::Dictionary(_, value) if !is_repeated(array) => {
            let target = DataType::Dictionary(Box::new(DataType::Int32), value.clone());
            arrow_cast::cast(array, &target).map_err(wrong)?
        }
        _ => arrow_cast::cast(&plain, &target).map_err(wrong)?,
    };
    let made =
        made.as_dictionary_opt::<arrow_array::types::Int32Type>().ok_or_else(|| not(array, "values to encode"))?;
    Ok((Arc::new(made.keys().clone()), Arc::clone(made.values())))
}

/// The same values in memory of their own.
pub fn copied(array: &ArrayRef) -> Result<ArrayRef> {
    let data = array.to_data();
    let mut copy = MutableArrayData::new(vec![&data], false, array.len());
    copy.try_extend(0, 0, array.len()).map_err(wrong)?;
    Ok(make_array(copy.freeze()))
}

/// Whether a type is or contains a map.
pub fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(field.data_type())),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => holds_map(element.data_type()),
        _ => false,
    }
}

/// Whether a dictionary may hold a value twice or a null: then it is no list of categories.
fn is_repeated(array: &ArrayRef) -> bool {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return true };
    let values = dictionary.values();
    if values.logical_null_count() > 0 {
        return true;
    }
    let options = arrow_cast::display::FormatOptions::default();
    let Ok(formatter) = arrow_cast::display::ArrayFormatter::try_new(values, &options) else { return true };
    let mut seen = std::collections::HashSet::new();
    (0..values.len()).any(|row| !seen.insert(formatter.value(row).to_string()))
}

/// What list-like columns have in common.
struct Lists {
    field: FieldRef,
    values: ArrayRef,
    offsets: Offsets,
}

enum Offsets {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
    Fixed(usize),
}

impl Lists {
    fn of(array: &ArrayRef) -> Result<Lists> {
        Ok(match array.data_type() {
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                Lists::new(field, list.values(), Offsets::Small(list.offsets().clone()))
            }
            DataType::LargeList(field) => {
                let list = array.as_list::<i64>();
                Lists::new(field, list.values(), Offsets::Large(list.offsets().clone()))
            }
            DataType::Map(field, _) => {
                let map = array.as_map();
                let entries: ArrayRef = Arc::new(map.entries().clone());
                Lists::new(field, &entries, Offsets::Small(map.offsets().clone()))
            }
            DataType::FixedSizeList(field, width) => {
                let width = usize::try_from(*width).unwrap_or(0);
                Lists::new(field, array.as_fixed_size_list().values(), Offsets::Fixed(width))
            }
            _ => return Err(not(array, "a list")),
        })
    }

    fn new(field: &FieldRef, values: &ArrayRef, offsets: Offsets) -> Lists {
        Lists { field: Arc::clone(field), values: Arc::clone(values), offsets }
    }

    fn start(&self, row: usize) -> usize {
        match &self.offsets {
            Offsets::Small(offsets) => offsets.get(row).map_or(0, |offset| offset.as_usize()),
            Offsets::Large(offsets) => offsets.get(row).map_or(0, |offset| offset.as_usize()),
            Offsets::Fixed(width) => row * width,
        }
    }

    fn length(&self, row: usize) -> usize {
        self.start(row + 1).saturating_sub(self.start(row))
    }
}

fn not(array: &ArrayRef, wanted: &str) -> Error {
    Error::new(Kind::TypeMismatch, format!("{} is not {wanted}", array.data_type()))
}

fn wrong(error: ArrowError) -> Error {
    Error::new(Kind::TypeMismatch, error.to_string())
}
