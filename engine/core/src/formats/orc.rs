//! ORC files -> Arrow batches with Iceberg's field ids.
//!
//! The crate `orc-rust` decodes; it stands on another version of Arrow, which is met through IPC. Iceberg's attributes of
//! types (spec: Appendix A, ORC) are read from the footer: `iceberg.id`, and what a type is that ORC does not have.
//! Must not know: tables.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_ipc::reader::StreamReader;
use arrow_ipc_59::writer::StreamWriter;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use bytes::Bytes;
use orc_rust::ArrowReaderBuilder;
use orc_rust::TimestampPrecision;
use orc_rust::compression::Decompressor;
use orc_rust::proto::{Footer, PostScript, Type};
use orc_rust::reader::metadata::read_metadata;
use prost::Message;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::FIELD_ID;
use crate::runtime::Cancel;

const BATCH_ROWS: usize = 64 << 10;
const MAX_FOOTER_BYTES: u64 = 256 << 20;
const MAX_DEPTH: usize = 64;
/// Unit of a timestamp, microseconds unless said.
const UNIT: &str = "iceberg.timestamp-unit";
const NANOSECONDS: &str = "NANOS";

/// Reads a file whole.
pub(super) fn read(bytes: Bytes, cancel: &Cancel) -> Result<(Arc<Schema>, Vec<RecordBatch>)> {
    let types = types(&bytes)?;
    let is_fine = types.iter().any(|each| attribute(each, UNIT) == Some(NANOSECONDS));
    let precision = if is_fine { TimestampPrecision::Nanosecond } else { TimestampPrecision::Microsecond };
    let builder = ArrowReaderBuilder::try_new(bytes).map_err(damaged)?.with_batch_size(BATCH_ROWS);
    let builder = builder.with_timestamp_precision(precision);
    let mut through = StreamWriter::try_new(Vec::new(), &builder.schema()).map_err(damaged)?;
    for batch in builder.build() {
        cancel.check()?;
        through.write(&batch.map_err(damaged)?).map_err(damaged)?;
    }
    let mut reader =
        StreamReader::try_new(Cursor::new(through.into_inner().map_err(damaged)?), None).map_err(damaged)?;
    let found = reader.schema();
    let children = types.first().map(|root| root.subtypes.as_slice()).unwrap_or_default();
    let fields = found.fields().iter().zip(children).map(|(field, id)| retyped(field, &types, *id, 0));
    let schema = Arc::new(Schema::new(fields.collect::<Result<Fields>>()?));
    let batches = reader.by_ref().map(|batch| conformed(&batch.map_err(damaged)?, &schema));
    Ok((Arc::clone(&schema), batches.collect::<Result<_>>()?))
}

/// The types of a file, which the crate tells without their attributes.
fn types(bytes: &Bytes) -> Result<Vec<Type>> {
    let metadata = read_metadata(&mut bytes.clone()).map_err(damaged)?;
    let cut = |end: usize, length: usize| end.checked_sub(length).map(|start| bytes.slice(start..end));
    let length = bytes.last().map_or(0, |length| usize::from(*length));
    let end = bytes.len().saturating_sub(1);
    let postscript = cut(end, length).ok_or_else(|| damaged("no room for a postscript"))?;
    let postscript = PostScript::decode(postscript).map_err(damaged)?;
    let footer = usize::try_from(postscript.footer_length()).ok().and_then(|footer| cut(end - length, footer));
    let footer = footer.ok_or_else(|| damaged("no room for a footer"))?;
    let mut plain = Vec::new();
    let decompressed = Decompressor::new(footer, metadata.compression(), Vec::new());
    decompressed.take(MAX_FOOTER_BYTES).read_to_end(&mut plain).map_err(damaged)?;
    Ok(Footer::decode(plain.as_slice()).map_err(damaged)?.types)
}

/// The field with Iceberg's id, and the type that Iceberg means by ORC's.
fn retyped(field: &Field, types: &[Type], id: u32, depth: usize) -> Result<FieldRef> {
    let found = types.get(id as usize).filter(|_| depth <= MAX_DEPTH).ok_or_else(|| damaged("types without end"))?;
    let inner = |field: &Field, place: usize| {
        let id = found.subtypes.get(place).ok_or_else(|| damaged("a type without what is in it"))?;
        retyped(field, types, *id, depth + 1)
    };
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().enumerate().map(|(at, field)| inner(field, at)).collect::<Result<_>>()?)
        }
        DataType::List(element) => DataType::List(inner(element, 0)?),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return Err(damaged("a map without entries")) };
            let pair = pair.iter().enumerate().map(|(at, field)| inner(field, at)).collect::<Result<Fields>>()?;
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair), false)), *sorted)
        }
        DataType::Int64 if attribute(found, "iceberg.long-type") == Some("TIME") => {
            DataType::Time64(TimeUnit::Microsecond)
        }
        DataType::Timestamp(_, zone) => match attribute(found, UNIT) {
            Some(NANOSECONDS) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            _ => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        },
        DataType::Binary => match (attribute(found, "iceberg.binary-type"), number(found, "iceberg.length")) {
            (Some("UUID"), _) => DataType::FixedSizeBinary(16),
            (Some("FIXED"), Some(length)) => DataType::FixedSizeBinary(length),
            _ => DataType::Binary,
        },
        other => other.clone(),
    };
    let id = number(found, "iceberg.id").map(|id| (FIELD_ID.to_string(), id.to_string()));
    let metadata = id.into_iter().collect::<HashMap<_, _>>();
    Ok(Arc::new(field.clone().with_data_type(data_type).with_metadata(metadata)))
}

fn attribute<'a>(found: &'a Type, key: &str) -> Option<&'a str> {
    found.attributes.iter().find(|pair| pair.key() == key).map(|pair| pair.value())
}

fn number(found: &Type, key: &str) -> Option<i32> {
    attribute(found, key).and_then(|text| text.parse().ok())
}

fn conformed(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let column = |(column, field): (&ArrayRef, &FieldRef)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => cast_with_options(column, field.data_type(), &options).map_err(damaged),
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<Result<Vec<_>>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows).map_err(damaged)
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidData, format!("ORC: {what}"))
}
