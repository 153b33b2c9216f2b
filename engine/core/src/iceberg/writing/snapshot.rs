//! The manifest list of a new snapshot: what its parent lists, without what was replaced, and what was added.
//!
//! ```json
//! {"format_version": 2, "snapshot_id": 2, "parent_snapshot_id": 1, "sequence_number": 2, "location": "s3://...",
//!  "parent_list": "s3://..." or null, "parent_manifests": [], "added": [descriptor, ...], "replaced": [path, ...], "next_row_id": null}
//! ```
//!
//! The answer: `{"kept": 3, "created": 1, "replaced": 0, "added_rows": 10}`, `added_rows` being the row ids handed out
//! (v3). No manifest is read unless the parent's list leaves counts out, as v1 may: the cost of an append does not grow with
//! the files of the table.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::descriptor::Descriptor;
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
}

/// Writes the manifest list of a snapshot.
///
/// # Errors
/// `InvalidArgument` if the parent does not list a manifest that is to be replaced.
pub async fn write_manifest_list(store: &Store, asked: &str, cancel: &Cancel) -> Result<String> {
    let asked: Request = request(asked)?;
    let parent = parent::manifests(store, asked.parent_list.as_deref(), &asked.parent_manifests, cancel).await?;
    let location = asked.location.clone();
    let (bytes, answer) = blocking(move || encode(asked, parent)).await?;
    store.put(&location, bytes, false).await?;
    Ok(answer)
}

fn encode(asked: Request, listed: Vec<Descriptor>) -> Result<(Bytes, String)> {
    let mut replaced = 0;
    let mut kept: Vec<Descriptor> = Vec::with_capacity(listed.len());
    for manifest in listed {
        if asked.replaced.contains(&manifest.path) {
            replaced += 1;
        } else if manifest.has_live_files() {
            kept.push(manifest);
        }
    }
    if replaced != asked.replaced.len() {
        return Err(invalid("a manifest that is to be replaced is not in the parent's list"));
    }
    let (counts, created) = (kept.len(), asked.added.len());
    let mut manifests = asked.added; // newest first, as Iceberg's own writers list them
    manifests.append(&mut kept);
    let added_rows = number_rows(&mut manifests, asked.next_row_id)?;

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
    let bytes = list::encode(&manifests, asked.format_version, &metadata, asked.sequence_number)?;
    let answer = json!({"kept": counts, "created": created, "replaced": replaced, "added_rows": added_rows});
    Ok((Bytes::from(bytes), answer.to_string()))
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
