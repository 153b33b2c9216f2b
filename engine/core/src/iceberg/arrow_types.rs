//! An Arrow schema -> the schema of a table that is to hold such rows, as Iceberg's JSON with ids to be numbered anew.
//!
//! Layout does not matter: views, large offsets and dictionaries are what they hold. A type without a counterpart is
//! refused by name. Must not know: tables, rows. Neighbour: `schema` has the other direction. Spec: Appendix C.

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};

/// The JSON of the schema that holds rows of this Arrow schema in a table of this format version.
///
/// # Errors
/// `Unsupported` for a column whose type Iceberg does not have.
pub fn schema_json(schema: &Schema, format_version: i64) -> Result<String> {
    let mut next = 0;
    let fields = schema.fields().iter().map(|field| struct_field(field, format_version, &mut next));
    let fields: Vec<Value> = fields.collect::<Result<_>>()?;
    Ok(json!({"type": "struct", "schema-id": 0, "fields": fields}).to_string())
}

fn struct_field(field: &Field, version: i64, next: &mut i32) -> Result<Value> {
    let id = number(next);
    let value_type = type_json(field, field.data_type(), version, next)?;
    Ok(json!({"id": id, "name": field.name(), "required": !field.is_nullable(), "type": value_type}))
}

fn number(next: &mut i32) -> i32 {
    *next += 1;
    *next
}

fn type_json(field: &Field, data_type: &DataType, version: i64, next: &mut i32) -> Result<Value> {
    let refused = |why: String| Err(Error::new(Kind::Unsupported, format!("column {:?}: {why}", field.name())));
    let name = match data_type {
        DataType::Boolean => "boolean".to_string(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => "int".to_string(),
        DataType::Int64 | DataType::UInt32 => "long".to_string(),
        DataType::Float16 | DataType::Float32 => "float".to_string(),
        DataType::Float64 => "double".to_string(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            format!("decimal({precision}, {scale})")
        }
        DataType::Date32 | DataType::Date64 => "date".to_string(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_string(),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) if version > 2 => {
            if zone.is_some() {
                "timestamptz_ns".to_string()
            } else {
                "timestamp_ns".to_string()
            }
        }
        // Before v3 there are microseconds only; the encoder refuses values that do not fit.
        DataType::Timestamp(_, zone) => if zone.is_some() { "timestamptz" } else { "timestamp" }.to_string(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_string(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_string(),
        DataType::FixedSizeBinary(16) if is_uuid(field) => "uuid".to_string(),
        DataType::FixedSizeBinary(width) => format!("fixed[{width}]"),
        DataType::Null if version > 2 => "unknown".to_string(),
        DataType::Dictionary(_, values) => return type_json(field, values, version, next),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|inner| struct_field(inner, version, next));
            return Ok(json!({"type": "struct", "fields": fields.collect::<Result<Vec<_>>>()?}));
        }
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => {
            let id = number(next);
            let inner = type_json(element, element.data_type(), version, next)?;
            let required = !element.is_nullable();
            return Ok(json!({"type": "list", "element-id": id, "element": inner, "element-required": required}));
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return refused("a map without entries".into()) };
            let [key, value] = pair.as_ref() else { return refused("a map without keys and values".into()) };
            let (key_id, value_id) = (number(next), number(next));
            let key_type = type_json(key, key.data_type(), version, next)?;
            let value_type = type_json(value, value.data_type(), version, next)?;
            return Ok(json!({
                "type": "map", "key-id": key_id, "key": key_type, "value-id": value_id, "value": value_type,
                "value-required": !value.is_nullable(),
            }));
        }
        other => return refused(format!("Iceberg has no type for Arrow's {other}")),
    };
    Ok(Value::String(name))
}

fn is_uuid(field: &Field) -> bool {
    field.metadata().get("ARROW:extension:name").is_some_and(|name| name == "arrow.uuid")
}
