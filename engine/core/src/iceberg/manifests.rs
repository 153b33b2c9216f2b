//! A manifest -> the columns of its entries: what the file list needs, partition values, statistics of filtered fields.
//!
//! Spec: Manifests, Sequence Number Inheritance, First Row ID Inheritance. Must not know: how files are judged or
//! listed. Neighbours: `avro` below, `listing` above.

use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Columns, Want, WantField};
use crate::iceberg::bounds::{Counts, Facts};
use crate::iceberg::changes::Change;
use crate::iceberg::manifest_list::{Content, ManifestFile};
use crate::iceberg::scalar::{Scalar, decimal};
use crate::iceberg::schema::Type;
use crate::iceberg::specs::PartitionSpec;
use crate::runtime::Cancel;

const STATUS: usize = 0;
const SEQUENCE_NUMBER: usize = 1;
const CONTENT: usize = 2;
const PATH: usize = 3;
const FORMAT: usize = 4;
const RECORD_COUNT: usize = 5;
const FILE_SIZE: usize = 6;
const KEY_METADATA: usize = 7;
const FIRST_ROW_ID: usize = 8;
/// Fields that only entries of delete files have
const EQUALITY_IDS: usize = 9;
const EQUALITY_ID: usize = 10;
const REFERENCED: usize = 11;
const CONTENT_OFFSET: usize = 12;
const CONTENT_SIZE: usize = 13;
const SPLIT_OFFSETS: usize = 14;
const SPLIT_OFFSET: usize = 15;
/// Partition values follow, one slot a field of the spec, then five slots for every field with statistics.
const PARTITIONS: usize = 16;

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
/// Formats of data and delete files that are read.
const FORMATS: [&str; 3] = ["parquet", "avro", "orc"];
/// Rows or bytes beyond what any file has: a number above it is damage.
const MOST: i64 = 1 << 48;

/// The decoded entries of one manifest.
pub(crate) struct Entries<'a> {
    decoded: Columns,
    manifest: &'a ManifestFile,
    spec: &'a PartitionSpec,
    statistics: Vec<i32>,
    next_row_id: Option<i64>,
}

/// What became of an entry's file in the manifest's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Existing,
    Added,
    Deleted,
}

/// A data or delete file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its row in the columns
    pub(crate) row: usize,
    /// 0: data, 1: position deletes, 2: equality deletes
    pub(crate) content: i64,
    pub(crate) record_count: i64,
    pub(crate) file_size: i64,
    pub(crate) sequence_number: i64,
    pub(crate) first_row_id: Option<i64>,
}

/// The spec that a manifest's header names, for manifests without a list.
pub(crate) fn spec_id_of(bytes: &[u8]) -> Result<Option<i32>> {
    Ok(AvroFile::open(bytes)?.metadata("partition-spec-id").and_then(|id| id.trim().parse().ok()))
}

