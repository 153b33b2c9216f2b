//! A manifest's entries: what each says of its file, with what it inherits, and what is known of the file's values.
//!
//! Spec: Manifests, Sequence Number Inheritance, First Row ID Inheritance. Must not know: how files are judged or
//! listed. Neighbours: [`super::decoded`] below, `listing` above.

use arrow_array::{Int64Array, ListArray, StringArray};

use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Values};
use crate::iceberg::bounds::{Counts, Facts};
use crate::iceberg::changes::Change;
use crate::iceberg::decoded::{
    CONTENT, CONTENT_OFFSET, CONTENT_SIZE, Decoded, EQUALITY_ID, EQUALITY_IDS, FILE_SIZE, FIRST_ROW_ID, FORMAT,
    KEY_METADATA, PARTITIONS, RECORD_COUNT, REFERENCED, SEQUENCE_NUMBER, STATUS,
};
use crate::iceberg::manifest_list::{Content, ManifestFile};
use crate::iceberg::scalar::{Scalar, decimal};
use crate::iceberg::schema::Type;
use crate::iceberg::specs::PartitionSpec;

/// Formats of data and delete files that are read.
const FORMATS: [&str; 3] = ["parquet", "avro", "orc"];
/// Rows or bytes beyond what any file has: a number above it is damage.
const MOST: i64 = 1 << 48;

/// The entries of one manifest, as its list has it.
pub(crate) struct Entries<'a> {
    decoded: &'a Decoded,
    manifest: &'a ManifestFile,
    spec: &'a PartitionSpec,
    statistics: Vec<&'a [Column]>,
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
    /// The entries as a list has them; `statistics`: the fields that facts are asked of, all of them decoded.
    pub(crate) fn new(
        decoded: &'a Decoded,
        manifest: &'a ManifestFile,
        spec: &'a PartitionSpec,
        statistics: &[i32],
    ) -> Result<Entries<'a>> {
        let missing = || Error::new(Kind::Internal, "statistics that were not decoded");
        let columns = |field: &i32| decoded.statistics.get(field).map(|columns| &**columns).ok_or_else(missing);
        let statistics = statistics.iter().map(columns).collect::<Result<_>>()?;
        Ok(Entries { decoded, manifest, spec, statistics, next_row_id: manifest.first_row_id })
    }

    /// Number of entries, deleted ones too.
    pub(crate) fn len(&self) -> usize {
        self.decoded.records
    }

    /// Locations of all files.
    pub(crate) fn paths(&self) -> &StringArray {
        &self.decoded.paths
    }

    /// Where the row groups of every file begin; null where the manifest does not say or says what cannot be.
    pub(crate) fn split_offsets(&self) -> &ListArray {
        &self.decoded.split_offsets
    }

    /// Sizes of all files; None where one is missing.
    pub(crate) fn file_sizes(&self) -> Option<Int64Array> {
        self.whole(FILE_SIZE)
    }

    /// Rows of all files; None where one is missing.
    pub(crate) fn record_counts(&self) -> Option<Int64Array> {
        self.whole(RECORD_COUNT)
    }

    fn whole(&self, slot: usize) -> Option<Int64Array> {
        let column = &self.decoded.columns[slot];
        match column.values() {
            Values::Integer(values) if column.nulls().is_none() && values.len() == self.len() => {
                Some(Int64Array::new(values.clone(), None))
            }
            _ => None,
        }
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
    pub(crate) fn path(&self, row: usize) -> &str {
        self.decoded.paths.value(row)
    }

    /// Refuses files that this version cannot read, by name.
    pub(crate) fn check_readable(&self, row: usize) -> Result<()> {
        let format = self.decoded.columns[FORMAT].bytes(row).unwrap_or_default();
        let what = if self.manifest.content == Content::Data { "data" } else { "delete" };
        let refused = |message: String| Err(Error::new(Kind::Unsupported, message).at(self.path(row)));
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
        let columns = self.statistics.get(position).copied().unwrap_or_default();
        let column = |offset: usize| columns.get(offset);
        let bound = |offset: usize| Scalar::from_bound(field_type, column(offset)?.bytes(entry.row)?);
        let count = |offset: usize| column(offset)?.integer(entry.row).and_then(|count| u64::try_from(count).ok());
        let rows = u64::try_from(entry.record_count).ok().max(count(4));
        let counts = Counts { rows, nulls: count(2), nans: count(3) };
        Facts { lower: bound(0), upper: bound(1), ..Facts::of_counts(counts, field_type) }
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

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message)
}
