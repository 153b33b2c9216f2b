//! Final column memory: one [`ColumnTarget`] per projected column, split by row count into [`ColumnPart`]s.
//!
//! A part belongs to one row group and is filled by one task: page by page by the direct decoder, which writes into the
//! part's memory itself, or batch by batch by the crate's reader ([`ColumnPart::append`]). Inside: [`views`] strings whose
//! bytes stay in their pages; [`ends`] contiguous strings and lists of numbers; [`categories`] strings as positions in a
//! dictionary; [`validity`] nulls. Nested values are kept as they come and joined at the end.
//!
//! Must not know: files, Parquet, where a batch came from.

pub mod categories;
pub mod ends;
pub mod validity;
pub mod views;

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryViewType, StringViewType};
use arrow_array::{Array, ArrayRef, make_array, new_empty_array, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use arrow_data::ArrayDataBuilder;
use arrow_schema::{DataType, FieldRef, TimeUnit};

use crate::arena::{Account, Frozen, Region, Slot};
use crate::error::{Error, Kind, Result};
use categories::{CODE_BYTES, Categories};
use ends::{EndsPart, EndsPiece, EndsTarget};
use validity::Validity;
use views::{Buffers, VIEW_BYTES, ViewPart};

/// What is known of a part before it is decoded.
#[derive(Clone, Copy, Debug)]
pub struct PartShape {
    /// Rows, exactly
    pub rows: usize,
    /// Bytes of contiguous strings, or elements of lists, if the footer tells
    pub elements: Option<usize>,
}

/// One column of the result, being written.
pub struct ColumnTarget {
    field: FieldRef,
    rows: Vec<usize>,
    layout: Layout,
    pieces: Arc<Pieces>,
}

/// The rows of one row group in one column.
pub struct ColumnPart {
    index: usize,
    rows: usize,
    written: usize,
    data_type: DataType,
    /// Where values go
    pub store: PartStore,
    /// Which rows hold one; not kept for joined parts, whose arrays know it
    pub validity: Validity,
    pieces: Arc<Pieces>,
}

enum Layout {
    Fixed(Frozen),
    Bits,
    Views(Frozen, Buffers),
    Ends(EndsTarget),
    Codes(Frozen, Categories),
    Joined,
}

/// A part's memory.
pub enum PartStore {
    /// Values of `width` bytes
    Fixed {
        /// All rows of the part
        slot: Slot,
        /// Bytes of a value
        width: usize,
    },
    /// Booleans
    Bits(BooleanBufferBuilder),
    /// Strings as views
    Views(ViewPart),
    /// Contiguous strings, lists of numbers
    Ends(EndsPart),
    /// Positions in a dictionary of strings
    Codes {
        /// All rows of the part
        slot: Slot,
        /// The dictionary, which all parts share
        categories: Categories,
    },
    /// All else
    Joined(Vec<ArrayRef>),
}

/// What parts leave behind for the target: in order of parts, whichever finished first.
struct Pieces(Mutex<Vec<Option<Piece>>>);

struct Piece {
    nulls: Option<NullBuffer>,
    left: Left,
}

enum Left {
    Nothing,
    Bits(BooleanBuffer),
    Ends(EndsPiece),
    Arrays(Vec<ArrayRef>),
}

/// Bytes a row takes in a type of fixed width, None for every other layout.
pub fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    }
}

/// Bytes of an element of what is laid out by ends; None for other types.
fn ends_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::LargeUtf8 | DataType::LargeBinary => Some(1),
        DataType::LargeList(element) => fixed_width(element.data_type()).filter(|width| *width > 0),
        _ => None,
    }
}

/// Whether rows alone tell a column's memory, or else nothing is gained by knowing more before it is decoded.
pub fn is_laid_out_by_rows(data_type: &DataType) -> bool {
    ends_width(data_type).is_none()
}