impl<'a> Entries<'a> {
    /// Decodes a manifest; `statistics`: the field ids whose bounds and counts are wanted.
    pub(crate) fn decode(
        bytes: &[u8],
        manifest: &'a ManifestFile,
        spec: &'a PartitionSpec,
        statistics: &[i32],
        cancel: &Cancel,
    ) -> Result<Entries<'a>> {
        let file = AvroFile::open(bytes)?;
        let is_data = manifest.content == Content::Data;
        if let Some(other) = file.metadata("content").filter(|content| (*content == "data") != is_data) {
            let listed = manifest.content.name();
            return Err(invalid(format!("a manifest of {other:?} is listed as one of {listed}")));
        }
        let (wanted, kinds) = layout(spec, statistics, manifest.content);
        let decoded = file.decode(&wanted, &kinds, cancel)?;
        let next_row_id = manifest.first_row_id;
        Ok(Entries { decoded, manifest, spec, statistics: statistics.to_vec(), next_row_id })
    }

    /// Number of entries, deleted ones too.
    pub(crate) fn len(&self) -> usize {
        self.decoded.records
    }

    /// The live file of an entry, None if it is deleted. Rows must be asked for in order: row ids are handed out.
    pub(crate) fn live(&mut self, row: usize) -> Result<Option<Entry>> {
        match self.status(row)? {
            Status::Deleted => Ok(None),
            status => self.entry(row, status).map(Some),
        }
    }

    /// The file of an entry that the manifest's snapshot added or removed, and which of the two; in order, too.
    pub(crate) fn changed(&mut self, row: usize) -> Result<Option<(Change, Entry)>> {
        let status = self.status(row)?;
        let entry = self.entry(row, status)?;
        Ok(match status {
            Status::Existing => None,
            Status::Added => Some((Change::Insert, entry)),
            Status::Deleted => Some((Change::Delete, entry)),
        })
    }

    fn status(&self, row: usize) -> Result<Status> {
        match self.integer(STATUS, row) {
            Some(0) => Ok(Status::Existing),
            Some(1) => Ok(Status::Added),
            Some(2) => Ok(Status::Deleted),
            other => Err(invalid(format!("manifest entry {row}: status is {other:?}, expected 0, 1 or 2"))),
        }
    }

    fn entry(&mut self, row: usize, status: Status) -> Result<Entry> {
        let bad = |what: String| invalid(format!("manifest entry {row}: {what}"));
        let content = self.integer(CONTENT, row).unwrap_or(0);
        let expected = if self.manifest.content == Content::Data { 0..=0 } else { 1..=2 };
        if !expected.contains(&content) {
            let listed = self.manifest.content.name();
            return Err(bad(format!("content is {content} in a manifest of {listed}, expected {expected:?}")));
        }
        let number = |slot: usize, name: &str| match self.integer(slot, row) {
            Some(number @ 0..=MOST) => Ok(number),
            other => Err(bad(format!("{name} is {other:?}"))),
        };
        let (record_count, file_size) = (number(RECORD_COUNT, "record_count")?, number(FILE_SIZE, "file_size")?);
        let inherited = self.manifest.sequence_number;
        let sequence_number = match self.integer(SEQUENCE_NUMBER, row) {
            Some(own) => own,
            None if status != Status::Existing || inherited == 0 => inherited,
            None => return Err(bad("an existing file has no sequence number".to_string())),
        };
        let first_row_id = match status {
            Status::Deleted => self.integer(FIRST_ROW_ID, row),
            _ => self.row_id(row, record_count).map_err(bad)?,
        };
        Ok(Entry { row, content, record_count, file_size, sequence_number, first_row_id })
    }

    /// The file's own first row id, or the next one of the manifest.
    fn row_id(&mut self, row: usize, record_count: i64) -> Result<Option<i64>, String> {
        match (self.integer(FIRST_ROW_ID, row), self.next_row_id) {
            (_, None) => Ok(None),
            (Some(own), _) => Ok(Some(own)),
            (None, Some(next)) => {
                self.next_row_id = Some(next.checked_add(record_count).ok_or("row ids overflow")?);
                Ok(Some(next))
            }
        }
    }

    /// Location of the file.
    pub(crate) fn path(&self, row: usize) -> Result<&str> {
        let path = self.decoded.columns[PATH].bytes(row).and_then(|bytes| std::str::from_utf8(bytes).ok());
        path.ok_or_else(|| invalid(format!("manifest entry {row}: file_path is null or not UTF-8")))
    }

    /// Refuses files that this version cannot read, by name.
    pub(crate) fn check_readable(&self, row: usize) -> Result<()> {
        let format = self.decoded.columns[FORMAT].bytes(row).unwrap_or_default();
        let what = if self.manifest.content == Content::Data { "data" } else { "delete" };
        let refused = |message: String| Err(Error::new(Kind::Unsupported, message).at(self.path(row)?));
        let is_known = FORMATS.iter().any(|known| format.eq_ignore_ascii_case(known.as_bytes()));
        if !is_known && !self.is_vector(row) {
            let (format, known) = (String::from_utf8_lossy(format), FORMATS.join(", "));
            return refused(format!("a {what} file in {format} format, expected one of {known}"));
        }
        match self.decoded.columns[KEY_METADATA].bytes(row) {
            Some(key) if !key.is_empty() => {
                refused(format!("an encrypted {what} file, which this version does not read"))
            }
            _ => Ok(()),
        }
    }

    /// Whether an entry is a deletion vector: positions in a Puffin file (spec: "Deletion Vectors").
    pub(crate) fn is_vector(&self, row: usize) -> bool {
        let format = self.decoded.columns[FORMAT].bytes(row).unwrap_or_default();
        self.integer(CONTENT, row) == Some(1) && format.eq_ignore_ascii_case(b"puffin")
    }

    /// The one data file that a delete file is about, where it says so.
    pub(crate) fn referenced(&self, row: usize) -> Result<Option<&str>> {
        let text = |bytes| std::str::from_utf8(bytes);
        let path = self.decoded.columns[REFERENCED].bytes(row).map(text).transpose();
        path.map_err(|_| invalid(format!("manifest entry {row}: referenced_data_file is not UTF-8")))
    }

    /// Ids of the columns whose values an equality delete file holds.
    pub(crate) fn equality_ids(&self, row: usize) -> Vec<i32> {
        let ids = self.decoded.columns[EQUALITY_IDS].items(row).unwrap_or(0..0);
        ids.filter_map(|item| i32::try_from(self.integer(EQUALITY_ID, item)?).ok()).collect()
    }

    /// The bytes of a deletion vector in its file: (offset, length).
    pub(crate) fn content_range(&self, row: usize) -> Result<(i64, i64)> {
        match (self.integer(CONTENT_OFFSET, row), self.integer(CONTENT_SIZE, row)) {
            (Some(offset @ 0..=MOST), Some(size @ 0..=MOST)) => Ok((offset, size)),
            found => {
                let message = "a deletion vector whose content_offset and content_size_in_bytes are";
                Err(invalid(format!("manifest entry {row}: {message} {found:?}")))
            }
        }
    }

    /// Where a file's row groups begin, None where the manifest does not say or says what cannot be.
    pub(crate) fn split_offsets(&self, row: usize) -> Option<Vec<i64>> {
        let items = self.decoded.columns[SPLIT_OFFSETS].items(row)?;
        let offsets = items.map(|at| self.integer(SPLIT_OFFSET, at)).collect::<Option<Vec<i64>>>()?;
        let is_ascending = offsets.first().is_some_and(|first| *first >= 0) && offsets.is_sorted();
        is_ascending.then_some(offsets)
    }

    /// The column of a partition field, by its position in the spec.
    pub(crate) fn partition(&self, position: usize) -> &Column {
        &self.decoded.columns[PARTITIONS + position]
    }

    /// What the partition tuple says of a partition field.
    pub(crate) fn partition_facts(&self, row: usize, position: usize) -> Facts<'_> {
        let Some(value_type) = &self.spec.fields[position].value_type else { return Facts::default() };
        let column = self.partition(position);
        let value = match kind_of(value_type) {
            Some(ColumnKind::Integer) => column.integer(row).map(Scalar::Integer),
            Some(ColumnKind::Float) => column.float(row).map(Scalar::Float),
            Some(ColumnKind::Bytes) => match (column.bytes(row), value_type) {
                (Some(bytes), Type::Decimal(_, _)) => match decimal(bytes) {
                    Some(value) => Some(Scalar::Decimal(value)),
                    None => return Facts::default(), // not null, but nothing that could be compared
                },
                (bytes, _) => bytes.map(Scalar::Bytes),
            },
            _ => return Facts::default(),
        };
        Facts::of_value(value)
    }

    /// What the statistics say of a field, by its position among those asked for.
    pub(crate) fn statistics_facts(&self, entry: &Entry, position: usize, field_type: &Type) -> Facts<'_> {
        let column = |offset: usize| &self.decoded.columns[self.statistics_slot(position) + offset];
        let bound = |offset: usize| Scalar::from_bound(field_type, column(offset).bytes(entry.row)?);
        let count = |offset: usize| column(offset).integer(entry.row).and_then(|count| u64::try_from(count).ok());
        let rows = u64::try_from(entry.record_count).ok().max(count(4));
        let counts = Counts { rows, nulls: count(2), nans: count(3) };
        Facts { lower: bound(0), upper: bound(1), ..Facts::of_counts(counts, field_type) }
    }

    fn statistics_slot(&self, position: usize) -> usize {
        debug_assert!(position < self.statistics.len());
        PARTITIONS + self.spec.fields.len() + position * STATISTICS.len()
    }

    fn integer(&self, slot: usize, row: usize) -> Option<i64> {
        self.decoded.columns[slot].integer(row)
    }
}

