//! A data file (or one of row deletes) and its entry in a manifest, whole: from the REST specification's JSON, or from a manifest that is there.
//!
//! Must not know: Avro, manifests' summaries. Neighbours: `manifest` writes entries, `existing` reads them.

use serde::Deserialize;
use serde_json::Value;

use super::single_value::{from_hex, parse};
use crate::error::{Error, Kind, Result};
use crate::iceberg::predicate::Literal;
use crate::iceberg::schema::Type;

/// What an entry says of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Existing = 0,
    Added = 1,
    Deleted = 2,
}

/// A file and its history. Sequence numbers are None where the file inherits its snapshot's.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) status: Status,
    pub(super) snapshot_id: Option<i64>,
    pub(super) sequence_number: Option<i64>,
    pub(super) file_sequence_number: Option<i64>,
    pub(super) file: DataFile,
}

/// Everything that a manifest keeps of a data file.
#[derive(Clone, Debug, Default)]
pub(super) struct DataFile {
    pub(super) path: String,
    pub(super) format: String,
    pub(super) partition: Vec<Option<Literal>>,
    pub(super) record_count: i64,
    pub(super) file_size: i64,
    pub(super) column_sizes: Option<Vec<(i32, i64)>>,
    pub(super) value_counts: Option<Vec<(i32, i64)>>,
    pub(super) null_value_counts: Option<Vec<(i32, i64)>>,
    pub(super) nan_value_counts: Option<Vec<(i32, i64)>>,
    pub(super) lower_bounds: Option<Vec<(i32, Vec<u8>)>>,
    pub(super) upper_bounds: Option<Vec<(i32, Vec<u8>)>>,
    pub(super) key_metadata: Option<Vec<u8>>,
    pub(super) split_offsets: Option<Vec<i64>>,
    pub(super) sort_order_id: Option<i64>,
    pub(super) first_row_id: Option<i64>,
    /// What only files of row deletes have
    pub(super) deletes: Option<Deletes>,
}

/// What an entry says of a file of row deletes, beside what it says of any file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deletes {
    /// 1: by position, 2: by equality
    pub(super) content: i64,
    pub(super) equality_ids: Option<Vec<i64>>,
    pub(super) referenced_data_file: Option<String>,
    pub(super) content_offset: Option<i64>,
    pub(super) content_size: Option<i64>,
}

/// The JSON of the REST specification's `DataFile`; bounds in hexadecimal of Appendix D's binary form.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Json {
    content: Option<String>,
    file_path: String,
    file_format: String,
    spec_id: i32,
    #[serde(default)]
    partition: Vec<Value>,
    file_size_in_bytes: i64,
    record_count: i64,
    column_sizes: Option<Pairs<i64>>,
    value_counts: Option<Pairs<i64>>,
    null_value_counts: Option<Pairs<i64>>,
    nan_value_counts: Option<Pairs<i64>>,
    lower_bounds: Option<Pairs<String>>,
    upper_bounds: Option<Pairs<String>>,
    key_metadata: Option<String>,
    split_offsets: Option<Vec<i64>>,
    sort_order_id: Option<i64>,
    first_row_id: Option<i64>,
    referenced_data_file: Option<String>,
    content_offset: Option<i64>,
    content_size_in_bytes: Option<i64>,
}

#[derive(Deserialize)]
struct Pairs<T> {
    keys: Vec<i32>,
    values: Vec<T>,
}

impl DataFile {
    /// Parses the JSON of a file that was written under this spec.
    pub(super) fn from_json(text: &str, spec_id: i32, types: &[Option<Type>]) -> Result<DataFile> {
        let json: Json = serde_json::from_str(text).map_err(|e| invalid(format!("not a data file: {e}")))?;
        let path = json.file_path.clone();
        if json.content.as_deref().is_some_and(|content| content != "data") {
            return Err(invalid("a delete file, expected a data file").at(path));
        }
        file(json, spec_id, types).map_err(|e| e.at(path))
    }

