//! The Parquet schema of a table's files: types and annotations as the spec's Appendix A has them, a field id on each.
//!
//! <https://iceberg.apache.org/spec/#parquet>. Names that Avro could not
//! hold are written as Iceberg's Java writes them: readers go by id. Must not know: Arrow, values.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result as Made;
use parquet::schema::types::{Type as Node, TypePtr};

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{NestedField, Type};

/// The root of a file with these columns.
pub(crate) fn parquet_schema(fields: &[NestedField]) -> Result<TypePtr> {
    let nodes = fields.iter().map(|field| node(field, &sanitized(&field.name))).collect::<Made<Vec<_>>>();
    let root = nodes.and_then(|nodes| Node::group_type_builder("table").with_fields(nodes).build());
    root.map(Arc::new).map_err(|e| Error::new(Kind::ParquetEncoding, format!("the schema cannot be written: {e}")))
}

fn node(field: &NestedField, name: &str) -> Made<TypePtr> {
    let repetition = if field.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    let group = Node::group_type_builder(name).with_repetition(repetition).with_id(Some(field.id));
    let repeated = |name: &str, fields| {
        Node::group_type_builder(name).with_repetition(Repetition::REPEATED).with_fields(fields).build().map(Arc::new)
    };
    let made = match &field.field_type {
        Type::Struct(inner) => {
            let inner = inner.iter().map(|field| node(field, &sanitized(&field.name)));
            group.with_fields(inner.collect::<Made<_>>()?)
        }
        Type::List(element) => group
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![repeated("list", vec![node(element, "element")?])?]),
        Type::Map(key, value) => {
            let key = NestedField { required: true, ..(**key).clone() };
            let entries = vec![node(&key, "key")?, node(value, "value")?];
            group.with_logical_type(Some(LogicalType::Map)).with_fields(vec![repeated("key_value", entries)?])
        }
        primitive => return leaf(primitive, name, repetition, field.id),
    };
    made.build().map(Arc::new)
}

fn leaf(field_type: &Type, name: &str, repetition: Repetition, id: i32) -> Made<TypePtr> {
    let (physical, logical, length) = match field_type {
        Type::Boolean => (Physical::BOOLEAN, None, 0),
        Type::Int => (Physical::INT32, None, 0),
        Type::Long => (Physical::INT64, None, 0),
        Type::Float => (Physical::FLOAT, None, 0),
        Type::Double => (Physical::DOUBLE, None, 0),
        Type::Date => (Physical::INT32, Some(LogicalType::Date), 0),
        Type::Time => (Physical::INT64, Some(LogicalType::time(false, TimeUnit::MICROS)), 0),
        Type::Timestamp(zoned) => (Physical::INT64, Some(LogicalType::timestamp(*zoned, TimeUnit::MICROS)), 0),
        Type::TimestampNs(zoned) => (Physical::INT64, Some(LogicalType::timestamp(*zoned, TimeUnit::NANOS)), 0),
        Type::String => (Physical::BYTE_ARRAY, Some(LogicalType::String), 0),
        Type::Uuid => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), 16),
        Type::Fixed(length) => (Physical::FIXED_LEN_BYTE_ARRAY, None, *length),
        Type::Decimal(precision, scale) => {
            let logical = Some(LogicalType::decimal(i32::from(*scale), i32::from(*precision)));
            match precision {
                ..=9 => (Physical::INT32, logical, 0),
                10..=18 => (Physical::INT64, logical, 0),
                _ => (Physical::FIXED_LEN_BYTE_ARRAY, logical, decimal_bytes(*precision)),
            }
        }
        _ => (Physical::BYTE_ARRAY, None, 0),
    };
    let mut made = Node::primitive_type_builder(name, physical).with_repetition(repetition).with_id(Some(id));
    if let Type::Decimal(precision, scale) = field_type {
        made = made.with_precision(i32::from(*precision)).with_scale(i32::from(*scale));
    }
    made.with_logical_type(logical).with_length(length).build().map(Arc::new)
}

/// The fewest bytes that hold every decimal of so many digits.
fn decimal_bytes(precision: u8) -> i32 {
    let largest = 10i128.pow(u32::from(precision)) - 1;
    (1..16).find(|bytes| largest < 1i128 << (8 * bytes - 1)).unwrap_or(16)
}

/// A name as Java's `AvroSchemaUtil.makeCompatibleName` gives it.
fn sanitized(name: &str) -> String {
    let mut made = String::with_capacity(name.len());
    for (at, each) in name.chars().enumerate() {
        match each {
            '_' => made.push(each),
            _ if each.is_alphabetic() || (at > 0 && each.is_numeric()) => made.push(each),
            _ if each.is_numeric() => made.extend(['_', each]),
            _ => each.encode_utf16(&mut [0; 2]).iter().for_each(|unit| made.push_str(&format!("_x{unit:X}"))),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_java_s() {
        for (name, written) in [("a.b", "a_x2Eb"), ("9x", "_9x"), ("_a1", "_a1"), ("größe", "größe"), ("a b", "a_x20b")]
        {
            assert_eq!(sanitized(name), written);
        }
    }

    #[test]
    fn decimals_take_the_fewest_bytes() {
        for (precision, bytes) in [(19, 9), (20, 9), (21, 9), (22, 10), (38, 16)] {
            assert_eq!(decimal_bytes(precision), bytes, "{precision}");
        }
    }
}
