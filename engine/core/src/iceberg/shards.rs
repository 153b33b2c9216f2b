//! A file list cut into shards of nearly equal weight, at row groups where a file is larger than its shard.
//!
//! Entries keep their order: they are laid end to end by weight and cut at equal distances. A cut falls between two files
//! where one ends close by, else where a row group begins (the manifest's `split_offsets`), else, where the manifest says
//! nothing, at the byte itself: a part means the row groups that begin in it, so any cut is exact. Pure arithmetic: the
//! same list gives the same shards everywhere. Must not know: Parquet, stores.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, UInt32Array};

use crate::error::{Error, Kind, Result};
use crate::iceberg::files::{FileList, SPLIT_OFFSETS};

/// A cut moves to the end of a file that is no farther away than this fraction of a shard.
const NEAR: u64 = 16;
/// A file of which no row groups are known is not cut into parts smaller than this: a part costs a footer.
const SMALLEST_PART_BYTES: u64 = 1 << 20;

/// What shards are balanced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Bytes of files
    Bytes,
    /// Rows; those of a part of a file are taken to lie evenly
    Rows,
}

/// Bytes `start..end` of entry `entry`, counted from the entry's own start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    entry: usize,
    start: u64,
    end: u64,
}

/// `count` lists that together hold exactly the rows of this one; some are empty where it cannot be cut so often.
pub fn split(list: &FileList, count: usize, by: By) -> Result<Vec<FileList>> {
    let entries = Entries::of(list, by)?;
    let shards = cut(&entries, count.max(1));
    shards.iter().map(|parts| entries.take(list, parts)).collect()
}

struct Entries<'a> {
    starts: &'a Int64Array,
    lengths: &'a Int64Array,
    rows: &'a Int64Array,
    weights: Vec<u64>,
    offsets: Option<&'a ListArray>,
}

impl<'a> Entries<'a> {
    fn of(list: &'a FileList, by: By) -> Result<Entries<'a>> {
        let (starts, lengths, rows) = (list.int64("start")?, list.int64("length")?, list.int64("record_count")?);
        let number = |value: &i64| u64::try_from(*value).unwrap_or(0);
        let mut weights: Vec<u64> = match by {
            By::Bytes => lengths.values().iter().map(number).collect(),
            By::Rows => rows.values().iter().map(number).collect(),
        };
        if weights.iter().all(|weight| *weight == 0) {
            weights.fill(1);
        }
        let offsets = list.batch().column_by_name(SPLIT_OFFSETS).and_then(|column| column.as_list_opt::<i32>());
        Ok(Entries { starts, lengths, rows, weights, offsets })
    }

    fn length(&self, entry: usize) -> u64 {
        u64::try_from(self.lengths.value(entry)).unwrap_or(0)
    }

    /// The place in an entry, nearest to `byte`, where it may be cut: 0 and its length are no cuts of it.
    fn nearest(&self, entry: usize, byte: u64) -> u64 {
        let length = self.length(entry);
        match self.offsets.filter(|offsets| offsets.is_valid(entry)) {
            Some(offsets) => {
                let start = self.starts.value(entry);
                let row_groups = offsets.value(entry);
                let row_groups = row_groups.as_primitive::<Int64Type>().values().iter();
                let inside = row_groups.filter_map(|offset| u64::try_from(offset.checked_sub(start)?).ok());
                let inside = inside.skip(1).filter(|place| *place < length);
                inside.chain([0, length]).min_by_key(|place| (place.abs_diff(byte), *place)).unwrap_or(length)
            }
            None if length >= 2 * SMALLEST_PART_BYTES => byte.clamp(SMALLEST_PART_BYTES, length - SMALLEST_PART_BYTES),
            None if byte * 2 < length => 0,
            None => length,
        }
    }

    /// These parts as a list of their own.
    fn take(&self, list: &FileList, parts: &[Part]) -> Result<FileList> {
        let positions = parts.iter().map(|part| u32::try_from(part.entry)).collect::<Result<Vec<u32>, _>>();
        let positions = positions.map_err(|_| Error::new(Kind::InvalidArgument, "more than 2^32 files"))?;
        let batch = arrow_select::take::take_record_batch(list.batch(), &UInt32Array::from(positions));
        let batch = batch.map_err(internal)?;
        let schema = batch.schema();
        let column =
            |of: &dyn Fn(&Part) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(parts.iter().map(of))) };
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, taken)| match field.name().as_str() {
            "start" => column(&|part| self.starts.value(part.entry).saturating_add_unsigned(part.start)),
            "length" => column(&|part| i64::try_from(part.end - part.start).unwrap_or(i64::MAX)),
            "record_count" if self.rows.null_count() == 0 => {
                column(&|part| self.rows_before(part.entry, part.end) - self.rows_before(part.entry, part.start))
            }
            _ => Arc::clone(taken),
        });
        list.with_batch(RecordBatch::try_new(Arc::clone(&schema), columns.collect()).map_err(internal)?)
    }

    /// Rows of an entry that lie before a byte of it, if they lie evenly: parts add up to the whole.
    fn rows_before(&self, entry: usize, byte: u64) -> i64 {
        let (rows, length) = (self.rows.value(entry), self.length(entry));
        if byte >= length {
            return rows;
        }
        i64::try_from(i128::from(rows) * i128::from(byte) / i128::from(length.max(1))).unwrap_or(rows)
    }
}

fn cut(entries: &Entries<'_>, count: usize) -> Vec<Vec<Part>> {
    let total: u128 = entries.weights.iter().map(|weight| u128::from(*weight)).sum();
    let boundary = |shard: usize| total * shard as u128 / count as u128;
    let near = total / count as u128 / u128::from(NEAR);
    let mut shards: Vec<Vec<Part>> = vec![Vec::new(); count];
    let (mut shard, mut before) = (0, 0u128);
    for (entry, weight) in entries.weights.iter().enumerate() {
        let (length, weight) = (entries.length(entry), u128::from(*weight));
        let mut start = 0;
        while shard + 1 < count && boundary(shard + 1) < before + weight {
            let (to, from_end) = (boundary(shard + 1).saturating_sub(before), before + weight - boundary(shard + 1));
            let byte = u64::try_from(to * u128::from(length) / weight.max(1)).unwrap_or(length);
            let place = match (to <= near, from_end <= near) {
                (true, _) => 0,
                (_, true) => length,
                _ => entries.nearest(entry, byte),
            };
            if place >= length && length > 0 {
                break; // the rest of the file belongs to this shard, and the next one begins behind it
            }
            if place > start {
                shards[shard].push(Part { entry, start, end: place });
                start = place;
            }
            shard += 1;
        }
        if start < length || length == 0 {
            shards[shard].push(Part { entry, start, end: length });
        }
        before += weight;
        while shard + 1 < count && boundary(shard + 1) <= before {
            shard += 1;
        }
    }
    shards
}

fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, format!("the file list could not be split: {error}"))
}
