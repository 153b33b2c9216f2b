//! Manifests that are there, written again without the files that a change removes.
//!
//! ```json
//! {"table": "db.t", "format_version": 2, "schema": {...}, "specs": [...], "snapshot_id": 2, "prefix": "s3://...-m1-",
//!  "manifest_list": "s3://...", "manifests": [], "rule": "all" | "filter" | "partitions" | "listed", "files_spec": 0,
//!  "rewritten": [path, ...], "concurrent": [snapshot id, ...], "isolation": "serializable" | "snapshot",
//!  "only_rewritten": false, "marked": [path, ...], "keeps_sequence": false,
//!  "guards_removed": false, "dry": false}
//! ```
//!
//! `rewritten` are files whose surviving rows were written elsewhere, `concurrent` the snapshots that came after the one
//! that the change was made from: what they added is a conflict (serializable) or stays (snapshot). `only_rewritten`: of
//! what is selected nothing but the rewritten files goes. `guards_removed`: row deletes that came
//! since are looked for in files that go as a whole, too. `keeps_sequence`: what was written in their place has the
//! sequence number of the snapshot that it was read from (see `later_deletes`). The answer:
//!
//! ```json
//! {"replaced": [path], "manifests": [descriptor], "files": 1, "rows": 10, "bytes": 100, "partitions": 1,
//!  "partial": [path], "missing": [path], "fingerprint": "2-7f...", "conflict": {"snapshot_id": 3, "path": "..."},
//!  "deletes": {"snapshot_id": 3, "path": "..."}, "vectors": 0, "vector_rows": 0, "vector_bytes": 0}
//! ```
//!
//! `fingerprint` stands for the selected files that were there before: if it differs from that of the snapshot that the
//! change was made from, somebody removed some of them. With `dry` nothing is written.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data_file::{Entry, Status};
use super::descriptor::Descriptor;
use super::later_deletes::{self, Rewritten};
use super::manifest::{Layout, ManifestWriter};
use super::parent::{self, CONCURRENT_MANIFESTS};
use super::selection::{Rule, Selection, tuple};
use super::{blocking, existing, request, vectors};
use crate::error::{Error, Kind, Result};
use crate::iceberg::listing::Fate;
use crate::iceberg::predicate::Predicate;
use crate::iceberg::request::PlanRequest;
use crate::runtime::Cancel;
use crate::store::Store;

