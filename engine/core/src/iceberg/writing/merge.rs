//! Small manifests joined into one, so that a table of many small commits stays quick to plan.
//!
//! Only the newest manifests of one spec, and only once there are enough of them: the cost is shared by the commits that
//! made them, and an append to a table with large manifests reads none. Must not know: lists' bytes, snapshots.
//! Iceberg's properties `commit.manifest.min-count-to-merge` and `commit.manifest.target-size-bytes` set the numbers.

use std::collections::HashSet;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::Value;

use super::data_file::{Entry, Status};
use super::descriptor::Descriptor;
use super::manifest::{Layout, ManifestWriter};
use super::parent::CONCURRENT_MANIFESTS;
use super::{blocking, existing};
use crate::error::Result;
use crate::runtime::Cancel;
use crate::store::Store;

/// Manifests that one commit joins at most, in multiples of the least number: bounds what an append may have to read.
const MOST: usize = 2;

/// When and how manifests are joined.
#[derive(Deserialize)]
pub(super) struct Merge {
    min_count: usize,
    target_size: i64,
    location: String,
    schema: Value,
    specs: Vec<Value>,
}

/// Joins the newest manifests into one if there are enough; None if there are not, else the paths that were joined.
pub(super) async fn merge(
    store: &Store,
    asked: &Merge,
    format_version: i64,
    snapshot_id: i64,
    manifests: &mut Vec<Descriptor>,
    cancel: &Cancel,
) -> Result<Option<HashSet<String>>> {
    let Some(spec_id) = manifests.iter().find(|each| each.content == 0).map(|each| each.spec_id) else {
        return Ok(None);
    };
    let chosen = chosen(asked, manifests, spec_id);
    let spec = asked.specs.iter().find(|spec| spec["spec-id"].as_i64() == Some(i64::from(spec_id)));
    let (Some(spec), true) = (spec, chosen.len() >= asked.min_count.max(2)) else { return Ok(None) };
    let layout = Layout::new(format_version, &asked.schema, spec)?;
    let read = chosen.iter().cloned().map(|manifest| {
        let store = store.clone();
        async move { store.read(&manifest.path, None).await.map(|bytes| (manifest, bytes)) }
    });
    let read: Vec<_> = read.collect(); // a stream over references would not be Send
    let read: Vec<(Descriptor, Bytes)> = stream::iter(read).buffered(CONCURRENT_MANIFESTS).try_collect().await?;
    let (location, stop) = (asked.location.clone(), cancel.clone());
    let (joined, bytes) = blocking(move || join(&layout, &read, snapshot_id, location, &stop)).await?;
    store.put(&joined.path, bytes).await?;
    let paths: HashSet<String> = chosen.into_iter().map(|each| each.path).collect();
    manifests.retain(|each| !paths.contains(&each.path));
    manifests.insert(0, joined);
    Ok(Some(paths))
}

/// The newest manifests of a spec that fit into one of the target size.
fn chosen(asked: &Merge, manifests: &[Descriptor], spec_id: i32) -> Vec<Descriptor> {
    let mut size = 0i64;
    let of_spec = manifests.iter().filter(|each| each.content == 0 && each.spec_id == spec_id);
    let fitting = of_spec.take_while(|each| {
        size = size.saturating_add(each.length);
        size <= asked.target_size
    });
    fitting.take(asked.min_count.saturating_mul(MOST)).cloned().collect()
}

fn join(
    layout: &Layout,
    read: &[(Descriptor, Bytes)],
    snapshot_id: i64,
    location: String,
    cancel: &Cancel,
) -> Result<(Descriptor, Bytes)> {
    let mut writer = ManifestWriter::new(layout);
    for (manifest, bytes) in read {
        cancel.check()?;
        let entries = existing::entries(bytes, manifest, &layout.spec, &layout.types, cancel);
        for entry in entries.map_err(|e| e.at(&manifest.path))? {
            if let Some(entry) = carried(entry, snapshot_id) {
                writer.add(&entry)?;
            }
        }
    }
    let (descriptor, bytes) = writer.finish(location, snapshot_id)?;
    Ok((descriptor, Bytes::from(bytes)))
}

/// What this snapshot added or removed stays so; what others added exists, and what others removed is left out.
fn carried(mut entry: Entry, snapshot_id: i64) -> Option<Entry> {
    if entry.snapshot_id == Some(snapshot_id) {
        return Some(entry);
    }
    if entry.status == Status::Deleted {
        return None;
    }
    entry.status = Status::Existing;
    Some(entry)
}
