//! Row deletes that came after a file was read to be written again: they would be lost, or apply to rows no more.
//!
//! A position delete (or deletion vector) names a file and rows of it. An equality delete applies to files with smaller
//! sequence numbers (spec: Scan Planning): to what was written again it does only if that keeps the sequence number of
//! the snapshot that it was read from. Must not know: what a delete deletes, Parquet. Neighbours: `rewrite` asks.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::descriptor::Descriptor;
use super::existing::{partition, partition_fields};
use super::manifest::Layout;
use super::parent::CONCURRENT_MANIFESTS;
use super::rewrite::Conflict;
use super::selection::{Tuple, tuple};
use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, Column, ColumnKind, Want, WantField};
use crate::iceberg::transforms::Transform;
use crate::runtime::Cancel;
use crate::store::Store;

/// A file that was written again.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    pub(super) path: String,
    pub(super) spec_id: i32,
    pub(super) partition: Tuple,
}

/// What is looked for.
pub(super) struct Question {
    pub(super) written: Vec<Rewritten>,
    /// Snapshots that came since the files were read
    pub(super) since: HashSet<i64>,
    /// Equality deletes count as well
    pub(super) equality: bool,
}

const STATUS: usize = 0;
const SNAPSHOT_ID: usize = 1;
const CONTENT: usize = 2;
const PATH: usize = 3;
const REFERENCED: usize = 4;
const LOWER: usize = 5;
const UPPER: usize = 6;
const PARTITIONS: usize = 7;
/// Reserved field id of a position delete's `file_path` (spec: Reserved Field IDs).
const FILE_PATH: i32 = 2_147_483_546;
const DELETED: i64 = 2;
const EQUALITY: i64 = 2;

/// A row delete of one of the snapshots that may apply to one of the files; None if there is none.
pub(super) async fn find(
    store: &Store,
    manifests: Vec<Descriptor>,
    question: Question,
    layouts: &HashMap<i32, Layout>,
    cancel: &Cancel,
) -> Result<Option<Conflict>> {
    let came = |each: &Descriptor| each.snapshot_id.is_none_or(|id| question.since.contains(&id));
    let read = manifests.into_iter().filter(came).map(|manifest| {
        let store = store.clone();
        async move { store.read(&manifest.path, None).await.map(|bytes| (manifest, bytes)) }
    });
    let read: Vec<_> = read.collect(); // a stream over references would not be Send
    let mut read = stream::iter(read).buffered(CONCURRENT_MANIFESTS);
    while let Some((manifest, bytes)) = read.try_next().await? {
        let unknown = || Error::new(Kind::InvalidData, format!("partition spec {} is not known", manifest.spec_id));
        let layout = layouts.get(&manifest.spec_id).ok_or_else(unknown)?;
        let found = question.answer(&bytes, layout, cancel).map_err(|e| e.at(&manifest.path))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

impl Question {
    fn answer(&self, bytes: &[u8], layout: &Layout, cancel: &Cancel) -> Result<Option<Conflict>> {
        let (wanted, kinds) = wanted(layout);
        let decoded = AvroFile::open(bytes)?.decode(&wanted, &kinds, cancel)?;
        let columns = &decoded.columns;
        for row in 0..decoded.records {
            let snapshot_id = columns[SNAPSHOT_ID].integer(row);
            let came = snapshot_id.is_none_or(|id| self.since.contains(&id));
            if columns[STATUS].integer(row) == Some(DELETED) || !came {
                continue;
            }
            let is_equality = columns[CONTENT].integer(row) == Some(EQUALITY);
            if is_equality && !self.equality {
                continue;
            }
            let own = tuple(&partition(&columns[PARTITIONS..], row, &layout.types)?, &layout.types);
            let is_global =
                is_equality && layout.spec.fields.iter().all(|field| matches!(field.transform, Transform::Void));
            let here = |file: &&Rewritten| is_global || (file.spec_id == layout.spec.id && file.partition == own);
            let named = |file: &&Rewritten| is_equality || names(columns, row, &file.path);
            if let Some(file) = self.written.iter().find(|file| here(file) && named(file)) {
                return Ok(Some(Conflict { snapshot_id, path: file.path.clone() }));
            }
        }
        Ok(None)
    }
}

/// Whether a file of position deletes may name this data file. Bounds may be cut short, and bound all the same.
fn names(columns: &[Column], row: usize, path: &str) -> bool {
    if let Some(referenced) = columns[REFERENCED].bytes(row) {
        return referenced == path.as_bytes();
    }
    let (lower, upper) = (columns[LOWER].bytes(row), columns[UPPER].bytes(row));
    lower.is_none_or(|lower| lower <= path.as_bytes()) && upper.is_none_or(|upper| path.as_bytes() <= upper)
}

fn wanted(layout: &Layout) -> (Vec<WantField>, Vec<ColumnKind>) {
    let field = |slot: usize, id: i32, name: &str, kind: ColumnKind, required: bool| WantField {
        id,
        name: name.to_string(),
        required,
        want: Want::Column(slot, kind),
    };
    let bound = |slot: usize, id: i32, name: &str| WantField {
        id,
        name: name.to_string(),
        required: false,
        want: Want::Pick(vec![(FILE_PATH, Want::Column(slot, ColumnKind::Bytes))]),
    };
    let mut kinds = vec![ColumnKind::Integer; 3];
    kinds.extend([ColumnKind::Bytes; 4]);
    let mut file = vec![
        field(CONTENT, 134, "content", ColumnKind::Integer, true),
        field(PATH, 100, "file_path", ColumnKind::Bytes, true),
        field(REFERENCED, 143, "referenced_data_file", ColumnKind::Bytes, false),
        bound(LOWER, 125, "lower_bounds"),
        bound(UPPER, 128, "upper_bounds"),
    ];
    file.extend(partition_fields(&layout.spec, &layout.types, PARTITIONS, &mut kinds));
    let wanted = vec![
        field(STATUS, 0, "status", ColumnKind::Integer, true),
        field(SNAPSHOT_ID, 1, "snapshot_id", ColumnKind::Integer, false),
        WantField { id: 2, name: "data_file".to_string(), required: true, want: Want::Record(file) },
    ];
    (wanted, kinds)
}
