//! Whether a row group may hold a row that passes a filter, from the statistics of its footer.
//!
//! Turns Parquet statistics into [`Bounds`]; what bounds prove is settled in [`crate::iceberg::bounds`]. Statistics whose
//! order is not that of the values are left out: no `column_orders` meant signed comparison of bytes in old writers
//! (PARQUET-686), INT96 has no order, unsigned integers and half floats are no types of the table format. Spec:
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift> (Statistics, ColumnOrder).
//! Must not know: how columns were matched to field ids.

use parquet::basic::ConvertedType;
use parquet::basic::{ColumnOrder, LogicalType, SortOrder, TimeUnit, Type as PhysicalType};
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, RowGroupMetaData};
use parquet::schema::types::ColumnDescriptor;

use crate::iceberg::bounds::{self, Bounds};
use crate::iceberg::predicate::{Leaf, Literal, Predicate};
use crate::iceberg::schema::Type;

/// Where the values of a field come from in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum LeafSource {
    /// A leaf column of the file, by index
    Column(usize),
    /// Not in the file: null in every row
    Missing,
    /// Not in the file: the same value in every row
    Constant(Literal),
    /// Cannot be told
    Unknown,
}

/// Whether any row of a row group of the file may pass; `false` is a proof, `true` is not.
pub fn may_match(
    predicate: &Predicate,
    file: &FileMetaData,
    row_group: &RowGroupMetaData,
    source: &dyn Fn(i32) -> LeafSource,
) -> bool {
    row_group.num_rows() != 0
        && bounds::may_match(predicate, &mut |leaf| leaf_may_match(leaf, file, row_group, &source(leaf.field)))
}

/// The same of one test, of the column that it is about.
pub fn leaf_may_match(leaf: &Leaf, file: &FileMetaData, row_group: &RowGroupMetaData, source: &LeafSource) -> bool {
    let Ok(rows) = u64::try_from(row_group.num_rows()) else { return true };
    let known = match source {
        LeafSource::Column(at) => {
            row_group.columns().get(*at).map(|chunk| of_column(leaf, chunk, order_of(file, *at), rows))
        }
        LeafSource::Missing => Some(Bounds::all_null(rows)),
        LeafSource::Constant(value) => Some(Bounds::constant(value.clone(), rows)),
        LeafSource::Unknown => None,
    };
    known.is_none_or(|known| bounds::leaf_may_match(leaf, &known))
}

/// The order of a column's bounds. Without one, min_value and max_value mean nothing (Statistics in parquet.thrift).
pub fn order_of(file: &FileMetaData, leaf: usize) -> ColumnOrder {
    let order = file.column_orders().and_then(|orders| orders.get(leaf)).copied();
    order.unwrap_or(ColumnOrder::UNDEFINED)
}

/// What a row group says of one column, in the units of the leaf's type.
pub fn of_column(leaf: &Leaf, chunk: &ColumnChunkMetaData, order: ColumnOrder, rows: u64) -> Bounds {
    let column = chunk.column_descr();
    // A repeated column has other counts than rows.
    let Some(statistics) = chunk.statistics().filter(|_| column.max_rep_level() == 0) else {
        return Bounds::default();
    };
    // The deprecated fields were compared as signed whatever the type, bytes too.
    let trusted = is_ordered(statistics.is_min_max_deprecated(), column, order);
    let bound = |low: bool| {
        let bytes = if low { statistics.min_bytes_opt() } else { statistics.max_bytes_opt() };
        bytes.filter(|_| trusted).and_then(|bytes| value(&leaf.field_type, bytes, column, low))
    };
    Bounds {
        lower: bound(true),
        upper: bound(false),
        // A column that cannot be null needs no count.
        null_count: if column.max_def_level() == 0 { Some(0) } else { statistics.null_count_opt() },
        nan_count: statistics.nan_count_opt(),
        value_count: Some(rows),
    }
}

/// Whether minimum and maximum were found in the order of the values.
pub(super) fn is_ordered(deprecated: bool, column: &ColumnDescriptor, order: ColumnOrder) -> bool {
    let order = match order {
        _ if deprecated => SortOrder::SIGNED,
        ColumnOrder::UNDEFINED | ColumnOrder::UNKNOWN => SortOrder::UNDEFINED,
        // What the file says of a type is decided by the type, as in the crate's own descriptor.
        ColumnOrder::TYPE_DEFINED_ORDER(_) => column_order(column),
        other => other.sort_order(),
    };
    match column.physical_type() {
        PhysicalType::INT96 => false,
        // Total order differs from the usual one in NaN and the zeros only, and neither is relied on.
        PhysicalType::FLOAT | PhysicalType::DOUBLE => matches!(order, SortOrder::SIGNED | SortOrder::TOTAL_ORDER),
        PhysicalType::BOOLEAN => order != SortOrder::UNDEFINED,
        PhysicalType::INT32 | PhysicalType::INT64 => order == SortOrder::SIGNED && column_order(column) == order,
        PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY => !deprecated && order == column_order(column),
    }
}

