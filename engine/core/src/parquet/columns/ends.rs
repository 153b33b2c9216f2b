//! Rows of different length, contiguous: where each row ends (Arrow's 64-bit offsets), and the bytes or elements of all.
//!
//! Where the footers tell how much each part will hold, parts write to their final place. Where they do not (or were
//! wrong), a part keeps its own, and [`EndsTarget::finish`] joins them, on all threads. Must not know: encodings.

use arrow_buffer::{Buffer, NullBuffer};

use super::validity::Validity;
use crate::arena::{Account, Frozen, Region, Slot};
use crate::error::{Error, Kind, Result};
use crate::parallel;

const OFFSET_BYTES: usize = 8;

/// One column's ends and data, shared by its parts.
pub struct EndsTarget {
    ends: Frozen,
    /// Where the parts write to, if their sizes are known
    data: Option<Frozen>,
    /// Bytes of one element
    width: usize,
}

/// A part's rows.
pub struct EndsPart {
    /// End of each row, 8 bytes each, counted from `base` on
    ends: Slot,
    base: u64,
    data: Data,
    /// Bytes of its place in the column's memory
    planned: usize,
    width: usize,
    /// Which elements of lists hold a value
    pub elements: Validity,
}

enum Data {
    /// In the column's memory; so many bytes are written
    Placed { slot: Slot, used: usize },
    /// In memory of the part's own
    Own(Vec<u8>),
}

/// What a part leaves behind.
pub struct EndsPiece {
    base: u64,
    used: usize,
    planned: usize,
    own: Option<Vec<u8>>,
    elements: Option<NullBuffer>,
}

/// A finished column.
pub struct Joined {
    /// rows + 1 offsets
    pub offsets: Buffer,
    /// Bytes of strings, or values of elements
    pub data: Buffer,
    /// Elements in all
    pub elements: usize,
    /// Which of them hold a value
    pub nulls: Option<NullBuffer>,
}

impl EndsTarget {
    /// Memory for parts of so many rows and, where known, so many elements of `width` bytes.
    pub fn new(parts: &[super::PartShape], width: usize, account: &Account) -> Result<(EndsTarget, Vec<EndsPart>)> {
        let too_long = || Error::new(Kind::MemoryLimit, "a column larger than the address space");
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        let bytes = rows.checked_add(1).and_then(|rows| rows.checked_mul(OFFSET_BYTES)).ok_or_else(too_long)?;
        let lengths = std::iter::once(OFFSET_BYTES).chain(parts.iter().map(|part| part.rows * OFFSET_BYTES));
        let (ends, mut slots) = Region::counted(bytes, account)?.split(lengths)?;
        if let Some(first) = slots.first_mut() {
            first.fill(0);
        }
        let planned: Option<Vec<usize>> = parts.iter().map(|part| part.elements?.checked_mul(width)).collect();
        let total =
            planned.as_ref().and_then(|sizes| sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size)));
        let (data, places) = match (planned, total) {
            (Some(sizes), Some(total)) => {
                let (frozen, slots) = Region::counted(total, account)?.split(sizes)?;
                (Some(frozen), slots.into_iter().map(|slot| Data::Placed { slot, used: 0 }).collect::<Vec<_>>())
            }
            _ => (None, parts.iter().map(|_| Data::Own(Vec::new())).collect()),
        };
        let mut base = 0u64;
        let made = slots.into_iter().skip(1).zip(places).map(|(ends, data)| {
            let start = base;
            let planned = if let Data::Placed { slot, .. } = &data { slot.len() } else { 0 };
            base += (planned / width) as u64;
            EndsPart { ends, base: start, data, planned, width, elements: Validity::default() }
        });
        let made = made.collect();
        Ok((EndsTarget { ends, data, width }, made))
    }

    /// Joins what the parts left.
    pub fn finish(self, pieces: Vec<EndsPiece>, rows: &[usize], threads: usize) -> Result<Joined> {
        let elements: usize = pieces.iter().map(|piece| piece.used / self.width).sum();
        let nulls: Vec<_> = pieces.iter().map(|piece| (piece.elements.clone(), piece.used / self.width)).collect();
        let nulls = super::validity::join(&nulls, elements);
        let exact = pieces.iter().all(|piece| piece.own.is_none() && piece.used == piece.planned);
        let (offsets, data) = match self.data {
            Some(data) if exact => (self.ends.freeze()?, data.freeze()?),
            data => {
                let shifts = shifts(&pieces, self.width);
                let joined = join_data(data, &pieces, threads)?;
                (shifted(self.ends, rows, &shifts, threads)?, joined)
            }
        };
        Ok(Joined { offsets, data, elements, nulls })
    }
}

/// What is to be added to the ends of each part.
fn shifts(pieces: &[EndsPiece], width: usize) -> Vec<u64> {
    let mut start = 0u64;
    let shift = |piece: &EndsPiece| {
        let by = start.wrapping_sub(piece.base);
        start += (piece.used / width) as u64;
        by
    };
    pieces.iter().map(shift).collect()
}

