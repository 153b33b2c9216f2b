//! A manifest list -> descriptors of manifests (spec: Manifest Lists), of format versions 1, 2 and 3.
//!
//! Must not know: what is in a manifest, filters' meaning. Neighbours: `avro` below, `plan` above.

use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Want, WantField};
use crate::runtime::Cancel;

/// What a manifest lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Data,
    Deletes,
}

impl Content {
    /// As messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Content::Data => "data files",
            Content::Deletes => "deletes",
        }
    }
}

/// A manifest as its list describes it. Counts are of files, unless they say rows; None: the writer left them out (v1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManifestFile {
    pub(crate) path: String,
    /// None for a v1 table that names its manifests without a list: the manifest's header has it
    pub(crate) spec_id: Option<i32>,
    pub(crate) content: Content,
    pub(crate) sequence_number: i64,
    pub(crate) added_files: Option<u64>,
    pub(crate) existing_files: Option<u64>,
    pub(crate) deleted_files: Option<u64>,
    pub(crate) added_rows: Option<u64>,
    pub(crate) existing_rows: Option<u64>,
    /// A summary for every field of the spec, empty if there are none
    pub(crate) partitions: Vec<FieldSummary>,
    pub(crate) first_row_id: Option<i64>,
    /// The snapshot that wrote it
    pub(crate) added_snapshot_id: Option<i64>,
}

/// What a manifest's files hold in one partition field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSummary {
    pub(crate) contains_null: Option<bool>,
    pub(crate) contains_nan: Option<bool>,
    pub(crate) lower: Option<Vec<u8>>,
    pub(crate) upper: Option<Vec<u8>>,
}

impl ManifestFile {
    /// A manifest of a v1 table without a list.
    pub(crate) fn unlisted(path: &str) -> ManifestFile {
        ManifestFile {
            path: path.to_string(),
            spec_id: None,
            content: Content::Data,
            sequence_number: 0,
            added_files: None,
            existing_files: None,
            deleted_files: None,
            added_rows: None,
            existing_rows: None,
            partitions: Vec::new(),
            first_row_id: None,
            added_snapshot_id: None,
        }
    }

    /// Live files, where the list says how many.
    pub(crate) fn live_files(&self) -> Option<u64> {
        self.added_files?.checked_add(self.existing_files?)
    }

    /// Rows of live files, where the list says how many.
    pub(crate) fn live_rows(&self) -> Option<u64> {
        self.added_rows?.checked_add(self.existing_rows?)
    }
}

/// Columns of a manifest list, in the order of their slots: id, name, kind.
const FIELDS: [(i32, &str, ColumnKind); 12] = [
    (500, "manifest_path", ColumnKind::Bytes),
    (502, "partition_spec_id", ColumnKind::Integer),
    (517, "content", ColumnKind::Integer),
    (515, "sequence_number", ColumnKind::Integer),
    (504, "added_files_count", ColumnKind::Integer),
    (505, "existing_files_count", ColumnKind::Integer),
    (512, "added_rows_count", ColumnKind::Integer),
    (513, "existing_rows_count", ColumnKind::Integer),
    (520, "first_row_id", ColumnKind::Integer),
    (519, "key_metadata", ColumnKind::Bytes),
    (506, "deleted_files_count", ColumnKind::Integer),
    (503, "added_snapshot_id", ColumnKind::Integer),
];
const SUMMARY_FIELDS: [(i32, &str, ColumnKind); 4] = [
    (509, "contains_null", ColumnKind::Integer),
    (518, "contains_nan", ColumnKind::Integer),
    (510, "lower_bound", ColumnKind::Bytes),
    (511, "upper_bound", ColumnKind::Bytes),
];
const SUMMARIES: usize = FIELDS.len();

/// Decodes a manifest list.
pub(crate) fn decode(bytes: &[u8], cancel: &Cancel) -> Result<Vec<ManifestFile>> {
    let want = |slot: usize, (id, name, kind): (i32, &str, ColumnKind)| WantField {
        id,
        name: name.to_string(),
        required: matches!(id, 500 | 502),
        want: Want::Column(slot, kind),
    };
    let mut wanted: Vec<_> = FIELDS.iter().enumerate().map(|(slot, field)| want(slot, *field)).collect();
    let summary = SUMMARY_FIELDS.iter().enumerate().map(|(at, field)| want(SUMMARIES + 1 + at, *field)).collect();
    let summaries = Want::List(SUMMARIES, summary);
    wanted.push(WantField { id: 507, name: "partitions".into(), required: false, want: summaries });
    let kinds = FIELDS.iter().map(|field| field.2).chain([ColumnKind::List]);
    let kinds: Vec<_> = kinds.chain(SUMMARY_FIELDS.iter().map(|field| field.2)).collect();
    let decoded = AvroFile::open(bytes)?.decode(&wanted, &kinds, cancel)?;
    (0..decoded.records).map(|row| manifest(&decoded.columns, row)).collect()
}

fn manifest(columns: &[Column], row: usize) -> Result<ManifestFile> {
    let bad = |what: &str| Error::new(Kind::InvalidData, format!("manifest list, entry {row}: {what}"));
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_string).map_err(|_| bad("path is not UTF-8"));
    let path = columns[0].bytes(row).ok_or_else(|| bad("manifest_path is null")).and_then(text)?;
    let spec_id = columns[1].integer(row).and_then(|id| i32::try_from(id).ok());
    let content = match columns[2].integer(row).unwrap_or(0) {
        0 => Content::Data,
        1 => Content::Deletes,
        other => {
            let message = format!("manifest list, entry {row}: content {other}, expected 0 (data) or 1 (deletes)");
            return Err(Error::new(Kind::Unsupported, message));
        }
    };
    let count = |slot: usize| match columns[slot].integer(row).map(u64::try_from) {
        None => Ok(None),
        Some(Ok(count)) if count <= MOST => Ok(Some(count)),
        Some(_) => Err(bad(&format!("{} is {:?}", FIELDS[slot].1, columns[slot].integer(row)))),
    };
    if columns[9].bytes(row).is_some_and(|key| !key.is_empty()) {
        let message = "the manifest is encrypted, which this version does not read";
        return Err(Error::new(Kind::Unsupported, message).at(path));
    }
    Ok(ManifestFile {
        spec_id: Some(spec_id.ok_or_else(|| bad("partition_spec_id is null or no int"))?),
        content,
        sequence_number: columns[3].integer(row).unwrap_or(0),
        added_files: count(4)?,
        existing_files: count(5)?,
        added_rows: count(6)?,
        existing_rows: count(7)?,
        first_row_id: columns[8].integer(row),
        deleted_files: count(10)?,
        added_snapshot_id: columns[11].integer(row),
        partitions: columns[SUMMARIES].items(row).unwrap_or(0..0).map(|item| summary(columns, item)).collect(),
        path,
    })
}

/// More rows or files than any table has: a count beyond it is damage.
const MOST: u64 = 1 << 48;

fn summary(columns: &[Column], item: usize) -> FieldSummary {
    let flag = |at: usize| columns[SUMMARIES + 1 + at].integer(item).map(|flag| flag != 0);
    let bound = |at: usize| columns[SUMMARIES + 1 + at].bytes(item).map(<[u8]>::to_vec);
    FieldSummary { contains_null: flag(0), contains_nan: flag(1), lower: bound(2), upper: bound(3) }
}