/// The order that the type defines.
fn column_order(column: &ColumnDescriptor) -> SortOrder {
    match column.physical_type() {
        PhysicalType::FLOAT | PhysicalType::DOUBLE | PhysicalType::BOOLEAN => SortOrder::SIGNED,
        _ => column.sort_order(),
    }
}

/// The minimum or maximum as a value of the field's type, None where the column does not hold that type.
pub(super) fn value(field_type: &Type, bytes: &[u8], column: &ColumnDescriptor, low: bool) -> Option<Literal> {
    let integer = || match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    };
    let physical = column.physical_type();
    let is_integer = matches!(physical, PhysicalType::INT32 | PhysicalType::INT64);
    match (field_type, physical) {
        (Type::Boolean, PhysicalType::BOOLEAN) => Some(Literal::Boolean(*bytes.first()? != 0)),
        (Type::Int | Type::Long, _) if is_integer && is_plain_integer(column) => integer().map(Literal::Integer),
        (Type::Date, PhysicalType::INT32) => integer().map(Literal::Integer),
        (Type::Time | Type::Timestamp(_) | Type::TimestampNs(_), _) if is_integer => {
            let wanted = if matches!(field_type, Type::TimestampNs(_)) { 1 } else { 1000 };
            rescale(integer()?, unit_ns(column)?, wanted, low).map(Literal::Integer)
        }
        (Type::Float | Type::Double, PhysicalType::FLOAT) => {
            Some(Literal::Float(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))))
        }
        (Type::Double, PhysicalType::DOUBLE) => Some(Literal::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
        (Type::Decimal(_, scale), _) if decimal_scale(column) == Some(i32::from(*scale)) => {
            let unscaled = if is_integer { integer().map(i128::from) } else { big_endian(bytes) };
            unscaled.map(Literal::Decimal)
        }
        (Type::String | Type::Binary, PhysicalType::BYTE_ARRAY) => Some(Literal::Bytes(bytes.to_vec())),
        (Type::Uuid | Type::Fixed(_) | Type::Binary, PhysicalType::FIXED_LEN_BYTE_ARRAY) => {
            Some(Literal::Bytes(bytes.to_vec()))
        }
        _ => None,
    }
}

/// No date, time or decimal.
pub(super) fn is_plain_integer(column: &ColumnDescriptor) -> bool {
    match column.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::Integer(_)),
        None => matches!(
            column.converted_type(),
            ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64
        ),
    }
}

/// Nanoseconds in the unit of a time or timestamp.
pub(super) fn unit_ns(column: &ColumnDescriptor) -> Option<i64> {
    let unit = match column.logical_type_ref() {
        Some(LogicalType::Time(time)) => time.unit,
        Some(LogicalType::Timestamp(timestamp)) => timestamp.unit,
        Some(_) => return None,
        None => match column.converted_type() {
            ConvertedType::TIME_MILLIS | ConvertedType::TIMESTAMP_MILLIS => TimeUnit::MILLIS,
            ConvertedType::TIME_MICROS | ConvertedType::TIMESTAMP_MICROS => TimeUnit::MICROS,
            _ => return None,
        },
    };
    Some(match unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    })
}

/// From one unit into another; outwards where it does not divide, and None where it does not fit.
fn rescale(value: i64, from_ns: i64, to_ns: i64, low: bool) -> Option<i64> {
    let nanoseconds = i128::from(value) * i128::from(from_ns);
    let floor = nanoseconds.div_euclid(i128::from(to_ns));
    let rounded_up = !low && nanoseconds.rem_euclid(i128::from(to_ns)) != 0;
    i64::try_from(floor + i128::from(rounded_up)).ok()
}

fn decimal_scale(column: &ColumnDescriptor) -> Option<i32> {
    match column.logical_type_ref() {
        Some(LogicalType::Decimal(decimal)) => Some(decimal.scale),
        Some(_) => None,
        None => (column.converted_type() == ConvertedType::DECIMAL).then(|| column.type_scale()),
    }
}

/// A two's complement number of any length, where it fits.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0x00 } else { 0xff };
    let surplus = bytes.len().saturating_sub(16);
    let (head, tail) = bytes.split_at(surplus);
    let fits = head.iter().all(|byte| *byte == sign) && (surplus == 0 || tail.first()? & 0x80 == sign & 0x80);
    let mut padded = [sign; 16];
    padded[16 - tail.len()..].copy_from_slice(tail);
    fits.then(|| i128::from_be_bytes(padded))
}

#[cfg(test)]
mod tests;
