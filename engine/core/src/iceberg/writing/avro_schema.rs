//! Avro schemas of manifests and manifest lists, with Iceberg's field ids, for each format version.
//!
//! Names are those of Iceberg's Java writer. Must not know: values. Spec: Manifests, Manifest Lists, Appendix A (Avro).

use serde_json::{Value, json};

use crate::iceberg::schema::{Schema, Type};
use crate::iceberg::specs::PartitionSpec;
use crate::iceberg::transforms::Transform;

/// Schema of a manifest's entries.
pub(super) fn entry_schema(spec: &PartitionSpec, schema: &Schema, format_version: i64) -> Value {
    let mut fields = vec![required(0, "status", json!("int"))];
    if format_version == 1 {
        fields.push(required(1, "snapshot_id", json!("long")));
    } else {
        fields.push(optional(1, "snapshot_id", json!("long")));
        fields.push(optional(3, "sequence_number", json!("long")));
        fields.push(optional(4, "file_sequence_number", json!("long")));
    }
    fields.push(required(2, "data_file", record("r2", data_file_fields(spec, schema, format_version))));
    record("manifest_entry", fields)
}

fn data_file_fields(spec: &PartitionSpec, schema: &Schema, format_version: i64) -> Vec<Value> {
    let partition = record("r102", partition_fields(spec, schema));
    let mut fields = Vec::new();
    if format_version > 1 {
        fields.push(required(134, "content", json!("int")));
    }
    fields.push(required(100, "file_path", json!("string")));
    fields.push(required(101, "file_format", json!("string")));
    fields.push(required(102, "partition", partition));
    fields.push(required(103, "record_count", json!("long")));
    fields.push(required(104, "file_size_in_bytes", json!("long")));
    if format_version == 1 {
        fields.push(required(105, "block_size_in_bytes", json!("long")));
    }
    fields.push(optional(108, "column_sizes", map(117, 118, "long")));
    fields.push(optional(109, "value_counts", map(119, 120, "long")));
    fields.push(optional(110, "null_value_counts", map(121, 122, "long")));
    fields.push(optional(137, "nan_value_counts", map(138, 139, "long")));
    fields.push(optional(125, "lower_bounds", map(126, 127, "bytes")));
    fields.push(optional(128, "upper_bounds", map(129, 130, "bytes")));
    fields.push(optional(131, "key_metadata", json!("bytes")));
    fields.push(optional(132, "split_offsets", list(133, "long")));
    if format_version > 1 {
        fields.push(optional(135, "equality_ids", list(136, "int")));
    }
    fields.push(optional(140, "sort_order_id", json!("int")));
    if format_version > 2 {
        fields.push(optional(142, "first_row_id", json!("long")));
        fields.push(optional(143, "referenced_data_file", json!("string")));
        fields.push(optional(144, "content_offset", json!("long")));
        fields.push(optional(145, "content_size_in_bytes", json!("long")));
    }
    fields
}

/// Schema of a manifest list's entries.
pub(super) fn list_schema(format_version: i64) -> Value {
    let summary = vec![
        required(509, "contains_null", json!("boolean")),
        optional(518, "contains_nan", json!("boolean")),
        optional(510, "lower_bound", json!("bytes")),
        optional(511, "upper_bound", json!("bytes")),
    ];
    let summaries = json!({"type": "array", "element-id": 508, "items": record("r508", summary)});
    let mut fields = vec![
        required(500, "manifest_path", json!("string")),
        required(501, "manifest_length", json!("long")),
        required(502, "partition_spec_id", json!("int")),
    ];
    let number: fn(i32, &str, Value) -> Value = if format_version == 1 { optional } else { required };
    if format_version > 1 {
        fields.push(required(517, "content", json!("int")));
        fields.push(required(515, "sequence_number", json!("long")));
        fields.push(required(516, "min_sequence_number", json!("long")));
    }
    fields.push(number(503, "added_snapshot_id", json!("long")));
    fields.push(number(504, "added_files_count", json!("int")));
    fields.push(number(505, "existing_files_count", json!("int")));
    fields.push(number(506, "deleted_files_count", json!("int")));
    fields.push(number(512, "added_rows_count", json!("long")));
    fields.push(number(513, "existing_rows_count", json!("long")));
    fields.push(number(514, "deleted_rows_count", json!("long")));
    fields.push(optional(507, "partitions", summaries));
    fields.push(optional(519, "key_metadata", json!("bytes")));
    if format_version > 2 {
        fields.push(optional(520, "first_row_id", json!("long")));
    }
    record("manifest_file", fields)
}

