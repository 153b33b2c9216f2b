//! Objects of a listing that no snapshot reaches.
//!
//! ```json
//! {"snapshots": [{"manifest_list": "s3://...", "manifests": []}], "keep": ["s3://..."], "modified_before_ms": 0,
//!  "metadata_folders": ["s3://..."]}
//! ```
//!
//! `keep` is what else is in use: metadata files, statistics, staged files. An object whose time is not known stays. A
//! listing with metadata of another table below the same folder is refused: its files would be taken for orphans. Must
//! not know: how long things are kept, and why.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde::Deserialize;

use super::places::{Places, hash};
use super::walk::{Named, reach};
use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;
use crate::store::{Listed, Store};

#[derive(Deserialize)]
struct Request {
    snapshots: Vec<Named>,
    keep: Vec<String>,
    modified_before_ms: i64,
    metadata_folders: Vec<String>,
}

/// The objects of a listing that nothing reaches and that were written before a time.
///
/// # Errors
/// What reading the metadata raises: an object is an orphan only if everything that might name it was read.
/// `Unsupported` for metadata of another table in the listing.
pub async fn orphans(store: &Store, listing: &[Listed], asked: &str, cancel: &Cancel) -> Result<Vec<Listed>> {
    let asked: Request = serde_json::from_str(asked)
        .map_err(|e| Error::new(Kind::InvalidArgument, format!("not a request for orphans: {e}")))?;
    refuse_other_tables(listing, &asked.metadata_folders)?;
    let mut places = Places::default();
    asked.keep.iter().for_each(|each| places.insert(each));
    reach(store, &asked.snapshots, &mut places, cancel).await?;
    let is_old = |each: &Listed| each.modified_ms.is_some_and(|at| at < asked.modified_before_ms);
    let found = listing.iter().filter(|each| is_old(each) && !places.hold(&each.location));
    Ok(found.filter(|each| !is_checksum_of(&each.location, &places)).cloned().collect())
}

fn refuse_other_tables(listing: &[Listed], folders: &[String]) -> Result<()> {
    let own: HashSet<u64> = folders.iter().map(|folder| hash(folder)).collect();
    for each in listing.iter().filter(|each| is_metadata(&each.location)) {
        let folder = each.location.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !own.contains(&hash(folder)) {
            let message = "metadata of another table lies below this table's location: its files would be removed";
            let hint = "pass locations= with the folders that hold this table's files alone";
            return Err(Error::new(Kind::Unsupported, message).at(each.location.clone()).hint(hint));
        }
    }
    Ok(())
}

fn is_metadata(location: &str) -> bool {
    [".metadata.json", ".metadata.json.gz"].iter().any(|end| location.ends_with(end))
}

/// Hadoop's file systems keep a checksum beside each file, ".name.crc": it goes and stays with the file.
fn is_checksum_of(location: &str, places: &Places) -> bool {
    let Some((folder, name)) = location.rsplit_once('/') else { return false };
    let of = name.strip_prefix('.').and_then(|name| name.strip_suffix(".crc"));
    of.is_some_and(|name| places.hold(&format!("{folder}/{name}")))
}

/// A listing as Arrow: location, size, modified.
pub fn listing_batch(listing: &[Listed]) -> Result<RecordBatch> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let fields = vec![
        Field::new("location", DataType::Utf8, false),
        Field::new("size", DataType::Int64, false),
        Field::new("modified", time, true),
    ];
    let sizes = listing.iter().map(|each| i64::try_from(each.size).unwrap_or(i64::MAX));
    let times: TimestampMillisecondArray = listing.iter().map(|each| each.modified_ms).collect();
    let columns: Vec<arrow_array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(listing.iter().map(|each| each.location.as_str()))),
        Arc::new(Int64Array::from_iter_values(sizes)),
        Arc::new(times.with_timezone("UTC")),
    ];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    batch.map_err(|e| Error::new(Kind::Internal, format!("a listing could not be shown: {e}")))
}
