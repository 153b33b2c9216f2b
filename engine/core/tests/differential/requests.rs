//! Random loads: files without a table, or a table whose types are the files' or wider ones.

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::random::values::pick;

/// How files are loaded.
#[derive(Clone, Debug)]
pub enum Request {
    /// As Parquet files; these columns
    Files { columns: Vec<usize> },
    /// As a table's files, matched by name; `columns` are the positions in the file
    Table { schema: Value, columns: Vec<usize> },
}

impl Request {
    /// Some of the columns, in any order; as a table's if they all are of its types.
    pub fn random(random: &mut StdRng, written: &Schema) -> Request {
        let mut columns: Vec<usize> = (0..written.fields().len()).collect();
        if random.random_bool(0.3) {
            let kept = random.random_range(1..=columns.len());
            for _ in 0..columns.len() {
                let (from, to) = (random.random_range(0..columns.len()), random.random_range(0..columns.len()));
                columns.swap(from, to);
            }
            columns.truncate(kept);
        }
        if random.random_bool(0.5) {
            return Request::Files { columns };
        }
        let mut next_id = 1000;
        let mut fields = Vec::new();
        let mut known = Vec::new();
        for at in columns {
            let field = written.field(at);
            if let Some(name) = table_type(random, field.data_type(), &mut next_id) {
                fields.push(json!({"id": at + 1, "name": field.name(), "required": false, "type": name}));
                known.push(at);
            }
        }
        // Without a column of its types there would be nothing to compare.
        match known.is_empty() {
            true => Request::Files { columns: vec![0] },
            false => Request::Table { schema: json!({"type": "struct", "fields": fields}), columns: known },
        }
    }

    /// Positions in the file of the columns that are loaded.
    pub fn columns(&self) -> &[usize] {
        match self {
            Request::Files { columns } | Request::Table { columns, .. } => columns,
        }
    }
}

/// A type of the table format that a column can be read as: its own, or one that it is promoted to.
fn table_type(random: &mut StdRng, data_type: &DataType, next_id: &mut i32) -> Option<Value> {
    let zoned = |name: &str, zone: &Option<_>| match zone {
        Some(_) => name.replace("timestamp", "timestamptz"),
        None => name.to_string(),
    };
    let name = match data_type {
        DataType::Boolean => "boolean".to_string(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 | DataType::Int32 => {
            pick(random, &["int", "long"]).to_string()
        }
        DataType::Int64 | DataType::UInt32 => "long".to_string(),
        DataType::Float16 | DataType::Float32 => pick(random, &["float", "double"]).to_string(),
        DataType::Float64 => "double".to_string(),
        DataType::Date32 => pick(random, &["date", "date", "timestamp"]).to_string(),
        DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond) => "time".to_string(),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => zoned("timestamp_ns", zone),
        DataType::Timestamp(_, zone) => zoned("timestamp", zone),
        DataType::Decimal128(precision, scale) => {
            let wider = if random.random_bool(0.5) { *precision } else { random.random_range(*precision..=38) };
            format!("decimal({wider}, {scale})")
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => "string".to_string(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_string(),
        DataType::FixedSizeBinary(16) => "uuid".to_string(),
        DataType::FixedSizeBinary(width) => format!("fixed[{width}]"),
        _ => return nested_type(random, data_type, next_id),
    };
    Some(Value::String(name))
}

fn nested_type(random: &mut StdRng, data_type: &DataType, next_id: &mut i32) -> Option<Value> {
    match data_type {
        DataType::List(element) | DataType::LargeList(element) => {
            let id = new_id(next_id);
            let inner = table_type(random, element.data_type(), next_id)?;
            Some(json!({"type": "list", "element-id": id, "element-required": false, "element": inner}))
        }
        DataType::Struct(fields) => {
            let mut member = |field: &Field| {
                let id = new_id(next_id);
                let inner = table_type(random, field.data_type(), next_id)?;
                Some(json!({"id": id, "name": field.name(), "required": false, "type": inner}))
            };
            let members = fields.iter().map(|field| member(field)).collect::<Option<Vec<_>>>()?;
            Some(json!({"type": "struct", "fields": members}))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return None };
            let (key_id, value_id) = (new_id(next_id), new_id(next_id));
            // Promoted keys are no keys of the table format.
            let key = if pair[0].data_type() == &DataType::Int32 { json!("int") } else { json!("string") };
            let value = table_type(random, pair[1].data_type(), next_id)?;
            Some(json!({"type": "map", "key-id": key_id, "key": key, "value-id": value_id, "value-required": false,
                "value": value}))
        }
        _ => None,
    }
}

fn new_id(last: &mut i32) -> i32 {
    *last += 1;
    *last
}

/// The name of a column's type for a test of its nulls; what the table format lacks is not tested.
pub fn tested_type(data_type: &DataType) -> Option<String> {
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 | DataType::Int32 => "int",
        DataType::Int64 | DataType::UInt32 => "long",
        DataType::Float16 | DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Date32 => "date",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Decimal128(precision, scale) => return Some(format!("decimal({precision}, {scale})")),
        DataType::FixedSizeBinary(width) => return Some(format!("fixed[{width}]")),
        _ => return None,
    };
    Some(name.to_string())
}
