//! One data file under way: row groups appended, its bytes handed on as they come, its figures when it is whole.
//!
//! Must not know: rows, partitions' meaning. Neighbours: `encode` makes the chunks, `output` the uploads.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::writer::SerializedFileWriter;

use crate::error::Result;
use crate::store::PIECE_BYTES;
use crate::write::encode::{Encoded, Encoder, encoding};

/// Where a file's bytes go: pieces of a size that whoever uploads takes away.
struct Sink {
    piece: Vec<u8>,
    full: Pieces,
}

/// Pieces that wait for their upload.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<VecDeque<Bytes>>>);

impl Pieces {
    fn push(&self, piece: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(piece.into());
    }

    fn pop(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE_BYTES {
            let next = Vec::with_capacity(PIECE_BYTES);
            self.full.push(std::mem::replace(&mut self.piece, next));
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file that is not whole yet.
pub(crate) struct File {
    writer: SerializedFileWriter<Sink>,
    pieces: Pieces,
    nans: HashMap<i32, u64>,
    pub(crate) rows: u64,
}

/// A whole file.
pub(crate) struct Whole {
    pub(crate) metadata: ParquetMetaData,
    pub(crate) nans: HashMap<i32, u64>,
    pub(crate) rows: u64,
    /// Bytes that were not handed on yet.
    pub(crate) rest: Vec<Bytes>,
}

impl File {
    pub(crate) fn new(encoder: &Encoder) -> Result<File> {
        let pieces = Pieces::default();
        let sink = Sink { piece: Vec::new(), full: pieces.clone() };
        let writer = SerializedFileWriter::new(sink, Arc::clone(&encoder.root), Arc::clone(&encoder.properties));
        Ok(File { writer: writer.map_err(encoding)?, pieces, nans: HashMap::new(), rows: 0 })
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Appends a row group; `send` is given the file's bytes as they fill pieces.
    pub(crate) fn append(
        &mut self,
        columns: Vec<Encoded>,
        rows: usize,
        mut send: impl FnMut(Bytes) -> Result<()>,
    ) -> Result<()> {
        let mut group = self.writer.next_row_group().map_err(encoding)?;
        for column in columns {
            for (id, count) in column.nans {
                *self.nans.entry(id).or_default() += count;
            }
            for chunk in column.chunks {
                chunk.append_to(&mut group)?;
                while let Some(piece) = self.pieces.pop() {
                    send(piece)?;
                }
            }
        }
        group.close().map_err(encoding)?;
        self.rows += rows as u64;
        Ok(())
    }

    /// Writes the footer.
    pub(crate) fn finish(mut self) -> Result<Whole> {
        let metadata = self.writer.finish().map_err(encoding)?;
        let last = std::mem::take(&mut self.writer.inner_mut().piece);
        let mut rest: Vec<Bytes> = std::iter::from_fn(|| self.pieces.pop()).collect();
        if !last.is_empty() {
            rest.push(last.into());
        }
        Ok(Whole { metadata, nans: self.nans, rows: self.rows, rest })
    }
}
