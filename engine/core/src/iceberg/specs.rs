//! Partition specs of a table: fields with their transforms, and the columns of the file list that they make.
//!
//! Must not know: manifests, filters. Neighbours: `request`, which parses them; `manifests`, which fills the columns.

use std::collections::BTreeMap;

use arrow_schema::{DataType, Field, Fields};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{Schema, Type};
use crate::iceberg::transforms::Transform;

/// How the files that name it are partitioned.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionSpec {
    /// Id, which manifests name
    pub id: i32,
    /// Fields in order
    pub fields: Vec<PartitionField>,
}

/// One value of a partition tuple.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionField {
    /// Partition field id, from 1000
    pub id: i32,
    /// Name, such as `ts_day`
    pub name: String,
    /// Field id of the column it is made from; None for several columns
    pub source: Option<i32>,
    /// How
    pub transform: Transform,
    /// Type of the value; None if it is not known (void, unknown transforms, a dropped column): then it is not read
    pub value_type: Option<Type>,
}

const FIRST_FIELD_ID: i32 = 1000;

impl PartitionSpec {
    /// Parses a spec of the table metadata; value types follow from the schema.
    pub fn from_value(value: &Value, schema: &Schema) -> Result<PartitionSpec> {
        let bad = || invalid(format!("not a partition spec: {value}"));
        let id = integer(value, "spec-id").ok_or_else(bad)?;
        let fields = value.get("fields").and_then(Value::as_array).ok_or_else(bad)?;
        let fields = fields.iter().enumerate().map(|(at, field)| parse_field(field, at, schema));
        Ok(PartitionSpec { id, fields: fields.collect::<Result<_>>()? })
    }

    /// Whether all files are in one partition.
    pub(crate) fn is_unpartitioned(&self) -> bool {
        self.fields.iter().all(|field| field.transform == Transform::Void)
    }
}

fn parse_field(value: &Value, position: usize, schema: &Schema) -> Result<PartitionField> {
    let bad = || invalid(format!("not a partition field: {value}"));
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let single = match value.get("source-ids").and_then(Value::as_array).map(Vec::as_slice) {
        None => integer(value, "source-id"),
        Some([only]) => only.as_i64().and_then(|id| i32::try_from(id).ok()),
        Some(_) => None,
    };
    let transform = text("transform").ok_or_else(bad)?;
    let transform = match single {
        Some(_) => Transform::parse(transform),
        None if value.get("source-ids").is_some() => Transform::Unknown(transform.to_string()),
        None => return Err(bad()),
    };
    let source_type = single.and_then(|id| schema.field(id)).map(|field| &field.field_type);
    Ok(PartitionField {
        // v1 did not store ids: they count from 1000
        id: integer(value, "field-id").unwrap_or(FIRST_FIELD_ID + position as i32),
        name: text("name").ok_or_else(bad)?.to_string(),
        source: single,
        value_type: source_type.and_then(|source| transform.result_type(source)),
        transform,
    })
}

fn integer(value: &Value, key: &str) -> Option<i32> {
    value.get(key).and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok())
}

/// The partition columns of a file list: a field id of any spec each, in order of id.
#[derive(Clone, Debug)]
pub(crate) struct PartitionColumns {
    types: BTreeMap<i32, Option<Type>>,
}

impl PartitionColumns {
    /// One column a field id. Ids of v1 specs may be shared by unlike fields: an identity field decides the type, since
    /// its values stand in for a column that files lack.
    pub(crate) fn of(specs: &[PartitionSpec]) -> PartitionColumns {
        let mut types: BTreeMap<i32, Option<Type>> = BTreeMap::new();
        for identity in [true, false] {
            let fields = specs.iter().flat_map(|spec| &spec.fields);
            for field in fields.filter(|field| (field.transform == Transform::Identity) == identity) {
                let known = types.entry(field.id).or_default();
                *known = known.take().or_else(|| field.value_type.clone());
            }
        }
        PartitionColumns { types }
    }

    /// The Arrow fields, named by id; Null where the type is not known.
    pub(crate) fn arrow_fields(&self) -> Result<Fields> {
        let fields = self.types.iter().map(|(id, value_type)| {
            let value_type = value_type.as_ref().map_or(Ok(DataType::Null), Type::to_arrow)?;
            Ok(Field::new(id.to_string(), value_type, true))
        });
        fields.collect()
    }

    /// For every column the position and type of the field of `spec` that fills it, None for a column of nulls.
    pub(crate) fn filled_by<'a>(&self, spec: &'a PartitionSpec) -> Result<Vec<Option<(usize, &'a Type)>>> {
        let column = |(id, column_type): (&i32, &Option<Type>)| {
            let Some(position) = spec.fields.iter().position(|field| field.id == *id) else { return Ok(None) };
            let field = &spec.fields[position];
            match &field.value_type {
                Some(value_type) if Some(value_type) == column_type.as_ref() => Ok(Some((position, value_type))),
                Some(value_type) if field.transform == Transform::Identity => {
                    let message = format!(
                        "partition field id {id} is {value_type:?} in spec {} but {column_type:?} in another",
                        spec.id
                    );
                    Err(Error::new(Kind::Unsupported, message))
                }
                _ => Ok(None),
            }
        };
        self.types.iter().map(column).collect()
    }
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidData, message)
}
