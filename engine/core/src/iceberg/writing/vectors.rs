//! Deletion vectors of data files that go, which go with them.
//!
//! The spec wants that of writers of v3 (Delete Formats, Deletion Vectors); a vector that names no live file deletes nothing.
//! Files of position and equality deletes stay: they may apply to others. Must not know: which data files go, and why.
//! Neighbours: `rewrite` asks.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::data_file::{Entry, Status};
use super::descriptor::Descriptor;
use super::existing;
use super::manifest::{Layout, ManifestWriter};
use super::parent::CONCURRENT_MANIFESTS;
use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;
use crate::store::Store;

/// Where manifests are written, and for which snapshot.
pub(super) struct Place {
    pub(super) prefix: String,
    pub(super) snapshot_id: i64,
}

/// A manifest that was written again.
pub(super) struct Without {
    pub(super) replaced: String,
    pub(super) descriptor: Descriptor,
    /// Bytes of the vectors that went
    pub(super) bytes: i64,
}

/// Writes delete manifests again without the vectors of these data files.
pub(super) async fn remove(
    store: &Store,
    manifests: Vec<Descriptor>,
    removed: HashSet<String>,
    place: Place,
    layouts: &HashMap<i32, Layout>,
    cancel: &Cancel,
) -> Result<Vec<Without>> {
    let read = manifests.into_iter().map(|manifest| {
        let store = store.clone();
        async move { store.read(&manifest.path, None).await.map(|bytes| (manifest, bytes)) }
    });
    let read: Vec<_> = read.collect(); // a stream over references would not be Send
    let mut read = stream::iter(read).buffered(CONCURRENT_MANIFESTS);
    let mut done = Vec::new();
    while let Some((manifest, bytes)) = read.try_next().await? {
        cancel.check()?;
        let unknown = || Error::new(Kind::InvalidData, format!("partition spec {} is not known", manifest.spec_id));
        let layout = layouts.get(&manifest.spec_id).ok_or_else(unknown)?;
        let entries = existing::entries(&bytes, &manifest, &layout.spec, &layout.types, cancel);
        let path = format!("{}{}.avro", place.prefix, done.len());
        let without = without(layout, entries.map_err(|e| e.at(&manifest.path))?, &removed, path, place.snapshot_id)?;
        if let Some((descriptor, written, bytes)) = without {
            store.put(&descriptor.path, written).await?;
            done.push(Without { replaced: manifest.path, descriptor, bytes });
        }
    }
    Ok(done)
}

/// A manifest whose vectors of these data files are marked deleted, and their bytes; None if it has none of them.
fn without(
    layout: &Layout,
    entries: Vec<Entry>,
    removed: &HashSet<String>,
    path: String,
    snapshot_id: i64,
) -> Result<Option<(Descriptor, Bytes, i64)>> {
    let goes = |entry: &Entry| {
        let deletes = entry.file.deletes.as_ref().filter(|deletes| deletes.content_offset.is_some());
        let of = deletes.and_then(|deletes| deletes.referenced_data_file.as_ref());
        entry.status != Status::Deleted && of.is_some_and(|of| removed.contains(of))
    };
    if !entries.iter().any(goes) {
        return Ok(None);
    }
    let mut writer = ManifestWriter::of_deletes(layout);
    let mut gone = 0i64;
    for mut entry in entries.into_iter().filter(|entry| entry.status != Status::Deleted) {
        let goes = goes(&entry);
        entry.status = if goes { Status::Deleted } else { Status::Existing };
        if goes {
            entry.snapshot_id = Some(snapshot_id);
            gone = gone.saturating_add(entry.file.own_size());
        }
        writer.add(&entry)?;
    }
    let (descriptor, bytes) = writer.finish(path, snapshot_id)?;
    Ok(Some((descriptor, Bytes::from(bytes), gone)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::data_file::{DataFile, Deletes};
    use super::*;

    fn vector(of: &str, offset: Option<i64>) -> Entry {
        let deletes = Deletes {
            content: 1,
            equality_ids: None,
            referenced_data_file: Some(of.to_string()),
            content_offset: offset,
            content_size: offset.map(|_| 40),
        };
        let file = DataFile {
            path: "d.puffin".to_string(),
            format: "PUFFIN".to_string(),
            record_count: 3,
            file_size: 100,
            deletes: Some(deletes),
            ..DataFile::default()
        };
        let (snapshot_id, number) = (Some(5), Some(7));
        Entry { status: Status::Added, snapshot_id, sequence_number: number, file_sequence_number: number, file }
    }

    #[test]
    fn vectors_go_with_their_files_and_others_stay_whole() {
        let schema = json!({"type": "struct", "schema-id": 0, "fields": []});
        let layout = Layout::new(3, &schema, &json!({"spec-id": 0, "fields": []})).unwrap();
        let entries = vec![vector("a", Some(4)), vector("b", Some(44)), vector("a", None)];
        let removed = HashSet::from(["a".to_string()]);
        let written = without(&layout, entries, &removed, "m.avro".to_string(), 9).unwrap();
        let (descriptor, bytes, gone) = written.unwrap();
        assert_eq!(gone, 40);
        assert_eq!((descriptor.content, descriptor.files), (1, [Some(0), Some(2), Some(1)]));
        let found = existing::entries(&bytes, &descriptor, &layout.spec, &layout.types, &Cancel::default()).unwrap();
        let of = |entry: &Entry| (entry.status, entry.snapshot_id, entry.sequence_number, entry.file.deletes.clone());
        let expected = [
            (Status::Deleted, Some(9), vector("a", Some(4))),
            (Status::Existing, Some(5), vector("b", Some(44))),
            (Status::Existing, Some(5), vector("a", None)),
        ];
        for (found, (status, snapshot_id, entry)) in found.iter().zip(expected) {
            assert_eq!(of(found), (status, snapshot_id, Some(7), entry.file.deletes));
        }
        assert!(without(&layout, vec![vector("b", Some(4))], &removed, String::new(), 9).unwrap().is_none());
    }
}
