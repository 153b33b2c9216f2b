//! Final column memory: one [`ColumnTarget`] per projected column, split by row count into [`ColumnPart`]s.
//!
//! A part belongs to one row group and is filled by one task, batch by batch, whatever decoded the batch: today the
//! crate's reader, later the direct page decoder. Fixed-width values and string views land in preallocated contiguous
//! memory; string bytes are not copied at all (the views point into the pages' own buffers); nested values are kept
//! and joined at the end.
//!
//! Must not know: files, Parquet, where a batch came from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{Array, ArrayRef, GenericByteViewArray, make_array, new_empty_array, new_null_array};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use arrow_data::ArrayDataBuilder;
use arrow_schema::{DataType, FieldRef};

use crate::arena::{Frozen, Region, Slot};
use crate::error::{Error, Kind, Result};

/// A view: 16 bytes (Arrow columnar format, "Variable-size Binary View Layout").
const VIEW_BYTES: usize = 16;
/// Values of at most this many bytes live inside their view.
const INLINE_BYTES: u32 = 12;

/// Length and prefix of a long view (its low 64 bits).
const SHORT_PART: u128 = u64::MAX as u128;
/// A view's offset has 32 bits, signed in some consumers.
const LARGEST_COPY_BYTES: usize = 1 << 30;

/// One column of the result, being written.
pub struct ColumnTarget {
    field: FieldRef,
    rows: usize,
    layout: Layout,
    pieces: Arc<Pieces>,
}

/// The rows of one row group in one column.
pub struct ColumnPart {
    index: usize,
    rows: usize,
    written: usize,
    data_type: DataType,
    store: PartStore,
    nulls: Vec<Option<NullBuffer>>,
    null_lengths: Vec<usize>,
    pieces: Arc<Pieces>,
}

enum Layout {
    Fixed(Frozen),
    Views(Frozen),
    Joined,
}

enum PartStore {
    Fixed { slot: Slot, width: usize },
    Views { slot: Slot, pages: Pages },
    Joined { arrays: Vec<ArrayRef> },
}

/// What parts leave behind for the target: in order of parts, whichever finished first.
struct Pieces {
    finished: Mutex<Vec<Option<Piece>>>,
    buffers: Mutex<Vec<Buffer>>,
}

struct Piece {
    rows: usize,
    nulls: Option<NullBuffer>,
    arrays: Vec<ArrayRef>,
}

/// Bytes a row takes in a type of fixed width, None for every other layout.
pub fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    }
}

impl ColumnTarget {
    /// Memory for a column of `part_rows.iter().sum()` rows, and its parts.
    pub fn new(field: FieldRef, part_rows: &[usize]) -> Result<(ColumnTarget, Vec<ColumnPart>)> {
        let rows: usize = part_rows.iter().sum();
        let pieces = Arc::new(Pieces {
            finished: Mutex::new(part_rows.iter().map(|_| None).collect()),
            buffers: Mutex::new(Vec::new()),
        });
        let split = |width: usize| {
            let bytes = rows.checked_mul(width);
            let bytes = bytes.ok_or_else(|| Error::new(Kind::MemoryLimit, "a column larger than the address space"))?;
            Region::new(bytes)?.split(part_rows.iter().map(|rows| rows * width))
        };
        let (layout, stores): (Layout, Vec<PartStore>) = match (fixed_width(field.data_type()), field.data_type()) {
            (Some(width), _) => {
                let (frozen, slots) = split(width)?;
                (Layout::Fixed(frozen), slots.into_iter().map(|slot| PartStore::Fixed { slot, width }).collect())
            }
            (None, DataType::Utf8View | DataType::BinaryView) => {
                let (frozen, slots) = split(VIEW_BYTES)?;
                let stores =
                    slots.into_iter().map(|slot| PartStore::Views { slot, pages: Pages::Shared(HashMap::new()) });
                (Layout::Views(frozen), stores.collect())
            }
            _ => (Layout::Joined, part_rows.iter().map(|_| PartStore::Joined { arrays: Vec::new() }).collect()),
        };
        let parts = stores.into_iter().zip(part_rows).enumerate().map(|(index, (store, rows))| ColumnPart {
            index,
            rows: *rows,
            written: 0,
            data_type: field.data_type().clone(),
            store,
            nulls: Vec::new(),
            null_lengths: Vec::new(),
            pieces: Arc::clone(&pieces),
        });
        let parts = parts.collect();
        Ok((ColumnTarget { field, rows, layout, pieces }, parts))
    }

