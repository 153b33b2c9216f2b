//! Replaced by the filters branch.
use arrow_array::{ArrayRef, BooleanArray};

use crate::error::{Error, Kind, Result};
use crate::iceberg::predicate::Predicate;

/// Evaluates.
pub fn evaluate(
    _predicate: &Predicate,
    _resolve: &dyn Fn(i32) -> Result<ArrayRef>,
    _rows: usize,
) -> Result<BooleanArray> {
    Err(Error::new(Kind::Unsupported, "filters come with the filters branch"))
}
