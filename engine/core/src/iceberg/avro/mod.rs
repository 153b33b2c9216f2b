//! Avro object container files -> columns. Our own reader, for what Iceberg writes; it skips what it is not asked for.
//!
//! [`schema`] parses the writer's schema, [`compile`] turns it and the wanted fields into a [`program`], [`codec`]
//! decompresses blocks ([`inflate`] short ones), the program appends to [`columns`]. Blocks stand for themselves, so a
//! large file is decoded on several threads. [`records`] does the same for whole records with every type: data files. All
//! lengths are checked against the bytes that are there, decompressed sizes against a budget. Must not know: manifests,
//! stores. Neighbours: `manifests` and `manifest_list`.

mod codec;
mod columns;
mod compile;
mod cursor;
mod inflate;
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

pub(crate) use columns::{Column, ColumnKind, Values};
pub(crate) use compile::{Want, WantField};

use std::sync::atomic::{AtomicUsize, Ordering};

use codec::Decompressor;
use columns::Builder;
use cursor::{Cursor, invalid};
use program::Program;
use schema::WriterSchema;

use crate::error::{Error, Kind, Result};
use crate::parallel;
use crate::runtime::Cancel;

/// Most bytes that the blocks of one file may decompress to, together.
const MAX_FILE_BYTES: usize = 1 << 30;
/// Most records of one file: bounds what null columns, which take no bytes in the file, can be padded to.
const MAX_RECORDS: usize = 8 << 20;
const MAGIC: &[u8] = b"Obj\x01";
const RECORDS_BETWEEN_CANCEL_CHECKS: usize = 1024;
/// So many records tell what the others are like.
const TELLING_RECORDS: usize = 32;
/// A thread of its own is worth as many compressed bytes: they take some milliseconds.
const PART_BYTES: usize = 512 << 10;

/// An Avro file whose header is read.
pub(crate) struct AvroFile<'a> {
    bytes: &'a [u8],
    metadata: HashMap<String, &'a [u8]>,
    sync: &'a [u8],
    first_block: usize,
}

/// Decoded records, column by column.
#[derive(Clone, Debug, PartialEq)]
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
        self.decode_on(1, wanted, kinds, cancel)
    }

    /// The same on up to so many threads, if the file is worth it: its blocks are cut into as many runs.
    pub(crate) fn decode_on(
        &self,
        threads: usize,
        wanted: &[WantField],
        kinds: &[ColumnKind],
        cancel: &Cancel,
    ) -> Result<Columns> {
        let parts = threads.min((self.bytes.len() - self.first_block) / PART_BYTES);
        self.decode_parts(parts, wanted, kinds, cancel)
    }

    /// Decodes about so many runs of blocks at once.
    fn decode_parts(
        &self,
        parts: usize,
        wanted: &[WantField],
        kinds: &[ColumnKind],
        cancel: &Cancel,
    ) -> Result<Columns> {
        let text = self.metadata.get("avro.schema").ok_or_else(|| invalid("Avro: the header has no schema"))?;
        let decoding = Decoding {
            program: compile::compile(&WriterSchema::parse(text)?, wanted)?,
            codec: self.metadata.get("avro.codec").copied().unwrap_or(b"null"),
            kinds,
            lists: compile::lists(wanted, kinds.len()),
            budget: AtomicUsize::new(MAX_FILE_BYTES),
            cancel,
        };
        if parts <= 1 {
            let blocks = Blocks { file: self, start: self.first_block, end: self.bytes.len() };
            return decoding.run(blocks);
        }
        let runs = self.cut(parts)?;
        let decoded = parallel::map(runs, parts, |blocks| decoding.run(blocks));
        join(kinds, &decoding.lists, &decoded.into_iter().collect::<Result<Vec<_>>>()?)
    }

    /// Runs of whole blocks, of about equal length.
    fn cut(&self, parts: usize) -> Result<Vec<Blocks<'_>>> {
        let (mut runs, mut start) = (Vec::with_capacity(parts), self.first_block);
        let length = (self.bytes.len() - start).div_ceil(parts.max(1));
        while start < self.bytes.len() {
            let mut end = start;
            while end < self.bytes.len() && end - start < length {
                end = self.block(end)?.end;
            }
            runs.push(Blocks { file: self, start, end });
            start = end;
        }
        Ok(runs)
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
            let block = self.block(start)?;
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

    /// The block that starts here.
    fn block(&self, start: usize) -> Result<Block<'a>> {
        self.read_block(start).map_err(|e| e.bytes(start as u64..self.bytes.len() as u64))
    }

    fn read_block(&self, start: usize) -> Result<Block<'a>> {
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

