//! Iceberg types as the engine needs them: parsed from the table metadata's JSON, turned into Arrow.
//!
//! Spec: <https://iceberg.apache.org/spec/#schemas-and-data-types>, JSON in Appendix C. Every Arrow field carries its
//! Iceberg field id as `PARQUET:field_id`. Names of the Arrow layout: strings and binary are views, lists are large.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema as ArrowSchema, TimeUnit};
use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// Key of the field id in an Arrow field's metadata.
pub const FIELD_ID: &str = "PARQUET:field_id";

/// Key, in an Arrow field's metadata, of the Iceberg type of columns whose Arrow type does not tell it.
pub const TYPE: &str = "ICEBERG:type";

/// A type of the table format.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// `boolean`
    Boolean,
    /// `int`: 32 bits
    Int,
    /// `long`: 64 bits
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `decimal(precision, scale)`, at most 38 digits
    Decimal(u8, i8),
    /// `date`: days since 1970-01-01
    Date,
    /// `time`: microseconds since midnight
    Time,
    /// `timestamp` (false) or `timestamptz` (true): microseconds since 1970-01-01
    Timestamp(bool),
    /// `timestamp_ns` or `timestamptz_ns`
    TimestampNs(bool),
    /// `string`
    String,
    /// `uuid`: 16 bytes
    Uuid,
    /// `fixed[L]`
    Fixed(i32),
    /// `binary`
    Binary,
    /// `unknown` (v3): always null
    Unknown,
    /// `variant` (v3): a value of any type, in Parquet's binary encoding of variants
    Variant,
    /// `geometry(C)` or `geography(C, A)` (v3), by its JSON name: well-known binary (WKB)
    Spatial(String),
    /// `struct`
    Struct(Vec<NestedField>),
    /// `list`: its element
    List(Box<NestedField>),
    /// `map`: key and value
    Map(Box<NestedField>, Box<NestedField>),
}

/// A field of a struct, the element of a list, the key or value of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedField {
    /// Field id, unique in the schema
    pub id: i32,
    /// Name as of the schema
    pub name: String,
    /// Nulls are not allowed
    pub required: bool,
    /// Type
    pub field_type: Type,
    /// Value of rows written before the field was added (v3), in the JSON single-value form (Appendix D)
    pub initial_default: Option<Value>,
}

/// A schema: the fields of its root struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// Top-level fields in order
    pub fields: Vec<NestedField>,
}

impl Schema {
    /// Parses the JSON of a schema (Appendix C).
    pub fn from_json(json: &str) -> Result<Schema> {
        let value: Value = serde_json::from_str(json).map_err(|e| invalid(format!("schema is not JSON: {e}")))?;
        match parse_type(&value, 0)? {
            Type::Struct(fields) => Ok(Schema { fields }),
            other => Err(invalid(format!("a schema must be a struct, found {other:?}"))),
        }
    }

    /// The same schema in Arrow.
    pub fn to_arrow(&self) -> Result<ArrowSchema> {
        Ok(ArrowSchema::new(self.fields.iter().map(NestedField::to_arrow).collect::<Result<Vec<_>>>()?))
    }

    /// The field with this id, at any depth.
    pub fn field(&self, id: i32) -> Option<&NestedField> {
        find(&self.fields, id)
    }
}

fn find(fields: &[NestedField], id: i32) -> Option<&NestedField> {
    fields.iter().find_map(|field| field.find(id))
}

impl NestedField {
    fn find(&self, id: i32) -> Option<&NestedField> {
        if self.id == id {
            return Some(self);
        }
        match &self.field_type {
            Type::Struct(fields) => find(fields, id),
            Type::List(element) => element.find(id),
            Type::Map(key, value) => key.find(id).or_else(|| value.find(id)),
            _ => None,
        }
    }

