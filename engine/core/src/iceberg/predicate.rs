//! A bound filter, as the control plane sends it: parsed once, then evaluated on partitions, statistics and rows.
//!
//! The control plane parses, binds names to field ids, converts literals exactly and pushes `not` down to the leaves,
//! so that the tree holds only `and`, `or` and leaves. JSON form:
//!
//! ```json
//! {"and": [{"op": "ge", "field": 4, "type": "date", "values": [19358]}, {"or": [ ... ]}]}
//! {"op": "true"}   {"op": "false"}
//! ```
//!
//! Values by type: boolean true/false; int, long, date (days), time and timestamps (microseconds, nanoseconds for
//! `_ns`) as numbers; float and double as text, also "NaN", "Infinity", "-Infinity" (a number is taken too, but
//! serde_json rounds its last bit); decimal as the unscaled integer in a string; string as it is; uuid, fixed and binary
//! as hexadecimal text.
//!
//! Meaning: SQL's. A comparison with null is neither true nor false and drops the row, also for `ne` and `not_in`; the
//! NaN tests too are false for null, both of them. NaN equals itself and is larger than every number, and -0.0 equals
//! 0.0, as in Spark, DuckDB and Polars.

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::Type;

/// A filter on rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Keeps every row
    True,
    /// Keeps none
    False,
    /// All of them
    And(Vec<Predicate>),
    /// Any of them
    Or(Vec<Predicate>),
    /// A test of one field
    Leaf(Leaf),
}

/// A test of one primitive field, which may lie inside structs but not inside a list or map.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The test
    pub op: Op,
    /// Field id
    pub field: i32,
    /// The field's type in the schema that the filter was bound to
    pub field_type: Type,
    /// None for null and NaN tests, several for `in`, else one; never null
    pub values: Vec<Literal>,
}

/// What a leaf tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Op {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    In,
    NotIn,
    IsNull,
    NotNull,
    IsNan,
    NotNan,
    StartsWith,
    NotStartsWith,
}

/// A value of a primitive type.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// boolean
    Boolean(bool),
    /// int, long, date, time, timestamps
    Integer(i64),
    /// float (exactly widened) and double
    Float(f64),
    /// decimal: unscaled, at the field's scale
    Decimal(i128),
    /// string
    String(String),
    /// uuid, fixed, binary
    Bytes(Vec<u8>),
}

impl Predicate {
    /// Parses the JSON form.
    pub fn from_json(json: &str) -> Result<Predicate> {
        let value: Value = serde_json::from_str(json).map_err(|e| invalid(format!("filter is not JSON: {e}")))?;
        parse(&value)
    }

    /// Every leaf, in order of appearance.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Predicate::And(parts) | Predicate::Or(parts) => parts.iter().flat_map(Predicate::leaves).collect(),
            Predicate::Leaf(leaf) => vec![leaf],
            Predicate::True | Predicate::False => Vec::new(),
        }
    }

    /// Field ids that the filter tests, each once, in order of appearance.
    pub fn fields(&self) -> Vec<i32> {
        let mut found = Vec::new();
        for leaf in self.leaves() {
            if !found.contains(&leaf.field) {
                found.push(leaf.field);
            }
        }
        found
    }
}

impl Literal {
    /// Parses one value of the JSON form.
    pub fn from_json(value: &Value, field_type: &Type) -> Result<Literal> {
        let bad = || invalid(format!("{value} is not a value of type {field_type:?}"));
        match field_type {
            Type::Boolean => value.as_bool().map(Literal::Boolean).ok_or_else(bad),
            Type::Int | Type::Long | Type::Date | Type::Time | Type::Timestamp(_) | Type::TimestampNs(_) => {
                value.as_i64().map(Literal::Integer).ok_or_else(bad)
            }
            Type::Float | Type::Double => {
                let number = value.as_str().map_or(value.as_f64(), |text| text.parse().ok());
                number.map(Literal::Float).ok_or_else(bad)
            }
            Type::Decimal(_, _) => {
                let unscaled = value.as_str().and_then(|text| text.parse().ok());
                unscaled.map(Literal::Decimal).ok_or_else(bad)
            }
            Type::String => value.as_str().map(|text| Literal::String(text.to_string())).ok_or_else(bad),
            Type::Uuid | Type::Fixed(_) | Type::Binary => {
                value.as_str().and_then(from_hex).map(Literal::Bytes).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }
}

fn parse(value: &Value) -> Result<Predicate> {
    for (key, build) in [("and", Predicate::And as fn(Vec<Predicate>) -> Predicate), ("or", Predicate::Or)] {
        if let Some(parts) = value.get(key).and_then(Value::as_array) {
            return Ok(build(parts.iter().map(parse).collect::<Result<_>>()?));
        }
    }
    let op = value.get("op").and_then(Value::as_str).ok_or_else(|| invalid(format!("not a filter: {value}")))?;
    match op {
        "true" => Ok(Predicate::True),
        "false" => Ok(Predicate::False),
        _ => parse_leaf(op, value).map(Predicate::Leaf),
    }
}

fn parse_leaf(op: &str, value: &Value) -> Result<Leaf> {
    let op = match op {
        "lt" => Op::Lt,
        "le" => Op::Le,
        "gt" => Op::Gt,
        "ge" => Op::Ge,
        "eq" => Op::Eq,
        "ne" => Op::Ne,
        "in" => Op::In,
        "not_in" => Op::NotIn,
        "is_null" => Op::IsNull,
        "not_null" => Op::NotNull,
        "is_nan" => Op::IsNan,
        "not_nan" => Op::NotNan,
        "starts_with" => Op::StartsWith,
        "not_starts_with" => Op::NotStartsWith,
        _ => return Err(invalid(format!("unknown test {op:?} in a filter"))),
    };
    let field = value.get("field").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
    let field = field.ok_or_else(|| invalid(format!("field is missing in {value}")))?;
    let name = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let field_type = Type::parse_primitive(name)?;
    let none = Vec::new();
    let values = value.get("values").and_then(Value::as_array).unwrap_or(&none);
    let values = values.iter().map(|each| Literal::from_json(each, &field_type)).collect::<Result<Vec<_>>>()?;
    let fits = match op {
        Op::IsNull | Op::NotNull | Op::IsNan | Op::NotNan => values.is_empty(),
        Op::In | Op::NotIn => true,
        _ => values.len() == 1,
    };
    if fits {
        Ok(Leaf { op, field, field_type, values })
    } else {
        Err(invalid(format!("wrong number of values in {value}")))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, message)
}
