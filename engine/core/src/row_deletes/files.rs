//! Rows that go -> Parquet files of position deletes, one a partition or one a data file.
//!
//! Sorted by location, then position (spec: Position Delete Files); bounds of locations are whole, so that planning finds
//! a file of one location by it. Must not know: vectors, older deletes. Neighbour: [`crate::write`] encodes and uploads.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch};
use serde_json::{Value, json};

use super::{Granularity, Marked, Request};
use crate::error::{Error, Kind, Result};
use crate::frame::Frame;
use crate::iceberg::deletes::{PATH_ID, POSITION_ID};
use crate::runtime::Cancel;
use crate::store::Store;
use crate::write::{self, WriteRequest};

/// Larger than any file: what goes together is one file.
const NO_TARGET_BYTES: &str = "4611686018427387904";

/// Writes the files; the JSON of each.
pub(super) async fn write(store: &Store, marked: &[Marked], asked: &Request, cancel: &Cancel) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for (at, group) in groups(marked, asked.granularity).into_iter().enumerate() {
        match one(store, &group, at, asked, cancel).await {
            Ok(described) => written.push(described),
            Err(error) => {
                let paths: Vec<String> =
                    written.iter().filter_map(|each: &Value| each["file-path"].as_str().map(str::to_string)).collect();
                let _ = store.delete(&paths).await; // the error itself matters more
                return Err(error);
            }
        }
    }
    Ok(written.into_iter().map(|each| each.to_string()).collect())
}

/// Data files whose deletes go into one file, in the order of their paths.
fn groups(marked: &[Marked], granularity: Granularity) -> Vec<Vec<&Marked>> {
    let mut groups: BTreeMap<(i32, String, &str), Vec<&Marked>> = BTreeMap::new();
    for each in marked {
        let path = if granularity == Granularity::File { each.path.as_str() } else { "" };
        let partition = Value::from(each.partition.clone()).to_string();
        groups.entry((each.spec_id, partition, path)).or_default().push(each);
    }
    groups.into_values().collect()
}

async fn one(store: &Store, group: &[&Marked], at: usize, asked: &Request, cancel: &Cancel) -> Result<Value> {
    let request = request(asked, at)?;
    let written = write::write(store, &frame(group)?, request, cancel, Arc::default()).await?;
    let [described] = written.as_slice() else {
        return Err(Error::new(Kind::Internal, format!("{} files of position deletes, expected one", written.len())));
    };
    let wrong = |e| Error::new(Kind::Internal, format!("a file was described in a wrong way: {e}"));
    let mut described: Value = serde_json::from_str(described).map_err(wrong)?;
    if let (Some(members), [first, ..]) = (described.as_object_mut(), group) {
        members.insert("content".to_string(), json!("position-deletes"));
        members.insert("spec-id".to_string(), json!(first.spec_id));
        members.insert("partition".to_string(), json!(first.partition));
        members.remove("sort-order-id");
        for (name, bounds) in [("lower-bounds", lower(group)), ("upper-bounds", upper(group))] {
            members.insert(name.to_string(), json!({"keys": [PATH_ID, POSITION_ID], "values": bounds}));
        }
    }
    Ok(described)
}

/// What [`crate::write`] is asked for: the columns of the spec, as files of no partition.
fn request(asked: &Request, at: usize) -> Result<WriteRequest> {
    let mut properties = asked.properties.clone();
    properties.insert("write.target-file-size-bytes".to_string(), NO_TARGET_BYTES.to_string());
    let field = |id: i32, name: &str, kind: &str| json!({"id": id, "name": name, "required": true, "type": kind});
    let fields = [field(PATH_ID, "file_path", "string"), field(POSITION_ID, "pos", "long")];
    let mut request = json!({
        "schema": {"type": "struct", "schema-id": 0, "fields": fields},
        "spec": {"spec-id": 0, "fields": []},
        "data_location": asked.folder,
        "file_name": format!("{}-deletes-{at:05}", asked.file_name),
        "properties": properties,
        "format_version": asked.format_version,
    });
    if let (Some(request), Some(bounds)) = (request.as_object_mut(), asked.bounds().as_object()) {
        request.extend(bounds.clone());
    }
    WriteRequest::from_json(&request.to_string())
}

/// The rows: locations as a dictionary, so that a row takes 12 bytes.
fn frame(group: &[&Marked]) -> Result<Frame> {
    let (mut paths, mut keys, mut positions) = (StringBuilder::new(), Vec::new(), Vec::new());
    for (key, each) in (0i32..).zip(group) {
        paths.append_value(&each.path);
        for position in &each.rows {
            keys.push(key);
            positions.push(i64::try_from(position).unwrap_or(i64::MAX));
        }
    }
    let wrong = |e: arrow_schema::ArrowError| Error::new(Kind::Internal, format!("position deletes: {e}"));
    let paths = DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), Arc::new(paths.finish()));
    let columns: Vec<(&str, ArrayRef)> =
        vec![("file_path", Arc::new(paths.map_err(wrong)?)), ("pos", Arc::new(Int64Array::from(positions)))];
    let batch = RecordBatch::try_from_iter(columns).map_err(wrong)?;
    Frame::of_batches(batch.schema(), &[batch])
}

fn lower(group: &[&Marked]) -> [String; 2] {
    let path = group.first().map_or("", |first| &first.path);
    bounds(path, group.iter().filter_map(|each| each.rows.min()).min())
}

fn upper(group: &[&Marked]) -> [String; 2] {
    let path = group.last().map_or("", |last| &last.path);
    bounds(path, group.iter().filter_map(|each| each.rows.max()).max())
}

/// In hexadecimal of the binary single-value form (spec, Appendix D).
fn bounds(path: &str, position: Option<u64>) -> [String; 2] {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    [hex(path.as_bytes()), hex(&position.unwrap_or(0).to_le_bytes())]
}
