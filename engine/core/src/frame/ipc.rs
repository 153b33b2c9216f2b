//! A frame as bytes and back: what a pickle holds. Two Arrow IPC streams: the frame's own schema without rows, then its
//! rows with strings laid contiguously, because IPC writes whole string pages for the few rows that point into them.
//!
//! Must not know: pickles, how large is too large.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema};

use crate::error::{Error, Kind, Result};
use crate::frame::StringLayout;
use crate::frame::{Frame, strings};
use crate::runtime::available_cores;

/// The frame as bytes.
pub fn to_bytes(frame: &Frame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&RecordBatch::new_empty(frame.batch().schema()), &mut bytes)?;
    write(frame.cast_strings(StringLayout::LargeString, available_cores())?.batch(), &mut bytes)?;
    Ok(bytes)
}

/// The frame of [`to_bytes`].
pub fn from_bytes(bytes: &[u8]) -> Result<Frame> {
    let mut cursor = Cursor::new(bytes);
    let mut reader = StreamReader::try_new(&mut cursor, None).map_err(wrong)?;
    let schema = reader.schema();
    reader.by_ref().collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    drop(reader);
    let reader = StreamReader::try_new(&mut cursor, None).map_err(wrong)?;
    let stored = reader.schema();
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    let frame = Frame::of_batches(stored, &batches)?;
    restore(&frame, schema)
}

/// Rows under the schema that they had.
fn restore(frame: &Frame, schema: Arc<Schema>) -> Result<Frame> {
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let columns = strings::to_types(frame.batch().columns(), &types, available_cores())?;
    let options = RecordBatchOptions::new().with_row_count(Some(frame.num_rows()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options).map_err(wrong)?;
    Frame::of_batches(schema, &[batch])
}

fn write(batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
    let mut writer = StreamWriter::try_new(bytes, &batch.schema()).map_err(wrong)?;
    if batch.num_rows() > 0 || batch.num_columns() == 0 {
        writer.write(batch).map_err(wrong)?;
    }
    writer.finish().map_err(wrong)
}

fn wrong(error: ArrowError) -> Error {
    Error::new(Kind::InvalidData, format!("a frame's bytes: {error}"))
}
