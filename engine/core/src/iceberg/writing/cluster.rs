//! Manifests that are there, written again so that files of one partition lie together: planning then reads few of them.
//!
//! ```json
//! {"format_version": 2, "schema": {...}, "specs": [...], "snapshot_id": 2, "prefix": "s3://...-m1-",
//!  "manifest_list": "s3://...", "manifests": [], "target_size": 8388608}
//! ```
//!
//! The answer: `{"replaced": [path], "manifests": [descriptor], "entries": 10, "kept": 0}`. Entries are carried whole:
//! snapshots, sequence numbers and row ids stay as they were. Delete manifests stay as they are.
//!
//! Memory: manifests are taken in the order of their partitions, so many at a time as hold [`WINDOW_FILES`]; within such
//! a window files are sorted. Must not know: which snapshot this becomes.

use std::cmp::Ordering;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data_file::{Entry, Status};
use super::descriptor::{Descriptor, Hex};
use super::manifest::{Layout, ManifestWriter};
use super::parent::{self, CONCURRENT_MANIFESTS};
use super::{blocking, existing, request};
use crate::error::{Error, Kind, Result};
use crate::iceberg::predicate::Literal;
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::Type;
use crate::runtime::Cancel;
use crate::store::Store;

/// Files whose entries are in memory at a time; with statistics of 16 columns an entry takes some 2 KiB.
const WINDOW_FILES: i64 = 100_000;

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
    target_size: usize,
}

#[derive(Default, Serialize)]
struct Answer {
    replaced: Vec<String>,
    manifests: Vec<Descriptor>,
    entries: usize,
    kept: usize,
}

/// Writes the manifests of a snapshot again, clustered by partition.
///
/// # Errors
/// What reading and writing manifests raises.
pub async fn cluster_manifests(store: &Store, asked: &str, cancel: &Cancel) -> Result<String> {
    let asked: Request = request(asked)?;
    let listed = parent::manifests(store, asked.manifest_list.as_deref(), &asked.manifests, cancel).await?;
    let live: Vec<_> = listed.into_iter().filter(|each| each.content == 0 && each.has_live_files()).collect();
    let mut answer = Answer::default();
    for spec in &asked.specs {
        let layout = std::sync::Arc::new(Layout::new(asked.format_version, &asked.schema, spec)?);
        let mut own: Vec<_> = live.iter().filter(|each| each.spec_id == layout.spec.id).cloned().collect();
        own.sort_by(|a, b| compare_bounds(a, b, &layout.types));
        if is_clustered(&own, &layout.types, asked.target_size) {
            answer.kept += own.len();
            continue;
        }
        for window in windows(own) {
            let (snapshot_id, target) = (asked.snapshot_id, asked.target_size);
            let prefix = format!("{}{}-", asked.prefix, answer.replaced.len());
            let paths: Vec<_> = window.iter().map(|each| each.path.clone()).collect();
            let read = read(store, window).await?;
            let (layout, stop) = (layout.clone(), cancel.clone());
            let done = blocking(move || sorted(&layout, read, snapshot_id, target, &prefix, &stop)).await?;
            for (descriptor, bytes) in done {
                cancel.check()?;
                store.put(&descriptor.path, bytes).await?;
                answer.entries += descriptor.files[1].unwrap_or(0) as usize;
                answer.manifests.push(descriptor);
            }
            answer.replaced.extend(paths);
        }
    }
    serde_json::to_string(&answer).map_err(|e| Error::new(Kind::Internal, e.to_string()))
}

async fn read(store: &Store, window: Vec<Descriptor>) -> Result<Vec<(Descriptor, Bytes)>> {
    let read = window.into_iter().map(|manifest| {
        let store = store.clone();
        async move { store.read(&manifest.path, None).await.map(|bytes| (manifest, bytes)) }
    });
    let read: Vec<_> = read.collect(); // a stream over references would not be Send
    stream::iter(read).buffered(CONCURRENT_MANIFESTS).try_collect().await
}

/// Manifests in groups of about so many files as may be in memory.
fn windows(manifests: Vec<Descriptor>) -> Vec<Vec<Descriptor>> {
    let (mut windows, mut window, mut files) = (Vec::new(), Vec::new(), 0);
    for manifest in manifests {
        let count = manifest.files[0].unwrap_or(0) + manifest.files[1].unwrap_or(0);
        if files + count > WINDOW_FILES && window.len() > 1 {
            windows.push(std::mem::take(&mut window));
            files = 0;
        }
        files += count;
        window.push(manifest);
    }
    if !window.is_empty() {
        windows.push(window);
    }
    windows
}

