//! Columns that a decoder program fills: integers, floats, bytes and lists, each value nullable.
//!
//! A [`Builder`] is padded with nulls up to a row only when a later value arrives, so a null costs nothing while decoding.
//! What it is finished into has Arrow's layout: a file list shares its memory, and so does a cache. Must not know: Avro's
//! encodings, what a column means.

use arrow_buffer::{Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};

use super::cursor::invalid;
use crate::error::Result;

/// Bytes of a column that a byte of the file is believed to become.
const MOST_EXPECTED: usize = 16;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// boolean (0, 1), int, long
    Integer,
    /// float (widened), double
    Float,
    /// bytes, string, fixed
    Bytes,
    /// An array of records; its items are rows of other columns
    List,
}

/// One decoded column. Cheap to clone: memory is shared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    nulls: Option<NullBuffer>,
    values: Values,
}

/// The values of a column; what stands at a null's place means nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Integer(ScalarBuffer<i64>),
    Float(ScalarBuffer<f64>),
    Bytes(OffsetBuffer<i32>, Buffer),
    List(OffsetBuffer<i32>),
}

impl Column {
    /// Nothing but nulls.
    pub(crate) fn empty() -> Column {
        Column { nulls: None, values: Values::Integer(Vec::new().into()) }
    }

    /// The value, None for null or a column of another kind.
    #[inline]
    pub(crate) fn integer(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Integer(values) => values.get(row).copied().filter(|_| self.is_valid(row)),
            _ => None,
        }
    }

    /// The value, None for null or a column of another kind.
    pub(crate) fn float(&self, row: usize) -> Option<f64> {
        match &self.values {
            Values::Float(values) => values.get(row).copied().filter(|_| self.is_valid(row)),
            _ => None,
        }
    }

    /// The value, None for null or a column of another kind.
    #[inline]
    pub(crate) fn bytes(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Bytes(offsets, bytes) => bytes.get(range(offsets, row)?).filter(|_| self.is_valid(row)),
            _ => None,
        }
    }

    /// The rows of the item columns that a list holds, None for null.
    pub(crate) fn items(&self, row: usize) -> Option<std::ops::Range<usize>> {
        match &self.values {
            Values::List(offsets) => range(offsets, row).filter(|_| self.is_valid(row)),
            _ => None,
        }
    }

    /// Items of all lists together.
    pub(crate) fn all_items(&self) -> usize {
        match &self.values {
            Values::List(offsets) => offsets.last().unsigned_abs() as usize,
            _ => 0,
        }
    }

    /// Which rows are null; None: none is.
    pub(crate) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// Rows; 0 where all are null.
    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::Integer(values) => values.len(),
            Values::Float(values) => values.len(),
            Values::Bytes(offsets, _) | Values::List(offsets) => offsets.len() - 1,
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// Bytes of memory.
    pub(crate) fn size(&self) -> usize {
        let values = match &self.values {
            Values::Integer(values) => values.inner().capacity(),
            Values::Float(values) => values.inner().capacity(),
            Values::Bytes(offsets, bytes) => offsets.inner().inner().capacity() + bytes.capacity(),
            Values::List(offsets) => offsets.inner().inner().capacity(),
        };
        values + self.nulls.as_ref().map_or(0, |nulls| nulls.buffer().capacity())
    }

    #[inline]
    fn is_valid(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
    }
}

