//! What snapshots changed: the data files that each of them added and removed, as a file list that says so.
//!
//! A snapshot's own manifests are those that its list says it added: their entries "added" and "deleted" are its changes
//! (spec: "Manifests", field status), and no other manifest is read. Row deletes are refused: which rows they took is not
//! in the metadata. Must not know: which snapshots are asked for, nor why (`headrace.changes` chooses them).
//!
//! ```json
//! [{"snapshot_id": 2, "manifest_list": "s3://...", "parent_list": "s3://..."}]
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::files::{CHANGE, CHANGED_BY, FileList};
use crate::iceberg::listing::Judge;
use crate::iceberg::manifest_list::{Content, ManifestFile};
use crate::iceberg::plan::{CONCURRENT_MANIFESTS, blocking, list_of};
use crate::iceberg::predicate::Predicate;
use crate::iceberg::report::{PlanReport, Tally};
use crate::iceberg::request::PlanRequest;
use crate::runtime::Cancel;
use crate::store::Store;

/// One snapshot whose changes are wanted.
#[derive(Clone, Debug)]
pub struct Step {
    snapshot_id: i64,
    manifest_list: String,
    /// The list of the snapshot before it; None for a table's first
    parent_list: Option<String>,
}

impl Step {
    /// Parses the JSON form, oldest first.
    pub fn all_from_json(json: &str) -> Result<Vec<Step>> {
        let bad = || Error::new(Kind::InvalidArgument, "changes: steps are not a list of snapshots and their lists");
        let value: Value = serde_json::from_str(json).map_err(|_| bad())?;
        let text = |step: &Value, key: &str| step.get(key).and_then(Value::as_str).map(str::to_string);
        let parsed = value.as_array().ok_or_else(bad)?.iter().map(|step| {
            let snapshot_id = step.get("snapshot_id").and_then(Value::as_i64)?;
            let manifest_list = text(step, "manifest_list")?;
            Some(Step { snapshot_id, manifest_list, parent_list: text(step, "parent_list") })
        });
        parsed.collect::<Option<_>>().ok_or_else(bad)
    }
}

/// What a file's rows became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Insert,
    Delete,
}

impl Change {
    /// As Iceberg's changelogs name it, in lower case.
    fn name(self) -> &'static str {
        match self {
            Change::Insert => "insert",
            Change::Delete => "delete",
        }
    }
}

/// Lists the files that the steps added and removed and that may hold rows passing `filter`: step by step, in each what
/// was removed before what was added.
pub async fn changes(
    store: &Store,
    request: &PlanRequest,
    steps: &[Step],
    filter: &Predicate,
    cancel: &Cancel,
) -> Result<(FileList, PlanReport)> {
    let judge = Arc::new(Judge::new(request, filter)?);
    let lists: Vec<_> = steps.iter().map(|step| own_manifests(store, step, cancel)).collect();
    let lists: Vec<Vec<ManifestFile>> = stream::iter(lists).buffered(CONCURRENT_MANIFESTS).try_collect().await?;

    let (mut tally, mut reads) = (Tally::default(), Vec::new());
    for (step, manifests) in steps.iter().zip(lists) {
        for manifest in manifests {
            match judge.refute_manifest(&manifest).map_err(|e| e.at(&manifest.path))? {
                Some(reasons) => tally.manifest_pruned(&manifest, &reasons),
                None => reads.push(read(store, step.snapshot_id, manifest, Arc::clone(&judge), cancel.clone())),
            }
        }
    }
    let read: Vec<(RecordBatch, Tally)> = stream::iter(reads).buffered(CONCURRENT_MANIFESTS).try_collect().await?;
    let mut batches = Vec::with_capacity(read.len());
    for (batch, part) in read {
        batches.push(batch);
        tally.merge(part);
    }
    let joined = arrow_select::concat::concat_batches(&Arc::new(schema(judge.schema())), &batches);
    let joined = joined.map_err(|e| Error::new(Kind::MemoryLimit, format!("the list of files is too long: {e}")))?;
    Ok((FileList::new(in_order(&joined, steps)?)?, tally.report(true)))
}

