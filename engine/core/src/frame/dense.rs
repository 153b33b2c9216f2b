//! Columns as NumPy, DLPack and PyTorch hold them: one fixed-width value a row, no validity bitmap.
//!
//! Floats say null as NaN, times as NaT (the least 64-bit number, which is what NumPy's `datetime64` means by it);
//! integers and booleans have no such value and refuse. Must not know: Python, dtypes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float16Type, Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, UInt8Array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer, ScalarBuffer, ToByteSlice};
use arrow_schema::{DataType, TimeUnit};

use crate::arena::Region;
use crate::error::{Error, Kind, Result};

const NOT_A_TIME: i64 = i64::MIN;
const SECONDS_PER_DAY: i64 = 86_400;

/// The column without a bitmap. Memory is shared where nothing needs changing, else copied: booleans become one byte
/// each, dates 64-bit seconds since 1970.
pub fn dense(array: &ArrayRef) -> Result<ArrayRef> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    Ok(match (array.data_type(), nulls) {
        (DataType::Boolean, None) => Arc::new(bytes_of(array.as_boolean().values())?),
        (DataType::Date32, _) => seconds(array, nulls)?,
        (data_type, None) if is_plain(data_type) => Arc::clone(array),
        (DataType::Float16, Some(nulls)) => filled::<Float16Type>(array, nulls, half::f16::NAN)?,
        (DataType::Float32, Some(nulls)) => filled::<Float32Type>(array, nulls, f32::NAN)?,
        (DataType::Float64, Some(nulls)) => filled::<Float64Type>(array, nulls, f64::NAN)?,
        (DataType::Date64 | DataType::Timestamp(_, _) | DataType::Duration(_), Some(nulls)) => {
            let numbers = arrow_array::make_array(retyped(array)?);
            filled::<Int64Type>(&numbers, nulls, NOT_A_TIME).and_then(|filled| named(&filled, array.data_type()))?
        }
        (data_type, Some(nulls)) if is_plain(data_type) || *data_type == DataType::Boolean => {
            let message =
                format!("{} nulls in a column of {data_type}, which has no value for them", nulls.null_count());
            return Err(Error::new(Kind::TypeMismatch, message));
        }
        (other, _) => {
            return Err(Error::new(
                Kind::TypeMismatch,
                format!("{other} has no fixed-width values to be read as they are"),
            ));
        }
    })
}

/// One byte a row: 1 where the column is null.
pub fn null_bytes(array: &dyn Array) -> Result<UInt8Array> {
    match array.logical_nulls() {
        Some(nulls) => bytes_of(&!nulls.inner()),
        None => bytes_of(&BooleanBuffer::new_unset(array.len())),
    }
}

/// Whether the values buffer is what NumPy reads: numbers and 64-bit times.
pub fn is_plain(data_type: &DataType) -> bool {
    use DataType::{Date64, Duration, Timestamp};
    data_type.is_integer() || data_type.is_floating() || matches!(data_type, Timestamp(_, _) | Duration(_) | Date64)
}

/// The shape of each row and the numbers of all rows one after another, if the column is numbers, or lists (of lists)
/// of numbers of one length, without a null anywhere. Shares memory.
pub fn tensor(array: &ArrayRef) -> Option<(Vec<usize>, ArrayRef)> {
    if array.logical_null_count() > 0 {
        return None;
    }
    let (width, values) = match array.data_type() {
        data_type if is_plain(data_type) || matches!(data_type, DataType::Boolean | DataType::Date32) => {
            return Some((Vec::new(), Arc::clone(array)));
        }
        DataType::FixedSizeList(_, width) => {
            let list = array.as_fixed_size_list();
            let width = usize::try_from(*width).ok()?;
            (width, list.values().slice(0, width * list.len()))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            even(list.offsets().inner(), list.values())?
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            even(list.offsets().inner(), list.values())?
        }
        _ => return None,
    };
    let (mut shape, flat) = tensor(&values)?;
    shape.insert(0, width);
    Some((shape, flat))
}

fn even<O: ArrowNativeType>(offsets: &[O], values: &ArrayRef) -> Option<(usize, ArrayRef)> {
    let first = offsets.first()?.as_usize();
    let width = offsets.get(1).map_or(0, |second| second.as_usize() - first);
    let same = offsets.windows(2).all(|pair| pair[1].as_usize() - pair[0].as_usize() == width);
    same.then(|| (width, values.slice(first, width * (offsets.len() - 1))))
}

fn bytes_of(bits: &BooleanBuffer) -> Result<UInt8Array> {
    let (frozen, mut slots) = Region::new(bits.len())?.split([bits.len()])?;
    if let Some(slot) = slots.first_mut() {
        for (byte, bit) in slot.iter_mut().zip(bits.iter()) {
            *byte = u8::from(bit);
        }
    }
    drop(slots);
    Ok(UInt8Array::new(ScalarBuffer::new(frozen.freeze()?, 0, bits.len()), None))
}

fn seconds(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    let days = array.as_primitive::<Date32Type>().values();
    let second = |day: &i32| i64::from(*day) * SECONDS_PER_DAY;
    let values = match nulls {
        None => written(days.len(), days.iter().map(second))?,
        Some(nulls) => {
            written(days.len(), days.iter().zip(nulls).map(|(d, ok)| if ok { second(d) } else { NOT_A_TIME }))?
        }
    };
    let numbers: ArrayRef = Arc::new(PrimitiveArray::<Int64Type>::new(values, None));
    named(&numbers, &DataType::Timestamp(TimeUnit::Second, None))
}

fn filled<T: ArrowPrimitiveType>(array: &ArrayRef, nulls: &NullBuffer, fill: T::Native) -> Result<ArrayRef> {
    let values = array.as_primitive::<T>().values();
    let values = values.iter().zip(nulls).map(|(value, valid)| if valid { *value } else { fill });
    Ok(Arc::new(PrimitiveArray::<T>::new(written(array.len(), values)?, None)))
}

/// Values in column memory of their own.
fn written<N: ArrowNativeType>(length: usize, values: impl Iterator<Item = N>) -> Result<ScalarBuffer<N>> {
    let width = size_of::<N>();
    let bytes = length.checked_mul(width).ok_or_else(|| Error::new(Kind::MemoryLimit, "a column too long"))?;
    let (frozen, mut slots) = Region::new(bytes)?.split([bytes])?;
    if let Some(slot) = slots.first_mut() {
        for (to, value) in slot.chunks_exact_mut(width).zip(values) {
            to.copy_from_slice(value.to_byte_slice());
        }
    }
    drop(slots);
    Ok(ScalarBuffer::new(frozen.freeze()?, 0, length))
}

/// A 64-bit time as plain numbers, memory shared.
fn retyped(array: &ArrayRef) -> Result<arrow_data::ArrayData> {
    array.to_data().into_builder().data_type(DataType::Int64).build().map_err(wrong)
}

/// Plain numbers as the time they are, memory shared.
fn named(numbers: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let data = numbers.to_data().into_builder().data_type(data_type.clone()).build().map_err(wrong)?;
    Ok(arrow_array::make_array(data))
}

fn wrong(error: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, error.to_string())
}
