//! A manifest -> the columns of its entries: what the file list needs, partition values, statistics of the fields asked for.
//!
//! Nothing here depends on the list that names the manifest, or on a filter, so it can be kept for the next plan
//! ([`super::cache`]). Spec: Manifests. Must not know: what an entry means ([`super::manifests`] does), stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, Int64Array, ListArray, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};

use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Columns, Values, Want, WantField};
use crate::iceberg::manifest_list::Content;
use crate::iceberg::manifests::kind_of;
use crate::iceberg::specs::PartitionSpec;
use crate::runtime::Cancel;

pub(super) const STATUS: usize = 0;
pub(super) const SEQUENCE_NUMBER: usize = 1;
pub(super) const CONTENT: usize = 2;
const PATH: usize = 3;
pub(super) const FORMAT: usize = 4;
pub(super) const RECORD_COUNT: usize = 5;
pub(super) const FILE_SIZE: usize = 6;
pub(super) const KEY_METADATA: usize = 7;
pub(super) const FIRST_ROW_ID: usize = 8;
/// Fields that only entries of delete files have
pub(super) const EQUALITY_IDS: usize = 9;
pub(super) const EQUALITY_ID: usize = 10;
pub(super) const REFERENCED: usize = 11;
pub(super) const CONTENT_OFFSET: usize = 12;
pub(super) const CONTENT_SIZE: usize = 13;
const SPLIT_OFFSETS: usize = 14;
const SPLIT_OFFSET: usize = 15;
/// Partition values follow, one slot a field of the spec, and while decoding five slots for every field with statistics.
pub(super) const PARTITIONS: usize = 16;

/// Fields of an entry: id, name, kind, required.
const ENTRY: [(i32, &str, ColumnKind, bool); 2] =
    [(0, "status", ColumnKind::Integer, true), (3, "sequence_number", ColumnKind::Integer, false)];
/// Fields of its data file.
const DATA_FILE: [(i32, &str, ColumnKind, bool); 7] = [
    (134, "content", ColumnKind::Integer, false),
    (100, "file_path", ColumnKind::Bytes, true),
    (101, "file_format", ColumnKind::Bytes, true),
    (103, "record_count", ColumnKind::Integer, true),
    (104, "file_size_in_bytes", ColumnKind::Integer, true),
    (131, "key_metadata", ColumnKind::Bytes, false),
    (142, "first_row_id", ColumnKind::Integer, false),
];
/// The same of a delete file, with the list of `equality_ids` before them.
const DELETE_FILE: [(i32, &str, ColumnKind, bool); 3] = [
    (143, "referenced_data_file", ColumnKind::Bytes, false),
    (144, "content_offset", ColumnKind::Integer, false),
    (145, "content_size_in_bytes", ColumnKind::Integer, false),
];
/// Statistics of a field, by their offset from its first slot.
const STATISTICS: [(i32, &str, ColumnKind); 5] = [
    (125, "lower_bounds", ColumnKind::Bytes),
    (128, "upper_bounds", ColumnKind::Bytes),
    (110, "null_value_counts", ColumnKind::Integer),
    (137, "nan_value_counts", ColumnKind::Integer),
    (109, "value_counts", ColumnKind::Integer),
];
/// What a manifest says, in columns, whoever asks: nothing of its list or of a filter. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(super) records: usize,
    /// In the order of the slots, partition values last
    pub(super) columns: Arc<[Column]>,
    pub(super) paths: StringArray,
    pub(super) split_offsets: ListArray,
    content: Content,
    /// How the partition values were decoded
    partition: Vec<(i32, Option<ColumnKind>)>,
    /// Those that were asked for so far, by field id
    pub(super) statistics: BTreeMap<i32, Arc<[Column]>>,
}