impl ColumnTarget {
    /// Memory for a column, and its parts. Lists of numbers are written in place only if every part's elements are
    /// known; else they are joined like other nested values.
    pub fn new(field: FieldRef, shapes: &[PartShape], account: &Account) -> Result<(ColumnTarget, Vec<ColumnPart>)> {
        let rows: Vec<usize> = shapes.iter().map(|shape| shape.rows).collect();
        let pieces = Arc::new(Pieces(Mutex::new(rows.iter().map(|_| None).collect())));
        let (layout, stores) = stores(&field, shapes, &rows, account)?;
        let parts = stores.into_iter().zip(&rows).enumerate().map(|(index, (store, rows))| ColumnPart {
            index,
            rows: *rows,
            written: 0,
            data_type: field.data_type().clone(),
            store,
            validity: Validity::new(*rows),
            pieces: Arc::clone(&pieces),
        });
        let parts = parts.collect();
        Ok((ColumnTarget { field, rows, layout, pieces }, parts))
    }

    /// The finished column: contiguous, its memory the target's own. Works on `threads` threads where there is work.
    pub fn finish(self, threads: usize) -> Result<ArrayRef> {
        let unfinished = || Error::new(Kind::Internal, format!("column {} was not written whole", self.field.name()));
        let finished = std::mem::take(&mut *self.pieces.0.lock().unwrap_or_else(PoisonError::into_inner));
        let pieces = finished.into_iter().collect::<Option<Vec<Piece>>>().ok_or_else(unfinished)?;
        let (data_type, rows) = (self.field.data_type(), self.rows.iter().sum());
        let nulls: Vec<_> = pieces.iter().zip(&self.rows).map(|(piece, rows)| (piece.nulls.clone(), *rows)).collect();
        let nulls = validity::join(&nulls, rows);
        let array = ArrayDataBuilder::new(data_type.clone()).len(rows).nulls(nulls.clone());
        assemble(match self.layout {
            Layout::Joined => return join(data_type, pieces),
            Layout::Fixed(frozen) => array.add_buffer(frozen.freeze()?),
            Layout::Bits => array.add_buffer(join_bits(&pieces, rows).into_inner()),
            Layout::Codes(frozen, categories) => {
                let DataType::Dictionary(_, values) = data_type else { return Err(unfinished()) };
                let (codes, values) = categories.finish(frozen, nulls.as_ref(), values)?;
                array.add_buffer(codes).add_child_data(values.to_data())
            }
            Layout::Views(frozen, buffers) => array.add_buffer(frozen.freeze()?).add_buffers(buffers.take()),
            Layout::Ends(target) => {
                let left = pieces.into_iter().filter_map(|piece| match piece.left {
                    Left::Ends(piece) => Some(piece),
                    _ => None,
                });
                let joined = target.finish(left.collect(), &self.rows, threads)?;
                let array = array.add_buffer(joined.offsets);
                match data_type {
                    DataType::LargeList(element) => {
                        let values = ArrayDataBuilder::new(element.data_type().clone()).len(joined.elements);
                        let values = assemble(values.nulls(joined.nulls).add_buffer(joined.data))?;
                        array.add_child_data(values.to_data())
                    }
                    _ => array.add_buffer(joined.data),
                }
            }
        })
    }
}

fn stores(
    field: &FieldRef,
    shapes: &[PartShape],
    rows: &[usize],
    account: &Account,
) -> Result<(Layout, Vec<PartStore>)> {
    let split = |width: usize| {
        let bytes = rows.iter().sum::<usize>().checked_mul(width);
        let bytes = bytes.ok_or_else(|| Error::new(Kind::MemoryLimit, "a column larger than the address space"))?;
        Region::counted(bytes, account)?.split(rows.iter().map(|rows| rows * width))
    };
    let data_type = field.data_type();
    if let Some(width) = fixed_width(data_type) {
        let (frozen, slots) = split(width)?;
        return Ok((Layout::Fixed(frozen), slots.into_iter().map(|slot| PartStore::Fixed { slot, width }).collect()));
    }
    let placed = shapes.iter().all(|shape| shape.elements.is_some());
    match (data_type, ends_width(data_type)) {
        (DataType::Boolean, _) => {
            let bits = rows.iter().map(|rows| PartStore::Bits(BooleanBufferBuilder::new(*rows)));
            Ok((Layout::Bits, bits.collect()))
        }
        (DataType::Utf8View | DataType::BinaryView, _) => {
            let (frozen, slots) = split(VIEW_BYTES)?;
            let buffers = Buffers::default();
            let part = |slot| PartStore::Views(ViewPart::new(slot, buffers.clone(), account.clone()));
            let parts = slots.into_iter().map(part).collect();
            Ok((Layout::Views(frozen, buffers), parts))
        }
        (DataType::Dictionary(_, _), _) => {
            let (frozen, slots) = split(CODE_BYTES)?;
            let categories = Categories::new(account.clone());
            let part = |slot| PartStore::Codes { slot, categories: categories.clone() };
            let parts = slots.into_iter().map(part).collect();
            Ok((Layout::Codes(frozen, categories), parts))
        }
        (data_type, Some(width)) if placed || !data_type.is_nested() => {
            let (target, parts) = EndsTarget::new(shapes, width, account)?;
            Ok((Layout::Ends(target), parts.into_iter().map(PartStore::Ends).collect()))
        }
        _ => Ok((Layout::Joined, rows.iter().map(|_| PartStore::Joined(Vec::new())).collect())),
    }
}

