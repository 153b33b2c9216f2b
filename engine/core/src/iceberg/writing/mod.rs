//! Manifests and manifest lists, written: what a commit adds to a table beside its data files.
//!
//! Of format versions 1, 2 and 3, from JSON of the control plane and from the manifests that are there. Must not know:
//! catalogs, branches, when a commit is tried again, Parquet. Neighbours: `avro` and `manifest_list` read what this
//! writes; [`crate::store`] carries it. Spec: Manifests, Manifest Lists, Sequence Number Inheritance, Row Lineage.
//!
//! Within: [`append`] lists new files, [`rewrite`] carries old ones over without those that go
//! (and `later_deletes` looks for row deletes that would be lost), [`cluster`] sorts them by partition, [`snapshot`] makes a
//! snapshot's list (and [`merge`] joins small manifests); `manifest` and `list` are the two kinds of file, `encoder` and `avro_schema` their bytes.

mod append;
mod avro_schema;
mod cluster;
mod data_file;
mod descriptor;
mod encoder;
mod existing;
pub mod inspection;
mod later_deletes;
mod list;
mod manifest;
mod merge;
mod parent;
mod rewrite;
mod selection;
mod single_value;
mod snapshot;
#[cfg(test)]
mod tests;

pub use append::write_manifests;
pub use cluster::cluster_manifests;
pub use rewrite::rewrite_manifests;
pub use snapshot::write_manifest_list;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::Schema;
use crate::iceberg::specs::PartitionSpec;

/// A request of the control plane, parsed.
fn request<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::new(Kind::InvalidArgument, format!("not a request to write: {e}")))
}

/// A table's schema and one spec, as a request holds them.
fn table_of(schema: &Value, spec: &Value) -> Result<(Schema, PartitionSpec)> {
    let parsed = Schema::from_json(&schema.to_string())?;
    let spec = PartitionSpec::from_value(spec, &parsed)?;
    Ok((parsed, spec))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Kind::Internal, format!("a manifest could not be made: {e}"))))
}
