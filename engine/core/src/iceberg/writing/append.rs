//! New data files, or new files of row deletes, -> manifests of their own, one spec a call.
//!
//! ```json
//! {"format_version": 2, "schema": {...}, "spec": {...}, "snapshot_id": 1, "prefix": "s3://b/t/metadata/<uuid>-m",
//!  "target_size": 8388608, "data_sequence_number": null, "deletes": false}
//! ```
//!
//! The answer: `{"manifests": [descriptor, ...], "files": 3, "rows": 30, "bytes": 3000, "partitions": 1}`.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data_file::{DataFile, Entry, Status};
use super::descriptor::Descriptor;
use super::manifest::{Layout, ManifestWriter};
use super::{blocking, request};
use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;
use crate::store::Store;

#[derive(Deserialize)]
struct Request {
    format_version: i64,
    schema: Value,
    spec: Value,
    snapshot_id: i64,
    prefix: String,
    target_size: usize,
    data_sequence_number: Option<i64>,
    /// The files are of row deletes
    #[serde(default)]
    deletes: bool,
}

#[derive(Default, Serialize)]
struct Answer {
    manifests: Vec<Descriptor>,
    files: usize,
    rows: i64,
    bytes: i64,
    partitions: usize,
}

/// Writes manifests that list these files (JSON each) as added, and says what they hold.
///
/// # Errors
/// `InvalidArgument` for a file that does not fit the spec or is given twice.
pub async fn write_manifests(store: &Store, files: Vec<String>, asked: &str, cancel: &Cancel) -> Result<String> {
    let asked: Request = request(asked)?;
    let stopped = cancel.clone();
    let (answer, written) = blocking(move || encode(&files, &asked, &stopped)).await?;
    for (descriptor, bytes) in answer.manifests.iter().zip(written) {
        cancel.check()?;
        store.put(&descriptor.path, bytes).await?;
    }
    serde_json::to_string(&answer).map_err(|e| Error::new(Kind::Internal, e.to_string()))
}

fn encode(files: &[String], asked: &Request, cancel: &Cancel) -> Result<(Answer, Vec<Bytes>)> {
    let layout = Layout::new(asked.format_version, &asked.schema, &asked.spec)?;
    let (mut answer, mut written) = (Answer::default(), Vec::new());
    let (mut paths, mut partitions) = (HashSet::new(), HashSet::new());
    let begin = || if asked.deletes { ManifestWriter::of_deletes(&layout) } else { ManifestWriter::new(&layout) };
    let parse = if asked.deletes { DataFile::of_deletes } else { DataFile::from_json };
    let mut writer = begin();
    let close = |writer: ManifestWriter, answer: &mut Answer, written: &mut Vec<Bytes>| {
        let path = format!("{}{}.avro", asked.prefix, answer.manifests.len());
        let (descriptor, bytes) = writer.finish(path, asked.snapshot_id)?;
        answer.manifests.push(descriptor);
        written.push(Bytes::from(bytes));
        Ok::<_, Error>(())
    };
    for (at, text) in files.iter().enumerate() {
        if at % 1024 == 0 {
            cancel.check()?;
        }
        let file = parse(text, layout.spec.id, &layout.types)?;
        if !paths.insert(file.place()) {
            return Err(Error::new(Kind::InvalidArgument, "a file is given twice").at(file.path));
        }
        partitions.insert(format!("{:?}", file.partition));
        answer.files += 1;
        answer.rows += file.record_count;
        answer.bytes += file.own_size();
        let sequence_number = asked.data_sequence_number;
        let snapshot_id = Some(asked.snapshot_id);
        let entry = Entry { status: Status::Added, snapshot_id, sequence_number, file_sequence_number: None, file };
        writer.add(&entry)?;
        if writer.len() >= asked.target_size {
            let full = std::mem::replace(&mut writer, begin());
            close(full, &mut answer, &mut written)?;
        }
    }
    if !writer.is_empty() {
        close(writer, &mut answer, &mut written)?;
    }
    answer.partitions = partitions.len();
    Ok((answer, written))
}
