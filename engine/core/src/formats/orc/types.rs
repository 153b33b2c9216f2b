//! ORC's types -> Arrow's, as Iceberg means them.
//!
//! Spec: Iceberg's Appendix A ("ORC"): attributes of a type hold the field's id (`iceberg.id`) and what it is where ORC
//! has no such type. Must not know: values.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use orc_rust::proto::Type;
use orc_rust::proto::r#type::Kind;

use super::{damaged, unread};
use crate::error::Result;
use crate::iceberg::schema::FIELD_ID;

const MAX_DEPTH: usize = 64;
const MAX_PRECISION: u32 = 38;
const UUID_BYTES: u64 = 16;
/// Of decimals of Hive 0.11, which wrote neither (as ORC's Java reader has it).
const OLD_DECIMAL: (u32, u32) = (38, 10);

/// Checks that the types are a tree in pre-order, of kinds and sizes that can be read.
pub(super) fn check(types: &mut [Type]) -> Result<()> {
    if types.first().is_none_or(|root| root.kind.unwrap_or(0) != i32::from(Kind::Struct)) {
        return Err(unread("a file whose rows are not structs"));
    }
    let mut depths: Vec<Option<usize>> = vec![None; types.len()];
    for index in 0..types.len() {
        let Some(found) = types.get_mut(index) else { break };
        let depth = if index == 0 { 0 } else { depths[index].ok_or_else(|| damaged("a type that no type has"))? };
        let kind = Kind::try_from(found.kind.unwrap_or(0)).map_err(|_| unread("a type"))?;
        let children = match kind {
            Kind::Union => return Err(unread("a union")),
            Kind::Struct => found.field_names.len(),
            Kind::List => 1,
            Kind::Map => 2,
            _ => 0,
        };
        if found.subtypes.len() != children || depth > MAX_DEPTH {
            return Err(damaged(format!("type {index} has {} types in it", found.subtypes.len())));
        }
        for child in &found.subtypes {
            let place = depths.get_mut(*child as usize).filter(|place| *child as usize > index && place.is_none());
            *place.ok_or_else(|| damaged(format!("type {child} in type {index}")))? = Some(depth + 1);
        }
        if kind == Kind::Decimal {
            if found.precision() == 0 {
                (found.precision, found.scale) = (Some(OLD_DECIMAL.0), Some(OLD_DECIMAL.1));
            }
            if found.precision() > MAX_PRECISION || found.scale() > found.precision() {
                return Err(damaged(format!("decimal({}, {})", found.precision(), found.scale())));
            }
        }
    }
    Ok(())
}

/// What the file's rows become.
pub(super) fn schema(types: &[Type]) -> Result<Schema> {
    let root = types.first().ok_or_else(|| damaged("a file without types"))?;
    Ok(Schema::new(fields(types, root)?))
}

fn fields(types: &[Type], of: &Type) -> Result<Fields> {
    of.subtypes.iter().zip(&of.field_names).map(|(id, name)| field(types, name, *id)).collect()
}

fn field(types: &[Type], name: &str, index: u32) -> Result<FieldRef> {
    let found = types.get(index as usize).ok_or_else(|| damaged("a type that is not there"))?;
    let child = |name: &str, at: usize| {
        let index = found.subtypes.get(at).ok_or_else(|| damaged("a type without what is in it"))?;
        field(types, name, *index)
    };
    let unit = match attribute(found, "iceberg.timestamp-unit") {
        Some("NANOS") => TimeUnit::Nanosecond,
        _ => TimeUnit::Microsecond,
    };
    let data_type = match found.kind() {
        Kind::Boolean => DataType::Boolean,
        Kind::Byte => DataType::Int8,
        Kind::Short => DataType::Int16,
        Kind::Int => DataType::Int32,
        Kind::Long if attribute(found, "iceberg.long-type") == Some("TIME") => DataType::Time64(TimeUnit::Microsecond),
        Kind::Long => DataType::Int64,
        Kind::Float => DataType::Float32,
        Kind::Double => DataType::Float64,
        Kind::String | Kind::Varchar | Kind::Char => DataType::Utf8,
        Kind::Binary => match fixed_length(found).map(i32::try_from) {
            Some(Ok(length)) => DataType::FixedSizeBinary(length),
            _ => DataType::Binary,
        },
        Kind::Date => DataType::Date32,
        Kind::Decimal => {
            let number = |number: u32| u8::try_from(number).map_err(|_| damaged("a decimal"));
            DataType::Decimal128(number(found.precision())?, number(found.scale())?.cast_signed())
        }
        Kind::Timestamp => DataType::Timestamp(unit, None),
        Kind::TimestampInstant => DataType::Timestamp(unit, Some("UTC".into())),
        Kind::Struct => DataType::Struct(fields(types, found)?),
        Kind::List => DataType::List(child("element", 0)?),
        Kind::Map => {
            let key = Arc::unwrap_or_clone(child("key", 0)?).with_nullable(false);
            let pair = Fields::from(vec![Arc::new(key), child("value", 1)?]);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair), false)), false)
        }
        Kind::Union => return Err(unread("a union")),
    };
    let id = number(found, "iceberg.id").map(|id| (FIELD_ID.to_string(), id.to_string()));
    Ok(Arc::new(Field::new(name, data_type, true).with_metadata(id.into_iter().collect::<HashMap<_, _>>())))
}

/// Bytes of every value of a type of binaries of one length, nulls too.
pub(super) fn fixed_length(found: &Type) -> Option<u64> {
    match (found.kind(), attribute(found, "iceberg.binary-type")) {
        (Kind::Binary, Some("UUID")) => Some(UUID_BYTES),
        (Kind::Binary, Some("FIXED")) => {
            u64::try_from(number(found, "iceberg.length")?).ok().filter(|length| *length > 0)
        }
        _ => None,
    }
}

fn attribute<'a>(found: &'a Type, key: &str) -> Option<&'a str> {
    found.attributes.iter().find(|pair| pair.key() == key).map(|pair| pair.value())
}

fn number(found: &Type, key: &str) -> Option<i32> {
    attribute(found, key).and_then(|text| text.parse().ok())
}

/// The types that the decoder is told: timestamps are decimals of nanoseconds ([`super::moments`]).
pub(super) fn to_decode(types: &[Type]) -> Vec<Type> {
    let mut types = types.to_vec();
    for found in &mut types {
        if matches!(found.kind(), Kind::Timestamp | Kind::TimestampInstant) {
            found.kind = Some(Kind::Decimal.into());
            (found.precision, found.scale) = (Some(MAX_PRECISION), Some(super::moments::SCALE));
        }
    }
    types
}
