//! A filter evaluated on rows: one bit a row, set where the predicate is true.
//!
//! Knows Arrow arrays of the types of `Type::to_arrow`, and their older layouts (offsets instead of views, dictionaries).
//! Must not know: files, Parquet, where columns come from. Meaning of every test: header of
//! [`crate::iceberg::predicate`]. Neighbours: `pack` makes bits, `numbers` and `text` hold the loops over values, and
//! `nested` finds a field inside structs.

mod nested;
mod numbers;
mod pack;
mod text;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, BinaryType, BinaryViewType, Date32Type, Decimal128Type, Float32Type,
    Float64Type, LargeBinaryType, LargeUtf8Type, StringViewType, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampNanosecondType, Utf8Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, DictionaryArray, downcast_dictionary_array, downcast_integer};
use arrow_buffer::{ArrowNativeType, BooleanBuffer};
use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Kind, Result};
use crate::iceberg::bounds;
use crate::iceberg::predicate::{Leaf, Literal, Op, Predicate};
use crate::iceberg::schema::Type;

pub use nested::{field_path, struct_leaf};

/// Evaluates a predicate on `rows` rows.
///
/// `resolve` gives the array of a field id, with the nulls of the structs around it merged in (see [`struct_leaf`]); it
/// is asked only for fields that can still change the answer. The result has no nulls: unknown is false.
pub fn evaluate(predicate: &Predicate, resolve: &dyn Fn(i32) -> Result<ArrayRef>, rows: usize) -> Result<BooleanArray> {
    Ok(BooleanArray::new(walk(predicate, resolve, rows)?, None))
}

fn walk(predicate: &Predicate, resolve: &dyn Fn(i32) -> Result<ArrayRef>, rows: usize) -> Result<BooleanBuffer> {
    match predicate {
        Predicate::True => Ok(BooleanBuffer::new_set(rows)),
        Predicate::False => Ok(BooleanBuffer::new_unset(rows)),
        Predicate::And(parts) => {
            let mut kept = BooleanBuffer::new_set(rows);
            for part in parts {
                if kept.count_set_bits() == 0 {
                    break;
                }
                kept = &kept & &walk(part, resolve, rows)?;
            }
            Ok(kept)
        }
        Predicate::Or(parts) => {
            let mut kept = BooleanBuffer::new_unset(rows);
            for part in parts {
                if kept.count_set_bits() == rows {
                    break;
                }
                kept = &kept | &walk(part, resolve, rows)?;
            }
            Ok(kept)
        }
        Predicate::Leaf(leaf) => test(leaf, &resolve(leaf.field)?, rows),
    }
}

fn test(leaf: &Leaf, array: &ArrayRef, rows: usize) -> Result<BooleanBuffer> {
    if array.len() != rows {
        let found = format!("field {} has {} values in a batch of {rows} rows", leaf.field, array.len());
        return Err(Error::new(Kind::Internal, format!("cannot filter: {found}")));
    }
    let valid = array.logical_nulls().map(|nulls| nulls.into_inner());
    match leaf.op {
        Op::NotNull => return Ok(valid.unwrap_or_else(|| BooleanBuffer::new_set(rows))),
        Op::IsNull => return Ok(valid.map_or_else(|| BooleanBuffer::new_unset(rows), |valid| !&valid)),
        _ => {}
    }
    match valid {
        Some(valid) if valid.count_set_bits() == 0 => Ok(BooleanBuffer::new_unset(rows)),
        Some(valid) => Ok(&values(leaf, array)? & &valid),
        None => values(leaf, array),
    }
}

/// The test on every slot, what stands under a null included.
fn values(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    if let DataType::Dictionary(_, _) = array.data_type() {
        return dictionary(leaf, array);
    }
    match leaf.field_type {
        Type::Boolean => booleans(leaf, array),
        Type::Int | Type::Long => integers(leaf, array),
        Type::Float | Type::Double => floats(leaf, array),
        Type::String | Type::Uuid | Type::Fixed(_) | Type::Binary => bytes(leaf, array),
        _ => others(leaf, array),
    }
}

fn booleans(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    let bits = array.as_boolean_opt().ok_or_else(|| mismatch(leaf, array))?.values();
    let passes = |value: bool| {
        let equal_any = leaf.values.contains(&Literal::Boolean(value));
        let order = leaf.values.first().and_then(|literal| bounds::compare(&Literal::Boolean(value), literal));
        match leaf.op {
            Op::Eq | Op::In => equal_any,
            Op::Ne | Op::NotIn => !equal_any,
            Op::Lt => order.is_some_and(|order| order.is_lt()),
            Op::Le => order.is_some_and(|order| order.is_le()),
            Op::Gt => order.is_some_and(|order| order.is_gt()),
            Op::Ge => order.is_some_and(|order| order.is_ge()),
            _ => false,
        }
    };
    Ok(match (passes(false), passes(true)) {
        (false, false) => BooleanBuffer::new_unset(bits.len()),
        (false, true) => bits.clone(),
        (true, false) => !bits,
        (true, true) => BooleanBuffer::new_set(bits.len()),
    })
}

