//! Keys of rows: which rows of one frame have a key that another frame holds, compared exactly, and where such rows lie.
//!
//! Keys are taken as the table's own types, so that a frame's narrower integers meet the table's wider ones. Must not
//! know: tables, files. Neighbours: the control plane's upsert, which looks for the rows that are replaced.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::frame::Frame;
use crate::iceberg::predicate::Literal;
use crate::iceberg::scalar::Scalar;
use crate::iceberg::schema::{NestedField, Schema};

/// Distinct values of a key column up to which a filter names each of them; beyond, it gives their range.
const MOST_NAMED: usize = 200;

/// The keys of a frame, each once.
pub struct Keys {
    fields: Vec<NestedField>,
    set: HashSet<Vec<u8>>,
    columns: Vec<Vec<Literal>>,
}

impl Keys {
    /// The keys of a frame: the columns of `names`, as the types that a table's schema gives them.
    ///
    /// # Errors
    /// `InvalidArgument` for a null or NaN in a key, and for a key that two rows share; `TypeMismatch` for a column that
    /// is not of the table's type.
    pub fn new(frame: &Frame, names: &[String], schema: &Schema) -> Result<Keys> {
        let field = |name: &String| {
            let found = schema.fields.iter().find(|field| field.name == *name);
            found.cloned().ok_or_else(|| Error::new(Kind::ColumnNotFound, format!("no column {name:?} to match by")))
        };
        let fields: Vec<NestedField> = names.iter().map(field).collect::<Result<_>>()?;
        let arrays = arrays(frame, &fields)?;
        let mut keys =
            Keys { set: HashSet::with_capacity(frame.num_rows()), columns: vec![Vec::new(); fields.len()], fields };
        for row in 0..frame.num_rows() {
            let mut key = Vec::new();
            for (at, array) in arrays.iter().enumerate() {
                let name = &keys.fields[at].name;
                let refused = |what: &str| Err(bad(format!("row {row}: key column {name:?} is {what}")));
                let Some(value) = literal(array, row)? else { return refused("null") };
                if Scalar::of(&value).is_nan() {
                    return refused("NaN, which no row can be matched by");
                }
                encode(&mut key, &value);
                keys.columns[at].push(value);
            }
            if !keys.set.insert(key) {
                let values: Vec<_> = keys.columns.iter().filter_map(|column| column.last().map(shown)).collect();
                return Err(bad(format!("row {row}: key ({}) is there twice", values.join(", "))));
            }
        }
        for column in &mut keys.columns {
            column
                .sort_by(|left, right| Scalar::of(left).order(Scalar::of(right)).unwrap_or(std::cmp::Ordering::Equal));
            column.dedup();
        }
        Ok(keys)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// No keys.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// True for every row whose key is not among these; a null in a key is like no other.
    pub fn absent(&self, frame: &Frame) -> Result<BooleanArray> {
        let arrays = arrays(frame, &self.fields)?;
        let mut key = Vec::new();
        let absent = (0..frame.num_rows()).map(|row| {
            key.clear();
            for array in &arrays {
                match literal(array, row)? {
                    Some(value) => encode(&mut key, &value),
                    None => return Ok(true),
                }
            }
            Ok(!self.set.contains(key.as_slice()))
        });
        absent.collect::<Result<Vec<bool>>>().map(BooleanArray::from)
    }

    /// True for every row whose key is among these.
    pub fn present(&self, frame: &Frame) -> Result<BooleanArray> {
        self.absent(frame).map(|absent| BooleanArray::new(!absent.values(), None))
    }

    /// A filter, in the engine's JSON, that every row with one of these keys passes.
    pub fn filter_json(&self) -> Result<String> {
        let tests = self.fields.iter().zip(&self.columns).flat_map(|(field, values)| tests(field, values));
        Ok(json!({"and": tests.collect::<Vec<_>>()}).to_string())
    }
}

fn tests(field: &NestedField, values: &[Literal]) -> Vec<Value> {
    let name = field.field_type.name();
    let test = |op: &str, values: Vec<Value>| json!({"op": op, "field": field.id, "type": name, "values": values});
    match values {
        [] => vec![json!({"op": "false"})],
        _ if values.len() <= MOST_NAMED => vec![test("in", values.iter().map(value_json).collect())],
        [first, .., last] => vec![test("ge", vec![value_json(first)]), test("le", vec![value_json(last)])],
        [only] => vec![test("eq", vec![value_json(only)])],
    }
}

/// A literal in the JSON of filters ([`crate::iceberg::predicate`]).
fn value_json(value: &Literal) -> Value {
    match value {
        Literal::Boolean(value) => json!(value),
        Literal::Integer(value) => json!(value),
        Literal::Float(value) if value.is_infinite() => json!(if *value > 0.0 { "Infinity" } else { "-Infinity" }),
        Literal::Float(value) => json!(value.to_string()),
        Literal::Decimal(value) => json!(value.to_string()),
        Literal::String(value) => json!(value),
        Literal::Bytes(value) => json!(value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn shown(value: &Literal) -> String {
    value_json(value).to_string()
}

fn arrays(frame: &Frame, fields: &[NestedField]) -> Result<Vec<ArrayRef>> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let array = |field: &NestedField| {
        let column = frame.batch().column_by_name(&field.name);
        let column = column.ok_or_else(|| {
            Error::new(Kind::ColumnNotFound, format!("the frame has no column {:?} to match by", field.name))
        })?;
        let wanted = field.field_type.to_arrow()?;
        let not_so = |e| Error::new(Kind::TypeMismatch, format!("key column {:?} is not {wanted}: {e}", field.name));
        let array = cast_with_options(column, &wanted, &strict).map_err(not_so)?;
        match wanted {
            DataType::Time64(_) | DataType::Timestamp(_, _) => {
                cast_with_options(&array, &DataType::Int64, &strict).map_err(not_so)
            }
            _ => Ok(array),
        }
    };
    fields.iter().map(array).collect()
}

/// A value as a literal; None: null.
fn literal(array: &ArrayRef, row: usize) -> Result<Option<Literal>> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Boolean => Literal::Boolean(array.as_boolean().value(row)),
        DataType::Int32 => Literal::Integer(i64::from(array.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Literal::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Literal::Float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Literal::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => Literal::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Utf8View => Literal::String(array.as_string_view().value(row).to_string()),
        DataType::BinaryView => Literal::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Literal::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        DataType::Date32 => {
            Literal::Integer(i64::from(array.as_primitive::<arrow_array::types::Date32Type>().value(row)))
        }
        other => return Err(Error::new(Kind::Unsupported, format!("rows are not matched by columns of {other}"))),
    }))
}

/// Appends a value in a form that is equal exactly where values are: -0.0 equals 0.0.
fn encode(key: &mut Vec<u8>, value: &Literal) {
    match value {
        Literal::Boolean(value) => key.push(u8::from(*value)),
        Literal::Integer(value) => key.extend_from_slice(&value.to_le_bytes()),
        Literal::Float(value) => key.extend_from_slice(&(value + 0.0).to_bits().to_le_bytes()),
        Literal::Decimal(value) => key.extend_from_slice(&value.to_le_bytes()),
        Literal::String(value) => sized(key, value.as_bytes()),
        Literal::Bytes(value) => sized(key, value),
    }
}

fn sized(key: &mut Vec<u8>, value: &[u8]) {
    key.extend_from_slice(&(value.len() as u64).to_le_bytes());
    key.extend_from_slice(value);
}

fn bad(message: String) -> Error {
    Error::new(Kind::InvalidArgument, message)
}
