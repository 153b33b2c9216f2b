//! Rows that go -> one Puffin file with a deletion vector for each data file.
//!
//! A data file has one vector at most (spec: Deletion Vectors), so the new one holds what the old one and older position
//! deletes say too. Must not know: Parquet, commits. Neighbour: [`crate::iceberg::deletes::puffin`] lays the file out.

use bytes::Bytes;
use serde_json::json;

use super::{Marked, Request};
use crate::error::{Error, Kind, Result};
use crate::iceberg::deletes::puffin::Puffin;
use crate::iceberg::deletes::vector;
use crate::iceberg::files::FileList;
use crate::load::{FileTask, deleted_positions};
use crate::runtime::Cancel;
use crate::store::Store;

/// Writes the vectors; the JSON of each.
pub(super) async fn write(
    store: &Store,
    list: &FileList,
    mut marked: Vec<Marked>,
    asked: &Request,
    cancel: &Cancel,
) -> Result<Vec<String>> {
    if marked.is_empty() {
        return Ok(Vec::new());
    }
    let positions: Vec<u32> = marked.iter().map(|each| each.at).collect();
    let tasks = FileTask::of_list(&list.take(&positions)?)?;
    let older = deleted_positions(store, &tasks, &asked.bounds(), cancel).await?;
    for each in &mut marked {
        if let Some(older) = older.get(each.path.as_str()) {
            each.rows |= older;
        }
    }
    let location = format!("{}/{}-deletes.puffin", asked.folder, asked.file_name);
    let place = location.clone();
    let work = move || encode(&marked, &place);
    let encoded = tokio::task::spawn_blocking(work).await;
    let (described, bytes) = encoded.map_err(|_| Error::new(Kind::Internal, "deletion vectors were not encoded"))??;
    cancel.check()?;
    let put = store.put(&location, bytes).await;
    if put.is_err() {
        let _ = store.delete(std::slice::from_ref(&location)).await; // its answer may be what was lost
    }
    put.map(|()| described)
}

fn encode(marked: &[Marked], location: &str) -> Result<(Vec<String>, Bytes)> {
    let mut puffin = Puffin::default();
    let mut places = Vec::with_capacity(marked.len());
    for each in marked {
        let blob = vector::blob(&each.rows).map_err(|e| e.at(&each.path))?;
        places.push(puffin.add(&each.path, each.rows.len(), &blob));
    }
    let bytes = puffin.finish()?;
    let describe = |(each, range): (&Marked, std::ops::Range<u64>)| {
        let described = json!({
            "content": "position-deletes",
            "file-path": location,
            "file-format": "puffin",
            "spec-id": each.spec_id,
            "partition": each.partition,
            "record-count": each.rows.len(),
            "file-size-in-bytes": bytes.len(),
            "referenced-data-file": each.path,
            "content-offset": range.start,
            "content-size-in-bytes": range.end - range.start,
        });
        described.to_string()
    };
    Ok((marked.iter().zip(places).map(describe).collect(), Bytes::from(bytes)))
}
