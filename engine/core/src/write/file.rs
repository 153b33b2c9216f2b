//! One data file under way: row groups appended, its bytes handed on as they come, its figures when it is whole.
//!
//! Pages go on their way as they were made, without a copy; the crate's writer knows where they lie, and writes what is
//! between and behind them. Must not know: rows, partitions' meaning. Neighbours: `encode` makes the chunks, `output` the
//! uploads.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::error::Result;
use crate::store::{PIECE_BYTES, PutPayload};
use crate::write::encode::{Chunk, Encoded, Encoder, encoding};
use crate::write::pages;

/// What is written a little at a time is gathered until there is so much of it.
const GATHERED_BYTES: usize = 1 << 20;

/// A file's bytes on their way out. The crate's writer holds one end, the file the other.
#[derive(Clone, Default)]
struct Outlet(Arc<Mutex<Pieces>>);

/// Pieces of [`PIECE_BYTES`] that wait for their upload.
#[derive(Default)]
struct Pieces {
    full: VecDeque<PutPayload>,
    /// The piece that is not full yet, and its bytes with those that are gathered
    next: Vec<Bytes>,
    bytes: usize,
    gathered: Vec<u8>,
    /// Bytes of pages that are here before the crate's writer writes something in their place
    announced: usize,
}

impl Outlet {
    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pieces {
    fn hand_on(&mut self, mut page: Bytes) {
        self.announced += page.len();
        self.gather();
        while !page.is_empty() {
            let part = page.split_to(page.len().min(PIECE_BYTES - self.bytes));
            self.bytes += part.len();
            self.next.push(part);
            self.fill();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        if self.announced > 0 {
            let count = bytes.len().min(self.announced);
            self.announced -= count;
            return count;
        }
        let count = bytes.len().min(PIECE_BYTES - self.bytes);
        self.bytes += count;
        self.gathered.extend_from_slice(&bytes[..count]);
        if self.gathered.len() >= GATHERED_BYTES {
            self.gather();
        }
        self.fill();
        count
    }

    fn gather(&mut self) {
        if !self.gathered.is_empty() {
            self.next.push(std::mem::take(&mut self.gathered).into());
        }
    }

    fn fill(&mut self) {
        if self.bytes == PIECE_BYTES {
            self.close();
        }
    }

    /// The piece is as long as it will be.
    fn close(&mut self) {
        self.gather();
        if self.bytes > 0 {
            self.full.push_back(std::mem::take(&mut self.next).into_iter().collect());
            self.bytes = 0;
        }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(self.pieces().write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Stands for so many bytes of pages that were handed on. What it reads as is not looked at: the crate's one way to learn of
/// a chunk is to copy it, and that takes a tenth of a write.
struct Announced(u64);

impl Read for Announced {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.min(into.len() as u64);
        self.0 -= count;
        Ok(count as usize)
    }
}

impl Length for Announced {
    fn len(&self) -> u64 {
        self.0
    }
}

impl ChunkReader for Announced {
    type T = Announced;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Announced> {
        Ok(Announced(self.0.saturating_sub(start)))
    }

    fn get_bytes(&self, _: u64, _: usize) -> parquet::errors::Result<Bytes> {
        Err(ParquetError::General("pages that were handed on are not here".to_owned()))
    }
}

/// A file that is not whole yet.
pub(crate) struct File {
    writer: SerializedFileWriter<Outlet>,
    outlet: Outlet,
    nans: HashMap<i32, u64>,
    pub(crate) rows: u64,
}

/// A whole file.
pub(crate) struct Whole {
    pub(crate) metadata: ParquetMetaData,
    pub(crate) nans: HashMap<i32, u64>,
    pub(crate) rows: u64,
    /// Bytes that were not handed on yet.
    pub(crate) rest: Vec<PutPayload>,
}

impl File {
    pub(crate) fn new(encoder: &Encoder) -> Result<File> {
        let outlet = Outlet::default();
        let (root, properties) = (Arc::clone(&encoder.root), Arc::clone(&encoder.properties));
        let writer = SerializedFileWriter::new(outlet.clone(), root, properties).map_err(encoding)?;
        Ok(File { writer, outlet, nans: HashMap::new(), rows: 0 })
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
        mut send: impl FnMut(PutPayload) -> Result<()>,
    ) -> Result<()> {
        let mut group = self.writer.next_row_group().map_err(encoding)?;
        for column in columns {
            for (id, count) in column.nans {
                *self.nans.entry(id).or_default() += count;
            }
            for chunk in column.chunks {
                append(&self.outlet, chunk, &mut group)?;
                let full = std::mem::take(&mut self.outlet.pieces().full);
                full.into_iter().try_for_each(&mut send)?;
            }
        }
        group.close().map_err(encoding)?;
        self.rows += rows as u64;
        Ok(())
    }

    /// Writes the footer.
    pub(crate) fn finish(mut self) -> Result<Whole> {
        let metadata = self.writer.finish().map_err(encoding)?;
        let mut pieces = self.outlet.pieces();
        pieces.close();
        let rest = pieces.full.drain(..).collect();
        drop(pieces);
        Ok(Whole { metadata, nans: self.nans, rows: self.rows, rest })
    }
}

/// Appends a chunk to the row group.
fn append(outlet: &Outlet, chunk: Chunk, group: &mut SerializedRowGroupWriter<'_, Outlet>) -> Result<()> {
    let appended = match chunk {
        Chunk::Own(pages::Chunk { pages, close }) => {
            let bytes = pages.iter().map(|page| page.len() as u64).sum();
            pages.into_iter().for_each(|page| outlet.pieces().hand_on(page));
            group.append_column(&Announced(bytes), close)
        }
        Chunk::Crate(chunk) => chunk.append_to_row_group(group),
    };
    appended.map_err(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_what_is_between_them_come_in_order_and_in_whole_pieces() {
        let mut outlet = Outlet::default();
        let (mut all, mut next) = (Vec::new(), 0u8);
        let mut some = |length: usize| {
            next = next.wrapping_add(1);
            all.extend(std::iter::repeat_n(next, length));
            vec![next; length]
        };
        for length in [4, 0, PIECE_BYTES - 5, 1, 3, 700_000, 2 * PIECE_BYTES, 9] {
            outlet.write_all(&some(1_300_000)).unwrap();
            outlet.write_all(&some(3)).unwrap();
            let page = some(length);
            outlet.pieces().hand_on(page.into());
            assert_eq!(std::io::copy(&mut Announced(length as u64), &mut outlet).unwrap(), length as u64);
        }
        outlet.write_all(&some(17)).unwrap();
        outlet.pieces().close();
        let pieces: Vec<Vec<u8>> =
            outlet.pieces().full.drain(..).map(|piece| piece.iter().flatten().copied().collect()).collect();
        let (last, whole) = pieces.split_last().unwrap();
        assert!(whole.iter().all(|piece| piece.len() == PIECE_BYTES) && last.len() <= PIECE_BYTES);
        assert!(pieces.concat() == all);
    }
}
