//! Avro's binary encoding and its object container files, written with the deflate codec.
//!
//! Must not know: what a record means. Neighbour: `avro` reads the same. Spec: Apache Avro 1.12, "Binary Encoding",
//! "Object Container Files".

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::error::{Error, Kind, Result};

/// Bytes of records, before compression, after which a block is closed: what Avro's own writers take.
const BLOCK_BYTES: usize = 64 << 10;
const MAGIC: &[u8] = b"Obj\x01";

/// Values one after another.
#[derive(Default)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// int, long, a count, the branch of a union.
    pub(super) fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(super) fn float(&mut self, value: f32) {
        self.raw(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, value: f64) {
        self.raw(&value.to_le_bytes());
    }

    /// bytes, string.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.long(value.len() as i64);
        self.raw(value);
    }

    /// fixed.
    pub(super) fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// A value of `["null", type]`.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Encoder, T)) {
        self.long(i64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// An array in one block.
    pub(super) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Encoder, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            items.iter().for_each(|item| write(self, item));
        }
        self.long(0);
    }
}

/// A container file that grows block by block.
pub(super) struct Container {
    file: Encoder,
    block: Encoder,
    records: i64,
    sync: [u8; 16],
}

impl Container {
    /// Starts a file: its schema and further metadata of its header.
    pub(super) fn new(schema: &str, metadata: &[(&str, String)]) -> Container {
        let sync: [u8; 16] = rand::random();
        let mut file = Encoder::default();
        file.raw(MAGIC);
        let own = [("avro.schema", schema), ("avro.codec", "deflate")];
        let given = metadata.iter().map(|(key, value)| (*key, value.as_str()));
        let pairs: Vec<_> = own.into_iter().chain(given).collect();
        file.array(&pairs, |file, (key, value)| {
            file.bytes(key.as_bytes());
            file.bytes(value.as_bytes());
        });
        file.raw(&sync);
        Container { file, block: Encoder::default(), records: 0, sync }
    }

    /// Appends a record.
    pub(super) fn record(&mut self, write: impl FnOnce(&mut Encoder) -> Result<()>) -> Result<()> {
        write(&mut self.block)?;
        self.records += 1;
        if self.block.bytes.len() >= BLOCK_BYTES { self.close_block() } else { Ok(()) }
    }

    /// Bytes of the closed blocks.
    pub(super) fn len(&self) -> usize {
        self.file.bytes.len()
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.close_block()?;
        Ok(self.file.bytes)
    }

    fn close_block(&mut self) -> Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let failed = |e| Error::new(Kind::Internal, format!("deflate failed: {e}"));
        let mut compressor = DeflateEncoder::new(Vec::new(), Compression::default());
        compressor.write_all(&self.block.bytes).map_err(failed)?;
        let compressed = compressor.finish().map_err(failed)?;
        self.file.long(self.records);
        self.file.bytes(&compressed);
        self.file.raw(&self.sync);
        self.block.bytes.clear();
        self.records = 0;
        Ok(())
    }
}