    /// The same field in Arrow, its id in the metadata.
    pub fn to_arrow(&self) -> Result<Field> {
        let mut metadata = HashMap::from([(FIELD_ID.to_string(), self.id.to_string())]);
        if matches!(self.field_type, Type::Variant | Type::Spatial(_)) {
            metadata.insert(TYPE.to_string(), self.field_type.name());
        }
        Ok(Field::new(&self.name, self.field_type.to_arrow()?, !self.required).with_metadata(metadata))
    }
}

impl Type {
    /// Parses the name of a primitive type, such as `decimal(9, 2)`.
    pub fn parse_primitive(name: &str) -> Result<Type> {
        Ok(match name {
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "date" => Type::Date,
            "time" => Type::Time,
            "timestamp" => Type::Timestamp(false),
            "timestamptz" => Type::Timestamp(true),
            "timestamp_ns" => Type::TimestampNs(false),
            "timestamptz_ns" => Type::TimestampNs(true),
            "string" => Type::String,
            "uuid" => Type::Uuid,
            "binary" => Type::Binary,
            "unknown" => Type::Unknown,
            "variant" => Type::Variant,
            _ => return parse_parameterised(name),
        })
    }

    /// The name in JSON of a primitive type; of others only what they are.
    pub fn name(&self) -> String {
        match self {
            Type::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
            Type::Fixed(length) => format!("fixed[{length}]"),
            Type::Timestamp(zoned) => if *zoned { "timestamptz" } else { "timestamp" }.to_string(),
            Type::TimestampNs(zoned) => if *zoned { "timestamptz_ns" } else { "timestamp_ns" }.to_string(),
            Type::Spatial(name) => name.clone(),
            Type::Struct(_) => "struct".to_string(),
            Type::List(_) => "list".to_string(),
            Type::Map(_, _) => "map".to_string(),
            plain => format!("{plain:?}").to_lowercase(),
        }
    }

    /// The Arrow type it is decoded into.
    pub fn to_arrow(&self) -> Result<DataType> {
        let utc = |zoned: bool| zoned.then(|| Arc::from("UTC"));
        Ok(match self {
            Type::Boolean => DataType::Boolean,
            Type::Int => DataType::Int32,
            Type::Long => DataType::Int64,
            Type::Float => DataType::Float32,
            Type::Double => DataType::Float64,
            Type::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Type::Date => DataType::Date32,
            Type::Time => DataType::Time64(TimeUnit::Microsecond),
            Type::Timestamp(zoned) => DataType::Timestamp(TimeUnit::Microsecond, utc(*zoned)),
            Type::TimestampNs(zoned) => DataType::Timestamp(TimeUnit::Nanosecond, utc(*zoned)),
            Type::String => DataType::Utf8View,
            Type::Uuid => DataType::FixedSizeBinary(16),
            Type::Fixed(length) => DataType::FixedSizeBinary(*length),
            Type::Binary | Type::Spatial(_) => DataType::BinaryView,
            Type::Unknown => DataType::Null,
            Type::Variant => {
                let part = |name: &str| Field::new(name, DataType::BinaryView, false);
                DataType::Struct(Fields::from(vec![part("metadata"), part("value")]))
            }
            Type::Struct(fields) => {
                DataType::Struct(fields.iter().map(NestedField::to_arrow).collect::<Result<Fields>>()?)
            }
            Type::List(element) => {
                let field = NestedField { name: "element".into(), ..(**element).clone() };
                DataType::LargeList(Arc::new(field.to_arrow()?))
            }
            Type::Map(key, value) => {
                let key = NestedField { name: "key".into(), required: true, ..(**key).clone() };
                let value = NestedField { name: "value".into(), ..(**value).clone() };
                let entries = DataType::Struct(Fields::from(vec![key.to_arrow()?, value.to_arrow()?]));
                DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
            }
        })
    }
}