/// Whether nothing would be gained: one manifest, or partitions that do not overlap in manifests that are large enough.
fn is_clustered(manifests: &[Descriptor], types: &[Option<Type>], target: usize) -> bool {
    let is_large = |each: &Descriptor| each.length.saturating_mul(2) >= target as i64;
    let apart = |pair: &[Descriptor]| {
        let (upper, lower) = (bounds(&pair[0], false), bounds(&pair[1], true));
        types.is_empty() || compare(&upper, &lower, types) != Ordering::Greater
    };
    manifests.len() < 2 || (manifests.windows(2).all(apart) && manifests[..manifests.len() - 1].iter().all(is_large))
}

fn compare_bounds(a: &Descriptor, b: &Descriptor, types: &[Option<Type>]) -> Ordering {
    compare(&bounds(a, true), &bounds(b, true), types)
}

fn bounds(manifest: &Descriptor, lower: bool) -> Vec<Option<&Hex>> {
    let of = |each: &'_ super::descriptor::Summary| if lower && each.contains_null { None } else { Some(()) };
    let summaries = manifest.partitions.iter().flatten();
    summaries.map(|each| of(each).and(if lower { each.lower.as_ref() } else { each.upper.as_ref() })).collect()
}

/// Partitions field by field, null first.
fn compare(a: &[Option<&Hex>], b: &[Option<&Hex>], types: &[Option<Type>]) -> Ordering {
    let one = |((a, b), value_type): ((&Option<&Hex>, &Option<&Hex>), &Option<Type>)| match (a, b, value_type) {
        (Some(a), Some(b), Some(value_type)) => {
            let scalars = Scalar::from_bound(value_type, &a.0).zip(Scalar::from_bound(value_type, &b.0));
            scalars.and_then(|(a, b)| a.order(b)).unwrap_or(Ordering::Equal)
        }
        _ => a.is_some().cmp(&b.is_some()),
    };
    a.iter().zip(b).zip(types).map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn compare_partitions(a: &[Option<Literal>], b: &[Option<Literal>]) -> Ordering {
    let one = |(a, b): (&Option<Literal>, &Option<Literal>)| match (a, b) {
        (Some(a), Some(b)) => {
            let (a, b) = (Scalar::of(a), Scalar::of(b));
            a.order(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
        _ => a.is_some().cmp(&b.is_some()),
    };
    a.iter().zip(b).map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The live entries of manifests, sorted by partition, in manifests of the target size.
fn sorted(
    layout: &Layout,
    read: Vec<(Descriptor, Bytes)>,
    snapshot_id: i64,
    target: usize,
    prefix: &str,
    cancel: &Cancel,
) -> Result<Vec<(Descriptor, Bytes)>> {
    let mut entries: Vec<Entry> = Vec::new();
    for (manifest, bytes) in read {
        cancel.check()?;
        let found = existing::entries(&bytes, &manifest, &layout.spec, &layout.types, cancel);
        let found = found.map_err(|e| e.at(&manifest.path))?;
        entries.extend(found.into_iter().filter(|entry| entry.status != Status::Deleted));
    }
    entries.sort_by(|a, b| compare_partitions(&a.file.partition, &b.file.partition));
    let mut done = Vec::new();
    let mut writer = ManifestWriter::new(layout);
    for mut entry in entries {
        entry.status = Status::Existing;
        writer.add(&entry)?;
        if writer.len() >= target {
            close(std::mem::replace(&mut writer, ManifestWriter::new(layout)), &mut done, prefix, snapshot_id)?;
            cancel.check()?;
        }
    }
    if !writer.is_empty() {
        close(writer, &mut done, prefix, snapshot_id)?;
    }
    Ok(done)
}

fn close(writer: ManifestWriter, done: &mut Vec<(Descriptor, Bytes)>, prefix: &str, snapshot_id: i64) -> Result<()> {
    let (descriptor, bytes) = writer.finish(format!("{prefix}{}.avro", done.len()), snapshot_id)?;
    done.push((descriptor, Bytes::from(bytes)));
    Ok(())
}
