//! The manifest list of a new snapshot: what its parent lists, without what was replaced, and what was added.
//!
//! ```json
//! {"format_version": 2, "snapshot_id": 2, "parent_snapshot_id": 1, "sequence_number": 2, "location": "s3://...",
//!  "parent_list": "s3://..." or null, "parent_manifests": [], "added": [descriptor, ...], "replaced": [path, ...],
//!  "next_row_id": null, "merge": {"min_count": 100, "target_size": 8388608, "location": "s3://...", "schema": {...},
//!  "specs": [...]} or null}
//! ```
//!
//! The answer: `{"kept": 3, "created": 1, "replaced": 0, "added_rows": 10, "merged": [path, ...], "deletes_dropped": 0,
//! "deletes_left": 0}`, `added_rows` being the row ids handed out (v3), `merged` the manifests that were joined into a
//! new one, the last two delete files whose manifests were left out, since every data file is younger than they are, and
//! those that stay. No manifest is read unless the parent's list leaves counts out, as v1 may: the cost of an append does
//! not grow with the files of the table.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::descriptor::Descriptor;
use super::merge::{self, Merge};
use super::{blocking, invalid, list, parent, request};
use crate::error::Result;
use crate::runtime::Cancel;
use crate::store::Store;

#[derive(Deserialize)]
struct Request {
    format_version: i64,
    snapshot_id: i64,
    parent_snapshot_id: Option<i64>,
    sequence_number: i64,
    location: String,
    parent_list: Option<String>,
    #[serde(default)]
    parent_manifests: Vec<String>,
    #[serde(default)]
    added: Vec<Descriptor>,
    #[serde(default)]
    replaced: HashSet<String>,
    next_row_id: Option<i64>,
    merge: Option<Merge>,
}

/// Writes the manifest list of a snapshot.
///
/// # Errors
/// `InvalidArgument` if the parent does not list a manifest that is to be replaced.
pub async fn write_manifest_list(store: &Store, asked: &str, cancel: &Cancel) -> Result<String> {
    let asked: Request = request(asked)?;
    let parent = parent::manifests(store, asked.parent_list.as_deref(), &asked.parent_manifests, cancel).await?;
    let (mut manifests, mut answer) = listed(&asked, parent)?;
    let mut merged = HashSet::new();
    if let Some(merge) = &asked.merge {
        let (version, snapshot_id) = (asked.format_version, asked.snapshot_id);
        let done = merge::merge(store, merge, version, snapshot_id, &mut manifests, cancel).await?;
        merged = done.unwrap_or_default();
    }
    answer["added_rows"] = json!(number_rows(&mut manifests, asked.next_row_id)?);
    answer["merged"] = json!(merged);
    let location = asked.location.clone();
    let bytes = blocking(move || encode(&asked, &manifests)).await?;
    store.put(&location, bytes).await?;
    Ok(answer.to_string())
}

/// The manifests of the new snapshot, newest first as Iceberg's own writers list them, and how they came there.
fn listed(asked: &Request, parent: Vec<Descriptor>) -> Result<(Vec<Descriptor>, Value)> {
    let mut replaced = 0;
    let mut manifests = asked.added.clone();
    for manifest in parent {
        if asked.replaced.contains(&manifest.path) {
            replaced += 1;
        } else if manifest.has_live_files() {
            manifests.push(manifest);
        }
    }
    if replaced != asked.replaced.len() {
        return Err(invalid("a manifest that is to be replaced is not in the parent's list"));
    }
    let deletes = drop_spent_deletes(asked, &mut manifests);
    let created = asked.added.len();
    let counts = json!({"kept": manifests.len() - created, "created": created, "replaced": replaced,
        "deletes_dropped": deletes.0, "deletes_left": deletes.1});
    Ok((manifests, counts))
}

