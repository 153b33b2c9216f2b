//! A scan's plan: manifest list -> manifests -> the data files that may hold matching rows, and the report.
//!
//! Manifests are fetched concurrently and decoded on blocking threads; the list keeps their order. Row deletes are
//! refused. Opens no data file. Must not know: Parquet, how a location is read.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};

pub use crate::iceberg::report::PlanReport;
pub use crate::iceberg::request::PlanRequest;

use crate::error::{Error, Kind, Result};
use crate::iceberg::files::FileList;
use crate::iceberg::listing::Judge;
use crate::iceberg::manifest_list::{self, Content, ManifestFile};
use crate::iceberg::manifests::count_live;
use crate::iceberg::predicate::Predicate;
use crate::iceberg::report::Tally;
use crate::runtime::Cancel;
use crate::store::Store;

/// Manifests in flight: enough to hide a store's latency, few enough to bound memory.
const CONCURRENT_MANIFESTS: usize = 16;

/// Lists the files of a snapshot that may hold rows passing `filter`.
pub async fn plan(
    store: &Store,
    request: &PlanRequest,
    filter: &Predicate,
    cancel: &Cancel,
) -> Result<(FileList, PlanReport)> {
    let judge = Arc::new(Judge::new(request, filter)?);
    let manifests = manifests_of(store, request, cancel).await?;
    let (data, deletes): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|each| each.content == Content::Data);
    refuse_row_deletes(store, request, &deletes, cancel).await?;

    let mut tally = Tally::default();
    let mut chosen = Vec::new();
    let mut live_pruned = false;
    for manifest in data {
        match judge.prune_manifest(&manifest).map_err(|e| e.at(&manifest.path))? {
            Some(reasons) => {
                live_pruned |= manifest.live_files() != Some(0);
                tally.manifest_pruned(&manifest, &reasons);
            }
            None => chosen.push(manifest),
        }
    }
    let listed = chosen.into_iter().map(|manifest| list(store, manifest, Arc::clone(&judge), cancel.clone()));
    let listed: Vec<_> = stream::iter(listed).buffered(CONCURRENT_MANIFESTS).try_collect().await?;
    let batches: Vec<RecordBatch> = listed
        .into_iter()
        .map(|(batch, part)| {
            tally.merge(part);
            batch
        })
        .collect();
    let joined = arrow_select::concat::concat_batches(judge.schema(), &batches);
    let joined = joined.map_err(|e| Error::new(Kind::MemoryLimit, format!("the list of files is too long: {e}")))?;
    Ok((FileList::new(joined)?, tally.report(live_pruned)))
}

async fn manifests_of(store: &Store, request: &PlanRequest, cancel: &Cancel) -> Result<Vec<ManifestFile>> {
    let Some(location) = &request.manifest_list else {
        return Ok(request.manifests.iter().map(|path| ManifestFile::unlisted(path)).collect());
    };
    cancel.check()?;
    let bytes = store.read(location, None).await?;
    let cancel = cancel.clone();
    blocking(move || manifest_list::decode(&bytes, &cancel)).await.map_err(|e| e.at(location))
}

/// Reads one manifest, away from the threads that carry the network.
async fn list(
    store: &Store,
    manifest: ManifestFile,
    judge: Arc<Judge>,
    cancel: Cancel,
) -> Result<(RecordBatch, Tally)> {
    cancel.check()?;
    let bytes = store.read(&manifest.path, None).await?;
    blocking(move || judge.list(&bytes, &manifest, &cancel).map_err(|e| e.at(&manifest.path))).await
}

/// Wrong rows are worse than none: until deletes are applied, a table with live row deletes is refused.
async fn refuse_row_deletes(
    store: &Store,
    request: &PlanRequest,
    deletes: &[ManifestFile],
    cancel: &Cancel,
) -> Result<()> {
    let one = |manifest: &ManifestFile| live_deletes(store.clone(), manifest.clone(), cancel.clone());
    let counts: Vec<_> = deletes.iter().map(one).collect(); // a stream over references would not be Send
    let counts: Vec<u64> = stream::iter(counts).buffered(CONCURRENT_MANIFESTS).try_collect().await?;
    match counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count)) {
        0 => Ok(()),
        live => {
            let files = if live == 1 { "file" } else { "files" };
            let message = format!(
                "table {} has {live} row-delete {files}, which this version does not apply: it refuses rather than \
                 return wrong rows",
                request.table
            );
            let hint = "rewrite its data files (Spark: CALL system.rewrite_data_files with 'delete-file-threshold' 1), \
                        or read a snapshot from before the deletes";
            Err(Error::new(Kind::RowDeletes, message).hint(hint))
        }
    }
}

/// Live delete files of a delete manifest, which is read only where its list does not say.
async fn live_deletes(store: Store, manifest: ManifestFile, cancel: Cancel) -> Result<u64> {
    if let Some(known) = manifest.live_files() {
        return Ok(known);
    }
    let bytes = store.read(&manifest.path, None).await?;
    blocking(move || count_live(&bytes, &cancel)).await.map_err(|e| e.at(&manifest.path))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Kind::Internal, format!("decoding a manifest failed: {e}"))))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