    /// The same of a file of position deletes, or of a deletion vector in one.
    pub(super) fn of_deletes(text: &str, spec_id: i32, types: &[Option<Type>]) -> Result<DataFile> {
        let mut json: Json = serde_json::from_str(text).map_err(|e| invalid(format!("not a delete file: {e}")))?;
        let path = json.file_path.clone();
        if json.content.as_deref() != Some("position-deletes") {
            return Err(invalid(format!("its content is {:?}, expected position-deletes", json.content)).at(path));
        }
        let (content_offset, content_size) = (json.content_offset, json.content_size_in_bytes);
        let referenced_data_file = json.referenced_data_file.take();
        let deletes = Deletes { content: 1, equality_ids: None, referenced_data_file, content_offset, content_size };
        let file = file(json, spec_id, types).map_err(|e| e.at(path))?;
        Ok(DataFile { deletes: Some(deletes), ..file })
    }

    /// Bytes that are its own: a deletion vector's within its file.
    pub(super) fn own_size(&self) -> i64 {
        self.deletes.as_ref().and_then(|deletes| deletes.content_size).unwrap_or(self.file_size)
    }

    /// What no two entries share: the place of a deletion vector within its file too.
    pub(super) fn place(&self) -> (String, Option<i64>) {
        (self.path.clone(), self.deletes.as_ref().and_then(|deletes| deletes.content_offset))
    }
}

fn file(json: Json, spec_id: i32, types: &[Option<Type>]) -> Result<DataFile> {
    if json.spec_id != spec_id || json.partition.len() != types.len() {
        let (found, fields) = (json.spec_id, json.partition.len());
        let message = format!(
            "written under partition spec {found} with {fields} values, expected spec {spec_id} with {}",
            types.len()
        );
        return Err(invalid(message));
    }
    if json.record_count < 0 || json.file_size_in_bytes < 0 {
        return Err(invalid("a negative size or number of rows"));
    }
    let partition = json.partition.iter().zip(types).map(|(value, value_type)| match value_type {
        Some(value_type) => parse(value, value_type),
        None => Ok(None),
    });
    Ok(DataFile {
        partition: partition.collect::<Result<_>>()?,
        format: json.file_format.to_ascii_uppercase(),
        record_count: json.record_count,
        file_size: json.file_size_in_bytes,
        column_sizes: json.column_sizes.map(pairs).transpose()?,
        value_counts: json.value_counts.map(pairs).transpose()?,
        null_value_counts: json.null_value_counts.map(pairs).transpose()?,
        nan_value_counts: json.nan_value_counts.map(pairs).transpose()?,
        lower_bounds: json.lower_bounds.map(bounds).transpose()?,
        upper_bounds: json.upper_bounds.map(bounds).transpose()?,
        key_metadata: json.key_metadata.as_deref().map(hex).transpose()?,
        split_offsets: json.split_offsets.filter(|offsets| !offsets.is_empty()),
        sort_order_id: json.sort_order_id,
        first_row_id: json.first_row_id,
        deletes: None,
        path: json.file_path,
    })
}

fn pairs<T>(pairs: Pairs<T>) -> Result<Vec<(i32, T)>> {
    if pairs.keys.len() != pairs.values.len() {
        return Err(invalid(format!("{} keys with {} values", pairs.keys.len(), pairs.values.len())));
    }
    Ok(pairs.keys.into_iter().zip(pairs.values).collect())
}

fn bounds(texts: Pairs<String>) -> Result<Vec<(i32, Vec<u8>)>> {
    pairs(texts)?.into_iter().map(|(key, text)| Ok((key, hex(&text)?))).collect()
}

fn hex(text: &str) -> Result<Vec<u8>> {
    from_hex(text).ok_or_else(|| invalid(format!("{:?} is not hexadecimal", &text[..text.len().min(40)])))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}
