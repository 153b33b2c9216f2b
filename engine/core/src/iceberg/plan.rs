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
use crate::iceberg::reading::{Manifests, Read};
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
    let manifests = Manifests::new(store, &judge, chosen.len() + deletes.len(), cancel)?;
    let listed = chosen.into_iter().map(|manifest| manifests.clone().with(manifest, list));
    let listed = stream::iter(listed).buffered(CONCURRENT_MANIFESTS).try_collect::<Vec<_>>();
    let (listed, deletes) = futures::try_join!(listed, index(&manifests, deletes))?;
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

/// The files of a manifest that may hold matching rows, and the count of all.
fn list(judge: &Judge, read: Read, cancel: &Cancel) -> Result<(RecordBatch, Tally)> {
    let (batch, mut tally) = judge.list(&read.decoded, &read.manifest, cancel)?;
    tally.manifest_read(read.fetched);
    Ok((batch, tally))
}

/// The live delete files of a snapshot; None if it has none.
async fn index(manifests: &Manifests, deletes: Vec<ManifestFile>) -> Result<Option<DeleteIndex>> {
    let live = deletes.into_iter().filter(|manifest| manifest.live_files() != Some(0));
    let planned = |judge: &Judge, read: Read, _: &Cancel| judge.deletes(&read.decoded, &read.manifest);
    let read: Vec<_> = live.map(|manifest| manifests.clone().with(manifest, planned)).collect();
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

/// Work that is done away from the threads that carry the network.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Kind::Internal, format!("decoding a manifest failed: {e}"))))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
