//! Data and delete files that are not Parquet -> Parquet in memory, which everything above reads as any other file.
//!
//! Correct rather than fast: the object is there whole, its rows become Arrow batches with Iceberg's field ids, and those
//! one row group without compression. So evolution, deletes, filters and shards have one meaning for every format. Must not
//! know: tables, stores, what is wanted of a file. Within: [`orc`]; Avro's reader is [`crate::iceberg`]'s.

mod orc;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::arena::{Account, Share};
use crate::error::{Error, Kind, Result};
use crate::formats::orc::OrcFile;
use crate::iceberg::avro::AvroFile;
use crate::runtime::Cancel;

/// A format that is read by way of Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Avro object container file
    Avro,
    /// Apache ORC
    Orc,
}

impl Format {
    /// What a name makes one expect; None: Parquet.
    pub fn of_name(location: &str) -> Option<Format> {
        let (_, ending) = location.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "avro" => Some(Format::Avro),
            "orc" => Some(Format::Orc),
            _ => None,
        }
    }

    /// What the first bytes of a file tell.
    pub fn of_bytes(start: &[u8]) -> Option<Format> {
        match start {
            [b'O', b'b', b'j', 1, ..] => Some(Format::Avro),
            [b'O', b'R', b'C', ..] => Some(Format::Orc),
            _ => None,
        }
    }

    /// The rows of a file of this format as a Parquet file. Memory is counted on `account` until it is done.
    pub fn to_parquet(self, bytes: Bytes, account: &Account, cancel: &Cancel) -> Result<Bytes> {
        match self {
            Format::Avro => {
                let batch = AvroFile::open(&bytes)?.records(cancel)?;
                let mut made = Made::new(batch.schema(), account)?;
                made.add(&batch)?;
                made.finish()
            }
            Format::Orc => {
                let file = OrcFile::open(bytes, account)?;
                let mut made = Made::new(Arc::clone(file.schema()), account)?;
                file.each_batch(account, cancel, |batch| made.add(batch))?;
                made.finish()
            }
        }
    }
}

/// A Parquet file that is being made.
struct Made<'a> {
    writer: ArrowWriter<Vec<u8>>,
    account: &'a Account,
    shares: Vec<Share>,
    counted: u64,
}

impl Made<'_> {
    fn new(schema: SchemaRef, account: &Account) -> Result<Made<'_>> {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .set_max_row_group_row_count(None)
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(wrong)?;
        Ok(Made { writer, account, shares: Vec::new(), counted: 0 })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(wrong)?;
        let held = self.writer.memory_size() as u64;
        if held > self.counted {
            self.shares.push(self.account.take(held - self.counted)?);
            self.counted = held;
        }
        Ok(())
    }

    fn finish(self) -> Result<Bytes> {
        self.writer.into_inner().map(Bytes::from).map_err(wrong)
    }
}

fn wrong(error: parquet::errors::ParquetError) -> Error {
    Error::new(Kind::InvalidData, format!("the file's rows: {error}"))
}
