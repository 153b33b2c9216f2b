//! Defaults of fields, as a table's schema has them -> one row that holds the value.
//!
//! Spec: "Default Values", and Appendix D, JSON single-value serialization. Must not know: files, what lacks a field.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, LargeListArray, MapArray, StringArray, StructArray, make_array, new_null_array};
use arrow_buffer::OffsetBuffer;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use arrow_select::concat::concat;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::predicate::Literal;
use crate::iceberg::schema::{NestedField, Type};
use crate::load::source::literal_array;

/// One row holding a default.
pub fn default_value(value: &Value, field_type: &Type) -> Result<ArrayRef> {
    let bad = || Error::new(Kind::InvalidData, format!("{value} is not a default of type {field_type:?}"));
    let arrow = field_type.to_arrow()?;
    let literal = match (field_type, value.as_str()) {
        (Type::Date | Type::Time | Type::Timestamp(_) | Type::TimestampNs(_) | Type::Decimal(_, _), Some(text)) => {
            return parsed(text, &arrow).ok_or_else(bad);
        }
        (Type::Uuid, Some(text)) => Literal::from_json(&Value::String(text.replace('-', "")), field_type)?,
        (Type::Struct(fields), _) => return of_struct(value, fields, &arrow),
        (Type::List(element), _) => return of_list(value, element, &arrow),
        (Type::Map(key, each), _) => return of_map(value, key, each, &arrow),
        _ => Literal::from_json(value, field_type)?,
    };
    literal_array(&literal, &arrow)
}

/// A moment's offset is taken into account when it is parsed; its zone is then only a name.
fn parsed(text: &str, arrow: &DataType) -> Option<ArrayRef> {
    let plain = match arrow {
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
        other => other.clone(),
    };
    let made = cast(&StringArray::from(vec![text]), &plain).ok().filter(|array| array.is_valid(0))?;
    made.to_data().into_builder().data_type(arrow.clone()).build().ok().map(make_array)
}

/// A struct's members by field id; one that is not there has the field's own default.
fn of_struct(value: &Value, fields: &[NestedField], arrow: &DataType) -> Result<ArrayRef> {
    let (Some(members), DataType::Struct(made)) = (value.as_object(), arrow) else { return Err(unlike(value)) };
    let column = |field: &NestedField| {
        let given = members.get(&field.id.to_string()).or(field.initial_default.as_ref());
        one(given.unwrap_or(&Value::Null), field)
    };
    let columns = fields.iter().map(column).collect::<Result<Vec<_>>>()?;
    StructArray::try_new_with_length(made.clone(), columns, None, 1).map(shared).map_err(wrong)
}

fn of_list(value: &Value, element: &NestedField, arrow: &DataType) -> Result<ArrayRef> {
    let (Some(items), DataType::LargeList(field)) = (value.as_array(), arrow) else { return Err(unlike(value)) };
    let values = all(items, element)?;
    let ends = OffsetBuffer::from_lengths([values.len()]);
    LargeListArray::try_new(Arc::clone(field), ends, values, None).map(shared).map_err(wrong)
}

fn of_map(value: &Value, key: &NestedField, each: &NestedField, arrow: &DataType) -> Result<ArrayRef> {
    let items = |name: &str| value.get(name).and_then(Value::as_array).ok_or_else(|| unlike(value));
    let DataType::Map(entries, sorted) = arrow else { return Err(unlike(value)) };
    let DataType::Struct(pair) = entries.data_type() else { return Err(unlike(value)) };
    let columns = vec![all(items("keys")?, key)?, all(items("values")?, each)?];
    let ends = OffsetBuffer::from_lengths([columns[0].len()]);
    let inner = StructArray::try_new(pair.clone(), columns, None).map_err(wrong)?;
    MapArray::try_new(Arc::clone(entries), ends, inner, None, *sorted).map(shared).map_err(wrong)
}

fn all(items: &[Value], field: &NestedField) -> Result<ArrayRef> {
    let rows = items.iter().map(|item| one(item, field)).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    if parts.is_empty() {
        return Ok(new_null_array(&field.field_type.to_arrow()?, 0));
    }
    concat(&parts).map_err(wrong)
}

fn one(value: &Value, field: &NestedField) -> Result<ArrayRef> {
    if value.is_null() {
        return Ok(new_null_array(&field.field_type.to_arrow()?, 1));
    }
    default_value(value, &field.field_type)
}

fn shared<T: Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}

fn unlike(value: &Value) -> Error {
    Error::new(Kind::InvalidData, format!("{value} is not a default of a struct, list or map"))
}

fn wrong(error: ArrowError) -> Error {
    Error::new(Kind::InvalidData, format!("a default: {error}"))
}
