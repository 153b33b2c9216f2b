//! A chunk's pages as they were made, read as if they lay one after another: nothing is copied to join them.
//!
//! Must not know: what pages hold.

use std::collections::VecDeque;
use std::io::Read;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Pieces in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    pieces: VecDeque<Bytes>,
    length: usize,
}

impl Rope {
    pub(super) fn push_back(&mut self, piece: Bytes) {
        self.length += piece.len();
        self.pieces.push_back(piece);
    }

    pub(super) fn push_front(&mut self, piece: Bytes) {
        self.length += piece.len();
        self.pieces.push_front(piece);
    }

    /// Bytes of all pieces.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    fn skip(&mut self, mut bytes: usize) {
        self.length = self.length.saturating_sub(bytes);
        while let Some(first) = self.pieces.front_mut() {
            if bytes < first.len() {
                return first.advance(bytes);
            }
            bytes -= first.len();
            self.pieces.pop_front();
        }
    }
}

impl Read for Rope {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let Some(first) = self.pieces.front() else { return Ok(0) };
        let count = first.len().min(into.len());
        into[..count].copy_from_slice(&first[..count]);
        self.skip(count);
        Ok(count)
    }
}

impl Length for Rope {
    fn len(&self) -> u64 {
        self.length as u64
    }
}

impl ChunkReader for Rope {
    type T = Rope;

    fn get_read(&self, start: u64) -> Result<Rope> {
        let mut rest = self.clone();
        rest.skip(usize::try_from(start).unwrap_or(usize::MAX));
        Ok(rest)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut read = Vec::new();
        self.get_read(start)?.take(length as u64).read_to_end(&mut read)?;
        match read.len() == length {
            true => Ok(read.into()),
            false => Err(ParquetError::EOF(format!("{length} bytes behind {start} of {}", self.length))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_as_one() {
        let mut rope = Rope::default();
        for piece in ["cde", "", "f", "ghij"] {
            rope.push_back(Bytes::from(piece));
        }
        rope.push_front(Bytes::from("ab"));
        assert_eq!(Rope::len(&rope), 10);
        for start in 0..=10 {
            for length in 0..=10 - start {
                let found = rope.get_bytes(start as u64, length).unwrap();
                assert_eq!(found, &b"abcdefghij"[start..start + length]);
            }
        }
        assert!(rope.get_bytes(5, 6).is_err());
        assert!(rope.get_bytes(11, 1).is_err());
    }
}