    /// The finished column: contiguous, its memory the target's own.
    pub fn finish(self) -> Result<ArrayRef> {
        let unfinished = || Error::new(Kind::Internal, format!("column {} was not written whole", self.field.name()));
        let finished = std::mem::take(&mut *self.pieces.finished.lock().unwrap_or_else(PoisonError::into_inner));
        let pieces = finished.into_iter().collect::<Option<Vec<Piece>>>().ok_or_else(unfinished)?;
        let buffers = std::mem::take(&mut *self.pieces.buffers.lock().unwrap_or_else(PoisonError::into_inner));
        let data_type = self.field.data_type();
        let array = match self.layout {
            Layout::Joined => return join(data_type, pieces),
            Layout::Fixed(frozen) => ArrayDataBuilder::new(data_type.clone()).add_buffer(frozen.freeze()?),
            Layout::Views(frozen) => {
                let builder = ArrayDataBuilder::new(data_type.clone()).add_buffer(frozen.freeze()?);
                builder.add_buffers(buffers)
            }
        };
        assemble(array.len(self.rows).nulls(join_nulls(&pieces, self.rows)))
    }
}

impl ColumnPart {
    /// Appends a batch of the column's own type.
    pub fn append(&mut self, array: &ArrayRef) -> Result<()> {
        if array.data_type() != &self.data_type {
            let message = format!("decoded {} where {} is expected", array.data_type(), self.data_type);
            return Err(Error::new(Kind::Internal, message));
        }
        if self.written + array.len() > self.rows {
            let message = format!("a row group holds more rows than the {} its footer states", self.rows);
            return Err(Error::new(Kind::ParquetDecoding, message));
        }
        match &mut self.store {
            PartStore::Fixed { slot, width } => {
                let (from, to) = (self.written * *width, (self.written + array.len()) * *width);
                let data = array.to_data();
                let start = data.offset() * *width;
                let values = &data.buffers()[0].as_slice()[start..start + array.len() * *width];
                slot[from..to].copy_from_slice(values);
            }
            PartStore::Views { slot, pages } => {
                let views = &mut slot[self.written * VIEW_BYTES..(self.written + array.len()) * VIEW_BYTES];
                match &self.data_type {
                    DataType::Utf8View => {
                        copy_views(views, array.as_byte_view::<StringViewType>(), pages, &self.pieces.buffers)?;
                    }
                    _ => copy_views(views, array.as_byte_view::<BinaryViewType>(), pages, &self.pieces.buffers)?,
                }
            }
            PartStore::Joined { arrays } => arrays.push(Arc::clone(array)),
        }
        if !matches!(self.store, PartStore::Joined { .. }) {
            self.nulls.push(array.logical_nulls().filter(|nulls| nulls.null_count() > 0));
            self.null_lengths.push(array.len());
        }
        self.written += array.len();
        Ok(())
    }

    /// Copies long strings to memory of the part's own instead of keeping the pages they came in: for parts of which
    /// only some rows are wanted. Must be called before the first batch, or not at all.
    pub fn copy_strings(&mut self) -> Result<()> {
        if let PartStore::Views { pages, .. } = &mut self.store {
            *pages = Pages::Copied { place: reserve(Buffer::default(), &self.pieces.buffers)?, bytes: Vec::new() };
        }
        Ok(())
    }

    /// Rows still to come.
    pub fn missing(&self) -> usize {
        self.rows - self.written
    }

    /// Hands the part in. Fewer rows than announced is an error.
    pub fn finish(self) -> Result<()> {
        if self.written != self.rows {
            let message = format!("a row group ended after {} of {} rows", self.written, self.rows);
            return Err(Error::new(Kind::ParquetDecoding, message));
        }
        let nulls = join_null_runs(&self.nulls, &self.null_lengths, self.rows);
        let arrays = match self.store {
            PartStore::Joined { arrays } => arrays,
            PartStore::Views { pages: Pages::Copied { place, bytes }, .. } => {
                hand_over(place, bytes, &self.pieces.buffers);
                Vec::new()
            }
            _ => Vec::new(), // drops the slot: its bytes are written
        };
        let piece = Piece { rows: self.rows, nulls, arrays };
        let mut finished = self.pieces.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = finished.get_mut(self.index) {
            *place = Some(piece);
        }
        Ok(())
    }
}

/// Where the bytes of a part's long strings are kept.
enum Pages {
    /// In the decoded pages themselves, nothing copied: address of each page -> its place in the column
    Shared(HashMap<usize, u32>),
    /// In a buffer of the part's own, at this place in the column: a few rows must not keep whole pages alive
    Copied { place: u32, bytes: Vec<u8> },
}