/// The manifests of data files that a snapshot itself wrote; an error if it deleted rows of files that stay.
async fn own_manifests(store: &Store, step: &Step, cancel: &Cancel) -> Result<Vec<ManifestFile>> {
    let refused = |why: &str| {
        let message = format!("the changes of snapshot {} are not known file by file: {why}", step.snapshot_id);
        let hint = "ask for changes before or after it, or compare the two snapshots' rows";
        Err(Error::new(Kind::Unsupported, message).at(&step.manifest_list).hint(hint))
    };
    let listed = list_of(store, &step.manifest_list, cancel).await?;
    if listed.iter().any(|each| each.added_snapshot_id.is_none()) {
        return refused("its manifest list does not say which snapshot added a manifest");
    }
    let own = listed.into_iter().filter(|each| each.added_snapshot_id == Some(step.snapshot_id));
    let (data, deletes): (Vec<_>, Vec<_>) = own.partition(|each| each.content == Content::Data);
    if deletes.iter().any(|each| each.added_files != Some(0)) {
        return refused("it adds row deletes, which name rows or values of files that stay");
    }
    let removes = data.iter().any(|each| each.deleted_files != Some(0));
    if let (true, Some(parent)) = (removes, &step.parent_list) {
        let before = list_of(store, parent, cancel).await?;
        if before.iter().any(|each| each.content == Content::Deletes && each.live_files() != Some(0)) {
            return refused("it removes files, and rows of the table were deleted before it");
        }
    }
    Ok(data)
}

async fn read(
    store: &Store,
    snapshot_id: i64,
    manifest: ManifestFile,
    judge: Arc<Judge>,
    cancel: Cancel,
) -> Result<(RecordBatch, Tally)> {
    cancel.check()?;
    let bytes = store.read(&manifest.path, None).await?;
    let decode = move || {
        let (batch, changes, tally) = judge.changed(&bytes, &manifest, &cancel).map_err(|e| e.at(&manifest.path))?;
        let changes: StringArray = changes.iter().map(|change| Some(change.name())).collect();
        let by: ArrayRef = Arc::new(Int64Array::from(vec![snapshot_id; batch.num_rows()]));
        let mut columns = batch.columns().to_vec();
        columns.extend([Arc::new(changes) as ArrayRef, by]);
        let schema = Arc::new(schema(judge.schema()));
        Ok((RecordBatch::try_new(schema, columns).map_err(internal)?, tally))
    };
    blocking(decode).await
}

/// The file list's columns, and what happened to the file.
fn schema(of_files: &Schema) -> Schema {
    let own = [Field::new(CHANGE, DataType::Utf8, false), Field::new(CHANGED_BY, DataType::Int64, false)];
    let fields: Vec<_> = of_files.fields().iter().map(|field| field.as_ref().clone()).chain(own).collect();
    Schema::new_with_metadata(fields, of_files.metadata().clone())
}

/// The rows of each step together, removed files first; else in the order they came.
fn in_order(batch: &RecordBatch, steps: &[Step]) -> Result<RecordBatch> {
    let list = FileList::new(batch.clone())?;
    let (changes, by) = (list.text(CHANGE)?, list.int64(CHANGED_BY)?);
    let places: HashMap<i64, usize> = steps.iter().enumerate().map(|(at, step)| (step.snapshot_id, at)).collect();
    let mut order: Vec<(Option<&usize>, bool, u32)> = (0..batch.num_rows())
        .map(|row| (places.get(&by.value(row)), changes.value(row) == Change::Insert.name(), row as u32))
        .collect();
    order.sort_unstable();
    Ok(list.take(&order.into_iter().map(|(.., row)| row).collect::<Vec<_>>())?.batch().clone())
}

fn internal(error: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, format!("the list of changed files could not be built: {error}"))
}