#[inline]
fn range(offsets: &[i32], row: usize) -> Option<std::ops::Range<usize>> {
    let (start, end) = (offsets.get(row)?, offsets.get(row + 1)?);
    Some(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
}

/// A column that is being filled.
#[derive(Debug)]
pub(super) struct Builder {
    nulls: NullBufferBuilder,
    data: Data,
}

/// Offsets start with 0. They fit 32 bits, since a file's blocks hold less than 2^31 bytes (`MAX_FILE_BYTES`).
#[derive(Debug)]
enum Data {
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Bytes { offsets: Vec<i32>, bytes: Vec<u8> },
    List { offsets: Vec<i32> },
}

impl Builder {
    pub(super) fn new(kind: ColumnKind) -> Builder {
        let data = match kind {
            ColumnKind::Integer => Data::Integer(Vec::new()),
            ColumnKind::Float => Data::Float(Vec::new()),
            ColumnKind::Bytes => Data::Bytes { offsets: vec![0], bytes: Vec::new() },
            ColumnKind::List => Data::List { offsets: vec![0] },
        };
        Builder { nulls: NullBufferBuilder::new(0), data }
    }

    #[inline]
    pub(super) fn push_integer(&mut self, row: usize, value: i64) -> Result<()> {
        self.advance(row)?;
        if let Data::Integer(values) = &mut self.data {
            values.push(value);
        }
        Ok(())
    }

    pub(super) fn push_float(&mut self, row: usize, value: f64) -> Result<()> {
        self.advance(row)?;
        if let Data::Float(values) = &mut self.data {
            values.push(value);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn push_bytes(&mut self, row: usize, value: &[u8]) -> Result<()> {
        self.advance(row)?;
        if let Data::Bytes { offsets, bytes } = &mut self.data {
            bytes.extend_from_slice(value);
            offsets.push(bytes.len() as i32);
        }
        Ok(())
    }

    /// Makes room for what is to come, if it is as what came: `done` bytes of the file, `left` follow.
    pub(super) fn make_room(&mut self, done: usize, left: usize) {
        match &mut self.data {
            Data::Integer(values) => make_room(values, done, left),
            Data::Float(values) => make_room(values, done, left),
            Data::List { offsets } => make_room(offsets, done, left),
            Data::Bytes { offsets, bytes } => {
                make_room(offsets, done, left);
                make_room(bytes, done, left);
            }
        }
    }

    /// Where the items of the next list start.
    pub(super) fn next_item(&self) -> usize {
        match &self.data {
            Data::List { offsets } => offsets.last().map_or(0, |last| last.unsigned_abs() as usize),
            _ => 0,
        }
    }

    pub(super) fn push_list(&mut self, row: usize, end: usize) -> Result<()> {
        self.advance(row)?;
        if let Data::List { offsets } = &mut self.data {
            offsets.push(end as i32);
        }
        Ok(())
    }

    /// Appends a part that was decoded apart, whose first row is `row`.
    pub(super) fn append(&mut self, row: usize, part: &Column) -> Result<()> {
        if part.is_empty() {
            return Ok(()); // padded when a value comes
        }
        if self.nulls.len() < row {
            self.pad(row)?;
        }
        let rows = match (&mut self.data, &part.values) {
            (Data::Integer(values), Values::Integer(more)) => {
                values.extend_from_slice(more);
                more.len()
            }
            (Data::Float(values), Values::Float(more)) => {
                values.extend_from_slice(more);
                more.len()
            }
            (Data::Bytes { offsets, bytes }, Values::Bytes(more, values)) => {
                bytes.extend_from_slice(values);
                shift(offsets, more)
            }
            (Data::List { offsets }, Values::List(more)) => shift(offsets, more),
            _ => return Err(invalid("Avro: parts of a file differ")),
        };
        match &part.nulls {
            Some(nulls) => self.nulls.append_buffer(nulls),
            None => self.nulls.append_n_non_nulls(rows),
        }
        Ok(())
    }

    /// The column, padded with nulls to at least so many rows; one that holds nothing else stays empty.
    pub(super) fn finish(mut self, rows: usize) -> Result<Column> {
        if (1..rows).contains(&self.nulls.len()) {
            self.pad(rows)?;
        }
        let values = match self.data {
            Data::Integer(values) => Values::Integer(tight(values).into()),
            Data::Float(values) => Values::Float(tight(values).into()),
            Data::Bytes { offsets, bytes } => {
                Values::Bytes(OffsetBuffer::new(tight(offsets).into()), Buffer::from_vec(tight(bytes)))
            }
            Data::List { offsets } => Values::List(OffsetBuffer::new(tight(offsets).into())),
        };
        Ok(Column { nulls: self.nulls.finish(), values })
    }

    /// Pads with nulls up to `row` and marks it valid; the caller pushes its value.
    #[inline]
    fn advance(&mut self, row: usize) -> Result<()> {
        if self.nulls.len() != row {
            self.pad(row)?;
        }
        self.nulls.append_non_null();
        Ok(())
    }

    #[cold]
    fn pad(&mut self, row: usize) -> Result<()> {
        let missing = row.checked_sub(self.nulls.len());
        let missing = missing.ok_or_else(|| invalid("Avro: a map names one key twice"))?;
        self.nulls.append_n_nulls(missing);
        match &mut self.data {
            Data::Integer(values) => values.resize(row, 0),
            Data::Float(values) => values.resize(row, 0.0),
            Data::Bytes { offsets, .. } | Data::List { offsets } => {
                let last = offsets.last().copied().unwrap_or(0);
                offsets.resize(row + 1, last);
            }
        }
        Ok(())
    }
}

/// Appends offsets that begin anew; returns how many rows they are of.
fn shift(offsets: &mut Vec<i32>, more: &OffsetBuffer<i32>) -> usize {
    let base = offsets.last().copied().unwrap_or(0);
    offsets.extend(more.iter().skip(1).map(|offset| base.saturating_add(*offset)));
    more.len() - 1
}

/// Room for a little more than is expected, and never for much more than the file's bytes: what came may have been told to
/// deceive.
fn make_room<T>(values: &mut Vec<T>, done: usize, left: usize) {
    let more = values.len() as u128 * left as u128 * 17 / 16 / done.max(1) as u128;
    let most = MOST_EXPECTED * left / size_of::<T>();
    let _ = values.try_reserve(more.min(most as u128) as usize);
}

/// Without much room for more: what is cached is counted.
fn tight<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() - values.len() > values.len() / 8 {
        values.shrink_to_fit();
    }
    values
}