/// Copies views, pointing those that refer to a buffer at that buffer's place in the whole column.
///
/// Only buffers that a view refers to are kept: a page of short strings is freed as soon as it is decoded.
fn copy_views<T: ByteViewType>(
    target: &mut [u8],
    array: &GenericByteViewArray<T>,
    pages: &mut Pages,
    buffers: &Mutex<Vec<Buffer>>,
) -> Result<()> {
    let missing = || Error::new(Kind::Internal, "a view without its buffer");
    let mut places: Vec<Option<u32>> = vec![None; array.data_buffers().len()];
    for (place, view) in target.chunks_exact_mut(VIEW_BYTES).zip(array.views().iter()) {
        let mut view = *view;
        let length = view as u32;
        if length > INLINE_BYTES {
            let (index, offset) = ((view >> 64) as u32 as usize, (view >> 96) as u32 as usize);
            let buffer = array.data_buffers().get(index).ok_or_else(missing)?;
            match pages {
                Pages::Copied { place, bytes } => {
                    let value = buffer.get(offset..offset + length as usize).ok_or_else(missing)?;
                    if bytes.len() + value.len() > LARGEST_COPY_BYTES {
                        hand_over(*place, std::mem::take(bytes), buffers);
                        *place = reserve(Buffer::default(), buffers)?;
                    }
                    view = (view & SHORT_PART) | (u128::from(*place) << 64) | ((bytes.len() as u128) << 96);
                    bytes.extend_from_slice(value);
                }
                Pages::Shared(known) => {
                    let global = match places.get(index).copied().flatten() {
                        Some(global) => global,
                        None => share(buffer, known, buffers)?,
                    };
                    places[index] = Some(global);
                    view = (view & !(u128::from(u32::MAX) << 64)) | (u128::from(global) << 64);
                }
            }
        }
        place.copy_from_slice(&view.to_ne_bytes());
    }
    Ok(())
}

fn share(buffer: &Buffer, known: &mut HashMap<usize, u32>, buffers: &Mutex<Vec<Buffer>>) -> Result<u32> {
    let address = buffer.as_ptr() as usize;
    if let Some(place) = known.get(&address) {
        return Ok(*place);
    }
    let place = reserve(buffer.clone(), buffers)?;
    known.insert(address, place);
    Ok(place)
}

fn reserve(buffer: Buffer, buffers: &Mutex<Vec<Buffer>>) -> Result<u32> {
    let mut buffers = buffers.lock().unwrap_or_else(PoisonError::into_inner);
    let place = i32::try_from(buffers.len()).map_err(|_| Error::new(Kind::MemoryLimit, "too many string buffers"))?;
    buffers.push(buffer);
    Ok(place as u32)
}

fn hand_over(place: u32, bytes: Vec<u8>, buffers: &Mutex<Vec<Buffer>>) {
    let mut buffers = buffers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reserved) = buffers.get_mut(place as usize) {
        *reserved = Buffer::from_vec(bytes);
    }
}

fn join_null_runs(nulls: &[Option<NullBuffer>], lengths: &[usize], rows: usize) -> Option<NullBuffer> {
    if nulls.iter().all(Option::is_none) {
        return None;
    }
    let mut bits = BooleanBufferBuilder::new(rows);
    for (nulls, length) in nulls.iter().zip(lengths) {
        match nulls {
            Some(nulls) => bits.append_buffer(nulls.inner()),
            None => bits.append_n(*length, true),
        }
    }
    Some(NullBuffer::new(bits.finish()))
}

fn join_nulls(pieces: &[Piece], rows: usize) -> Option<NullBuffer> {
    let nulls: Vec<_> = pieces.iter().map(|piece| piece.nulls.clone()).collect();
    let lengths: Vec<_> = pieces.iter().map(|piece| piece.rows).collect();
    join_null_runs(&nulls, &lengths, rows)
}

fn join(data_type: &DataType, pieces: Vec<Piece>) -> Result<ArrayRef> {
    let arrays: Vec<ArrayRef> = pieces.into_iter().flat_map(|piece| piece.arrays).collect();
    match arrays.as_slice() {
        [] => Ok(new_empty_array(data_type)),
        [only] => Ok(Arc::clone(only)),
        _ if *data_type == DataType::Null => {
            Ok(new_null_array(data_type, arrays.iter().map(|array| array.len()).sum()))
        }
        _ => {
            let parts: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            arrow_select::concat::concat(&parts).map_err(|e| {
                Error::new(Kind::MemoryLimit, format!("a nested column does not fit one array: {e}"))
                    .hint("load the table in shards")
            })
        }
    }
}

#[allow(unsafe_code)]
fn assemble(builder: ArrayDataBuilder) -> Result<ArrayRef> {
    // SAFETY: the buffers were written row by row from valid arrays of the same type: `len` fixed-width values, or
    // views whose offsets and UTF-8 were checked when the batch was made and whose buffer index was mapped to the
    // same bytes. A checked build would read every string again.
    Ok(make_array(unsafe { builder.build_unchecked() }))
}

/// A column whose every row is the same value: `value` holds that one row.
pub fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    let indices = arrow_array::UInt32Array::from(vec![0u32; rows]);
    let column = arrow_select::take::take(value, &indices, None);
    column.map_err(|e| Error::new(Kind::Internal, format!("constant column: {e}")))
}