fn integers(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    macro_rules! by_width {
        ($width:ty) => {
            whole::<$width>(leaf, array)
        };
    }
    downcast_integer! {
        array.data_type() => (by_width),
        _ => Err(mismatch(leaf, array)),
    }
}

/// Dates, times, timestamps and decimals: integers of one unit, which must be the field's.
fn others(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    match (&leaf.field_type, array.data_type()) {
        (Type::Date, DataType::Date32) => whole::<Date32Type>(leaf, array),
        (Type::Time, DataType::Time64(TimeUnit::Microsecond)) => whole::<Time64MicrosecondType>(leaf, array),
        (Type::Timestamp(_), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            whole::<TimestampMicrosecondType>(leaf, array)
        }
        (Type::TimestampNs(_), DataType::Timestamp(TimeUnit::Nanosecond, _)) => {
            whole::<TimestampNanosecondType>(leaf, array)
        }
        (Type::Decimal(_, scale), DataType::Decimal128(_, found)) if scale == found => {
            whole::<Decimal128Type>(leaf, array)
        }
        _ => Err(mismatch(leaf, array)),
    }
}

fn whole<T: ArrowPrimitiveType>(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer>
where
    T::Native: TryFrom<i128> + Ord + std::hash::Hash,
{
    let values = array.as_primitive_opt::<T>().ok_or_else(|| mismatch(leaf, array))?.values();
    let literals = leaf.values.iter().map(|literal| match literal {
        Literal::Integer(value) => Ok(i128::from(*value)),
        Literal::Decimal(value) => Ok(*value),
        _ => Err(mismatch(leaf, array)),
    });
    Ok(numbers::whole(values, leaf.op, &literals.collect::<Result<Vec<_>>>()?))
}

fn floats(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    let literals = leaf.values.iter().map(|literal| match literal {
        Literal::Float(value) => Ok(*value),
        _ => Err(mismatch(leaf, array)),
    });
    let literals = literals.collect::<Result<Vec<_>>>()?;
    match array.data_type() {
        DataType::Float32 => Ok(numbers::floating(array.as_primitive::<Float32Type>().values(), leaf.op, &literals)),
        DataType::Float64 => Ok(numbers::floating(array.as_primitive::<Float64Type>().values(), leaf.op, &literals)),
        _ => Err(mismatch(leaf, array)),
    }
}

fn bytes(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    let literals = leaf.values.iter().map(|literal| match literal {
        Literal::String(text) => Ok(text.as_bytes()),
        Literal::Bytes(bytes) => Ok(bytes.as_slice()),
        _ => Err(mismatch(leaf, array)),
    });
    let test = text::Test { op: leaf.op, literals: literals.collect::<Result<Vec<_>>>()? };
    let is_text = leaf.field_type == Type::String;
    Ok(match array.data_type() {
        DataType::Utf8View if is_text => test.views(array.as_byte_view::<StringViewType>()),
        DataType::Utf8 if is_text => test.offsets(array.as_bytes::<Utf8Type>()),
        DataType::LargeUtf8 if is_text => test.offsets(array.as_bytes::<LargeUtf8Type>()),
        DataType::BinaryView if !is_text => test.views(array.as_byte_view::<BinaryViewType>()),
        DataType::Binary if !is_text => test.offsets(array.as_bytes::<BinaryType>()),
        DataType::LargeBinary if !is_text => test.offsets(array.as_bytes::<LargeBinaryType>()),
        DataType::FixedSizeBinary(_) if !is_text => test.fixed(array.as_fixed_size_binary()),
        _ => return Err(mismatch(leaf, array)),
    })
}

/// Tests each value of the dictionary once, then looks every row up.
fn dictionary(leaf: &Leaf, array: &ArrayRef) -> Result<BooleanBuffer> {
    fn look_up<K: ArrowDictionaryKeyType>(array: &DictionaryArray<K>, passes: &BooleanBuffer) -> BooleanBuffer {
        let passes: Vec<bool> = passes.iter().collect();
        // A key under a null may be anything.
        pack::pack(array.keys().values(), |key| passes.get(key.as_usize()).copied().unwrap_or(false))
    }
    downcast_dictionary_array! {
        array => Ok(look_up(array, &test(leaf, array.values(), array.values().len())?)),
        _ => Err(mismatch(leaf, array)),
    }
}

fn mismatch(leaf: &Leaf, array: &ArrayRef) -> Error {
    let (expected, found) = (&leaf.field_type, array.data_type());
    let message = format!("cannot filter field {}: expected values of {expected:?}, found {found}", leaf.field);
    Error::new(Kind::TypeMismatch, message)
}

#[cfg(test)]
pub(crate) mod tests;