/// How a partition value of this type is decoded; None: it is not.
pub(crate) fn kind_of(value_type: &Type) -> Option<ColumnKind> {
    match value_type {
        Type::Boolean
        | Type::Int
        | Type::Long
        | Type::Date
        | Type::Time
        | Type::Timestamp(_)
        | Type::TimestampNs(_) => Some(ColumnKind::Integer),
        Type::Float | Type::Double => Some(ColumnKind::Float),
        Type::Decimal(_, _) | Type::String | Type::Uuid | Type::Fixed(_) | Type::Binary => Some(ColumnKind::Bytes),
        Type::Unknown | Type::Variant | Type::Spatial(_) | Type::Struct(_) | Type::List(_) | Type::Map(_, _) => None,
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

    let first = kinds.len();
    kinds.extend(statistics.iter().flat_map(|_| STATISTICS.map(|each| each.2)));
    for (offset, (id, name, kind)) in STATISTICS.into_iter().enumerate() {
        let slots = (first + offset..).step_by(STATISTICS.len());
        let keys: Vec<_> = statistics.iter().copied().zip(slots.map(|slot| Want::Column(slot, kind))).collect();
        if !keys.is_empty() {
            data_file.push(WantField { id, name: name.to_string(), required: false, want: Want::Pick(keys) });
        }
    }
    let mut wanted: Vec<_> = ENTRY.iter().enumerate().map(|(slot, each)| field(slot, *each)).collect();
    wanted.push(WantField { id: 2, name: "data_file".into(), required: true, want: Want::Record(data_file) });
    (wanted, kinds)
}

fn field(slot: usize, (id, name, kind, required): (i32, &str, ColumnKind, bool)) -> WantField {
    WantField { id, name: name.to_string(), required, want: Want::Column(slot, kind) }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message)
}
