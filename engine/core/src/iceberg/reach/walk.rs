//! Snapshots -> their manifests, each once -> the live files in them.
//!
//! Must not know: what becomes of the files. Neighbours: `manifest_list` and `avro` decode.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::iceberg::avro::{AvroFile, ColumnKind, Want, WantField};
use crate::iceberg::manifest_list;
use crate::runtime::Cancel;
use crate::store::Store;

/// Lists and manifests in flight, as in planning.
const CONCURRENT: usize = 16;
const DELETED: i64 = 2;

/// Where a snapshot's manifests are named.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Named {
    pub(super) manifest_list: Option<String>,
    #[serde(default)]
    pub(super) manifests: Vec<String>,
}

/// The manifests of snapshots, each once; `lenient`: a list that is gone names none.
pub(super) async fn manifests(
    store: &Store,
    snapshots: &[Named],
    lenient: bool,
    cancel: &Cancel,
) -> Result<Vec<String>> {
    let lists: HashSet<String> = snapshots.iter().filter_map(|each| each.manifest_list.clone()).collect();
    let read = lists.into_iter().map(|list| listed(store.clone(), list, lenient, cancel.clone()));
    let read: Vec<_> = read.collect(); // a stream over references would not be Send
    let read: Vec<Vec<String>> = stream::iter(read).buffer_unordered(CONCURRENT).try_collect().await?;
    let unlisted = snapshots.iter().filter(|each| each.manifest_list.is_none()).flat_map(|each| each.manifests.clone());
    let distinct: HashSet<String> = read.into_iter().flatten().chain(unlisted).collect();
    Ok(distinct.into_iter().collect())
}

async fn listed(store: Store, list: String, lenient: bool, cancel: Cancel) -> Result<Vec<String>> {
    cancel.check()?;
    let bytes = match store.read(&list, None).await {
        Err(error) if lenient && error.kind() == Kind::ObjectNotFound => return Ok(Vec::new()),
        read => read?,
    };
    let decode = move || Ok(manifest_list::decode(&bytes, &cancel)?.into_iter().map(|each| each.path).collect());
    blocking(decode).await.map_err(|e| e.at(&list))
}

/// What `of` makes of the content (0: data, 1: position deletes, 2: equality deletes) and location of every live file of
/// these manifests; `lenient`: a manifest that is gone has none.
pub(super) async fn files<T: Send + 'static>(
    store: &Store,
    manifests: Vec<String>,
    lenient: bool,
    cancel: &Cancel,
    of: fn(i64, &str) -> T,
) -> Result<Vec<T>> {
    let read = manifests.into_iter().map(|path| one(store.clone(), path, lenient, cancel.clone(), of));
    let add = |mut all: Vec<T>, part: Vec<T>| async move {
        all.extend(part);
        Ok(all)
    };
    let read: Vec<_> = read.collect();
    stream::iter(read).buffer_unordered(CONCURRENT).try_fold(Vec::new(), add).await
}

async fn one<T: Send + 'static>(
    store: Store,
    path: String,
    lenient: bool,
    cancel: Cancel,
    of: fn(i64, &str) -> T,
) -> Result<Vec<T>> {
    cancel.check()?;
    let bytes = match store.read(&path, None).await {
        Err(error) if lenient && error.kind() == Kind::ObjectNotFound => return Ok(Vec::new()),
        read => read?,
    };
    blocking(move || live(&bytes, &cancel, of)).await.map_err(|e| e.at(&path))
}

fn live<T>(bytes: &[u8], cancel: &Cancel, of: fn(i64, &str) -> T) -> Result<Vec<T>> {
    let field = |slot: usize, id: i32, name: &str, kind: ColumnKind, required: bool| WantField {
        id,
        name: name.to_string(),
        required,
        want: Want::Column(slot, kind),
    };
    let file =
        vec![field(1, 134, "content", ColumnKind::Integer, false), field(2, 100, "file_path", ColumnKind::Bytes, true)];
    let wanted = [
        field(0, 0, "status", ColumnKind::Integer, true),
        WantField { id: 2, name: "data_file".to_string(), required: true, want: Want::Record(file) },
    ];
    let kinds = [ColumnKind::Integer, ColumnKind::Integer, ColumnKind::Bytes];
    let decoded = AvroFile::open(bytes)?.decode(&wanted, &kinds, cancel)?;
    let rows = (0..decoded.records).filter(|row| decoded.columns[0].integer(*row) != Some(DELETED));
    let file = |row: usize| {
        let path = decoded.columns[2].bytes(row).and_then(|path| std::str::from_utf8(path).ok());
        let wrong = || Error::new(Kind::InvalidData, format!("manifest entry {row}: file_path is null or not UTF-8"));
        Ok(of(decoded.columns[1].integer(row).unwrap_or(0), path.ok_or_else(wrong)?))
    };
    rows.map(file).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Kind::Internal, format!("decoding a manifest failed: {e}"))))
}

/// Everything that snapshots reach: lists, manifests, files.
pub(super) async fn reach(
    store: &Store,
    snapshots: &[Named],
    into: &mut super::places::Places,
    cancel: &Cancel,
) -> Result<()> {
    snapshots.iter().filter_map(|each| each.manifest_list.as_deref()).for_each(|list| into.insert(list));
    let manifests = manifests(store, snapshots, false, cancel).await?;
    manifests.iter().for_each(|path| into.insert(path));
    into.extend(files(store, manifests, false, cancel, |_, path| super::places::hash(path)).await?);
    Ok(())
}