impl Decoded {
    /// Decodes a manifest; `statistics`: the field ids whose bounds and counts are wanted.
    pub(crate) fn new(
        bytes: &[u8],
        content: Content,
        spec: &PartitionSpec,
        statistics: &[i32],
        threads: usize,
        cancel: &Cancel,
    ) -> Result<Decoded> {
        let file = AvroFile::open(bytes)?;
        let is_data = content == Content::Data;
        if let Some(other) = file.metadata("content").filter(|content| (*content == "data") != is_data) {
            let listed = content.name();
            return Err(invalid(format!("a manifest of {other:?} is listed as one of {listed}")));
        }
        let (wanted, kinds) = layout(spec, statistics, content);
        let Columns { records, mut columns } = file.decode_on(threads, &wanted, &kinds, cancel)?;
        let found = columns.split_off(PARTITIONS + spec.fields.len());
        let paths = text(&columns[PATH], records)
            .map_err(|row| invalid(format!("manifest entry {row}: file_path is null or not UTF-8")))?;
        let split_offsets = offsets(&columns[SPLIT_OFFSETS], &columns[SPLIT_OFFSET], records)?;
        let nothing = Column::empty();
        for slot in [PATH, SPLIT_OFFSETS, SPLIT_OFFSET] {
            columns[slot] = nothing.clone(); // they are in the arrays
        }
        let mut decoded = Decoded {
            records,
            columns: columns.into(),
            paths,
            split_offsets,
            content,
            partition: partition_kinds(spec),
            statistics: BTreeMap::new(),
        };
        decoded.keep(statistics, found);
        Ok(decoded)
    }

    /// Whether this is what decoding a manifest with this spec would give: a schema may have lost or widened a source.
    pub(crate) fn fits(&self, spec: &PartitionSpec, content: Content) -> bool {
        self.content == content && self.partition == partition_kinds(spec)
    }

    /// Those of the fields whose statistics were not asked for before.
    pub(crate) fn lacking(&self, fields: &[i32]) -> Vec<i32> {
        fields.iter().copied().filter(|field| !self.statistics.contains_key(field)).collect()
    }

    /// Decodes the statistics of more fields from the same bytes.
    pub(crate) fn add(&mut self, bytes: &[u8], statistics: &[i32], threads: usize, cancel: &Cancel) -> Result<()> {
        let mut kinds = Vec::new();
        let data_file = wanted_statistics(statistics, &mut kinds);
        let wanted = WantField { id: 2, name: "data_file".into(), required: true, want: Want::Record(data_file) };
        let found = AvroFile::open(bytes)?.decode_on(threads, &[wanted], &kinds, cancel)?;
        if found.records != self.records {
            return Err(invalid("a manifest that changed"));
        }
        self.keep(statistics, found.columns);
        Ok(())
    }

    fn keep(&mut self, statistics: &[i32], columns: Vec<Column>) {
        let found = columns.chunks(STATISTICS.len()).map(Arc::from);
        self.statistics.extend(statistics.iter().copied().zip(found));
    }

    /// Bytes of memory.
    pub(crate) fn size(&self) -> usize {
        let columns = self.columns.iter().chain(self.statistics.values().flat_map(|columns| columns.iter()));
        let columns: usize = columns.map(|column| column.size() + size_of::<Column>()).sum();
        columns + self.paths.get_array_memory_size() + self.split_offsets.get_array_memory_size()
    }
}

fn layout(spec: &PartitionSpec, statistics: &[i32], content: Content) -> (Vec<WantField>, Vec<ColumnKind>) {
    let own = ENTRY.len();
    let mut kinds: Vec<_> = ENTRY.iter().chain(&DATA_FILE).map(|field| field.2).collect();
    kinds.extend([ColumnKind::List, ColumnKind::Integer]);
    kinds.extend(DELETE_FILE.iter().map(|field| field.2));
    let mut data_file: Vec<_> = DATA_FILE.iter().enumerate().map(|(at, each)| field(own + at, *each)).collect();
    if content == Content::Deletes {
        let element = vec![field(EQUALITY_ID, (136, "element", ColumnKind::Integer, false))];
        let want = Want::List(EQUALITY_IDS, element);
        data_file.push(WantField { id: 135, name: "equality_ids".into(), required: false, want });
        data_file.extend(DELETE_FILE.iter().enumerate().map(|(at, each)| field(REFERENCED + at, *each)));
    }

    kinds.extend([ColumnKind::List, ColumnKind::Integer]);
    let offset = field(SPLIT_OFFSET, (133, "element", ColumnKind::Integer, false));
    let want = Want::List(SPLIT_OFFSETS, vec![offset]);
    data_file.push(WantField { id: 132, name: "split_offsets".into(), required: false, want });

    let mut partition = Vec::new();
    for (position, each) in spec.fields.iter().enumerate() {
        let kind = each.value_type.as_ref().and_then(kind_of);
        kinds.push(kind.unwrap_or(ColumnKind::Integer));
        // A value that should be there and is not must not be taken for null: files would be pruned by it
        partition.extend(kind.map(|kind| field(PARTITIONS + position, (each.id, each.name.as_str(), kind, true))));
    }
    if !partition.is_empty() {
        data_file.push(WantField { id: 102, name: "partition".into(), required: true, want: Want::Record(partition) });
    }

    data_file.extend(wanted_statistics(statistics, &mut kinds));
    let mut wanted: Vec<_> = ENTRY.iter().enumerate().map(|(slot, each)| field(slot, *each)).collect();
    wanted.push(WantField { id: 2, name: "data_file".into(), required: true, want: Want::Record(data_file) });
    (wanted, kinds)
}