#[derive(Deserialize)]
struct Request {
    format_version: i64,
    schema: Value,
    specs: Vec<Value>,
    snapshot_id: i64,
    prefix: String,
    manifest_list: Option<String>,
    #[serde(default)]
    manifests: Vec<String>,
    rule: Rule,
    #[serde(default)]
    files_spec: i32,
    #[serde(default)]
    rewritten: HashSet<String>,
    #[serde(default)]
    concurrent: HashSet<i64>,
    isolation: Isolation,
    #[serde(default)]
    only_rewritten: bool,
    #[serde(default)]
    marked: HashSet<String>,
    #[serde(default)]
    guards_removed: bool,
    #[serde(default)]
    keeps_sequence: bool,
    #[serde(default)]
    dry: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Isolation {
    Serializable,
    Snapshot,
}

#[derive(Default, Serialize)]
struct Answer {
    replaced: Vec<String>,
    manifests: Vec<Descriptor>,
    files: usize,
    rows: i64,
    bytes: i64,
    partitions: usize,
    partial: Vec<String>,
    missing: Vec<String>,
    fingerprint: String,
    conflict: Option<Conflict>,
    deletes: Option<Conflict>,
    vectors: usize,
    vector_rows: i64,
    vector_bytes: i64,
}

#[derive(Clone, Serialize)]
pub(super) struct Conflict {
    pub(super) snapshot_id: Option<i64>,
    pub(super) path: String,
}

/// What all manifests of a rewrite are judged and written with.
struct Rewrite {
    asked: Request,
    selection: Selection,
    layouts: HashMap<i32, Layout>,
    /// Files that go must be known by name: deletion vectors may name them
    names_removed: bool,
}

/// What came of one manifest.
#[derive(Default)]
struct Outcome {
    replaced: Option<String>,
    written: Option<(Descriptor, Bytes)>,
    files: usize,
    rows: i64,
    bytes: i64,
    partitions: HashSet<String>,
    partial: Vec<String>,
    rewritten: Vec<Rewritten>,
    removed: Vec<String>,
    selected: usize,
    fingerprint: u64,
    conflict: Option<Conflict>,
}

/// Writes the manifests of a snapshot again, without the files that are selected.
///
/// # Errors
/// What reading and writing manifests raises; conflicts are part of the answer.
pub async fn rewrite_manifests(
    store: &Store,
    files: Vec<String>,
    asked: &str,
    filter: &Predicate,
    cancel: &Cancel,
) -> Result<String> {
    let plan = PlanRequest::from_json(asked)?;
    let asked: Request = request(asked)?;
    let mut layouts = HashMap::new();
    for spec in &asked.specs {
        let layout = Layout::new(asked.format_version, &asked.schema, spec)?;
        layouts.insert(layout.spec.id, layout);
    }
    let selection = Selection::new(asked.rule, &plan, filter, &files, &layouts, asked.files_spec, &asked.rewritten)?;
    let listed = parent::manifests(store, asked.manifest_list.as_deref(), &asked.manifests, cancel).await?;
    let live = listed.into_iter().enumerate().filter(|(_, each)| each.has_live_files());
    let (data, deletes): (Vec<_>, Vec<_>) = live.partition(|(_, each)| each.content == 0);
    let deletes: Vec<_> = deletes.into_iter().map(|(_, manifest)| manifest).collect();
    let names_removed = asked.format_version > 2 && !asked.dry && !deletes.is_empty();
    let rewrite = Arc::new(Rewrite { asked, selection, layouts, names_removed });
    let mut work = Vec::new();
    for (at, manifest) in data {
        let layout = rewrite.layout(manifest.spec_id)?;
        if !rewrite.selection.passes_over(&manifest, &layout.types)? {
            work.push(one(store.clone(), Arc::clone(&rewrite), at, manifest, cancel.clone()));
        }
    }
    let outcomes: Vec<Outcome> = stream::iter(work).buffered(CONCURRENT_MANIFESTS).try_collect().await?;
    let written: Vec<Rewritten> = outcomes.iter().flat_map(|outcome| outcome.rewritten.clone()).collect();
    let mut removed: HashSet<String> = outcomes.iter().flat_map(|outcome| outcome.removed.clone()).collect();
    if rewrite.names_removed {
        removed.extend(rewrite.asked.marked.iter().cloned());
    }
    let mut answer = rewrite.answer(outcomes);
    let asked = &rewrite.asked;
    if !removed.is_empty() {
        let place = vectors::Place { prefix: format!("{}d", asked.prefix), snapshot_id: asked.snapshot_id };
        let done = vectors::remove(store, deletes.clone(), removed, place, &rewrite.layouts, cancel).await?;
        for each in done {
            answer.vectors += each.descriptor.files[2].unwrap_or(0) as usize;
            answer.vector_rows += each.descriptor.rows[2].unwrap_or(0);
            answer.vector_bytes += each.bytes;
            answer.replaced.push(each.replaced);
            answer.manifests.push(each.descriptor);
        }
    }
    if !written.is_empty() && !asked.concurrent.is_empty() {
        let (since, equality) = (asked.concurrent.clone(), !asked.keeps_sequence);
        let question = later_deletes::Question { written, since, equality };
        answer.deletes = later_deletes::find(store, deletes, question, &rewrite.layouts, cancel).await?;
    }
    serde_json::to_string(&answer).map_err(|e| Error::new(Kind::Internal, e.to_string()))
}

async fn one(store: Store, rewrite: Arc<Rewrite>, at: usize, manifest: Descriptor, cancel: Cancel) -> Result<Outcome> {
    cancel.check()?;
    let bytes = store.read(&manifest.path, None).await?;
    let judged = Arc::clone(&rewrite);
    let outcome = blocking(move || judged.judge(&bytes, at, &manifest, &cancel).map_err(|e| e.at(&manifest.path)));
    let outcome = outcome.await?;
    if let Some((descriptor, bytes)) = &outcome.written {
        store.put(&descriptor.path, bytes.clone()).await?;
    }
    Ok(outcome)
}

impl Rewrite {
    fn layout(&self, spec_id: i32) -> Result<&Layout> {
        let unknown = || Error::new(Kind::InvalidData, format!("partition spec {spec_id} is not among the table's"));
        self.layouts.get(&spec_id).ok_or_else(unknown)
    }

