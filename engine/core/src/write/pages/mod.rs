//! Values of one flat column -> the pages of a column chunk, encoded here rather than by the crate's writer.
//!
//! A page is closed every so many rows or bytes and compressed at once; the dictionary page comes to the front when the
//! chunk is whole. A dictionary that outgrows its limit ends with the page that filled it, and PLAIN pages follow. What is
//! not flat, or of a type, codec or wish (Bloom filters) that is not known here, is left to the crate. Format:
//! parquet-format's README, Encodings.md, PageIndex.md. Must not know: frames, files, partitions.
//!
//! Inside: `numbers` and `strings` hold a page's values, their dictionary and their extremes; `hybrid` packs positions
//! and levels; `sink` compresses, counts and describes.

mod codec;
mod hybrid;
mod numbers;
mod sink;
mod strings;
mod table;

use std::collections::VecDeque;
use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::basic::{Encoding, LogicalType, Type as Physical};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use crate::error::Result;
use crate::iceberg::schema::Type;
use numbers::Numbers;
use sink::Sink;
use strings::Strings;

/// An encoded column chunk.
pub(super) struct Chunk {
    /// In the order of the file: the dictionary page first
    pub(super) pages: VecDeque<Bytes>,
    pub(super) close: ColumnCloseResult,
}

/// What a page's statistics tell: the extremes as PLAIN bytes, unless there is none to be told.
struct Extremes {
    min: Vec<u8>,
    max: Vec<u8>,
}

/// A page's values without its levels.
struct Page {
    encoding: Encoding,
    values: usize,
    /// NaNs, of floats
    nans: Option<u64>,
    extremes: Option<Extremes>,
    /// Bytes of its strings without their lengths
    text_bytes: Option<u64>,
}

/// The values of one physical type.
trait Values {
    /// Another array comes: what was known of the memory of the last one is so no more.
    fn begin(&mut self) {}

    /// Adds the values of these rows, none of which is null, until the page has `most_bytes` or the dictionary is full.
    /// Returns how many; one at least. What needs no dictionary is appended to `body` at once.
    fn add(&mut self, array: &ArrayRef, rows: Range<usize>, most_bytes: usize, body: &mut Vec<u8>) -> Result<usize>;

    /// Whether the page is to end with what it has.
    fn is_full(&self, most_bytes: usize) -> bool;

    /// Appends to `body` what is not there of the page's values, and forgets them.
    fn finish_page(&mut self, body: &mut Vec<u8>) -> Page;

    /// The dictionary page's values and their number; None without one.
    fn dictionary(&self) -> Option<(Vec<u8>, usize)>;

    /// Of all pages.
    fn statistics(&self, nulls: u64, longest_bytes: Option<usize>) -> Statistics;

    /// Whether one page's extremes (PLAIN bytes) are larger than another's.
    fn is_larger(&self, one: &[u8], other: &[u8]) -> bool;

    /// An extreme as a page index tells it.
    fn shortened(&self, extreme: Vec<u8>, longest_bytes: Option<usize>, is_max: bool) -> Vec<u8>;
}

/// A column chunk under way.
pub(super) struct Column {
    values: Box<dyn Values>,
    sink: Sink,
    /// Which rows of the page hold a value; None where all must
    levels: Option<BooleanBufferBuilder>,
    rows: usize,
    nulls: usize,
    page_rows: usize,
    page_bytes: usize,
    /// The page's values behind room for its levels, which are known last
    body: Vec<u8>,
    levels_room: usize,
    /// The page's levels, encoded
    encoded: Vec<u8>,
}

/// Whether a column of this type can be encoded here.
pub(super) fn is_known(
    descriptor: &ColumnDescPtr,
    field: &Type,
    layout: &DataType,
    wish: &WriterPropertiesPtr,
) -> bool {
    let path = descriptor.path();
    let is_flat = descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1;
    let has_bloom = wish.bloom_filter_properties(path).is_some();
    is_flat && !has_bloom && codec::is_known(wish.compression(path)) && kind(descriptor, field, layout).is_some()
}