/// Five slots a field, after those that there are.
fn wanted_statistics(statistics: &[i32], kinds: &mut Vec<ColumnKind>) -> Vec<WantField> {
    let first = kinds.len();
    kinds.extend(statistics.iter().flat_map(|_| STATISTICS.map(|each| each.2)));
    let wanted = STATISTICS.into_iter().enumerate().filter(|_| !statistics.is_empty());
    let wanted = wanted.map(|(offset, (id, name, kind))| {
        let slots = (first + offset..).step_by(STATISTICS.len());
        let keys = statistics.iter().copied().zip(slots.map(|slot| Want::Column(slot, kind))).collect();
        WantField { id, name: name.to_string(), required: false, want: Want::Pick(keys) }
    });
    wanted.collect()
}

fn partition_kinds(spec: &PartitionSpec) -> Vec<(i32, Option<ColumnKind>)> {
    spec.fields.iter().map(|field| (field.id, field.value_type.as_ref().and_then(kind_of))).collect()
}

/// A column without nulls as texts; the error is the first row that is none.
fn text(column: &Column, records: usize) -> Result<StringArray, usize> {
    let Values::Bytes(offsets, bytes) = column.values() else { return Err(0) };
    let is_text = |row: &usize| column.bytes(*row).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    let first_bad = || (0..records).find(|row| !is_text(row)).unwrap_or(0);
    if column.nulls().is_some() || column.len() != records {
        return Err(first_bad());
    }
    StringArray::try_new(offsets.clone(), bytes.clone(), None).map_err(|_| first_bad())
}

/// Lists of ascending offsets; null where there is none, or one that cannot be.
fn offsets(lists: &Column, items: &Column, records: usize) -> Result<ListArray> {
    let field = Arc::new(Field::new_list_field(DataType::Int64, true));
    let (Values::List(ends), Values::Integer(values)) = (lists.values(), items.values()) else {
        return Err(Error::new(Kind::Internal, "split offsets of another kind"));
    };
    if lists.len() != records || values.len() < lists.all_items() {
        return Ok(ListArray::new_null(field, records)); // nobody gave any
    }
    let is_good = |row: usize| {
        let Some(own) = lists.items(row).and_then(|range| Some((range.clone(), values.get(range)?))) else {
            return false;
        };
        let (range, own) = own;
        let nulls = items.nulls().is_some_and(|nulls| range.into_iter().any(|item| nulls.is_null(item)));
        !nulls && own.first().is_some_and(|first| *first >= 0) && own.is_sorted()
    };
    let good = NullBuffer::from_iter((0..records).map(is_good));
    let good = (good.null_count() > 0).then_some(good);
    let values = Arc::new(Int64Array::new(values.clone(), None));
    ListArray::try_new(field, ends.clone(), values, good).map_err(|e| invalid(format!("split offsets: {e}")))
}

fn field(slot: usize, (id, name, kind, required): (i32, &str, ColumnKind, bool)) -> WantField {
    WantField { id, name: name.to_string(), required, want: Want::Column(slot, kind) }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message)
}
