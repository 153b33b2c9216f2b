//! The manifests of the snapshot that a commit follows.
//!
//! Lists of v1 may leave counts out, and snapshots of old v1 tables name their manifests without a list: then the
//! manifests themselves are read. Must not know: what becomes of them.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::descriptor::Descriptor;
use super::{blocking, existing, list};
use crate::error::Result;
use crate::iceberg::manifest_list::{Content, FieldSummary, ManifestFile};
use crate::runtime::Cancel;
use crate::store::Store;

/// Manifests in flight, as in planning.
pub(super) const CONCURRENT_MANIFESTS: usize = 16;

/// Every manifest of a snapshot, with the counts of its files.
pub(super) async fn manifests(
    store: &Store,
    list: Option<&str>,
    unlisted: &[String],
    cancel: &Cancel,
) -> Result<Vec<Descriptor>> {
    let listed = match list {
        Some(location) => {
            let bytes = store.read(location, None).await?;
            let stop = cancel.clone();
            blocking(move || list::decode(&bytes, &stop)).await.map_err(|e| e.at(location))?
        }
        None => unlisted
            .iter()
            .map(|path| Descriptor { path: path.clone(), spec_id: -1, ..Descriptor::default() })
            .collect(),
    };
    let complete = listed.into_iter().map(|each| complete(store.clone(), each, cancel.clone()));
    stream::iter(complete).buffered(CONCURRENT_MANIFESTS).try_collect().await
}

async fn complete(store: Store, mut manifest: Descriptor, cancel: Cancel) -> Result<Descriptor> {
    let known = manifest.files.iter().chain(&manifest.rows).all(Option::is_some);
    if known && manifest.snapshot_id.is_some() {
        return Ok(manifest);
    }
    let bytes = store.read(&manifest.path, None).await?;
    manifest.length = bytes.len() as i64;
    let counted = blocking(move || existing::count(&bytes, &cancel)).await.map_err(|e| e.at(&manifest.path))?;
    manifest.files = counted.0.map(Some);
    manifest.rows = counted.1.map(Some);
    if manifest.spec_id < 0 {
        manifest.spec_id = counted.2.unwrap_or(0);
        (manifest.sequence_number, manifest.min_sequence_number) = (Some(0), Some(0));
    }
    manifest.snapshot_id = manifest.snapshot_id.or(Some(0)); // unknown to v1, and nothing depends on it
    Ok(manifest)
}

impl Descriptor {
    /// The same as planning knows it.
    pub(super) fn as_planned(&self) -> ManifestFile {
        let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let summaries = self.partitions.iter().flatten().map(|summary| FieldSummary {
            contains_null: Some(summary.contains_null),
            contains_nan: summary.contains_nan,
            lower: summary.lower.as_ref().map(|bound| bound.0.clone()),
            upper: summary.upper.as_ref().map(|bound| bound.0.clone()),
        });
        ManifestFile {
            path: self.path.clone(),
            spec_id: Some(self.spec_id),
            content: if self.content == 0 { Content::Data } else { Content::Deletes },
            sequence_number: self.sequence_number.unwrap_or(0),
            added_files: count(self.files[0]),
            existing_files: count(self.files[1]),
            deleted_files: count(self.files[2]),
            added_rows: count(self.rows[0]),
            existing_rows: count(self.rows[1]),
            partitions: summaries.collect(),
            first_row_id: self.first_row_id,
            added_snapshot_id: self.snapshot_id,
        }
    }
}
