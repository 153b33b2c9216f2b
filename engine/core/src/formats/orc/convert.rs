//! Batches of the decoder's Arrow -> ours, with the types that Iceberg means.
//!
//! Must not know: ORC. Neighbour: [`super::types`] says which types.

use std::sync::Arc;

use arrow_59::datatypes::SchemaRef as DecodedSchema;
use arrow_59::ipc::writer::StreamWriter;
use arrow_59::record_batch::RecordBatch as DecodedBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::Buffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{DataType, FieldRef, Fields, Schema, TimeUnit};

use super::damaged;
use crate::error::{Error, Kind, Result};

const NANOSECONDS_A_MICROSECOND: i128 = 1000;

/// The batch in our Arrow, as `schema` has it.
pub(super) fn batch(found: &DecodedBatch, of: &DecodedSchema, schema: &Arc<Schema>) -> Result<RecordBatch> {
    let found = across(found, of)?;
    let columns = found.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| conformed(column, field)).collect::<Result<Vec<_>>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(found.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows).map_err(damaged)
}

fn across(found: &DecodedBatch, schema: &DecodedSchema) -> Result<RecordBatch> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(damaged)?;
    writer.write(found).map_err(damaged)?;
    let mut bytes = Buffer::from_vec(writer.into_inner().map_err(damaged)?);
    let read = StreamDecoder::new().decode(&mut bytes).map_err(damaged)?;
    read.ok_or_else(|| Error::new(Kind::Internal, "a batch was lost on its way"))
}

fn conformed(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    match field.data_type() {
        to if array.data_type() == to => Ok(Arc::clone(array)),
        DataType::Timestamp(unit, zone) => moments(array, *unit, zone.clone()),
        DataType::Struct(fields) => structs(array, fields),
        DataType::List(element) => {
            let list = array.as_list_opt::<i32>().ok_or_else(unexpected)?;
            let values = conformed(list.values(), element)?;
            let made = ListArray::try_new(Arc::clone(element), list.offsets().clone(), values, list.nulls().cloned());
            Ok(Arc::new(made.map_err(damaged)?))
        }
        DataType::Map(entries, sorted) => {
            let (map, DataType::Struct(fields)) = (array.as_map_opt().ok_or_else(unexpected)?, entries.data_type())
            else {
                return Err(unexpected());
            };
            let pairs: ArrayRef = Arc::new(map.entries().clone());
            let pairs = structs(&pairs, fields)?.as_struct_opt().ok_or_else(unexpected)?.clone();
            let made =
                MapArray::try_new(Arc::clone(entries), map.offsets().clone(), pairs, map.nulls().cloned(), *sorted);
            Ok(Arc::new(made.map_err(damaged)?))
        }
        to => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(array, to, &options).map_err(damaged)
        }
    }
}

fn structs(array: &ArrayRef, fields: &Fields) -> Result<ArrayRef> {
    let found = array.as_struct_opt().ok_or_else(unexpected)?;
    let children = found.columns().iter().zip(fields).map(|(child, field)| conformed(child, field));
    let children = children.collect::<Result<Vec<_>>>()?;
    let made = StructArray::try_new_with_length(fields.clone(), children, found.nulls().cloned(), found.len());
    Ok(Arc::new(made.map_err(damaged)?))
}

/// Nanoseconds since 1970 in decimals -> timestamps. What is finer than the unit is cut off towards the past, as Spark does.
fn moments(array: &ArrayRef, unit: TimeUnit, zone: Option<Arc<str>>) -> Result<ArrayRef> {
    let found = array.as_primitive_opt::<Decimal128Type>().ok_or_else(unexpected)?;
    let made = |divisor: i128| {
        move |nanoseconds: i128| {
            i64::try_from(nanoseconds.div_euclid(divisor)).map_err(|_| {
                let message = format!("ORC: a timestamp {nanoseconds} ns from 1970 does not fit the column's unit");
                Error::new(Kind::TypeMismatch, message)
            })
        }
    };
    Ok(match unit {
        TimeUnit::Nanosecond => {
            let array: PrimitiveArray<TimestampNanosecondType> = found.try_unary(made(1))?;
            Arc::new(array.with_timezone_opt(zone))
        }
        _ => {
            let array: PrimitiveArray<TimestampMicrosecondType> = found.try_unary(made(NANOSECONDS_A_MICROSECOND))?;
            Arc::new(array.with_timezone_opt(zone))
        }
    })
}

fn unexpected() -> Error {
    Error::new(Kind::Internal, "ORC: decoded to another type than it was told to")
}
