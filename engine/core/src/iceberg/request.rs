//! What a plan is asked: the snapshot's manifests, the table's schema and specs, as JSON from the control plane.
//!
//! ```json
//! {"table": "db.t", "format_version": 2, "snapshot_id": 1, "manifest_list": "s3://...", "manifests": [],
//!  "schema": {"type": "struct", "fields": [...]}, "specs": [{"spec-id": 0, "fields": [...]}],
//!  "dropped": [primitive fields of other schemas, which old equality deletes may compare]}
//! ```
//!
//! `manifest_list` is null for a table without a snapshot, and for old v1 tables, whose metadata names `manifests`.

use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{NestedField, Schema};
use crate::iceberg::specs::PartitionSpec;

/// A parsed request.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Name for messages
    pub table: String,
    /// Location of the snapshot's manifest list
    pub manifest_list: Option<String>,
    /// Locations of manifests of a v1 snapshot without a list
    pub manifests: Vec<String>,
    /// The snapshot
    pub snapshot_id: Option<i64>,
    /// 1, 2 or 3
    pub format_version: i64,
    /// The snapshot's schema
    pub schema: Schema,
    /// Fields that the schema no longer has
    pub dropped: Vec<NestedField>,
    /// All specs of the table
    pub specs: Vec<PartitionSpec>,
    /// The same, as given
    pub specs_json: String,
}

impl PlanRequest {
    /// Parses the JSON form.
    pub fn from_json(json: &str) -> Result<PlanRequest> {
        let value: Value = serde_json::from_str(json).map_err(|e| invalid(format!("plan request is not JSON: {e}")))?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
        let missing = |key: &str| invalid(format!("plan request: {key} is missing"));
        let schema = value.get("schema").ok_or_else(|| missing("schema"))?;
        let schema = Schema::from_json(&schema.to_string())?;
        let dropped = value.get("dropped").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        let dropped = Schema::from_json(&json!({"type": "struct", "fields": dropped}).to_string())?.fields;
        let specs_value = value.get("specs").ok_or_else(|| missing("specs"))?;
        let specs = specs_value.as_array().ok_or_else(|| invalid("plan request: specs is not a list"))?;
        let specs = specs.iter().map(|spec| PartitionSpec::from_value(spec, &schema)).collect::<Result<_>>()?;
        let format_version = value.get("format_version").and_then(Value::as_i64).unwrap_or(2);
        if !(1..=3).contains(&format_version) {
            let message = format!("format version {format_version}: this version reads 1, 2 and 3");
            return Err(Error::new(Kind::Unsupported, message));
        }
        let manifests = value.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let manifests = manifests.iter().map(|path| path.as_str().map(str::to_string));
        Ok(PlanRequest {
            table: text("table").unwrap_or_else(|| "table".to_string()),
            manifest_list: text("manifest_list"),
            manifests: manifests
                .collect::<Option<_>>()
                .ok_or_else(|| invalid("plan request: manifests are not texts"))?,
            snapshot_id: value.get("snapshot_id").and_then(Value::as_i64),
            format_version,
            schema,
            dropped,
            specs,
            specs_json: specs_value.to_string(),
        })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}