    fn judge(&self, bytes: &[u8], at: usize, manifest: &Descriptor, cancel: &Cancel) -> Result<Outcome> {
        let layout = self.layout(manifest.spec_id)?;
        let decode = || existing::entries(bytes, manifest, &layout.spec, &layout.types, cancel);
        let fates = self.selection.fates(bytes, manifest, &decode, &layout.types, cancel)?;
        let mut outcome = Outcome::default();
        if fates.iter().all(|fate| *fate == Fate::Kept) {
            return Ok(outcome);
        }
        let entries = decode()?;
        if entries.len() != fates.len() {
            return Err(Error::new(Kind::Internal, "a manifest was read in two ways that differ"));
        }
        let removed: Vec<_> =
            entries.iter().zip(&fates).map(|(entry, fate)| self.removes(entry, *fate, layout, &mut outcome)).collect();
        if !removed.contains(&true) {
            return Ok(outcome);
        }
        for (entry, _) in entries.iter().zip(&removed).filter(|(_, removed)| **removed) {
            outcome.files += 1;
            if self.names_removed {
                outcome.removed.push(entry.file.path.clone());
            }
            outcome.rows += entry.file.record_count;
            outcome.bytes += entry.file.file_size;
            outcome.partitions.insert(format!("{:?}", tuple(&entry.file.partition, &layout.types)));
        }
        outcome.replaced = Some(manifest.path.clone());
        if !self.asked.dry {
            let path = format!("{}{at}.avro", self.asked.prefix);
            outcome.written = Some(self.write(layout, entries, &removed, path)?);
        }
        Ok(outcome)
    }

    /// Whether an entry's file goes; notes what is selected and cannot go.
    fn removes(&self, entry: &Entry, fate: Fate, layout: &Layout, outcome: &mut Outcome) -> bool {
        let path = &entry.file.path;
        if entry.status == Status::Deleted || fate == Fate::Kept {
            return false;
        }
        if entry.snapshot_id.is_some_and(|id| self.asked.concurrent.contains(&id)) {
            if self.asked.isolation == Isolation::Serializable {
                outcome.conflict.get_or_insert(Conflict { snapshot_id: entry.snapshot_id, path: path.clone() });
            }
            return false;
        }
        outcome.selected += 1;
        outcome.fingerprint = outcome.fingerprint.wrapping_add(hash(path));
        if self.asked.rewritten.contains(path) || self.asked.marked.contains(path) {
            let partition = tuple(&entry.file.partition, &layout.types);
            outcome.rewritten.push(Rewritten { path: path.clone(), spec_id: layout.spec.id, partition });
            return !self.asked.marked.contains(path);
        }
        if self.asked.only_rewritten {
            return false;
        }
        if fate == Fate::Partial {
            outcome.partial.push(path.clone());
        }
        let goes = fate == Fate::Whole;
        if goes && self.asked.guards_removed && !self.asked.concurrent.is_empty() {
            let partition = tuple(&entry.file.partition, &layout.types);
            outcome.rewritten.push(Rewritten { path: path.clone(), spec_id: layout.spec.id, partition });
        }
        goes
    }

    /// Entries that stay become existing ones, those that go are marked deleted; what was deleted before is left out.
    fn write(
        &self,
        layout: &Layout,
        entries: Vec<Entry>,
        removed: &[bool],
        path: String,
    ) -> Result<(Descriptor, Bytes)> {
        let mut writer = ManifestWriter::new(layout);
        for (mut entry, removed) in entries.into_iter().zip(removed) {
            if entry.status == Status::Deleted {
                continue;
            }
            if *removed {
                entry.status = Status::Deleted;
                entry.snapshot_id = Some(self.asked.snapshot_id);
            } else {
                entry.status = Status::Existing;
            }
            writer.add(&entry)?;
        }
        let (descriptor, bytes) = writer.finish(path, self.asked.snapshot_id)?;
        Ok((descriptor, Bytes::from(bytes)))
    }

    fn answer(&self, outcomes: Vec<Outcome>) -> Answer {
        let mut answer = Answer::default();
        let (mut partitions, mut selected, mut fingerprint) = (HashSet::new(), 0, 0u64);
        let mut missing: BTreeSet<String> = self.asked.rewritten.union(&self.asked.marked).cloned().collect();
        for outcome in outcomes {
            answer.replaced.extend(outcome.replaced);
            answer.manifests.extend(outcome.written.map(|(descriptor, _)| descriptor));
            answer.files += outcome.files;
            answer.rows += outcome.rows;
            answer.bytes += outcome.bytes;
            answer.partial.extend(outcome.partial);
            answer.conflict = answer.conflict.or(outcome.conflict);
            partitions.extend(outcome.partitions);
            outcome.rewritten.iter().for_each(|each| {
                missing.remove(&each.path);
            });
            selected += outcome.selected;
            fingerprint = fingerprint.wrapping_add(outcome.fingerprint);
        }
        answer.partitions = partitions.len();
        answer.missing = missing.into_iter().collect();
        answer.fingerprint = format!("{selected}-{fingerprint:016x}");
        answer
    }
}

/// The same in one process, which is all that a fingerprint needs.
fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