impl ColumnPart {
    /// The column's type.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Rows that are written.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Rows still to come.
    pub fn missing(&self) -> usize {
        self.rows - self.written
    }

    /// Counts rows that were written into the store. More than announced is an error.
    pub fn advance(&mut self, rows: usize) -> Result<()> {
        self.check(rows)?;
        self.written += rows;
        Ok(())
    }

    /// Whether so many more rows fit.
    pub fn check(&self, rows: usize) -> Result<()> {
        if rows > self.missing() {
            let message = format!("a row group holds more rows than the {} its footer states", self.rows);
            return Err(Error::new(Kind::ParquetDecoding, message));
        }
        Ok(())
    }

    /// Appends a batch of the column's own type; views too where the column is contiguous strings, and dates where it
    /// is seconds.
    pub fn append(&mut self, array: &ArrayRef) -> Result<()> {
        if let (DataType::Date32, DataType::Timestamp(TimeUnit::Second, None)) = (array.data_type(), &self.data_type) {
            let seconds = arrow_cast::cast(array, &self.data_type);
            return self.append(&seconds.map_err(|e| Error::new(Kind::Internal, format!("dates as seconds: {e}")))?);
        }
        let same = match (array.data_type(), &self.data_type) {
            (DataType::Utf8View, DataType::LargeUtf8) | (DataType::BinaryView, DataType::LargeBinary) => true,
            (DataType::Utf8View | DataType::BinaryView, DataType::Dictionary(_, _)) => true,
            (theirs, ours) => theirs == ours,
        };
        if !same {
            let message = format!("decoded {} where {} is expected", array.data_type(), self.data_type);
            return Err(Error::new(Kind::Internal, message));
        }
        self.check(array.len())?;
        let row = self.written;
        match &mut self.store {
            PartStore::Fixed { slot, width } => {
                let (from, to) = (row * *width, (row + array.len()) * *width);
                let data = array.to_data();
                let start = data.offset() * *width;
                let values = &data.buffers()[0].as_slice()[start..start + array.len() * *width];
                slot[from..to].copy_from_slice(values);
            }
            PartStore::Bits(bits) => bits.append_buffer(array.as_boolean().values()),
            PartStore::Views(part) => match array.data_type() {
                DataType::Utf8View => part.append(row, array.as_byte_view::<StringViewType>())?,
                _ => part.append(row, array.as_byte_view::<BinaryViewType>())?,
            },
            PartStore::Ends(part) => append_to_ends(part, row, array)?,
            PartStore::Codes { slot, categories } => {
                let codes = encode(categories, array)?;
                slot[row * CODE_BYTES..(row + array.len()) * CODE_BYTES].copy_from_slice(&codes);
            }
            PartStore::Joined(arrays) => arrays.push(Arc::clone(array)),
        }
        if !matches!(self.store, PartStore::Joined(_)) {
            self.validity.append_array(array);
        }
        self.advance(array.len())
    }

    /// Copies long strings to memory of the part's own instead of keeping the pages they came in with others: for parts
    /// of which only some rows are wanted. Must be called before the first row, or not at all.
    pub fn copy_strings(&mut self) {
        if let PartStore::Views(part) = &mut self.store {
            part.copy_strings();
        }
    }

    /// Forgets every row so far.
    pub fn reset(&mut self) -> Result<()> {
        self.written = 0;
        self.validity = Validity::new(self.rows);
        match &mut self.store {
            PartStore::Fixed { .. } | PartStore::Codes { .. } => {}
            PartStore::Bits(bits) => bits.truncate(0),
            PartStore::Views(part) => part.reset()?,
            PartStore::Ends(part) => part.reset(),
            PartStore::Joined(arrays) => arrays.clear(),
        }
        Ok(())
    }

