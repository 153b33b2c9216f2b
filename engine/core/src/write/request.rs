//! What the control plane asks of a write, parsed from its JSON.
//!
//! ```json
//! {"schema": {Iceberg schema}, "spec": {partition spec}, "sort_order": {sort order} or null,
//!  "data_location": "s3://bucket/table/data", "file_name": "<uuid>-<shard>-<attempt>",
//!  "properties": {table properties}, "format_version": 2, "threads": 2, "memory_limit": bytes}
//! ```
//!
//! `threads` and `memory_limit` (beyond the frame) may be left out. Must not know: frames, files.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{NestedField, Schema, Type};
use crate::iceberg::specs::PartitionSpec;
use crate::iceberg::transforms::Transform;
use crate::runtime::available_cores;
use crate::write::properties::Settings;

/// Memory beyond the frame, unless the request says otherwise.
const DEFAULT_MEMORY_BYTES: u64 = 512 << 20;

/// One write.
pub struct WriteRequest {
    pub(crate) schema: Schema,
    /// Values of columns that a frame lacks (v3), by field id, in the JSON single-value form.
    pub(crate) defaults: HashMap<i32, Value>,
    pub(crate) spec: PartitionSpec,
    pub(crate) sort_order: Option<SortOrder>,
    /// Without a trailing slash.
    pub(crate) data_location: String,
    pub(crate) file_name: String,
    pub(crate) settings: Settings,
    pub(crate) threads: usize,
    pub(crate) memory_limit: u64,
}

/// How the rows of a file are ordered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortOrder {
    pub(crate) id: i64,
    pub(crate) fields: Vec<SortField>,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortField {
    pub(crate) source: i32,
    pub(crate) transform: Transform,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

impl WriteRequest {
    /// Parses the JSON form.
    pub fn from_json(json: &str) -> Result<WriteRequest> {
        let value: Value = serde_json::from_str(json).map_err(|e| bad(format!("request is not JSON: {e}")))?;
        let member = |key: &str| value.get(key).ok_or_else(|| bad(format!("{key} is missing")));
        let text = |key: &str| {
            let text = member(key)?.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| bad(format!("{key} is not a text")))
        };
        let schema = Schema::from_json(&member("schema")?.to_string())?;
        let mut defaults = HashMap::new();
        collect_defaults(member("schema")?, &mut defaults);
        let spec = PartitionSpec::from_value(member("spec")?, &schema)?;
        let sort_order = match value.get("sort_order") {
            None | Some(Value::Null) => None,
            Some(order) => Some(SortOrder::from_value(order)?),
        };
        let properties = match value.get("properties") {
            None | Some(Value::Null) => HashMap::new(),
            Some(map) => properties(map)?,
        };
        check_writable(&schema.fields)?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let sorted: Vec<i32> = sort_order.iter().flat_map(|order| &order.fields).map(|field| field.source).collect();
        Ok(WriteRequest {
            settings: Settings::new(&properties, &schema, &sorted)?,
            schema,
            defaults,
            spec,
            sort_order,
            data_location: text("data_location")?.trim_end_matches('/').to_owned(),
            file_name: file_name(text("file_name")?)?,
            threads: number("threads").map_or_else(available_cores, |threads| threads.clamp(1, 1024) as usize),
            memory_limit: number("memory_limit").unwrap_or(DEFAULT_MEMORY_BYTES),
        })
    }
}

impl SortOrder {
    fn from_value(value: &Value) -> Result<SortOrder> {
        let wrong = || Error::new(Kind::InvalidData, format!("not a sort order: {value}"));
        let fields = value.get("fields").and_then(Value::as_array).ok_or_else(wrong)?;
        let field = |field: &Value| {
            let text = |key: &str| field.get(key).and_then(Value::as_str);
            let source = field.get("source-id").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
            let descending = text("direction").unwrap_or("asc").eq_ignore_ascii_case("desc");
            Some(SortField {
                source: source?,
                transform: Transform::parse(text("transform")?),
                descending,
                nulls_first: text("null-order").map_or(!descending, |order| order.eq_ignore_ascii_case("nulls-first")),
            })
        };
        let fields = fields.iter().map(field).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok(SortOrder { id: value.get("order-id").and_then(Value::as_i64).ok_or_else(wrong)?, fields })
    }
}

/// Every `write-default` of a schema's JSON, at any depth.
fn collect_defaults(value: &Value, found: &mut HashMap<i32, Value>) {
    let id = value.get("id").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
    if let (Some(id), Some(default)) = (id, value.get("write-default").filter(|default| !default.is_null())) {
        found.insert(id, default.clone());
    }
    for key in ["type", "element", "value"] {
        value.get(key).into_iter().for_each(|inner| collect_defaults(inner, found));
    }
    for field in value.get("fields").and_then(Value::as_array).into_iter().flatten() {
        collect_defaults(field, found);
    }
}

fn check_writable(fields: &[NestedField]) -> Result<()> {
    for field in fields {
        match &field.field_type {
            unwritten @ (Type::Variant | Type::Spatial(_)) => {
                let name = unwritten.name();
                let message = format!("column {:?} is of type {name:?}, which this version does not write", field.name);
                return Err(Error::new(Kind::Unsupported, message));
            }
            Type::Struct(inner) => check_writable(inner)?,
            Type::List(element) => check_element(element)?,
            Type::Map(key, value) => [key, value].into_iter().try_for_each(|inner| check_element(inner))?,
            _ => {}
        }
    }
    Ok(())
}

fn check_element(element: &NestedField) -> Result<()> {
    match element.field_type {
        Type::Unknown => Err(Error::new(Kind::Unsupported, "lists and maps of type unknown are not written")),
        _ => check_writable(std::slice::from_ref(element)),
    }
}

/// The fields without those of type unknown, at any depth: they are left out of files.
pub(crate) fn written(fields: &[NestedField]) -> Vec<NestedField> {
    fn strip(field_type: &Type) -> Type {
        match field_type {
            Type::Struct(fields) => Type::Struct(written(fields)),
            Type::List(element) => Type::List(boxed(element)),
            Type::Map(key, value) => Type::Map(boxed(key), boxed(value)),
            other => other.clone(),
        }
    }
    fn boxed(field: &NestedField) -> Box<NestedField> {
        Box::new(NestedField { field_type: strip(&field.field_type), ..field.clone() })
    }
    fields.iter().filter(|field| field.field_type != Type::Unknown).map(|field| *boxed(field)).collect()
}

fn properties(map: &Value) -> Result<HashMap<String, String>> {
    let map = map.as_object().ok_or_else(|| bad("properties is not a map"))?;
    let pair = |(key, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (key.clone(), text)
    };
    Ok(map.iter().map(pair).collect())
}

fn file_name(name: String) -> Result<String> {
    match name.contains('/') {
        true => Err(bad(format!("file_name {name:?} holds a slash"))),
        false => Ok(name),
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}
