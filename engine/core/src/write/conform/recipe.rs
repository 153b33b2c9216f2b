//! How a column of one Arrow type becomes one of a table's type: decided once, by types alone.
//!
//! A type is taken if its values can be the table's without loss; where only some of them can ([`Step::Checked`],
//! [`Step::Exact`]) each is looked at when it is written. Must not know: values.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray};
use arrow_cast::can_cast_types;
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::iceberg::schema::{FIELD_ID, NestedField, Type};

/// A field and where its values come from.
pub(crate) struct Member {
    /// Name for messages, such as `point.x`.
    pub(super) path: String,
    pub(super) required: bool,
    pub(super) origin: Origin,
}

pub(super) enum Origin {
    /// A column, or field of a struct, by position.
    Column(usize, Recipe),
    /// None has it: nulls, or one row with the write default.
    Fill(DataType, Option<ArrayRef>),
}

/// How values become the table's.
pub(super) struct Recipe {
    pub(super) output: DataType,
    pub(super) step: Step,
}

pub(super) enum Step {
    Keep,
    /// All become null.
    Nulls,
    /// Cast; a value that becomes null does not fit.
    Checked,
    /// Cast; a value that is another one when cast back does not fit.
    Exact,
    /// Cast to a type that holds the same values, then go on.
    Through(DataType, Box<Recipe>),
    Struct(Vec<Member>),
    List(Box<Member>),
    Map(Box<Member>, Box<Member>),
}

impl Member {
    /// `source`: position and type of what the frame, or a struct of it, has under the field's name.
    pub(super) fn new(
        source: Option<(usize, &DataType)>,
        field: &NestedField,
        path: &str,
        defaults: &HashMap<i32, Value>,
    ) -> Result<Member> {
        let default = defaults.get(&field.id);
        let origin = match source {
            Some((at, from)) => Origin::Column(at, Recipe::new(from, field, path, defaults)?),
            None if field.required && default.is_none() => {
                let message = format!("the frame lacks column {path:?}, which the table requires");
                return Err(Error::new(Kind::TypeMismatch, message).hint("add it to the frame"));
            }
            None => {
                let output = field.field_type.to_arrow()?;
                let value = default.map(|value| default_array(value, &field.field_type, &output, path)).transpose()?;
                Origin::Fill(output, value)
            }
        };
        Ok(Member { path: path.to_owned(), required: field.required, origin })
    }

    pub(super) fn source(&self) -> Option<usize> {
        match &self.origin {
            Origin::Column(at, _) => Some(*at),
            Origin::Fill(..) => None,
        }
    }

    pub(super) fn output(&self) -> &DataType {
        match &self.origin {
            Origin::Column(_, recipe) => &recipe.output,
            Origin::Fill(output, _) => output,
        }
    }

    /// The Arrow field of what it makes.
    pub(super) fn field(&self, field: &NestedField) -> Result<Field> {
        let metadata = HashMap::from([(FIELD_ID.to_owned(), field.id.to_string())]);
        Ok(Field::new(&field.name, self.output().clone(), !field.required).with_metadata(metadata))
    }
}

impl Recipe {
    fn new(from: &DataType, field: &NestedField, path: &str, defaults: &HashMap<i32, Value>) -> Result<Recipe> {
        use DataType::{Binary, Dictionary, FixedSizeList, LargeListView, ListView, Null, RunEndEncoded};
        let to = &field.field_type;
        let through = |plain: DataType| {
            let rest = Recipe::new(&plain, field, path, defaults)?;
            Ok(Recipe { output: rest.output.clone(), step: Step::Through(plain, Box::new(rest)) })
        };
        match (from, to) {
            (Null, _) => Ok(Recipe { output: to.to_arrow()?, step: Step::Nulls }),
            (Dictionary(_, values), Type::String) if is_text(values) => Ok(keep(from)),
            (Dictionary(_, values), Type::Binary) if is_binary(values) => Ok(keep(from)),
            (Dictionary(_, values), _) => through(values.as_ref().clone()),
            (RunEndEncoded(_, values), _) => through(values.data_type().clone()),
            (FixedSizeList(element, _) | ListView(element), Type::List(_)) => through(DataType::List(element.clone())),
            (LargeListView(element), Type::List(_)) => through(DataType::LargeList(element.clone())),
            (DataType::BinaryView, Type::Fixed(_)) => through(Binary),
            (_, Type::Struct(_) | Type::List(_) | Type::Map(_, _)) => nested(from, field, path, defaults),
            _ => match primitive(from, to, &to.to_arrow()?) {
                Some(Step::Keep) => Ok(keep(from)),
                Some(step) if can_cast_types(from, &to.to_arrow()?) => Ok(Recipe { output: to.to_arrow()?, step }),
                _ => Err(unlike(from, to, path)),
            },
        }
    }
}