/// Types of a spec's partition values; None where nothing but null can be written.
pub(super) fn partition_types(spec: &PartitionSpec, schema: &Schema) -> Vec<Option<Type>> {
    let source = |id: Option<i32>| id.and_then(|id| schema.field(id)).map(|field| field.field_type.clone());
    let types = spec.fields.iter().map(|field| match field.transform {
        Transform::Void => source(field.source),
        _ => field.value_type.clone(),
    });
    types.collect()
}

fn partition_fields(spec: &PartitionSpec, schema: &Schema) -> Vec<Value> {
    let mut named = Vec::new();
    let fields = spec.fields.iter().zip(partition_types(spec, schema));
    let fields = fields.map(|(field, value_type)| {
        let avro = value_type.map_or_else(|| json!("int"), |value_type| primitive(&value_type, &mut named));
        let name = sanitized(&field.name);
        let mut made = optional(field.id, &name, avro);
        if name != field.name {
            made["iceberg-field-name"] = json!(field.name);
        }
        made
    });
    fields.collect()
}

/// A primitive type; a named one is defined once in a schema, and referred to after that.
fn primitive(value_type: &Type, named: &mut Vec<String>) -> Value {
    let mut fixed = |name: String, size: usize, mut more: Value| {
        if named.contains(&name) {
            return json!(name);
        }
        more["type"] = json!("fixed");
        more["name"] = json!(name);
        more["size"] = json!(size);
        named.push(name);
        more
    };
    match value_type {
        Type::Boolean => json!("boolean"),
        Type::Long => json!("long"),
        Type::Float => json!("float"),
        Type::Double => json!("double"),
        Type::Date => json!({"type": "int", "logicalType": "date"}),
        Type::Time => json!({"type": "long", "logicalType": "time-micros"}),
        Type::Timestamp(zoned) => json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": zoned}),
        Type::TimestampNs(zoned) => json!({"type": "long", "logicalType": "timestamp-nanos", "adjust-to-utc": zoned}),
        Type::String => json!("string"),
        Type::Binary => json!("bytes"),
        Type::Uuid => fixed("uuid_fixed".to_string(), 16, json!({"logicalType": "uuid"})),
        Type::Fixed(length) => fixed(format!("fixed_{length}"), *length as usize, json!({})),
        Type::Decimal(precision, scale) => fixed(
            format!("decimal_{precision}_{scale}"),
            decimal_bytes(*precision),
            json!({"logicalType": "decimal", "precision": precision, "scale": scale}),
        ),
        _ => json!("int"),
    }
}

/// The least bytes that hold every decimal of this precision (spec, Appendix A).
pub(super) fn decimal_bytes(precision: u8) -> usize {
    let bits = f64::from(precision) * std::f64::consts::LOG2_10 + 1.0;
    (bits / 8.0).ceil() as usize
}

/// A name as Avro takes it: letters, digits and underscores, as Iceberg's Java writer spells all others.
fn sanitized(name: &str) -> String {
    let mut made = String::new();
    for (at, each) in name.chars().enumerate() {
        match each {
            '0'..='9' if at == 0 => made.extend(['_', each]),
            '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => made.push(each),
            other => made.push_str(&format!("_x{:X}", u32::from(other))),
        }
    }
    made
}

fn record(name: &str, fields: Vec<Value>) -> Value {
    json!({"type": "record", "name": name, "fields": fields})
}

fn required(id: i32, name: &str, value_type: Value) -> Value {
    json!({"name": name, "type": value_type, "field-id": id})
}

fn optional(id: i32, name: &str, value_type: Value) -> Value {
    json!({"name": name, "type": ["null", value_type], "default": null, "field-id": id})
}

fn list(element: i32, value_type: &str) -> Value {
    json!({"type": "array", "element-id": element, "items": value_type})
}

fn map(key: i32, value: i32, value_type: &str) -> Value {
    let fields = vec![required(key, "key", json!("int")), required(value, "value", json!(value_type))];
    json!({"type": "array", "logicalType": "map", "items": record(&format!("k{key}_v{value}"), fields)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_the_least_bytes() {
        let bytes: Vec<_> = [1, 2, 3, 9, 10, 18, 19, 38].map(decimal_bytes).to_vec();
        assert_eq!(bytes, [1, 1, 2, 4, 5, 8, 9, 16]);
    }

    #[test]
    fn names_are_spelled_as_java_spells_them() {
        assert_eq!(sanitized("a.b"), "a_x2Eb");
        assert_eq!(sanitized("9x"), "_9x");
    }
}
