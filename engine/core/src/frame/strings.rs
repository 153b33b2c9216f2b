//! Strings and binary between their layouts: views (Polars, DuckDB) and contiguous (pandas, PyArrow), in parallel.
//!
//! Must not know: where a column goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow_array::ArrayRef;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, FieldRef, Fields};

use crate::error::{Error, Kind, Result};
use crate::load::StringLayout;

/// Columns with every string and binary, at any depth, in this layout; what has it already is shared.
pub fn convert(columns: &[ArrayRef], layout: StringLayout, threads: usize) -> Result<Vec<ArrayRef>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<ArrayRef>>>> = Mutex::new(columns.iter().map(|_| None).collect());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(column) = columns.get(at) else { return };
            let converted = convert_one(column, layout);
            if let Some(place) = done.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
                *place = Some(converted);
            }
        }
    };
    let changes = columns.iter().filter(|column| target(column.data_type(), layout) != *column.data_type()).count();
    std::thread::scope(|scope| {
        for _ in 1..threads.min(changes) {
            scope.spawn(work);
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missing = || Error::new(Kind::Internal, "a column was not converted");
    done.into_iter().map(|column| column.unwrap_or_else(|| Err(missing()))).collect()
}

fn convert_one(column: &ArrayRef, layout: StringLayout) -> Result<ArrayRef> {
    let to = target(column.data_type(), layout);
    if to == *column.data_type() {
        return Ok(Arc::clone(column));
    }
    cast(column, &to)
        .map_err(|e| Error::new(Kind::Internal, format!("strings from {} to {to}: {e}", column.data_type())))
}

/// `data_type` with strings and binary in this layout at every depth.
pub fn target(data_type: &DataType, layout: StringLayout) -> DataType {
    let inner = |field: &FieldRef| -> FieldRef {
        let field: &Field = field;
        Arc::new(field.clone().with_data_type(target(field.data_type(), layout)))
    };
    match (data_type, layout) {
        (DataType::Utf8View, StringLayout::LargeString) => DataType::LargeUtf8,
        (DataType::BinaryView, StringLayout::LargeString) => DataType::LargeBinary,
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