fn parse_parameterised(name: &str) -> Result<Type> {
    let unknown = || invalid(format!("unknown type {name:?}"));
    if let Some(length) = name.strip_prefix("fixed[").and_then(|rest| rest.strip_suffix(']')) {
        let length: i32 = length.trim().parse().map_err(|_| unknown())?;
        return if length >= 0 { Ok(Type::Fixed(length)) } else { Err(unknown()) };
    }
    if let Some(inner) = name.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')) {
        let (precision, scale) = inner.split_once(',').ok_or_else(unknown)?;
        let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
        let scale: i8 = scale.trim().parse().map_err(|_| unknown())?;
        let fits = (1..=38).contains(&precision) && scale >= 0 && scale as u8 <= precision;
        return if fits { Ok(Type::Decimal(precision, scale)) } else { Err(unknown()) };
    }
    if is_spatial(name) { Ok(Type::Spatial(name.to_string())) } else { Err(unknown()) }
}

/// Interpolations of edges that a geography may have (spec: "Primitive Types").
const ALGORITHMS: [&str; 5] = ["spherical", "vincenty", "thomas", "andoyer", "karney"];

/// `geometry`, `geometry(crs)`, `geography`, `geography(crs)`, `geography(crs, algorithm)`.
fn is_spatial(name: &str) -> bool {
    let (base, parameters) = match name.split_once('(') {
        None => (name, None),
        Some((base, rest)) => match rest.strip_suffix(')') {
            Some(inner) if !inner.contains(['(', ')']) => (base, Some(inner)),
            _ => return false,
        },
    };
    match (base.trim_end(), parameters) {
        ("geometry" | "geography", None) => true,
        ("geometry", Some(crs)) => !crs.trim().is_empty() && !crs.contains(','),
        ("geography", Some(inner)) => match inner.split_once(',') {
            None => !inner.trim().is_empty(),
            Some((crs, algorithm)) => !crs.trim().is_empty() && ALGORITHMS.contains(&algorithm.trim()),
        },
        _ => false,
    }
}

const MAX_DEPTH: usize = 64;

fn parse_type(value: &Value, depth: usize) -> Result<Type> {
    if depth > MAX_DEPTH {
        return Err(invalid(format!("schema is nested deeper than {MAX_DEPTH} levels")));
    }
    if let Value::String(name) = value {
        return Type::parse_primitive(name);
    }
    let member = |name: &str| {
        let id = value.get(format!("{name}-id")).and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
        let required = value.get(format!("{name}-required")).and_then(Value::as_bool).unwrap_or(name == "key");
        let inner = value.get(name).ok_or_else(|| invalid(format!("{name} is missing in {value}")))?;
        Ok::<_, Error>(Box::new(NestedField {
            id: id.ok_or_else(|| invalid(format!("{name}-id is missing in {value}")))?,
            name: name.to_string(),
            required,
            field_type: parse_type(inner, depth + 1)?,
            initial_default: None,
        }))
    };
    match value.get("type").and_then(Value::as_str) {
        Some("struct") => {
            let fields = value.get("fields").and_then(Value::as_array);
            let fields = fields.ok_or_else(|| invalid("a struct without fields"))?;
            Ok(Type::Struct(fields.iter().map(|field| parse_field(field, depth + 1)).collect::<Result<_>>()?))
        }
        Some("list") => Ok(Type::List(member("element")?)),
        Some("map") => Ok(Type::Map(member("key")?, member("value")?)),
        _ => Err(invalid(format!("unknown type {value}"))),
    }
}

fn parse_field(value: &Value, depth: usize) -> Result<NestedField> {
    let bad = |what: &str| invalid(format!("field {value}: {what}"));
    let id = value.get("id").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
    Ok(NestedField {
        id: id.ok_or_else(|| bad("id is missing"))?,
        name: value.get("name").and_then(Value::as_str).ok_or_else(|| bad("name is missing"))?.to_string(),
        required: value.get("required").and_then(Value::as_bool).unwrap_or(false),
        field_type: parse_type(value.get("type").ok_or_else(|| bad("type is missing"))?, depth)?,
        initial_default: value.get("initial-default").filter(|default| !default.is_null()).cloned(),
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidData, message)
}
