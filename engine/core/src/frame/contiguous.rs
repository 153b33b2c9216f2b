//! Views -> contiguous strings (`large_utf8`, `large_binary`): lengths summed first, then every byte copied once.
//!
//! Rows are cut into tasks of equal length over all columns, so one long column keeps every core busy, and each task
//! writes its own part of memory whose size is exact. Measured on the six string columns of TPC-H lineitem (6 M rows):
//! 0.70 s of CPU with `arrow-cast`, which grows its buffer value by value.
//!
//! Must not know: layouts other than these two, who asks.

#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeBinaryArray, LargeStringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::{ByteView, MAX_INLINE_VIEW_LEN};
use arrow_schema::DataType;

use crate::arena::{Frozen, Region, Slot};
use crate::error::{Error, Kind, Result};
use crate::parallel;

/// Small enough that the last task is soon done, large enough that a task's cost is nothing beside its rows.
const ROWS_PER_TASK: usize = 1 << 17;
/// Copies of a fixed length compile to a few moves; most values of a warehouse are no longer than this.
const SHORT_BYTES: usize = 32;
const OFFSET_BYTES: usize = 8;

/// What a view array is made of.
struct Views<'a> {
    views: &'a [u128],
    buffers: &'a [Buffer],
    nulls: Option<&'a NullBuffer>,
}

/// The rows of one task and where they go.
struct Task<'a> {
    source: &'a Views<'a>,
    rows: Range<usize>,
    first_offset: usize,
    offsets: Slot,
    data: Slot,
}

/// Each view array as `large_utf8` or `large_binary`.
pub fn contiguous(arrays: &[&ArrayRef], threads: usize) -> Result<Vec<ArrayRef>> {
    let sources = arrays.iter().map(|array| Views::of(array)).collect::<Result<Vec<_>>>()?;
    let pieces: Vec<(usize, Range<usize>)> =
        sources.iter().enumerate().flat_map(|(at, source)| source.pieces().map(move |rows| (at, rows))).collect();
    let lengths = parallel::map(pieces.clone(), threads, |(at, rows)| sources.get(at).map_or(0, |s| s.bytes(rows)));

    let mut tasks = Vec::with_capacity(pieces.len());
    let mut memory = Vec::with_capacity(sources.len());
    let mut planned = pieces.into_iter().zip(lengths).peekable();
    for (at, source) in sources.iter().enumerate() {
        let mut own = Vec::new();
        while let Some(((_, rows), length)) = planned.next_if(|((column, _), _)| *column == at) {
            own.push((rows, length));
        }
        memory.push(allocate(source, own, &mut tasks)?);
    }
    parallel::map(tasks, threads, Task::run).into_iter().collect::<Result<()>>()?;
    arrays.iter().zip(memory).map(|(array, (offsets, data))| assemble(array, offsets, data)).collect()
}

/// Memory for one column's offsets and bytes, and the tasks that will write it.
fn allocate<'a>(
    source: &'a Views<'a>,
    pieces: Vec<(Range<usize>, usize)>,
    tasks: &mut Vec<Task<'a>>,
) -> Result<(Frozen, Frozen)> {
    let too_long = || Error::new(Kind::MemoryLimit, "a column of strings longer than this machine can address");
    let total = pieces.iter().try_fold(0usize, |sum, (_, bytes)| sum.checked_add(*bytes)).ok_or_else(too_long)?;
    let offset_lengths = pieces.iter().map(|(rows, _)| rows.len() * OFFSET_BYTES);
    let region = Region::new((source.views.len() + 1) * OFFSET_BYTES)?;
    let (offsets, mut slots) = region.split(std::iter::once(OFFSET_BYTES).chain(offset_lengths))?;
    if let Some(first) = slots.first_mut() {
        first.fill(0);
    }
    let (data, data_slots) = Region::new(total)?.split(pieces.iter().map(|(_, bytes)| *bytes))?;
    let mut first_offset = 0;
    for (((rows, bytes), offsets), data) in pieces.into_iter().zip(slots.into_iter().skip(1)).zip(data_slots) {
        tasks.push(Task { source, rows, first_offset, offsets, data });
        first_offset += bytes;
    }
    Ok((offsets, data))
}

