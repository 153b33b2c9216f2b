//! Rows of a table's files, by location and position, -> files that delete them, described for the commit.
//!
//! Version 2 takes Parquet files of locations and positions ([`files`]), version 3 one deletion vector a data file
//! ([`vectors`]), which also holds the rows that older vectors and position deletes of that file delete. The request:
//!
//! ```json
//! {"format_version": 3, "schema": {...}, "specs": [...], "folder": "s3://bucket/table/data", "file_name": "<uuid>-0-0",
//!  "granularity": "partition" or "file", "properties": {how Parquet files are written}, "threads": 2,
//!  "memory_limit": bytes}
//! ```
//!
//! Must not know: which rows go and why, commits, manifests. Neighbours: [`crate::load`] reads older deletes,
//! [`crate::write`] writes Parquet.

mod files;
mod vectors;

use std::collections::{BTreeMap, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, StructArray};
use roaring::RoaringTreemap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::frame::Frame;
use crate::iceberg::files::FileList;
use crate::iceberg::schema::Schema;
use crate::iceberg::specs::PartitionSpec;
use crate::runtime::Cancel;
use crate::store::Store;
use crate::write::partition_of_row;

#[derive(Deserialize)]
struct Request {
    format_version: i64,
    schema: Value,
    specs: Vec<Value>,
    folder: String,
    file_name: String,
    granularity: Granularity,
    #[serde(default)]
    properties: HashMap<String, String>,
    #[serde(default)]
    threads: Option<u64>,
    #[serde(default)]
    memory_limit: Option<u64>,
}

/// What a file of position deletes is about.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Granularity {
    Partition,
    File,
}

/// A data file and the rows of it that go.
struct Marked {
    path: String,
    /// Its place in the list of files
    at: u32,
    spec_id: i32,
    /// Its partition, in the JSON single-value form
    partition: Vec<Value>,
    rows: RoaringTreemap,
}

impl Request {
    /// Bounds of a load or a write, for its own request.
    fn bounds(&self) -> Value {
        json!({"threads": self.threads, "memory_limit": self.memory_limit})
    }
}

/// Writes files that delete rows: `rows` has their files' locations and their positions, in this order of columns.
///
/// Each result is a file's JSON in the form of the REST catalog specification's `DataFile`, or a vector's; on an error no
/// file is left.
///
/// # Errors
/// `InvalidArgument` for a row of a file that is not in the list, `Unsupported` in version 1.
pub async fn write(store: &Store, list: &FileList, rows: &Frame, asked: &str, cancel: &Cancel) -> Result<Vec<String>> {
    let wrong = |e| Error::new(Kind::InvalidArgument, format!("not a request to delete rows: {e}"));
    let asked: Request = serde_json::from_str(asked).map_err(wrong)?;
    let marked = marked(list, rows, &asked)?;
    match asked.format_version {
        1 => Err(Error::new(Kind::Unsupported, "tables of format version 1 have no row deletes")),
        2 => files::write(store, &marked, &asked, cancel).await,
        _ => vectors::write(store, list, marked, &asked, cancel).await,
    }
}

/// The data files that rows are of, in the order of their paths.
fn marked(list: &FileList, rows: &Frame, asked: &Request) -> Result<Vec<Marked>> {
    let positions = positions(rows)?;
    let schema = Schema::from_json(&asked.schema.to_string())?;
    let mut specs = HashMap::new();
    for spec in &asked.specs {
        let spec = PartitionSpec::from_value(spec, &schema)?;
        specs.insert(spec.id, spec);
    }
    let (locations, spec_ids, partitions) = (list.locations()?, list.spec_ids()?, list.partitions()?);
    let places: HashMap<&str, usize> =
        locations.iter().enumerate().filter_map(|(at, path)| path.map(|path| (path, at))).collect();
    let of = |(path, rows): (String, RoaringTreemap)| {
        let at = places.get(path.as_str()).copied().ok_or_else(|| unknown(&path))?;
        let spec_id = spec_ids.value(at);
        let spec = specs.get(&spec_id).ok_or_else(|| unknown(&path))?;
        let partition = partition(spec, partitions, at)?;
        Ok(Marked { path, at: u32::try_from(at).unwrap_or(u32::MAX), spec_id, partition, rows })
    };
    positions.into_iter().map(of).collect()
}

fn partition(spec: &PartitionSpec, partitions: &StructArray, row: usize) -> Result<Vec<Value>> {
    // A value that cannot be read would become null: the delete would be about another partition.
    let unread = |each: &&crate::iceberg::specs::PartitionField| {
        each.value_type.is_none() && each.transform != crate::iceberg::transforms::Transform::Void
    };
    if let Some(field) = spec.fields.iter().find(unread) {
        let message = format!("partition field {:?} has a transform or type that is not known", field.name);
        let hint = "set write.delete.mode and write.merge.mode to copy-on-write";
        return Err(Error::new(Kind::Unsupported, message).hint(hint));
    }
    partition_of_row(spec, partitions, row)
}

/// Positions by location.
fn positions(rows: &Frame) -> Result<BTreeMap<String, RoaringTreemap>> {
    let wrong = || Error::new(Kind::InvalidArgument, "rows to delete are columns of locations and positions");
    let [paths, positions] = rows.batch().columns() else { return Err(wrong()) };
    let paths = paths.as_string_view_opt().filter(|paths| paths.null_count() == 0).ok_or_else(wrong)?;
    let positions = positions.as_primitive_opt::<Int64Type>().filter(|all| all.null_count() == 0).ok_or_else(wrong)?;
    let mut found: BTreeMap<String, RoaringTreemap> = BTreeMap::new();
    let mut start = 0;
    while start < paths.len() {
        // Rows of a file follow one another, and their locations are one string
        let view = paths.views()[start];
        let end = paths.views()[start..].iter().position(|other| *other != view).map_or(paths.len(), |at| start + at);
        let run = &positions.values()[start..end];
        if run.iter().any(|position| *position < 0) {
            return Err(wrong());
        }
        found.entry(paths.value(start).to_string()).or_default().extend(run.iter().map(|each| each.unsigned_abs()));
        start = end;
    }
    Ok(found)
}

fn unknown(path: &str) -> Error {
    Error::new(Kind::InvalidArgument, "rows of a file that is not in the list, or of no known partition spec").at(path)
}
