//! How much memory columns hold, with pages that several of them share counted once.
//!
//! Must not know: who asks.

use std::collections::HashSet;

use arrow_array::{Array, ArrayRef};
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// Bytes of one column's rows, and of every page that its views point into.
pub fn array_bytes(array: &ArrayRef) -> usize {
    bytes_of(std::slice::from_ref(array))
}

/// The same of several columns.
pub fn bytes_of(columns: &[ArrayRef]) -> usize {
    let mut pages = HashSet::new();
    columns.iter().map(|column| count(&column.to_data(), &mut pages)).sum()
}

fn count(data: &ArrayData, pages: &mut HashSet<usize>) -> usize {
    let rows = data.len();
    let bitmap = data.nulls().map_or(0, |_| rows.div_ceil(8));
    let own = match data.data_type() {
        DataType::Utf8View | DataType::BinaryView => {
            let held = data.buffers().iter().skip(1);
            // A slice points into the middle of a page: the allocation's start is what tells pages apart.
            let held = held.filter(|page| pages.insert(page.data_ptr().as_ptr() as usize));
            rows * 16 + held.map(arrow_buffer::Buffer::len).sum::<usize>()
        }
        DataType::Struct(_) => data.child_data().iter().map(|child| count(child, pages)).sum(),
        DataType::List(_) | DataType::Map(_, _) => {
            let offsets = data.buffer::<i32>(0);
            let range = (offsets.first().copied().unwrap_or(0), offsets.get(rows).copied().unwrap_or(0));
            (rows + 1) * 4 + inside(data, range.0 as usize, range.1 as usize, pages)
        }
        DataType::LargeList(_) => {
            let offsets = data.buffer::<i64>(0);
            let range = (offsets.first().copied().unwrap_or(0), offsets.get(rows).copied().unwrap_or(0));
            (rows + 1) * 8 + inside(data, range.0 as usize, range.1 as usize, pages)
        }
        DataType::FixedSizeList(_, width) => {
            let width = usize::try_from(*width).unwrap_or(0);
            inside(data, data.offset() * width, (data.offset() + rows) * width, pages)
        }
        _ => return data.get_slice_memory_size().unwrap_or_else(|_| data.get_buffer_memory_size()),
    };
    own + bitmap
}

fn inside(data: &ArrayData, start: usize, end: usize, pages: &mut HashSet<usize>) -> usize {
    match data.child_data().first() {
        Some(child) if start <= end && end <= child.len() => count(&child.slice(start, end - start), pages),
        _ => 0,
    }
}