/// Blocks of a file that lie one after another.
struct Blocks<'a> {
    file: &'a AvroFile<'a>,
    start: usize,
    end: usize,
}

/// How a file's blocks become columns.
struct Decoding<'a> {
    program: Program,
    codec: &'a [u8],
    kinds: &'a [ColumnKind],
    /// For every slot of items the slot of their list
    lists: Vec<Option<usize>>,
    /// Bytes that blocks may still decompress to
    budget: AtomicUsize,
    cancel: &'a Cancel,
}

impl Decoding<'_> {
    fn run(&self, blocks: Blocks<'_>) -> Result<Columns> {
        let mut decompressor = Decompressor::new(self.codec)?;
        let mut columns: Vec<_> = self.kinds.iter().map(|kind| Builder::new(*kind)).collect();
        let (mut start, mut records) = (blocks.start, 0);
        while start < blocks.end {
            let before = records;
            let block = blocks.file.block(start)?;
            let mut decode = || {
                let bytes = decompressor.block(block.bytes, self.budget.load(Ordering::Relaxed))?;
                self.spend(bytes.len())?;
                self.block(bytes, block.records, &mut columns, &mut records)
            };
            decode().map_err(|e| e.bytes(start as u64..block.end as u64))?;
            start = block.end;
            if before < TELLING_RECORDS && records >= TELLING_RECORDS {
                columns.iter_mut().for_each(|column| column.make_room(start - blocks.start, blocks.end - start));
            }
        }
        let rows = |slot: usize| self.lists[slot].map_or(records, |list| columns[list].next_item());
        let rows: Vec<usize> = (0..columns.len()).map(rows).collect();
        let finished = columns.into_iter().zip(rows).map(|(column, rows)| column.finish(rows));
        Ok(Columns { records, columns: finished.collect::<Result<_>>()? })
    }

    /// Takes from the budget that the threads share.
    fn spend(&self, bytes: usize) -> Result<()> {
        let left = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        let message = || format!("Avro: the file decompresses to more than {MAX_FILE_BYTES} bytes");
        left.map(drop).map_err(|_| Error::new(Kind::MemoryLimit, message()))
    }

    fn block(&self, bytes: &[u8], count: usize, columns: &mut [Builder], records: &mut usize) -> Result<()> {
        if count > bytes.len() {
            return Err(invalid(format!("Avro: {count} records in a block of {} bytes", bytes.len())));
        }
        if *records + count > MAX_RECORDS {
            return Err(too_many_records());
        }
        let mut cursor = Cursor::new(bytes);
        for _ in 0..count {
            if records.is_multiple_of(RECORDS_BETWEEN_CANCEL_CHECKS) {
                self.cancel.check()?;
            }
            self.program.run(&mut cursor, columns, *records)?;
            *records += 1;
        }
        match cursor.remaining() {
            0 => Ok(()),
            left => Err(invalid(format!("Avro: {left} bytes follow the {count} records of a block"))),
        }
    }
}

/// The columns of a file whose runs of blocks were decoded apart.
fn join(kinds: &[ColumnKind], lists: &[Option<usize>], parts: &[Columns]) -> Result<Columns> {
    let records = parts.iter().map(|part| part.records).sum();
    if records > MAX_RECORDS {
        return Err(too_many_records());
    }
    let rows_of = |part: &Columns, slot: usize| match lists[slot] {
        None => part.records,
        Some(list) => part.columns[list].all_items(),
    };
    let column = |(slot, kind): (usize, &ColumnKind)| {
        let (mut joined, mut row) = (Builder::new(*kind), 0);
        for part in parts {
            joined.append(row, &part.columns[slot])?;
            row += rows_of(part, slot);
        }
        joined.finish(row)
    };
    Ok(Columns { records, columns: kinds.iter().enumerate().map(column).collect::<Result<_>>()? })
}

fn too_many_records() -> Error {
    Error::new(Kind::MemoryLimit, format!("Avro: more than {MAX_RECORDS} records in one file"))
}