/// The physical type, if values in this layout are known as such.
fn kind(descriptor: &ColumnDescPtr, field: &Type, layout: &DataType) -> Option<Physical> {
    let physical = descriptor.physical_type();
    let fits = match (field, physical) {
        (Type::Int | Type::Date, Physical::INT32) => layout.primitive_width() == Some(4),
        (Type::Long | Type::Time | Type::Timestamp(_) | Type::TimestampNs(_), Physical::INT64) => {
            layout.primitive_width() == Some(8)
        }
        (Type::Decimal(..), Physical::INT32 | Physical::INT64) => matches!(layout, DataType::Decimal128(..)),
        (Type::Float, Physical::FLOAT) => *layout == DataType::Float32,
        (Type::Double, Physical::DOUBLE) => *layout == DataType::Float64,
        (Type::String | Type::Binary, Physical::BYTE_ARRAY) => strings::is_known(layout),
        _ => false,
    };
    fits.then_some(physical)
}

impl Column {
    /// A chunk of a column that [`is_known`]; None where its values are not.
    pub(super) fn new(
        descriptor: &ColumnDescPtr,
        field: &Type,
        layout: &DataType,
        wish: &WriterPropertiesPtr,
        with_dictionary: bool,
    ) -> Option<Column> {
        let limit = with_dictionary.then(|| wish.column_dictionary_page_size_limit(descriptor.path()));
        let is_text = descriptor.logical_type_ref() == Some(&LogicalType::String);
        let values: Box<dyn Values> = match kind(descriptor, field, layout)? {
            Physical::INT32 => Box::new(Numbers::<i32>::new(limit)),
            Physical::INT64 => Box::new(Numbers::<i64>::new(limit)),
            Physical::FLOAT => Box::new(Numbers::<f32>::new(limit)),
            Physical::DOUBLE => Box::new(Numbers::<f64>::new(limit)),
            Physical::BYTE_ARRAY => Box::new(Strings::new(limit, is_text)),
            _ => return None,
        };
        let page_rows = wish.data_page_row_count_limit().max(1);
        let levels_room = if descriptor.max_def_level() > 0 { hybrid::most_level_bytes(page_rows) } else { 0 };
        Some(Column {
            values,
            sink: Sink::new(descriptor, wish),
            levels: (descriptor.max_def_level() > 0).then(|| BooleanBufferBuilder::new(page_rows)),
            rows: 0,
            nulls: 0,
            page_rows,
            page_bytes: wish.column_data_page_size_limit(descriptor.path()),
            body: vec![0; levels_room],
            levels_room,
            encoded: Vec::new(),
        })
    }

    /// Appends rows.
    pub(super) fn write(&mut self, array: &ArrayRef) -> Result<()> {
        self.values.begin();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| nulls.inner().clone());
        let mut row = 0;
        while row < array.len() {
            let end = (row + self.page_rows - self.rows).min(array.len());
            row += self.add(array, nulls.as_ref(), row..end)?;
            if self.rows >= self.page_rows || self.values.is_full(self.page_bytes) {
                self.finish_page()?;
            }
        }
        Ok(())
    }

    /// Adds rows to the page until it is full. Returns how many.
    fn add(&mut self, array: &ArrayRef, valid: Option<&BooleanBuffer>, rows: Range<usize>) -> Result<usize> {
        let Some(valid) = valid else {
            let added = self.values.add(array, rows, self.page_bytes, &mut self.body)?;
            self.rows += added;
            if let Some(levels) = &mut self.levels {
                levels.append_n(added, true);
            }
            return Ok(added);
        };
        let all = valid.slice(rows.start, rows.len());
        let mut added = rows.len();
        for (start, end) in all.set_slices() {
            let run = rows.start + start..rows.start + end;
            let here = self.values.add(array, run, self.page_bytes, &mut self.body)?;
            if here < end - start {
                added = start + here;
                break;
            }
        }
        let here = all.slice(0, added);
        self.rows += added;
        self.nulls += added - here.count_set_bits();
        if let Some(levels) = &mut self.levels {
            levels.append_buffer(&here);
        }
        Ok(added)
    }

    fn finish_page(&mut self) -> Result<()> {
        self.encoded.clear();
        if let Some(levels) = &mut self.levels {
            hybrid::levels(&levels.finish(), self.nulls, &mut self.encoded);
        }
        let page = self.values.finish_page(&mut self.body);
        let start = self.levels_room - self.encoded.len();
        self.body[start..self.levels_room].copy_from_slice(&self.encoded);
        self.sink.page(page, &self.body[start..], (self.rows, self.nulls), self.values.as_ref())?;
        self.body.truncate(self.levels_room);
        (self.rows, self.nulls) = (0, 0);
        Ok(())
    }

    /// The chunk, once all rows were written.
    pub(super) fn close(mut self) -> Result<Chunk> {
        if self.rows > 0 {
            self.finish_page()?;
        }
        self.sink.close(self.values.as_ref())
    }
}

#[cfg(test)]
mod tests;
