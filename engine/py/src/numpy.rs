//! NumPy's array interface, both ways: columns lent as read-only arrays, arrays and lists taken as columns.
//!
//! Spec: <https://numpy.org/doc/stable/reference/arrays.interface.html>. The array keeps the object that lends alive.
//! NumPy itself is never imported here.

use std::sync::Arc;

use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringViewArray, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, TimeUnit};
use headrace_core::error::{Error, Kind, Result};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::to_python;

/// `typestr` and bytes a value, for types whose values NumPy reads as they lie.
pub fn typestr(data_type: &DataType) -> Option<(String, usize)> {
    let end = if cfg!(target_endian = "little") { '<' } else { '>' };
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    Some(match data_type {
        DataType::Int8 => ("|i1".into(), 1),
        DataType::UInt8 => ("|u1".into(), 1),
        DataType::Int16 => (format!("{end}i2"), 2),
        DataType::UInt16 => (format!("{end}u2"), 2),
        DataType::Float16 => (format!("{end}f2"), 2),
        DataType::Int32 => (format!("{end}i4"), 4),
        DataType::UInt32 => (format!("{end}u4"), 4),
        DataType::Float32 => (format!("{end}f4"), 4),
        DataType::Int64 => (format!("{end}i8"), 8),
        DataType::UInt64 => (format!("{end}u8"), 8),
        DataType::Float64 => (format!("{end}f8"), 8),
        DataType::Date64 => (format!("{end}M8[ms]"), 8),
        DataType::Timestamp(each, _) => (format!("{end}M8[{}]", unit(each)), 8),
        DataType::Duration(each) => (format!("{end}m8[{}]", unit(each)), 8),
        DataType::FixedSizeBinary(width) if *width > 0 => (format!("|V{width}"), usize::try_from(*width).ok()?),
        _ => return None,
    })
}

/// Address of the first value.
pub fn address(array: &dyn Array, width: usize) -> Option<usize> {
    let data = array.to_data();
    let buffer = data.buffers().first()?;
    Some(buffer.as_ptr() as usize + data.offset() * width)
}

/// The dictionary that `__array_interface__` gives; None where the values are no NumPy dtype.
pub fn interface<'py>(py: Python<'py>, array: &dyn Array) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some((typestr, width)) = typestr(array.data_type()) else { return Ok(None) };
    let Some(address) = address(array, width) else { return Ok(None) };
    let interface = PyDict::new(py);
    interface.set_item("version", 3)?;
    interface.set_item("typestr", typestr)?;
    interface.set_item("shape", PyTuple::new(py, [array.len()])?)?;
    interface.set_item("data", (address, true))?; // read-only: a frame is immutable
    Ok(Some(interface))
}

/// The type of an Arrow format string.
pub fn type_of(format: &str) -> Result<DataType> {
    let wrong = |error| Error::new(Kind::InvalidArgument, format!("{format:?} is no Arrow format string: {error}"));
    let schema = FFI_ArrowSchema::try_new(format, Vec::new(), None).map_err(wrong)?;
    DataType::try_from(&schema).map_err(wrong)
}

/// A column of fixed-width values copied from a buffer; a boolean column from one byte a row. `nulls`: one byte a row,
/// not 0 where the value is null.
pub fn column_of(values: &Bound<'_, PyAny>, format: &str, nulls: Option<&Bound<'_, PyAny>>) -> PyResult<ArrayRef> {
    let py = values.py();
    let raise = |error: Error| to_python(py, &error);
    let bytes = PyBuffer::<u8>::get(values)?.to_vec(py)?;
    let nulls = nulls.map(|nulls| PyBuffer::<u8>::get(nulls)?.to_vec(py)).transpose()?;
    let validity = nulls.map(|nulls| NullBuffer::new(nulls.iter().map(|byte| *byte == 0).collect::<BooleanBuffer>()));
    let data_type = type_of(format).map_err(raise)?;
    if data_type == DataType::Boolean {
        let bits = bytes.iter().map(|byte| *byte != 0).collect::<BooleanBuffer>();
        check_nulls(bits.len(), validity.as_ref()).map_err(raise)?;
        return Ok(Arc::new(BooleanArray::new(bits, validity)));
    }
    let wrong =
        || Error::new(Kind::InvalidArgument, format!("a buffer of values of {data_type}, which has no fixed width"));
    let width = data_type.primitive_width().ok_or_else(|| raise(wrong()))?;
    let length = bytes.len() / width;
    check_nulls(length, validity.as_ref()).map_err(raise)?;
    let made = ArrayData::builder(data_type).len(length).add_buffer(Buffer::from_vec(bytes)).nulls(validity);
    let made = made.align_buffers(true).build();
    made.map(make_array).map_err(|error| raise(Error::new(Kind::InvalidArgument, error.to_string())))
}

fn check_nulls(length: usize, nulls: Option<&NullBuffer>) -> Result<()> {
    match nulls {
        Some(nulls) if nulls.len() != length => {
            Err(Error::new(Kind::InvalidArgument, format!("{} null marks for {length} values", nulls.len())))
        }
        _ => Ok(()),
    }
}

/// A column of `str` or None.
pub fn strings_of(values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let values: Vec<Option<String>> = values.extract()?;
    Ok(Arc::new(StringViewArray::from_iter(values)))
}

/// A column of `bytes` or None.
pub fn bytes_of(values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let values: Vec<Option<Vec<u8>>> = values.extract()?;
    Ok(Arc::new(BinaryArray::from_iter(values)))
}
