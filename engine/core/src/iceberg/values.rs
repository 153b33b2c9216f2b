//! Partition values as the manifest stores them -> typed Arrow arrays of the file list, and keys that compare.
//!
//! Must not know: entries, filters. Neighbours: `listing`, and `deletes`, which compares partitions.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray,
    PrimitiveArray, StringViewArray, StructArray, new_null_array,
};
use arrow_schema::DataType;

use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::Column;
use crate::iceberg::scalar::decimal;
use crate::iceberg::schema::Type;

/// The values of these rows as an array of the type that [`Type::to_arrow`] gives.
pub(crate) fn partition_array(column: &Column, rows: &[usize], value_type: &Type) -> Result<ArrayRef> {
    let integers = || rows.iter().map(|row| column.integer(*row));
    let bytes = || rows.iter().map(|row| column.bytes(*row));
    Ok(match value_type {
        Type::Boolean => Arc::new(integers().map(|value| value.map(|value| value != 0)).collect::<BooleanArray>()),
        Type::Int => Arc::new(narrow::<Int32Type>(integers())?),
        Type::Date => Arc::new(narrow::<Date32Type>(integers())?),
        Type::Long => Arc::new(integers().collect::<PrimitiveArray<Int64Type>>()),
        Type::Time => Arc::new(integers().collect::<PrimitiveArray<Time64MicrosecondType>>()),
        Type::Timestamp(zoned) => {
            let array = integers().collect::<PrimitiveArray<TimestampMicrosecondType>>();
            Arc::new(if *zoned { array.with_timezone("UTC") } else { array })
        }
        Type::TimestampNs(zoned) => {
            let array = integers().collect::<PrimitiveArray<TimestampNanosecondType>>();
            Arc::new(if *zoned { array.with_timezone("UTC") } else { array })
        }
        Type::Float => {
            let values = rows.iter().map(|row| column.float(*row).map(|value| value as f32));
            Arc::new(values.collect::<PrimitiveArray<Float32Type>>())
        }
        Type::Double => Arc::new(rows.iter().map(|row| column.float(*row)).collect::<PrimitiveArray<Float64Type>>()),
        Type::Decimal(precision, scale) => {
            let values = bytes().map(|bytes| bytes.map(|bytes| decimal(bytes).ok_or_else(too_wide)).transpose());
            let array = values.collect::<Result<Decimal128Array>>()?;
            Arc::new(array.with_precision_and_scale(*precision, *scale).map_err(|e| invalid(e.to_string()))?)
        }
        Type::String => {
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_| invalid("a string that is not UTF-8"));
            Arc::new(bytes().map(|bytes| bytes.map(text).transpose()).collect::<Result<StringViewArray>>()?)
        }
        Type::Binary => Arc::new(bytes().collect::<BinaryViewArray>()),
        Type::Uuid => fixed(bytes(), 16)?,
        Type::Fixed(length) => fixed(bytes(), *length)?,
        _ => new_null_array(&DataType::Null, rows.len()),
    })
}

/// Partition values of one row in a form that compares: equal exactly where they are, null and NaN equal to themselves.
pub(crate) fn tuple_key(partitions: &StructArray, row: usize) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    for column in partitions.columns() {
        if column.is_null(row) || column.data_type() == &DataType::Null {
            key.push(0);
            continue;
        }
        key.push(1);
        match column.data_type() {
            DataType::Utf8View => sized(&mut key, column.as_string_view().value(row).as_bytes()),
            DataType::BinaryView => sized(&mut key, column.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => sized(&mut key, column.as_fixed_size_binary().value(row)),
            DataType::Boolean => key.push(u8::from(column.as_boolean().value(row))),
            DataType::Float32 => {
                let value = column.as_primitive::<Float32Type>().value(row);
                key.extend(if value.is_nan() { f32::NAN } else { value }.to_bits().to_le_bytes());
            }
            DataType::Float64 => {
                let value = column.as_primitive::<Float64Type>().value(row);
                key.extend(if value.is_nan() { f64::NAN } else { value }.to_bits().to_le_bytes());
            }
            other => {
                let data = column.to_data();
                let start = data.offset() + row;
                let value = other.primitive_width().zip(data.buffers().first());
                let value = value.and_then(|(width, values)| values.get(start * width..(start + 1) * width));
                key.extend(value.ok_or_else(|| invalid(format!("a partition value of type {other}")))?);
            }
        }
    }
    Ok(key)
}

fn sized(key: &mut Vec<u8>, value: &[u8]) {
    key.extend_from_slice(&(value.len() as u64).to_le_bytes());
    key.extend_from_slice(value);
}

fn narrow<T: ArrowPrimitiveType<Native = i32>>(values: impl Iterator<Item = Option<i64>>) -> Result<PrimitiveArray<T>> {
    let checked = |value: i64| i32::try_from(value).map_err(|_| invalid(format!("{value} is not an int")));
    values.map(|value| value.map(checked).transpose()).collect()
}

fn fixed<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, length: i32) -> Result<ArrayRef> {
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, length);
    Ok(Arc::new(array.map_err(|e| invalid(e.to_string()))?))
}

fn too_wide() -> Error {
    invalid("a decimal of more than 128 bits")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message)
}
