//! Which columns are decoded directly, and into what: everything flat, and lists of numbers.
//!
//! A column is only taken if the type that Parquet gives it is the one that the file's Arrow schema has, so that both
//! readers mean the same. All else is left to the crate's reader. Must not know: pages, bytes.

use arrow_schema::{DataType, TimeUnit};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit as ParquetUnit, Type as Physical};
use parquet::schema::types::{ColumnDescriptor, Type};

use super::fixed::Convert;
use crate::parquet::layout::FileNode;

/// How a column chunk is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What its values become
    pub values: Values,
    /// Whether there are definition levels
    pub nullable: bool,
}

/// What values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Values of fixed width
    Fixed(Convert),
    /// Bits
    Boolean,
    /// Views, or contiguous bytes
    Strings {
        /// Whether they must be UTF-8
        utf8: bool,
    },
    /// Lists of values of fixed width
    List {
        /// Of an element
        element: Convert,
        /// Definition level of an empty list: 1 where lists may be null, else 0
        empty: u8,
        /// Highest definition level: of an element that holds a value
        full: u8,
    },
}

impl Plan {
    /// The plan for a leaf column, `node` the top-level column that it is all of; None where the crate's reader is to
    /// do it.
    pub fn of(column: &ColumnDescriptor, node: &FileNode, target: &DataType) -> Option<Plan> {
        if cfg!(target_endian = "big") || node.leaf_count != 1 {
            return None;
        }
        let (max_definition, max_repetition) = (column.max_def_level(), column.max_rep_level());
        match (&node.data_type, target, max_repetition) {
            (DataType::LargeList(from), DataType::LargeList(to), 1) => {
                let from = node.children.first().filter(|child| child.data_type == *from.data_type())?;
                let Values::Fixed(element) = flat(column, &from.data_type, to.data_type())? else { return None };
                let full = u8::try_from(max_definition).ok().filter(|full| (1..=3).contains(full))?;
                let optional_element = column.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
                let empty = full - 1 - u8::from(optional_element);
                // Between the list and its element there is nothing that may be null by itself.
                let within = column.path().parts().len() <= 3 && empty <= 1 && element.width() > 0;
                within.then_some(Plan { values: Values::List { element, empty, full }, nullable: true })
            }
            (from, to, 0) if max_definition <= 1 && column.path().parts().len() == 1 => {
                Some(Plan { values: flat(column, from, to)?, nullable: max_definition == 1 })
            }
            _ => None,
        }
    }
}