fn keep(from: &DataType) -> Recipe {
    Recipe { output: from.clone(), step: Step::Keep }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// How values of a type without inner ones become the table's; None where they are of another kind.
fn primitive(from: &DataType, to: &Type, arrow: &DataType) -> Option<Step> {
    use DataType as D;
    let narrow = matches!(from, D::Int8 | D::Int16 | D::UInt8 | D::UInt16);
    let decimal_scale = match from {
        D::Decimal32(_, scale) | D::Decimal64(_, scale) | D::Decimal128(_, scale) | D::Decimal256(_, scale) => {
            Some(*scale)
        }
        _ => None,
    };
    Some(match (to, from) {
        _ if from == arrow => Step::Keep,
        (Type::String, _) if is_text(from) => Step::Keep,
        (Type::Binary, _) if is_binary(from) => Step::Keep,
        (Type::Binary, D::FixedSizeBinary(_)) => Step::Checked,
        (Type::Fixed(_), D::Binary | D::LargeBinary) => Step::Checked,
        (Type::Int | Type::Long | Type::Decimal(..), _) if from.is_integer() => Step::Checked,
        (Type::Float | Type::Double, D::Float16) => Step::Checked,
        (Type::Float | Type::Double, _) if narrow => Step::Checked,
        (Type::Double, D::Float32 | D::Int32 | D::UInt32) => Step::Checked,
        (Type::Float, D::Float64) | (Type::Double, D::Int64 | D::UInt64) => Step::Exact,
        (Type::Decimal(_, scale), _) => match decimal_scale? <= *scale {
            true => Step::Checked,
            false => Step::Exact,
        },
        (Type::Date, D::Date64) | (Type::Time, D::Time64(TimeUnit::Nanosecond)) => Step::Exact,
        (Type::Time, D::Time32(_)) => Step::Checked,
        (Type::Timestamp(false) | Type::TimestampNs(false), D::Date32) => Step::Exact,
        (Type::Timestamp(zoned), D::Timestamp(unit, zone)) if *zoned == zone.is_some() => match unit {
            TimeUnit::Microsecond => Step::Keep,
            TimeUnit::Nanosecond => Step::Exact,
            _ => Step::Checked,
        },
        (Type::TimestampNs(zoned), D::Timestamp(unit, zone)) if *zoned == zone.is_some() => match unit {
            TimeUnit::Nanosecond => Step::Keep,
            _ => Step::Checked,
        },
        _ => return None,
    })
}

fn nested(from: &DataType, field: &NestedField, path: &str, defaults: &HashMap<i32, Value>) -> Result<Recipe> {
    let inside = |from: &FieldRef, to: &NestedField, name: &str| -> Result<(Member, FieldRef)> {
        let member = Member::new(Some((0, from.data_type())), to, &format!("{path}.{name}"), defaults)?;
        let made = Arc::new(member.field(&NestedField { name: name.to_owned(), ..to.clone() })?);
        Ok((member, made))
    };
    match (from, &field.field_type) {
        (DataType::Struct(found), Type::Struct(wanted)) => {
            // Fields of type unknown are in no file: a frame that has them as what they are, nulls, loses nothing.
            let is_known = |found: &&FieldRef| wanted.iter().any(|wanted| wanted.name == *found.name());
            let unknown = found.iter().find(|found| *found.data_type() != DataType::Null && !is_known(found));
            if let Some(unknown) = unknown {
                let message = format!("the table has no field {:?}", format!("{path}.{}", unknown.name()));
                return Err(Error::new(Kind::TypeMismatch, message)
                    .hint("drop it, or write with evolve=True to add it to the table"));
            }
            let member = |wanted: &NestedField| {
                let source = found.find(&wanted.name).map(|(at, found)| (at, found.data_type()));
                let member = Member::new(source, wanted, &format!("{path}.{}", wanted.name), defaults)?;
                let field = Arc::new(member.field(wanted)?);
                Ok((member, field))
            };
            let made = wanted.iter().map(member).collect::<Result<Vec<_>>>()?;
            let (members, fields): (Vec<_>, Vec<_>) = made.into_iter().unzip();
            Ok(Recipe { output: DataType::Struct(Fields::from(fields)), step: Step::Struct(members) })
        }
        (DataType::List(found), Type::List(wanted)) => {
            let (member, field) = inside(found, wanted, "element")?;
            Ok(Recipe { output: DataType::List(field), step: Step::List(Box::new(member)) })
        }
        (DataType::LargeList(found), Type::List(wanted)) => {
            let (member, field) = inside(found, wanted, "element")?;
            Ok(Recipe { output: DataType::LargeList(field), step: Step::List(Box::new(member)) })
        }
        (DataType::Map(entries, _), Type::Map(key, value)) => {
            let DataType::Struct(found) = entries.data_type() else {
                return Err(unlike(from, &field.field_type, path));
            };
            let [found_key, found_value] = found.as_ref() else { return Err(unlike(from, &field.field_type, path)) };
            let (key, key_field) = inside(found_key, &NestedField { required: true, ..(**key).clone() }, "key")?;
            let (value, value_field) = inside(found_value, value, "value")?;
            let entries = DataType::Struct(Fields::from(vec![key_field, value_field]));
            let output = DataType::Map(Arc::new(Field::new("key_value", entries, false)), false);
            Ok(Recipe { output, step: Step::Map(Box::new(key), Box::new(value)) })
        }
        (_, wanted) => Err(unlike(from, wanted, path)),
    }
}

fn unlike(from: &DataType, to: &Type, path: &str) -> Error {
    let message = format!("column {path:?} is {from} in the frame and {} in the table", name_of(to));
    let hint = match (from, to) {
        (DataType::Timestamp(_, None), Type::Timestamp(true) | Type::TimestampNs(true)) => {
            "say in which time zone the frame's times are"
        }
        (DataType::Timestamp(_, Some(_)), Type::Timestamp(false) | Type::TimestampNs(false)) => {
            "drop the time zone from the frame's times, or make the column timestamptz"
        }
        _ => "cast it in the frame: nothing is cast here that might lose something",
    };
    Error::new(Kind::TypeMismatch, message).hint(hint)
}

/// A type as the spec writes it; nested ones by their kind.
pub(super) fn name_of(field_type: &Type) -> String {
    match field_type {
        Type::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
        Type::Fixed(length) => format!("fixed[{length}]"),
        Type::Timestamp(zoned) => if *zoned { "timestamptz" } else { "timestamp" }.to_owned(),
        Type::TimestampNs(zoned) => if *zoned { "timestamptz_ns" } else { "timestamp_ns" }.to_owned(),
        Type::Struct(_) => "a struct".to_owned(),
        Type::List(_) => "a list".to_owned(),
        Type::Map(_, _) => "a map".to_owned(),
        Type::Spatial(name) => name.clone(),
        simple => format!("{simple:?}").to_lowercase(),
    }
}

/// One row that holds a write default (spec, Appendix D, JSON single-value form).
fn default_array(value: &Value, field_type: &Type, output: &DataType, path: &str) -> Result<ArrayRef> {
    let bad = || {
        let message = format!("the write default {value} of column {path:?} is not of type {}", name_of(field_type));
        Error::new(Kind::InvalidData, message)
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let plain: ArrayRef = match field_type {
        Type::Uuid | Type::Fixed(_) | Type::Binary => {
            let bytes = unhex(&text.replace('-', "")).ok_or_else(bad)?;
            Arc::new(arrow_array::BinaryArray::from(vec![bytes.as_slice()]))
        }
        Type::Struct(_) | Type::List(_) | Type::Map(_, _) => return Err(bad()),
        _ => Arc::new(StringArray::from(vec![text])),
    };
    let made = arrow_cast::cast(&plain, output).map_err(|_| bad())?;
    if made.is_valid(0) { Ok(made) } else { Err(bad()) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}
