//! Columns that a decoder program fills: integers, floats, bytes and lists, each value nullable.
//!
//! A column is padded with nulls up to a row only when a later value arrives, so a null costs nothing while decoding.
//! Must not know: Avro's encodings, what a column means.

use super::cursor::invalid;
use crate::error::Result;

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

/// One decoded column.
#[derive(Debug)]
pub(crate) struct Column {
    valid: Vec<bool>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Bytes { ends: Vec<usize>, bytes: Vec<u8> },
    List { ends: Vec<usize> },
}

impl Column {
    pub(super) fn new(kind: ColumnKind) -> Column {
        let data = match kind {
            ColumnKind::Integer => Data::Integer(Vec::new()),
            ColumnKind::Float => Data::Float(Vec::new()),
            ColumnKind::Bytes => Data::Bytes { ends: Vec::new(), bytes: Vec::new() },
            ColumnKind::List => Data::List { ends: Vec::new() },
        };
        Column { valid: Vec::new(), data }
    }

    /// The value, None for null or a column of another kind.
    #[inline]
    pub(crate) fn integer(&self, row: usize) -> Option<i64> {
        match &self.data {
            Data::Integer(values) if self.is_valid(row) => values.get(row).copied(),
            _ => None,
        }
    }

    /// The value, None for null or a column of another kind.
    pub(crate) fn float(&self, row: usize) -> Option<f64> {
        match &self.data {
            Data::Float(values) if self.is_valid(row) => values.get(row).copied(),
            _ => None,
        }
    }

    /// The value, None for null or a column of another kind.
    #[inline]
    pub(crate) fn bytes(&self, row: usize) -> Option<&[u8]> {
        match &self.data {
            Data::Bytes { ends, bytes } if self.is_valid(row) => bytes.get(start_of(ends, row)..*ends.get(row)?),
            _ => None,
        }
    }

    /// The rows of the item columns that a list holds, None for null.
    pub(crate) fn items(&self, row: usize) -> Option<std::ops::Range<usize>> {
        match &self.data {
            Data::List { ends } if self.is_valid(row) => Some(start_of(ends, row)..*ends.get(row)?),
            _ => None,
        }
    }

    fn is_valid(&self, row: usize) -> bool {
        self.valid.get(row).copied().unwrap_or(false)
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
        if let Data::Bytes { ends, bytes } = &mut self.data {
            bytes.extend_from_slice(value);
            ends.push(bytes.len());
        }
        Ok(())
    }

    /// Where the items of the next list start.
    pub(super) fn next_item(&self) -> usize {
        match &self.data {
            Data::List { ends } => ends.last().copied().unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn push_list(&mut self, row: usize, end: usize) -> Result<()> {
        self.advance(row)?;
        if let Data::List { ends } = &mut self.data {
            ends.push(end);
        }
        Ok(())
    }

    /// Pads with nulls up to `row` and marks it valid; the caller pushes its value.
    #[inline]
    fn advance(&mut self, row: usize) -> Result<()> {
        if self.valid.len() != row {
            self.pad(row)?;
        }
        self.valid.push(true);
        Ok(())
    }

    #[cold]
    fn pad(&mut self, row: usize) -> Result<()> {
        if self.valid.len() > row {
            return Err(invalid("Avro: a map names one key twice"));
        }
        self.valid.resize(row, false);
        match &mut self.data {
            Data::Integer(values) => values.resize(row, 0),
            Data::Float(values) => values.resize(row, 0.0),
            Data::Bytes { ends, .. } | Data::List { ends } => {
                let last = ends.last().copied().unwrap_or(0);
                ends.resize(row, last);
            }
        }
        Ok(())
    }
}

fn start_of(ends: &[usize], row: usize) -> usize {
    row.checked_sub(1).and_then(|before| ends.get(before).copied()).unwrap_or(0)
}