fn flat(column: &ColumnDescriptor, from: &DataType, to: &DataType) -> Option<Values> {
    use Convert::{
        Copy, DaysToSeconds, Decimal32, Decimal64, DecimalBytes, ToByte, ToShort, Widen, WidenFloat, WidenUnsigned,
    };
    use DataType::{
        BinaryView, Boolean, Decimal128, FixedSizeBinary, Float16, Float32, Float64, Int8, Int16, Int32, Int64,
        LargeBinary, LargeUtf8, UInt8, UInt16, UInt32, Utf8View,
    };
    let physical = column.physical_type();
    match (natural(column)?, from) {
        (DataType::Timestamp(unit, _), DataType::Timestamp(theirs, _)) if unit == *theirs => {}
        (natural, from) if natural == *from => {}
        (DataType::BinaryView, Utf8View) => {} // an embedded Arrow schema calls it text: it is checked
        _ => return None,
    }
    let width = usize::try_from(column.type_length()).unwrap_or(0);
    let values = match (physical, from, to) {
        (Physical::BOOLEAN, Boolean, Boolean) => Values::Boolean,
        (Physical::INT32, Int8 | UInt8, to) if from == to => Values::Fixed(ToByte),
        (Physical::INT32, Int16 | UInt16, to) if from == to => Values::Fixed(ToShort),
        (Physical::INT32, Int32, Int64) => Values::Fixed(Widen),
        (Physical::INT32, UInt32, Int64) => Values::Fixed(WidenUnsigned),
        (Physical::INT32, DataType::Date32, DataType::Timestamp(TimeUnit::Second, None)) => {
            Values::Fixed(DaysToSeconds)
        }
        (Physical::FLOAT, Float32, Float64) => Values::Fixed(WidenFloat),
        (Physical::INT96, DataType::Timestamp(TimeUnit::Microsecond, _), to) if same(from, to) => {
            Values::Fixed(Convert::Int96)
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, FixedSizeBinary(_), to) if from == to && width > 0 => {
            Values::Fixed(Copy(width))
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Float16, Float16) => Values::Fixed(Copy(2)),
        (physical, Decimal128(precision, scale), Decimal128(wider, same)) if wider >= precision && scale == same => {
            match physical {
                Physical::INT32 => Values::Fixed(Decimal32),
                Physical::INT64 => Values::Fixed(Decimal64),
                Physical::FIXED_LEN_BYTE_ARRAY if (1..=16).contains(&width) => Values::Fixed(DecimalBytes(width)),
                _ => return None,
            }
        }
        (Physical::BYTE_ARRAY, Utf8View | BinaryView, Utf8View | LargeUtf8) => Values::Strings { utf8: true },
        (Physical::BYTE_ARRAY, Utf8View | BinaryView, BinaryView | LargeBinary) => {
            Values::Strings { utf8: *from == Utf8View }
        }
        (Physical::BYTE_ARRAY, Utf8View | BinaryView, DataType::Dictionary(_, values)) => {
            Values::Strings { utf8: *from == Utf8View || **values == LargeUtf8 }
        }
        (Physical::INT32 | Physical::FLOAT, from, to) if same(from, to) && from.primitive_width() == Some(4) => {
            Values::Fixed(Copy(4))
        }
        (Physical::INT64 | Physical::DOUBLE, from, to) if same(from, to) && from.primitive_width() == Some(8) => {
            Values::Fixed(Copy(8))
        }
        _ => return None,
    };
    // The last two must not take what only looks alike: a double where an integer is wanted.
    let float = |data_type: &DataType| matches!(data_type, Float32 | Float64);
    let mixed = float(from) != matches!(physical, Physical::FLOAT | Physical::DOUBLE);
    (!mixed || matches!(values, Values::Strings { .. })).then_some(values)
}

/// The same values: equal, or timestamps that count from the same moment.
fn same(left: &DataType, right: &DataType) -> bool {
    let utc = |zone: &Option<std::sync::Arc<str>>| zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00"));
    match (left, right) {
        (DataType::Timestamp(left, from), DataType::Timestamp(right, to)) => {
            left == right && (from == to || utc(from) && utc(to))
        }
        (left, right) => left == right,
    }
}