/// Leaves out delete manifests that apply to no data file any more: no delete applies to a file of a larger sequence
/// number than its own (spec: Scan Planning). Live delete files in (those left out, those that stay).
fn drop_spent_deletes(asked: &Request, manifests: &mut Vec<Descriptor>) -> (i64, i64) {
    let number = |number: Option<i64>| number.unwrap_or(asked.sequence_number);
    let data = manifests.iter().filter(|each| each.content == 0 && each.has_live_files());
    let oldest = data.map(|each| number(each.min_sequence_number)).min();
    let (mut dropped, mut left) = (0, 0);
    manifests.retain(|each| {
        if each.content == 0 {
            return true;
        }
        let spent = oldest.is_none_or(|oldest| number(each.sequence_number) < oldest);
        let live = each.files[0].unwrap_or(0).saturating_add(each.files[1].unwrap_or(0));
        *(if spent { &mut dropped } else { &mut left }) += live;
        !spent
    });
    (dropped, left)
}

fn encode(asked: &Request, manifests: &[Descriptor]) -> Result<Bytes> {
    let text = |number: Option<i64>| number.map_or_else(|| "null".to_string(), |number| number.to_string());
    let mut metadata = vec![
        ("snapshot-id", asked.snapshot_id.to_string()),
        ("parent-snapshot-id", text(asked.parent_snapshot_id)),
        ("format-version", asked.format_version.to_string()),
    ];
    if asked.format_version > 1 {
        metadata.push(("sequence-number", asked.sequence_number.to_string()));
    }
    if asked.format_version > 2 {
        metadata.push(("first-row-id", text(asked.next_row_id)));
    }
    list::encode(manifests, asked.format_version, &metadata, asked.sequence_number).map(Bytes::from)
}

/// Hands out first row ids to data manifests that have none (spec, Row Lineage); the number of ids.
fn number_rows(manifests: &mut [Descriptor], next_row_id: Option<i64>) -> Result<i64> {
    let Some(first) = next_row_id else { return Ok(0) };
    let mut next = first;
    for manifest in manifests.iter_mut().filter(|each| each.content == 0 && each.first_row_id.is_none()) {
        let rows = manifest.live_rows();
        let rows = rows.ok_or_else(|| invalid("row counts are unknown, which v3 needs").at(&manifest.path))?;
        manifest.first_row_id = Some(next);
        next = next.checked_add(rows).ok_or_else(|| invalid("row ids overflow"))?;
    }
    Ok(next - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str, content: i64, sequence: Option<i64>, min: Option<i64>, live: i64) -> Descriptor {
        Descriptor {
            path: path.to_string(),
            content,
            sequence_number: sequence,
            min_sequence_number: min,
            files: [Some(live), Some(0), Some(0)],
            ..Descriptor::default()
        }
    }

    fn left(data: &[Descriptor]) -> ((i64, i64), Vec<String>) {
        let asked = json!({"format_version": 2, "snapshot_id": 9, "parent_snapshot_id": null, "sequence_number": 9,
            "location": "", "parent_list": null, "next_row_id": null, "merge": null});
        let deletes = [("d4", 4), ("d5", 5), ("d6", 6)].map(|(path, at)| manifest(path, 1, Some(at), Some(1), 2));
        let mut manifests: Vec<_> = data.iter().cloned().chain(deletes).collect();
        let counts = drop_spent_deletes(&request(&asked.to_string()).unwrap(), &mut manifests);
        (counts, manifests.into_iter().filter(|each| each.content == 1).map(|each| each.path).collect())
    }

    #[test]
    fn deletes_older_than_every_data_file_are_left_out() {
        let at = |min: i64| manifest("m", 0, Some(8), Some(min), 1);
        assert_eq!(left(&[at(7), at(5)]), ((2, 4), vec!["d5".to_string(), "d6".to_string()]));
        assert_eq!(left(&[at(0)]), ((0, 6), vec!["d4".to_string(), "d5".to_string(), "d6".to_string()]));
        // A manifest of this snapshot, one without live files, and none at all
        assert_eq!(left(&[manifest("new", 0, None, None, 1)]), ((6, 0), Vec::new()));
        assert_eq!(left(&[manifest("gone", 0, Some(1), Some(1), 0)]), ((6, 0), Vec::new()));
        assert_eq!(left(&[]), ((6, 0), Vec::new()));
    }
}
