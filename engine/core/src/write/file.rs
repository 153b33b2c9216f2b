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

use crate::error::{Error, Kind, Result};
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
    /// Of the piece that is not full yet, but for what is gathered
    next: Vec<Bytes>,
    gathered: Vec<u8>,
    /// Bytes of the file so far
    length: u64,
    /// Pages by where they begin. The crate's writer keeps a little to itself, so that only the place tells when they are due
    due: VecDeque<(u64, VecDeque<Bytes>)>,
    /// Bytes that it will still write in place of pages that are here
    placeholders: u64,
}

impl Outlet {
    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pieces {
    fn write(&mut self, bytes: &[u8]) -> usize {
        while self.due.front().is_some_and(|(start, _)| *start == self.length)
            && let Some((_, pages)) = self.due.pop_front()
        {
            pages.into_iter().for_each(|page| self.hand_on(page));
        }
        if self.placeholders > 0 {
            let count = self.placeholders.min(bytes.len() as u64);
            self.placeholders -= count;
            return count as usize;
        }
        let before_pages = self.due.front().map_or(u64::MAX, |(start, _)| start.saturating_sub(self.length));
        let count = before_pages.min(bytes.len().min(self.room()) as u64) as usize;
        self.gathered.extend_from_slice(&bytes[..count]);
        if self.gathered.len() >= GATHERED_BYTES {
            self.gather();
        }
        self.grow(count);
        count
    }

    fn hand_on(&mut self, mut page: Bytes) {
        self.placeholders += page.len() as u64;
        self.gather();
        while !page.is_empty() {
            let part = page.split_to(page.len().min(self.room()));
            let length = part.len();
            self.next.push(part);
            self.grow(length);
        }
    }

    fn gather(&mut self) {
        if !self.gathered.is_empty() {
            self.next.push(std::mem::take(&mut self.gathered).into());
        }
    }

    /// Bytes that the piece lacks.
    fn room(&self) -> usize {
        PIECE_BYTES - (self.length % PIECE_BYTES as u64) as usize
    }

    fn grow(&mut self, bytes: usize) {
        self.length += bytes as u64;
        if self.room() == PIECE_BYTES {
            self.close();
        }
    }

    /// The piece is as long as it will be.
    fn close(&mut self) {
        self.gather();
        if !self.next.is_empty() {
            self.full.push_back(std::mem::take(&mut self.next).into_iter().collect());
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

/// Stands for so many bytes of pages. What it reads as is not looked at: the crate's one way to learn of a chunk is to copy
/// it, twice.
struct Placeholder(u64);

impl Read for Placeholder {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.min(into.len() as u64);
        self.0 -= count;
        Ok(count as usize)
    }
}

impl Length for Placeholder {
    fn len(&self) -> u64 {
        self.0
    }
}

impl ChunkReader for Placeholder {
    type T = Placeholder;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Placeholder> {
        Ok(Placeholder(self.0.saturating_sub(start)))
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
        let mut start = self.bytes();
        let mut group = self.writer.next_row_group().map_err(encoding)?;
        for column in columns {
            for (id, count) in column.nans {
                *self.nans.entry(id).or_default() += count;
            }
            for chunk in column.chunks {
                start += append(&self.outlet, start, chunk, &mut group)?;
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
        if pieces.placeholders > 0 || !pieces.due.is_empty() {
            return Err(Error::new(Kind::Internal, "pages of a file were left over").hint("please report it"));
        }
        pieces.close();
        let rest = pieces.full.drain(..).collect();
        drop(pieces);
        Ok(Whole { metadata, nans: self.nans, rows: self.rows, rest })
    }
}

/// Appends a chunk to the row group, at `start` of the file; its bytes.
fn append(outlet: &Outlet, start: u64, chunk: Chunk, group: &mut SerializedRowGroupWriter<'_, Outlet>) -> Result<u64> {
    let bytes = chunk.bytes();
    let appended = match chunk {
        Chunk::Own(pages::Chunk { pages, close }) => {
            outlet.pieces().due.push_back((start, pages));
            group.append_column(&Placeholder(bytes), close)
        }
        Chunk::Crate(chunk) => chunk.append_to_row_group(group),
    };
    appended.map_err(encoding)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::BufWriter;

    use super::*;

    #[test]
    fn pages_and_what_is_between_them_come_in_order_and_in_whole_pieces() {
        let outlet = Outlet::default();
        // As the crate's writer does, which keeps what is short to itself.
        let mut writer = BufWriter::new(outlet.clone());
        let (mut all, mut next) = (Vec::new(), 0u8);
        let mut some = |length: usize| {
            next = next.wrapping_add(1);
            all.extend(std::iter::repeat_n(next, length));
            (all.len() - length, vec![next; length])
        };
        for length in [4, 9000, PIECE_BYTES - 5, 1, 3, 700_000, 2 * PIECE_BYTES, 9] {
            for between in [1_300_000, 3] {
                writer.write_all(&some(between).1).unwrap();
            }
            for length in [length, 2 * length] {
                let (start, page) = some(length);
                let (one, other) = page.split_at(length / 2);
                let pages = [one, other].map(Bytes::copy_from_slice);
                outlet.pieces().due.push_back((start as u64, VecDeque::new())); // a chunk without rows
                outlet.pieces().due.push_back((start as u64, pages.into()));
                assert_eq!(std::io::copy(&mut Placeholder(length as u64), &mut writer).unwrap(), length as u64);
            }
        }
        writer.write_all(&some(17).1).unwrap();
        writer.flush().unwrap();
        outlet.pieces().close();
        let full = std::mem::take(&mut outlet.pieces().full);
        let pieces: Vec<Vec<u8>> = full.iter().map(|piece| piece.iter().flatten().copied().collect()).collect();
        let (last, whole) = pieces.split_last().unwrap();
        assert!(whole.iter().all(|piece| piece.len() == PIECE_BYTES) && last.len() <= PIECE_BYTES);
        assert!(pieces.concat() == all);
    }
}
