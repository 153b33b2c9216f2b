//! Which rows of a frame, in which order: a range, which is a view, or positions, which are taken.
//!
//! Must not know: why.

use std::ops::Range;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_buffer::ScalarBuffer;

use crate::error::{Error, Kind, Result};

/// Some rows of a frame.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    Range(Range<usize>),
    Picked(ScalarBuffer<u32>),
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        match self {
            Rows::Range(range) => range.len(),
            Rows::Picked(positions) => positions.len(),
        }
    }

    /// `length` rows from the `start`-th on, as far as there are any.
    pub(crate) fn part(&self, start: usize, length: usize) -> Rows {
        let start = start.min(self.len());
        let length = length.min(self.len() - start);
        match self {
            Rows::Range(range) => Rows::Range(range.start + start..range.start + start + length),
            Rows::Picked(positions) => Rows::Picked(positions.slice(start, length)),
        }
    }

    /// The frame's row of the `at`-th.
    pub(crate) fn row(&self, at: usize) -> usize {
        match self {
            Rows::Range(range) => range.start + at,
            Rows::Picked(positions) => positions.get(at).map_or(0, |row| *row as usize),
        }
    }

    /// These rows of a column.
    pub(crate) fn of(&self, column: &ArrayRef) -> Result<ArrayRef> {
        match self {
            Rows::Range(range) => Ok(column.slice(range.start, range.len())),
            Rows::Picked(positions) => {
                let positions = UInt32Array::new(positions.clone(), None);
                arrow_select::take::take(column, &positions, None)
                    .map_err(|e| Error::new(Kind::Internal, format!("rows were not taken: {e}")))
            }
        }
    }

    /// These rows in another order: `order` holds positions among them.
    pub(crate) fn ordered(&self, order: &UInt32Array) -> Rows {
        Rows::Picked(order.values().iter().map(|at| self.row(*at as usize) as u32).collect())
    }
}

/// Positions are of 32 bits.
pub(crate) fn check_count(rows: usize) -> Result<()> {
    match u32::try_from(rows) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(Kind::InvalidArgument, format!("a frame of {rows} rows is too long to be written"))
            .hint("write it in parts of at most 4,294,967,295 rows")),
    }
}
