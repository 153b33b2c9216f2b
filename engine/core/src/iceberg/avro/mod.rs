//! Avro object container files -> columns. Our own reader, for what Iceberg writes; it skips what it is not asked for.
//!
//! [`records`] does the same for whole records with every type: data files. [`schema`] parses the writer's schema, [`compile`] turns it and the wanted fields into a [`program`], [`codec`]
//! decompresses blocks, the program appends to [`columns`]. All lengths are checked against the bytes that are there,
//! decompressed sizes against a budget. Must not know: manifests, stores. Neighbours: `manifests` and `manifest_list`.

mod codec;
mod columns;
mod compile;
mod cursor;
mod program;
mod records;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;

use arrow_array::RecordBatch;

pub(crate) use columns::{Column, ColumnKind};
pub(crate) use compile::{Want, WantField};

use codec::Decompressor;
use cursor::{Cursor, invalid};
use schema::WriterSchema;

use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;

/// Most bytes that the blocks of one file may decompress to, together.
const MAX_FILE_BYTES: usize = 1 << 30;
/// Most records of one file: bounds what null columns, which take no bytes in the file, can be padded to.
const MAX_RECORDS: usize = 8 << 20;
const MAGIC: &[u8] = b"Obj\x01";
const RECORDS_BETWEEN_CANCEL_CHECKS: usize = 1024;

/// An Avro file whose header is read.
pub(crate) struct AvroFile<'a> {
    bytes: &'a [u8],
    metadata: HashMap<String, &'a [u8]>,
    sync: &'a [u8],
    first_block: usize,
}

/// Decoded records, column by column.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Number of records
    pub(crate) records: usize,
    /// In the order of the slots
    pub(crate) columns: Vec<Column>,
}

impl<'a> AvroFile<'a> {
    /// Reads the header: magic, metadata, sync marker.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<AvroFile<'a>> {
        if !bytes.starts_with(MAGIC) {
            let found = &bytes[..bytes.len().min(4)];
            return Err(
                invalid(format!("not an Avro file: starts with {found:02x?}, expected {MAGIC:02x?}")).bytes(0..4)
            );
        }
        let mut cursor = Cursor::new(&bytes[MAGIC.len()..]);
        let mut metadata = HashMap::new();
        let header = |cursor: &mut Cursor<'a>, metadata: &mut HashMap<String, &'a [u8]>| loop {
            let (count, _) = cursor.items(2)?;
            if count == 0 {
                return cursor.take(16);
            }
            for _ in 0..count {
                let key = String::from_utf8_lossy(cursor.bytes()?).into_owned();
                metadata.insert(key, cursor.bytes()?);
            }
        };
        let sync = header(&mut cursor, &mut metadata).map_err(|e| e.bytes(0..bytes.len() as u64))?;
        let first_block = MAGIC.len() + cursor.position();
        Ok(AvroFile { bytes, metadata, sync, first_block })
    }

    /// A value of the header's metadata as text.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Decodes the wanted fields of every record into columns of these kinds.
    pub(crate) fn decode(&self, wanted: &[WantField], kinds: &[ColumnKind], cancel: &Cancel) -> Result<Columns> {
        let text = self.metadata.get("avro.schema").ok_or_else(|| invalid("Avro: the header has no schema"))?;
        let program = compile::compile(&WriterSchema::parse(text)?, wanted)?;
        let mut decompressor = Decompressor::new(self.metadata.get("avro.codec").copied().unwrap_or(b"null"))?;
        let mut columns = Columns { records: 0, columns: kinds.iter().map(|kind| Column::new(*kind)).collect() };
        let (mut start, mut budget) = (self.first_block, MAX_FILE_BYTES);
        while start < self.bytes.len() {
            let block = self.block(start).map_err(|e| e.bytes(start as u64..self.bytes.len() as u64))?;
            let mut decode = || {
                let bytes = decompressor.block(block.bytes, budget)?;
                budget -= bytes.len();
                decode_block(&program, bytes, block.records, &mut columns, cancel)
            };
            decode().map_err(|e| e.bytes(start as u64..block.end as u64))?;
            start = block.end;
        }
        Ok(columns)
    }

    /// Decodes every record whole, by the writer's schema.
    pub(crate) fn records(&self, cancel: &Cancel) -> Result<RecordBatch> {
        let text = self.metadata.get("avro.schema").ok_or_else(|| invalid("Avro: the header has no schema"))?;
        let schema = WriterSchema::parse(text)?;
        let mut records = records::Records::new(&schema)?;
        let mut decompressor = Decompressor::new(self.metadata.get("avro.codec").copied().unwrap_or(b"null"))?;
        let (mut start, mut budget) = (self.first_block, MAX_FILE_BYTES);
        while start < self.bytes.len() {
            cancel.check()?;
            let block = self.block(start).map_err(|e| e.bytes(start as u64..self.bytes.len() as u64))?;
            let mut decode = || {
                let bytes = decompressor.block(block.bytes, budget)?;
                budget -= bytes.len();
                records.add(bytes, block.records)
            };
            decode().map_err(|e| e.bytes(start as u64..block.end as u64))?;
            start = block.end;
        }
        records.finish()
    }

    fn block(&self, start: usize) -> Result<Block<'a>> {
        let mut cursor = Cursor::new(&self.bytes[start..]);
        let records = cursor.varint()?;
        let records = usize::try_from(records).map_err(|_| invalid(format!("Avro: a block of {records} records")))?;
        let bytes = cursor.bytes()?;
        let sync = cursor.take(16)?;
        if sync != self.sync {
            return Err(invalid("Avro: a block does not end with the file's sync marker"));
        }
        Ok(Block { records, bytes, end: start + cursor.position() })
    }
}

struct Block<'a> {
    records: usize,
    bytes: &'a [u8],
    end: usize,
}

fn decode_block(
    program: &program::Program,
    bytes: &[u8],
    records: usize,
    columns: &mut Columns,
    cancel: &Cancel,
) -> Result<()> {
    if records > bytes.len() {
        return Err(invalid(format!("Avro: {records} records in a block of {} bytes", bytes.len())));
    }
    if columns.records + records > MAX_RECORDS {
        return Err(Error::new(Kind::MemoryLimit, format!("Avro: more than {MAX_RECORDS} records in one file")));
    }
    let mut cursor = Cursor::new(bytes);
    for _ in 0..records {
        if columns.records.is_multiple_of(RECORDS_BETWEEN_CANCEL_CHECKS) {
            cancel.check()?;
        }
        program.run(&mut cursor, &mut columns.columns, columns.records)?;
        columns.records += 1;
    }
    match cursor.remaining() {
        0 => Ok(()),
        left => Err(invalid(format!("Avro: {left} bytes follow the {records} records of a block"))),
    }
}
