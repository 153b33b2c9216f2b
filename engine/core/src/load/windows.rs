//! Row groups in order -> windows of rows, each of which becomes one frame within a bound of memory.
//!
//! Without a wished number of rows, windows end where row groups end, and a row group that is too large is cut where
//! pages begin, if they do near enough: a page with rows of two windows is opened for each, and its strings are copied.
//! With one, every window but the last holds a multiple of it. Both follow from the files, filter and bounds alone: the
//! same plan gives the same windows everywhere. Must not know: how windows are loaded.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use crate::error::{Error, Kind, Result};
use crate::load::estimate::group_bytes;
use crate::load::open::{Group, Kept};
use crate::load::request::LoadRequest;

/// Rows of parts of a row group are multiples of this, so that parts begin where bytes of bitmaps do.
const PART_ROWS: usize = 1024;

/// Rows that are loaded together.
#[derive(Default)]
pub(crate) struct Window {
    pub groups: Vec<Group>,
    /// Bytes of its rows in memory, about
    pub bytes: u64,
    /// Bytes of its row groups in their files, by its share of their rows
    pub encoded: u64,
}

/// What windows are cut by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of a window in memory
    pub bytes: u64,
    /// Its rows are a multiple of this
    pub batch_rows: Option<usize>,
}

/// Collects groups until a window is full.
pub(crate) struct Windows {
    request: Arc<LoadRequest>,
    bounds: Bounds,
    waiting: VecDeque<Sized>,
}

/// A group of known size.
struct Sized {
    group: Group,
    bytes: u64,
}

impl Windows {
    pub fn new(request: Arc<LoadRequest>, bounds: Bounds) -> Windows {
        Windows { request, bounds, waiting: VecDeque::new() }
    }

    /// How long a group's chunks may be to be held for all windows that it is cut into, of `share` bytes for all groups;
    /// 0: it is not cut.
    ///
    /// With a number of rows to keep to, groups that are held wait for others until a window is full. Together they stay
    /// below the share, since their rows stay below a quarter of it: else the last one would wait for room for ever.
    pub fn longest_held(request: &LoadRequest, group: &Group, bounds: Bounds, share: u64) -> u64 {
        let (kept, is_sparse) = (kept_bytes(request, group), group.kept.as_ref().is_some_and(|kept| kept.is_sparse));
        match bounds.batch_rows {
            None if kept > bounds.bytes => share,
            Some(_) if !is_sparse => (share / 2).min(2 * kept),
            _ => 0,
        }
    }

    /// Takes the next group; returns the windows that are full now.
    pub fn add(&mut self, group: Group) -> Result<Vec<Window>> {
        let bytes = kept_bytes(&self.request, &group);
        match self.bounds.batch_rows {
            Some(unit) => {
                self.waiting.push_back(Sized { group, bytes });
                self.cut_by_rows(unit)
            }
            None => Ok(self.cut_by_groups(Sized { group, bytes })),
        }
    }

    /// What is left.
    pub fn finish(&mut self) -> Option<Window> {
        (!self.waiting.is_empty()).then(|| window(self.waiting.drain(..)))
    }

    fn bytes(&self) -> u64 {
        self.waiting.iter().map(|each| each.bytes).sum()
    }

    fn cut_by_groups(&mut self, next: Sized) -> Vec<Window> {
        let mut full = Vec::new();
        if self.bytes() + next.bytes > self.bounds.bytes {
            full.extend(self.finish());
        }
        if next.bytes <= self.bounds.bytes {
            self.waiting.push_back(next);
            return full;
        }
        let rows = next.group.rows();
        let parts = usize::try_from(next.bytes.div_ceil(self.bounds.bytes.max(1))).unwrap_or(usize::MAX);
        let step = rows.div_ceil(parts.max(1)).next_multiple_of(PART_ROWS);
        let begins = next.group.page_begins();
        let mut from = 0;
        while from < rows {
            let to = cut_before(&begins, from, step).min(rows);
            full.push(window([next.part(from..to)]));
            from = to;
        }
        full
    }

    fn cut_by_rows(&mut self, unit: usize) -> Result<Vec<Window>> {
        let mut full = Vec::new();
        while self.bytes() > self.bounds.bytes {
            let (mut room, mut fit) = (self.bounds.bytes, 0);
            for each in &self.waiting {
                let here = each.rows_within(room);
                fit += here;
                room = room.saturating_sub(each.bytes);
                if here < each.group.rows() {
                    break;
                }
            }
            match fit / unit * unit {
                0 => return Err(self.too_many(unit)),
                rows => full.push(self.take(rows)),
            }
        }
        Ok(full)
    }