fn assemble(array: &ArrayRef, offsets: Frozen, data: Frozen) -> Result<ArrayRef> {
    let offsets = ScalarBuffer::<i64>::new(offsets.freeze()?, 0, array.len() + 1);
    let data = data.freeze()?;
    let nulls = array.nulls().cloned();
    // SAFETY: every task wrote offsets that start at its first byte, never fall and end at its last; the tasks of a
    // column follow one another, and the region has exactly the bytes they sum to.
    let offsets = unsafe { OffsetBuffer::new_unchecked(offsets) };
    // SAFETY: each value is one whole value of a Utf8View array (valid UTF-8), or empty where it is null.
    Ok(match array.data_type() {
        // SAFETY: as said above.
        DataType::Utf8View => Arc::new(unsafe { LargeStringArray::new_unchecked(offsets, data, nulls) }),
        // SAFETY: as above; binary has no further condition.
        _ => Arc::new(unsafe { LargeBinaryArray::new_unchecked(offsets, data, nulls) }),
    })
}

impl<'a> Views<'a> {
    fn of(array: &'a ArrayRef) -> Result<Views<'a>> {
        if let Some(strings) = array.as_string_view_opt() {
            return Ok(Views { views: strings.views(), buffers: strings.data_buffers(), nulls: array.nulls() });
        }
        let wrong = || Error::new(Kind::Internal, format!("views expected, found {}", array.data_type()));
        let bytes = array.as_binary_view_opt().ok_or_else(wrong)?;
        Ok(Views { views: bytes.views(), buffers: bytes.data_buffers(), nulls: array.nulls() })
    }

    fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.views.len();
        (0..rows).step_by(ROWS_PER_TASK).map(move |start| start..rows.min(start + ROWS_PER_TASK))
    }

    /// Bytes of these rows; what a null's view says is not asked.
    fn bytes(&self, rows: Range<usize>) -> usize {
        let views = self.views.get(rows.clone()).unwrap_or_default();
        let nulls = self.nulls.filter(|nulls| nulls.null_count() > 0);
        match nulls {
            None => views.iter().map(|view| *view as u32 as usize).sum(),
            Some(nulls) => {
                let valid = views.iter().zip(rows).filter(|(_, row)| nulls.is_valid(*row));
                valid.map(|(view, _)| *view as u32 as usize).sum()
            }
        }
    }
}

impl Task<'_> {
    fn run(mut self) -> Result<()> {
        let views = self.source.views.get(self.rows.clone()).unwrap_or_default();
        let nulls = self.source.nulls.filter(|nulls| nulls.null_count() > 0);
        let mut at = 0usize;
        for ((view, row), offset) in views.iter().zip(self.rows).zip(self.offsets.chunks_exact_mut(OFFSET_BYTES)) {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                at = copy_value(*view, self.source.buffers, &mut self.data, at).ok_or_else(outside)?;
            }
            offset.copy_from_slice(&((self.first_offset + at) as i64).to_ne_bytes());
        }
        Ok(())
    }
}

/// Writes a value at `at` and says where it ends. May write past its end, within the task's own bytes, which the next
/// value overwrites.
#[inline(always)]
fn copy_value(view: u128, buffers: &[Buffer], data: &mut [u8], at: usize) -> Option<usize> {
    const INLINE: usize = MAX_INLINE_VIEW_LEN as usize;
    let length = view as u32 as usize;
    let end = at + length;
    if length <= INLINE {
        let inline = (view >> 32).to_le_bytes();
        match data.get_mut(at..at + INLINE) {
            Some(room) => room.copy_from_slice(&inline[..INLINE]),
            None => data.get_mut(at..end)?.copy_from_slice(inline.get(..length)?),
        }
        return Some(end);
    }
    let view = ByteView::from(view);
    let source = buffers.get(view.buffer_index as usize)?.get(view.offset as usize..)?;
    if length <= SHORT_BYTES
        && let (Some(room), Some(from)) = (data.get_mut(at..at + SHORT_BYTES), source.get(..SHORT_BYTES))
    {
        room.copy_from_slice(from);
    } else {
        data.get_mut(at..end)?.copy_from_slice(source.get(..length)?);
    }
    Some(end)
}

fn outside() -> Error {
    Error::new(Kind::Internal, "a string view points outside its buffers")
}
