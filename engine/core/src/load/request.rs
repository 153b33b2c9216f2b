//! What the control plane asks of a load, parsed from its JSON.
//!
//! ```json
//! {"schema": {projected Iceberg schema}, "table_schema": {the whole one}, "name_mapping": [...] or null,
//!  "limit": 100 or null, "strings": "view" or "large_string", "dates": "date" or "seconds", "categories": ["country"],
//!  "threads": 2, "memory_limit": bytes, "in_flight": bytes,
//!  "decoder": "direct" or "reference", "ignore_case": true, "positions": [field ids] or null}
//! ```
//!
//! Everything but `schema` may be left out. `ignore_case` matches columns by name in any case, `positions` by position,
//! both by position where a file's columns have numbers for names.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::frame::StringLayout;
use crate::iceberg::schema::{NestedField, Schema, Type};
use crate::load::defaults::default_value;
use crate::parquet::mapping::{Matching, NameMapping, Wanted};
use crate::runtime::available_cores;

/// Bytes fetched and not yet decoded, unless the request says otherwise.
const DEFAULT_IN_FLIGHT_BYTES: u64 = 256 << 20;

/// The options of one load.
pub struct LoadRequest {
    /// Columns of the result, matched by id
    pub wanted: Wanted,
    /// The schema that the frame shows
    pub output: SchemaRef,
    /// Rows at most
    pub limit: Option<usize>,
    /// Layout of strings
    pub strings: StringLayout,
    /// Dates as seconds since 1970, which is how NumPy and pandas hold them
    pub seconds: bool,
    /// Top-level columns of strings that are to be dictionaries
    pub categories: Vec<String>,
    /// Decoders at once
    pub threads: usize,
    /// Bytes of the result at most
    pub memory_limit: u64,
    /// Bytes fetched and not yet decoded at most
    pub in_flight: u64,
    /// Decode everything with the crate's reader, which every fast path is compared with
    pub reference: bool,
    /// Whether all columns are wanted, so that most of every file will be read
    pub all_columns: bool,
    /// Believe Arrow schemas embedded in the files (files without a table)
    pub embedded_schema: bool,
}

impl LoadRequest {
    /// Parses the JSON form of a table's load.
    pub fn from_json(json: &str) -> Result<LoadRequest> {
        let value: Value = serde_json::from_str(json).map_err(|e| bad(format!("request is not JSON: {e}")))?;
        let schema = value.get("schema").ok_or_else(|| bad("schema is missing"))?.to_string();
        let schema = Schema::from_json(&schema)?;
        let whole = match value.get("table_schema") {
            Some(whole) => Schema::from_json(&whole.to_string())?,
            None => schema.clone(),
        };
        let names = match value.get("name_mapping") {
            None | Some(Value::Null) => NameMapping::of_schema(&whole.fields),
            Some(mapping) => NameMapping::from_json(mapping)?,
        };
        let matching = matching(&value)?;
        let names = if matching == Matching::FieldIds { names } else { names.ignoring_case() };
        let mut defaults = HashMap::new();
        collect_defaults(&whole.fields, &mut defaults)?;
        let arrow = schema.to_arrow()?;
        let wanted = Wanted { schema: arrow.clone(), defaults: Arc::new(defaults), names, matching };
        let all_columns = schema.fields.len() == whole.fields.len();
        Ok(LoadRequest { all_columns, ..LoadRequest::with(wanted, Arc::new(arrow), &value)? })
    }

    /// A request for `wanted` with the options in `value`.
    pub fn with(wanted: Wanted, output: SchemaRef, value: &Value) -> Result<LoadRequest> {
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let strings = match value.get("strings").and_then(Value::as_str) {
            None | Some("view") => StringLayout::View,
            Some("large_string") => StringLayout::LargeString,
            Some(other) => return Err(bad(format!("strings is \"view\" or \"large_string\", found {other:?}"))),
        };
        let reference = match value.get("decoder").and_then(Value::as_str) {
            None | Some("direct") => false,
            Some("reference") => true,
            Some(other) => return Err(bad(format!("decoder is \"direct\" or \"reference\", found {other:?}"))),
        };
        let seconds = match value.get("dates").and_then(Value::as_str) {
            None | Some("date") => false,
            Some("seconds") => true,
            Some(other) => return Err(bad(format!("dates is \"date\" or \"seconds\", found {other:?}"))),
        };
        Ok(LoadRequest {
            reference,
            seconds,
            categories: texts(value.get("categories")),
            wanted,
            output,
            limit: number("limit").map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            strings,
            threads: number("threads").map_or_else(available_cores, |threads| threads.clamp(1, 1024) as usize),
            memory_limit: number("memory_limit").unwrap_or_else(crate::arena::available_memory),
            in_flight: number("in_flight").unwrap_or(DEFAULT_IN_FLIGHT_BYTES),
            all_columns: false,
            embedded_schema: false,
        })
    }
}

/// How files' columns are found: by id unless the request says otherwise.
fn matching(request: &Value) -> Result<Matching> {
    let id = |value: &Value| value.as_i64().and_then(|id| i32::try_from(id).ok());
    let ignores_case = request.get("ignore_case").and_then(Value::as_bool) == Some(true);
    let positions = match request.get("positions") {
        None | Some(Value::Null) if ignores_case => return Ok(Matching::NamesIgnoringCase),
        None | Some(Value::Null) => return Ok(Matching::FieldIds),
        Some(given) => given.as_array().and_then(|ids| ids.iter().map(id).collect::<Option<Vec<i32>>>()),
    };
    let positions = positions.ok_or_else(|| bad("positions is not a list of field ids"))?;
    Ok(if ignores_case { Matching::NamesOrPositions(positions) } else { Matching::Positions(positions) })
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|text| text.as_str().map(String::from)).collect()
}

fn collect_defaults(fields: &[NestedField], found: &mut HashMap<i32, ArrayRef>) -> Result<()> {
    for field in fields {
        if let Some(value) = &field.initial_default {
            found.insert(field.id, default_value(value, &field.field_type)?);
        }
        match &field.field_type {
            Type::Struct(inner) => collect_defaults(inner, found)?,
            Type::List(element) => collect_defaults(std::slice::from_ref(element), found)?,
            Type::Map(_, value) => collect_defaults(std::slice::from_ref(value), found)?,
            _ => {}
        }
    }
    Ok(())
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}