    /// The first `rows` rows of what waits as a window.
    fn take(&mut self, rows: usize) -> Window {
        let (mut taken, mut left) = (Vec::new(), rows);
        while left > 0
            && let Some(first) = self.waiting.pop_front()
        {
            let here = first.group.rows();
            if here <= left {
                taken.push(first);
            } else {
                taken.push(first.part(0..left));
                self.waiting.push_front(first.part(left..here));
            }
            left -= here.min(left);
        }
        window(taken)
    }

    fn too_many(&self, unit: usize) -> Error {
        let rows: usize = self.waiting.iter().map(|each| each.group.rows()).sum();
        let needed = u128::from(self.bytes()) * unit as u128 / rows.max(1) as u128;
        let needed = u64::try_from(needed).unwrap_or(u64::MAX).max(self.bounds.bytes);
        let share = self.request.memory_limit / self.bounds.bytes.max(1);
        let message = format!(
            "{unit} rows take about {} MiB, and a batch may take {} MiB",
            needed >> 20,
            self.bounds.bytes >> 20
        );
        let limit = (needed.saturating_mul(share.max(1) + 1) >> 20) + 1;
        Error::new(Kind::MemoryLimit, message)
            .hint(format!("memory_limit={limit} << 20 works, or a smaller batch_rows"))
    }
}

impl Sized {
    fn part(&self, rows: Range<usize>) -> Sized {
        let share = u128::from(self.bytes) * rows.len() as u128 / self.group.rows().max(1) as u128;
        Sized { bytes: u64::try_from(share).unwrap_or(u64::MAX), group: part(&self.group, rows) }
    }

    /// Rows that take no more than so many bytes.
    fn rows_within(&self, bytes: u64) -> usize {
        let rows = self.group.rows();
        let fit = u128::from(bytes) * rows as u128 / u128::from(self.bytes.max(1));
        usize::try_from(fit).unwrap_or(rows).min(rows)
    }
}

/// Where a part of at most `step` rows ends that begins at `from`: where pages of the most bytes begin, unless it would
/// be less than half as long.
fn cut_before(begins: &BTreeMap<usize, u64>, from: usize, step: usize) -> usize {
    let near = begins.range(from + step.div_ceil(2)..=from + step);
    near.max_by_key(|(row, bytes)| (**bytes, **row)).map_or(from + step, |(row, _)| *row)
}

fn window(groups: impl IntoIterator<Item = Sized>) -> Window {
    let mut window = Window::default();
    for Sized { group, bytes } in groups {
        let encoded = group.file.mapping.reader.metadata().row_group(group.index).compressed_size();
        let share = u128::from(encoded.unsigned_abs()) * group.rows() as u128 / group.total.max(1) as u128;
        window.encoded += u64::try_from(share).unwrap_or(0);
        window.bytes += bytes;
        window.groups.push(group);
    }
    window
}

/// Bytes of the rows of a group that are kept.
fn kept_bytes(request: &LoadRequest, group: &Group) -> u64 {
    let share = u128::from(group_bytes(request, group)) * group.rows() as u128 / group.total.max(1) as u128;
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Some of the rows that are kept of a group, by their order.
fn part(group: &Group, rows: Range<usize>) -> Group {
    let kept = match &group.kept {
        None if rows.len() == group.total => None,
        None => Some((between(group.total, rows.clone()), rows.clone())),
        Some(kept) if rows.len() == kept.rows => Some((kept.mask.clone(), group.rows_between())),
        Some(kept) => {
            let mut places = kept.mask.set_indices();
            let (first, end) = (places.nth(rows.start), kept.mask.set_indices().nth(rows.end));
            let range = first.unwrap_or(group.total)..end.unwrap_or(group.total);
            Some((&kept.mask & &between(group.total, range.clone()), range))
        }
    };
    let kept = kept.map(|(mask, between)| Kept { part: Some(between), ..Kept::new(mask, rows.len()) });
    Group { file: Arc::clone(&group.file), kept, held: group.held.clone(), ..*group }
}

fn between(total: usize, rows: Range<usize>) -> BooleanBuffer {
    let mut mask = BooleanBufferBuilder::new(total);
    mask.append_n(rows.start, false);
    mask.append_n(rows.len(), true);
    mask.append_n(total - rows.end, false);
    mask.build()
}
