//! A scan's plan: manifest list -> manifests -> the data files that may hold matching rows, and the report.
//!
//! Manifests are fetched concurrently, those of deletes among them, and decoded on blocking threads; the list keeps their
//! order. Opens no data file. Must not know: Parquet, how a location is read.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};

pub use crate::iceberg::report::PlanReport;
pub use crate::iceberg::request::PlanRequest;

use crate::error::{Error, Kind, Result};
use crate::iceberg::deletes::index::DeleteIndex;
use crate::iceberg::files::FileList;
use crate::iceberg::listing::Judge;
use crate::iceberg::manifest_list::{self, Content, ManifestFile};
use crate::iceberg::predicate::Predicate;
use crate::iceberg::report::{DeleteCounts, Tally};
use crate::runtime::Cancel;
use crate::store::Store;

/// Manifests in flight: enough to hide a store's latency, few enough to bound memory.
pub(crate) const CONCURRENT_MANIFESTS: usize = 16;

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
    let listed = stream::iter(listed).buffered(CONCURRENT_MANIFESTS).try_collect::<Vec<_>>();
    let (listed, deletes) = futures::try_join!(listed, index(store, deletes, &judge, cancel))?;
    let batches: Vec<RecordBatch> = listed
        .into_iter()
        .map(|(batch, part)| {
            tally.merge(part);
            batch
        })
        .collect();
    let joined = arrow_select::concat::concat_batches(judge.schema(), &batches);
    let joined = joined.map_err(|e| Error::new(Kind::MemoryLimit, format!("the list of files is too long: {e}")))?;
    let mut report = tally.report(live_pruned);
    let files = match deletes {
        None => FileList::new(joined)?,
        Some(deletes) => {
            let files = deletes.assign(joined)?;
            report.deletes = DeleteCounts::of(deletes.list().files().len(), &files.all_deletes()?);
            files
        }
    };
    Ok((files, report))
}

/// The live delete files of a snapshot; None if it has none.
async fn index(
    store: &Store,
    manifests: Vec<ManifestFile>,
    judge: &Arc<Judge>,
    cancel: &Cancel,
) -> Result<Option<DeleteIndex>> {
    let live = manifests.into_iter().filter(|manifest| manifest.live_files() != Some(0));
    let read = live.map(|manifest| {
        let (store, judge, cancel) = (store.clone(), Arc::clone(judge), cancel.clone());
        async move {
            cancel.check()?;
            let bytes = store.read(&manifest.path, None).await?;
            blocking(move || judge.deletes(&bytes, &manifest, &cancel).map_err(|e| e.at(&manifest.path))).await
        }
    });
    let read: Vec<_> = read.collect(); // a lazy iterator's closures would not be Send here
    let planned: Vec<Vec<_>> = stream::iter(read).buffered(CONCURRENT_MANIFESTS).try_collect().await?;
    let planned: Vec<_> = planned.into_iter().flatten().collect();
    if planned.is_empty() {
        return Ok(None);
    }
    blocking(move || DeleteIndex::new(planned)).await.map(Some)
}

async fn manifests_of(store: &Store, request: &PlanRequest, cancel: &Cancel) -> Result<Vec<ManifestFile>> {
    let Some(location) = &request.manifest_list else {
        return Ok(request.manifests.iter().map(|path| ManifestFile::unlisted(path)).collect());
    };
    list_of(store, location, cancel).await
}

/// Reads a manifest list.
pub(crate) async fn list_of(store: &Store, location: &str, cancel: &Cancel) -> Result<Vec<ManifestFile>> {
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

/// Work that is done away from the threads that carry the network.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Kind::Internal, format!("decoding a manifest failed: {e}"))))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