fn shifted(ends: Frozen, rows: &[usize], shifts: &[u64], threads: usize) -> Result<Buffer> {
    let (frozen, mut slot) = ends.reopen()?;
    let mut rest = slot.get_mut(OFFSET_BYTES..).unwrap_or_default();
    let mut work = Vec::new();
    for (rows, shift) in rows.iter().zip(shifts) {
        let (part, after) = rest.split_at_mut((rows * OFFSET_BYTES).min(rest.len()));
        rest = after;
        work.push((part, *shift));
    }
    parallel::map(work, threads, |(part, shift)| {
        if shift != 0 {
            for end in part.as_chunks_mut::<OFFSET_BYTES>().0 {
                *end = u64::from_ne_bytes(*end).wrapping_add(shift).to_ne_bytes();
            }
        }
    });
    drop(slot);
    frozen.freeze()
}

/// Every part's data in one buffer: moved together where they are, or copied.
fn join_data(placed: Option<Frozen>, pieces: &[EndsPiece], threads: usize) -> Result<Buffer> {
    let (placed, source) = match placed {
        Some(frozen) => {
            let (frozen, slot) = frozen.reopen()?;
            (Some(frozen), Some(slot))
        }
        None => (None, None),
    };
    let total: usize = pieces.iter().map(|piece| piece.used).sum();
    if let (Some(frozen), Some(mut slot)) = (placed, source) {
        if pieces.iter().all(|piece| piece.own.is_none()) {
            let (mut from, mut to) = (0, 0);
            for piece in pieces {
                slot.copy_within(from..from + piece.used, to);
                (from, to) = (from + piece.planned, to + piece.used);
            }
            drop(slot);
            return Ok(frozen.freeze()?.slice_with_length(0, total));
        }
        return copied(pieces, Some(&slot), total, threads);
    }
    copied(pieces, None, total, threads)
}

fn copied(pieces: &[EndsPiece], placed: Option<&[u8]>, total: usize, threads: usize) -> Result<Buffer> {
    let (frozen, slots) = Region::new(total)?.split(pieces.iter().map(|piece| piece.used))?;
    let mut from = 0;
    let work = pieces.iter().zip(slots).map(|(piece, slot)| {
        let start = from;
        from += piece.planned;
        let there = placed.and_then(|placed| placed.get(start..start + piece.used));
        (piece.own.as_deref().or(there), slot)
    });
    let work: Vec<_> = work.collect();
    let whole = parallel::map(work, threads, |(bytes, mut slot)| {
        bytes.filter(|bytes| bytes.len() == slot.len()).map(|bytes| slot.copy_from_slice(bytes)).is_some()
    });
    match whole.iter().all(|whole| *whole) {
        true => frozen.freeze(),
        false => Err(Error::new(Kind::Internal, "a part of a column without its bytes")),
    }
}

impl EndsPart {
    /// The ends of rows from `row` on, 8 bytes each; they count from [`EndsPart::end`] of the row before.
    pub fn ends(&mut self, row: usize, rows: usize) -> &mut [u8] {
        self.ends.get_mut(row * OFFSET_BYTES..(row + rows) * OFFSET_BYTES).unwrap_or_default()
    }

    /// Where the next element will be.
    pub fn end(&self) -> u64 {
        self.base + (self.used() / self.width) as u64
    }

    fn used(&self) -> usize {
        match &self.data {
            Data::Placed { used, .. } => *used,
            Data::Own(bytes) => bytes.len(),
        }
    }

    /// Room for `bytes` bytes at the end. What is written there counts once [`EndsPart::commit`] says so.
    ///
    /// Where the place that was planned is too small, the part moves to memory of its own.
    pub fn room(&mut self, bytes: usize) -> Result<&mut [u8]> {
        if let Data::Placed { slot, used } = &self.data
            && slot.len() - used < bytes
        {
            self.data = Data::Own(slot.get(..*used).unwrap_or_default().to_vec());
        }
        match &mut self.data {
            Data::Placed { slot, used } => Ok(slot.get_mut(*used..).unwrap_or_default()),
            Data::Own(own) => {
                let start = own.len();
                let refused =
                    |_| Error::new(Kind::MemoryLimit, format!("the system refused {bytes} bytes for strings"));
                own.try_reserve(bytes).map_err(refused)?;
                own.resize(start + bytes, 0);
                Ok(own.get_mut(start..).unwrap_or_default())
            }
        }
    }

    /// Of the room that was last given, `bytes` bytes were written. Must be called once for each [`EndsPart::room`].
    pub fn commit(&mut self, room: usize, bytes: usize) {
        match &mut self.data {
            Data::Placed { used, .. } => *used += bytes,
            Data::Own(own) => own.truncate((own.len() + bytes).saturating_sub(room)),
        }
    }

    /// Appends a value and its end.
    pub fn push(&mut self, row: usize, value: &[u8]) -> Result<()> {
        let room = self.room(value.len())?;
        if let Some(room) = room.get_mut(..value.len()) {
            room.copy_from_slice(value);
        }
        self.commit(value.len(), value.len());
        let end = self.end();
        self.ends(row, 1).copy_from_slice(&end.to_ne_bytes());
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        self.elements = Validity::default();
        match &mut self.data {
            Data::Placed { used, .. } => *used = 0,
            Data::Own(own) => own.clear(),
        }
    }

    pub(super) fn finish(self) -> EndsPiece {
        let (base, planned, elements) = (self.base, self.planned, self.elements.finish());
        match self.data {
            Data::Placed { used, .. } => EndsPiece { base, used, planned, own: None, elements },
            Data::Own(own) => EndsPiece { base, used: own.len(), planned, own: Some(own), elements },
        }
    }
}
