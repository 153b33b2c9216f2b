//! Strings and binary between their layouts: views (Polars, DuckDB) and contiguous (pandas, PyArrow), in parallel.
//!
//! Flat columns of views take the fast way ([`super::contiguous`]); strings inside of lists, structs and maps, and the
//! way back to views (which shares the bytes), are `arrow-cast`'s. Must not know: where a column goes.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_cast::CastOptions;
use arrow_schema::{DataType, Field, FieldRef, Fields};

use crate::error::{Error, Kind, Result};
use crate::frame::contiguous::contiguous;
use crate::parallel;

/// How strings and binary lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringLayout {
    /// `utf8_view`, `binary_view`: what Polars and DuckDB take as it is
    View,
    /// `large_utf8`, `large_binary`: what pandas and PyArrow have kernels for
    LargeString,
}

/// Columns with every string and binary, at any depth, in this layout; what has it already is shared.
pub fn convert(columns: &[ArrayRef], layout: StringLayout, threads: usize) -> Result<Vec<ArrayRef>> {
    let types: Vec<DataType> = columns.iter().map(|column| target(column.data_type(), layout)).collect();
    to_types(columns, &types, threads)
}

/// Columns as these types; what has its type already is shared. An impossible cast is an error, a lossy one too.
pub fn to_types(columns: &[ArrayRef], types: &[DataType], threads: usize) -> Result<Vec<ArrayRef>> {
    let pairs = || columns.iter().zip(types);
    let fast: Vec<&ArrayRef> = pairs().filter(|(column, to)| is_fast(column, to)).map(|(column, _)| column).collect();
    let mut fast = contiguous(&fast, threads)?.into_iter();
    let rest: Vec<_> = pairs().filter(|(column, to)| !is_fast(column, to)).collect();
    let mut rest = parallel::map(rest, threads, |(column, to)| cast(column, to)).into_iter();
    let missing = || Error::new(Kind::Internal, "a column was not converted");
    pairs()
        .map(|(column, to)| match is_fast(column, to) {
            true => fast.next().ok_or_else(missing),
            false => rest.next().unwrap_or_else(|| Err(missing())),
        })
        .collect()
}

fn is_fast(column: &ArrayRef, to: &DataType) -> bool {
    matches!(
        (column.data_type(), to),
        (DataType::Utf8View, DataType::LargeUtf8) | (DataType::BinaryView, DataType::LargeBinary)
    )
}

fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if to == column.data_type() {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    arrow_cast::cast_with_options(column, to, &options)
        .map_err(|e| Error::new(Kind::TypeMismatch, format!("{} as {to}: {e}", column.data_type())))
}

/// `data_type` with strings and binary in this layout at every depth.
pub fn target(data_type: &DataType, layout: StringLayout) -> DataType {
    let inner = |field: &FieldRef| -> FieldRef {
        let field: &Field = field;
        Arc::new(field.clone().with_data_type(target(field.data_type(), layout)))
    };
    match (data_type, layout) {
        (DataType::Utf8View | DataType::Utf8, StringLayout::LargeString) => DataType::LargeUtf8,
        (DataType::BinaryView | DataType::Binary, StringLayout::LargeString) => DataType::LargeBinary,
        (DataType::Utf8 | DataType::LargeUtf8, StringLayout::View) => DataType::Utf8View,
        (DataType::Binary | DataType::LargeBinary, StringLayout::View) => DataType::BinaryView,
        (DataType::Struct(fields), _) => DataType::Struct(fields.iter().map(inner).collect::<Fields>()),
        (DataType::List(element), _) => DataType::List(inner(element)),
        (DataType::LargeList(element), _) => DataType::LargeList(inner(element)),
        (DataType::FixedSizeList(element, size), _) => DataType::FixedSizeList(inner(element), *size),
        (DataType::Map(entries, sorted), _) => DataType::Map(inner(entries), *sorted),
        (other, _) => other.clone(),
    }
}