/// The Arrow type of a leaf's values by the format's own rules (parquet-format, LogicalTypes.md), strings as views;
/// None where it is none that is decoded here.
fn natural(column: &ColumnDescriptor) -> Option<DataType> {
    let Type::PrimitiveType { physical_type, precision, scale, .. } = column.self_type() else { return None };
    let decimal = |precision: i32, scale: i32| {
        Some(DataType::Decimal128(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
    };
    let logical = column.logical_type_ref().cloned();
    let converted = column.converted_type();
    match physical_type {
        Physical::BOOLEAN => Some(DataType::Boolean),
        Physical::FLOAT => Some(DataType::Float32),
        Physical::DOUBLE => Some(DataType::Float64),
        Physical::INT96 => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        Physical::INT32 => match (logical, converted) {
            (None, ConvertedType::NONE | ConvertedType::INT_32) => Some(DataType::Int32),
            (Some(LogicalType::Integer(integer)), _) => integer_type(integer.bit_width, integer.is_signed, 32),
            (Some(LogicalType::Decimal(found)), _) => decimal(found.precision, found.scale),
            (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Some(DataType::Date32),
            (Some(LogicalType::Time(time)), _) => match time.unit {
                ParquetUnit::MILLIS => Some(DataType::Time32(TimeUnit::Millisecond)),
                _ => None,
            },
            (None, ConvertedType::TIME_MILLIS) => Some(DataType::Time32(TimeUnit::Millisecond)),
            (None, ConvertedType::DECIMAL) => decimal(*precision, *scale),
            (None, ConvertedType::INT_8) => Some(DataType::Int8),
            (None, ConvertedType::INT_16) => Some(DataType::Int16),
            (None, ConvertedType::UINT_8) => Some(DataType::UInt8),
            (None, ConvertedType::UINT_16) => Some(DataType::UInt16),
            (None, ConvertedType::UINT_32) => Some(DataType::UInt32),
            _ => None,
        },
        Physical::INT64 => match (logical, converted) {
            (None, ConvertedType::NONE | ConvertedType::INT_64) => Some(DataType::Int64),
            (Some(LogicalType::Integer(integer)), _) => integer_type(integer.bit_width, integer.is_signed, 64),
            (Some(LogicalType::Decimal(found)), _) => decimal(found.precision, found.scale),
            (Some(LogicalType::Time(time)), _) => match time.unit {
                ParquetUnit::MICROS => Some(DataType::Time64(TimeUnit::Microsecond)),
                ParquetUnit::NANOS => Some(DataType::Time64(TimeUnit::Nanosecond)),
                ParquetUnit::MILLIS => None,
            },
            (Some(LogicalType::Timestamp(stamp)), _) => Some(DataType::Timestamp(unit(stamp.unit), None)),
            (None, ConvertedType::TIME_MICROS) => Some(DataType::Time64(TimeUnit::Microsecond)),
            (None, ConvertedType::TIMESTAMP_MILLIS) => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
            (None, ConvertedType::TIMESTAMP_MICROS) => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
            (None, ConvertedType::DECIMAL) => decimal(*precision, *scale),
            (None, ConvertedType::UINT_64) => Some(DataType::UInt64),
            _ => None,
        },
        Physical::BYTE_ARRAY => match (logical, converted) {
            (Some(LogicalType::String | LogicalType::Json), _) | (None, ConvertedType::UTF8 | ConvertedType::JSON) => {
                Some(DataType::Utf8View)
            }
            (None, ConvertedType::NONE | ConvertedType::BSON | ConvertedType::ENUM)
            | (Some(LogicalType::Bson | LogicalType::Enum), _) => Some(DataType::BinaryView),
            _ => None,
        },
        Physical::FIXED_LEN_BYTE_ARRAY => match (logical, converted) {
            (Some(LogicalType::Decimal(found)), _) => decimal(found.precision, found.scale),
            (None, ConvertedType::DECIMAL) => decimal(*precision, *scale),
            (Some(LogicalType::Float16), _) => Some(DataType::Float16),
            (None, ConvertedType::NONE) | (Some(LogicalType::Uuid), _) => {
                Some(DataType::FixedSizeBinary(column.type_length()))
            }
            _ => None,
        },
    }
}

fn integer_type(bits: i8, signed: bool, stored: i8) -> Option<DataType> {
    match (bits, signed) {
        (8, true) if stored == 32 => Some(DataType::Int8),
        (16, true) if stored == 32 => Some(DataType::Int16),
        (32, true) if stored == 32 => Some(DataType::Int32),
        (8, false) if stored == 32 => Some(DataType::UInt8),
        (16, false) if stored == 32 => Some(DataType::UInt16),
        (32, false) if stored == 32 => Some(DataType::UInt32),
        (64, true) if stored == 64 => Some(DataType::Int64),
        (64, false) if stored == 64 => Some(DataType::UInt64),
        _ => None,
    }
}

fn unit(unit: ParquetUnit) -> TimeUnit {
    match unit {
        ParquetUnit::MILLIS => TimeUnit::Millisecond,
        ParquetUnit::MICROS => TimeUnit::Microsecond,
        ParquetUnit::NANOS => TimeUnit::Nanosecond,
    }
}