    /// Hands the part in. Fewer rows than announced is an error.
    pub fn finish(self) -> Result<()> {
        if self.written != self.rows {
            let message = format!("a row group ended after {} of {} rows", self.written, self.rows);
            return Err(Error::new(Kind::ParquetDecoding, message));
        }
        let left = match self.store {
            // drops the slot: its bytes are written
            PartStore::Fixed { .. } | PartStore::Codes { .. } => Left::Nothing,
            PartStore::Bits(bits) => Left::Bits(bits.build()),
            PartStore::Views(part) => part.finish().map(|()| Left::Nothing)?,
            PartStore::Ends(part) => Left::Ends(part.finish()),
            PartStore::Joined(arrays) => Left::Arrays(arrays),
        };
        let piece = Piece { nulls: self.validity.finish(), left };
        let mut finished = self.pieces.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = finished.get_mut(self.index) {
            *place = Some(piece);
        }
        Ok(())
    }
}

fn append_to_ends(part: &mut EndsPart, row: usize, array: &ArrayRef) -> Result<()> {
    let mut push = |at: usize, value: &[u8]| part.push(row + at, value);
    match array.data_type() {
        DataType::Utf8View => {
            let strings = array.as_string_view();
            (0..array.len())
                .try_for_each(|at| push(at, if strings.is_null(at) { b"" } else { strings.value(at).as_bytes() }))
        }
        DataType::BinaryView => {
            let strings = array.as_binary_view();
            (0..array.len()).try_for_each(|at| push(at, if strings.is_null(at) { b"" } else { strings.value(at) }))
        }
        DataType::LargeList(_) => append_lists(part, row, array),
        other => Err(Error::new(Kind::Internal, format!("{other} in a column of strings or lists"))),
    }
}

/// The positions of a batch of views; a null has that of the empty string.
fn encode(categories: &Categories, array: &ArrayRef) -> Result<Vec<u8>> {
    let mut codes = Vec::with_capacity(array.len() * CODE_BYTES);
    match array.data_type() {
        DataType::Utf8View => {
            let strings = array.as_string_view().iter();
            categories.encode(strings.map(|text| text.unwrap_or_default().as_bytes()), &mut codes)?;
        }
        _ => categories.encode(array.as_binary_view().iter().map(Option::unwrap_or_default), &mut codes)?,
    }
    Ok(codes)
}

fn append_lists(part: &mut EndsPart, row: usize, array: &ArrayRef) -> Result<()> {
    let list = array.as_list::<i64>();
    let width = fixed_width(&list.value_type()).unwrap_or(0);
    for at in 0..list.len() {
        let values = if list.is_null(at) { list.values().slice(0, 0) } else { list.value(at) };
        let data = values.to_data();
        let start = data.offset() * width;
        let bytes = data.buffers()[0].as_slice().get(start..start + values.len() * width);
        part.push(row + at, bytes.unwrap_or_default())?;
        part.elements.append_array(&values);
    }
    Ok(())
}

fn join_bits(pieces: &[Piece], rows: usize) -> BooleanBuffer {
    let mut bits = BooleanBufferBuilder::new(rows);
    for piece in pieces {
        if let Left::Bits(part) = &piece.left {
            bits.append_buffer(part);
        }
    }
    bits.build()
}

fn join(data_type: &DataType, pieces: Vec<Piece>) -> Result<ArrayRef> {
    let arrays = pieces.into_iter().flat_map(|piece| match piece.left {
        Left::Arrays(arrays) => arrays,
        _ => Vec::new(),
    });
    let arrays: Vec<ArrayRef> = arrays.collect();
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
    // SAFETY: the buffers were written row by row as the layout wants them: `len` fixed-width values or bits; views whose
    // offsets and UTF-8 were checked when they were made and whose buffer index is that of the same bytes; ends that only
    // grow, up to the length of their data. A checked build would read every string again.
    Ok(make_array(unsafe { builder.build_unchecked() }))
}

/// A column whose every row is the same value: `value` holds that one row.
pub fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    let indices = arrow_array::UInt32Array::from(vec![0u32; rows]);
    let column = arrow_select::take::take(value, &indices, None);
    column.map_err(|e| Error::new(Kind::Internal, format!("constant column: {e}")))
}
