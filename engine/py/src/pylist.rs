//! Values as Python objects.
//!
//! int, float, bool, str, bytes, `decimal.Decimal`, `datetime.date`, `datetime.datetime` (with its zone),
//! `datetime.time`, `datetime.timedelta`; lists, structs as dicts, maps as dicts (as lists of pairs where the keys are
//! nested and cannot be hashed). A value that its Python class cannot hold is a typed error, never a rounded value.
//!
//! Must not know: columns, chunks.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};
use headrace_core::error::{Error, Kind};
use headrace_core::frame::nested;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::errors::to_python;
use crate::pytime;

pub type Objects<'py> = Vec<Bound<'py, PyAny>>;

/// Every value of `array`.
pub fn objects<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Objects<'py>> {
    use DataType as T;
    match array.data_type() {
        T::Null => Ok(vec![py.None().into_bound(py); array.len()]),
        T::Boolean => {
            let values = array.as_boolean();
            each(py, array, |row| values.value(row).into_bound_py_any(py))
        }
        T::Int8 => numbers::<Int8Type>(py, array, |v| v.into_bound_py_any(py)),
        T::Int16 => numbers::<Int16Type>(py, array, |v| v.into_bound_py_any(py)),
        T::Int32 => numbers::<Int32Type>(py, array, |v| v.into_bound_py_any(py)),
        T::Int64 => numbers::<Int64Type>(py, array, |v| v.into_bound_py_any(py)),
        T::UInt8 => numbers::<UInt8Type>(py, array, |v| v.into_bound_py_any(py)),
        T::UInt16 => numbers::<UInt16Type>(py, array, |v| v.into_bound_py_any(py)),
        T::UInt32 => numbers::<UInt32Type>(py, array, |v| v.into_bound_py_any(py)),
        T::UInt64 => numbers::<UInt64Type>(py, array, |v| v.into_bound_py_any(py)),
        T::Float16 => numbers::<Float16Type>(py, array, |v| v.to_f64().into_bound_py_any(py)),
        T::Float32 => numbers::<Float32Type>(py, array, |v| v.into_bound_py_any(py)),
        T::Float64 => numbers::<Float64Type>(py, array, |v| v.into_bound_py_any(py)),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => text(py, array),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => binary(py, array),
        T::Decimal32(_, scale) => decimals::<Decimal32Type>(py, array, *scale),
        T::Decimal64(_, scale) => decimals::<Decimal64Type>(py, array, *scale),
        T::Decimal128(_, scale) => decimals::<Decimal128Type>(py, array, *scale),
        T::Decimal256(_, scale) => decimals::<Decimal256Type>(py, array, *scale),
        T::Date32 => numbers::<Date32Type>(py, array, |v| pytime::date(py, i64::from(v))),
        T::Date64 => numbers::<Date64Type>(py, array, |v| pytime::date(py, v.div_euclid(86_400_000))),
        T::Time32(TimeUnit::Second) => numbers::<Time32SecondType>(py, array, |v| pytime::time(py, i64::from(v), 1)),
        T::Time32(_) => numbers::<Time32MillisecondType>(py, array, |v| pytime::time(py, i64::from(v), 1000)),
        T::Time64(TimeUnit::Nanosecond) => {
            numbers::<Time64NanosecondType>(py, array, |v| pytime::time(py, v, 1_000_000_000))
        }
        T::Time64(_) => numbers::<Time64MicrosecondType>(py, array, |v| pytime::time(py, v, 1_000_000)),
        T::Timestamp(unit, zone) => timestamps(py, array, *unit, zone.as_deref()),
        T::Duration(unit) => {
            let (values, per_second) = (wide(array)?, per_second(*unit));
            each(py, array, |row| pytime::duration(py, values.value(row), per_second))
        }
        T::Struct(_) => structs(py, array),
        T::List(_) | T::LargeList(_) | T::FixedSizeList(_, _) => lists(py, array),
        T::ListView(field) => objects(py, &cast(py, array, &T::List(field.clone()))?),
        T::LargeListView(field) => objects(py, &cast(py, array, &T::LargeList(field.clone()))?),
        T::Map(_, _) => maps(py, array),
        T::Dictionary(_, _) | T::RunEndEncoded(_, _) => {
            objects(py, &nested::decoded(array).map_err(|error| to_python(py, &error))?)
        }
        T::Interval(_) | T::Union(_, _) => {
            let error = Error::new(Kind::Unsupported, format!("{} has no Python value", array.data_type()));
            Err(to_python(py, &error.hint("to_arrow() hands the column over as it is")))
        }
    }
}

fn each<'py>(
    py: Python<'py>,
    array: &dyn Array,
    value: impl Fn(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Objects<'py>> {
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => (0..array.len()).map(value).collect(),
        Some(nulls) => {
            let none = py.None().into_bound(py);
            (0..array.len()).map(|row| if nulls.is_valid(row) { value(row) } else { Ok(none.clone()) }).collect()
        }
    }
}

fn numbers<'py, T: ArrowPrimitiveType>(
    py: Python<'py>,
    array: &ArrayRef,
    value: impl Fn(T::Native) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Objects<'py>> {
    let values = array.as_primitive::<T>();
    each(py, array, |row| value(values.value(row)))
}

fn text<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Objects<'py>> {
    let make = |value: &str| Ok(PyString::new(py, value).into_any());
    match array.data_type() {
        DataType::Utf8 => each(py, array, |row| make(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => each(py, array, |row| make(array.as_string::<i64>().value(row))),
        _ => each(py, array, |row| make(array.as_string_view().value(row))),
    }
}

fn binary<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Objects<'py>> {
    let make = |value: &[u8]| Ok(PyBytes::new(py, value).into_any());
    match array.data_type() {
        DataType::Binary => each(py, array, |row| make(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => each(py, array, |row| make(array.as_binary::<i64>().value(row))),
        DataType::FixedSizeBinary(_) => each(py, array, |row| make(array.as_fixed_size_binary().value(row))),
        _ => each(py, array, |row| make(array.as_binary_view().value(row))),
    }
}

fn decimals<'py, T: ArrowPrimitiveType>(py: Python<'py>, array: &ArrayRef, scale: i8) -> PyResult<Objects<'py>>
where
    T::Native: std::fmt::Display,
{
    // From text: arithmetic on a Decimal would round to the caller's context.
    let class = py.import("decimal")?.getattr("Decimal")?;
    let values = array.as_primitive::<T>();
    each(py, array, |row| class.call1((format!("{}E{}", values.value(row), -i16::from(scale)),)))
}

fn timestamps<'py>(py: Python<'py>, array: &ArrayRef, unit: TimeUnit, zone: Option<&str>) -> PyResult<Objects<'py>> {
    let zone = zone.map(|zone| pytime::Zone::named(py, zone)).transpose()?;
    let (values, per_second) = (wide(array)?, per_second(unit));
    each(py, array, |row| pytime::datetime(py, values.value(row), per_second, zone.as_ref()))
}

fn lists<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Objects<'py>> {
    let rows = grouped(py, array)?;
    let mut rows = rows.into_iter();
    each_in_order(py, array, || {
        rows.next()
            .map_or_else(|| PyList::empty(py).into_bound_py_any(py), |row| PyList::new(py, row)?.into_bound_py_any(py))
    })
}

fn structs<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Objects<'py>> {
    let values = array.as_struct();
    let names: Vec<Bound<'_, PyString>> = values.fields().iter().map(|field| PyString::new(py, field.name())).collect();
    let columns = values.columns().iter().map(|column| objects(py, column)).collect::<PyResult<Vec<_>>>()?;
    each(py, array, |row| {
        let dict = PyDict::new(py);
        for (name, column) in names.iter().zip(&columns) {
            dict.set_item(name, column.get(row))?;
        }
        dict.into_bound_py_any(py)
    })
}

/// Maps as dicts; as lists of (key, value) where keys are nested.
fn maps<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Objects<'py>> {
    let raise = |error: Error| to_python(py, &error);
    let nested_keys = array.as_map().keys().data_type().is_nested();
    let keys = grouped(py, &nested::map_part(array, 0).map_err(raise)?)?;
    let values = grouped(py, &nested::map_part(array, 1).map_err(raise)?)?;
    let mut rows = keys.into_iter().zip(values);
    each_in_order(py, array, || {
        let (keys, values) = rows.next().unwrap_or_default();
        let pairs = keys.into_iter().zip(values);
        if nested_keys {
            let pairs = pairs.map(|(key, value)| PyTuple::new(py, [key, value])).collect::<PyResult<Vec<_>>>()?;
            return PyList::new(py, pairs)?.into_bound_py_any(py);
        }
        let dict = PyDict::new(py);
        for (key, value) in pairs {
            dict.set_item(key, value)?;
        }
        dict.into_bound_py_any(py)
    })
}

/// The elements of each row that is not null.
fn grouped<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Vec<Objects<'py>>> {
    let raise = |error: Error| to_python(py, &error);
    let (_, elements) = nested::elements(array).map_err(raise)?;
    let lengths = nested::lengths(array).map_err(raise)?;
    let mut elements = objects(py, &elements)?.into_iter();
    let valid = (0..array.len()).filter(|row| array.is_valid(*row));
    Ok(valid.map(|row| elements.by_ref().take(usize::try_from(lengths.value(row)).unwrap_or(0)).collect()).collect())
}

fn each_in_order<'py>(
    py: Python<'py>,
    array: &dyn Array,
    mut next: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Objects<'py>> {
    (0..array.len()).map(|row| if array.is_valid(row) { next() } else { Ok(py.None().into_bound(py)) }).collect()
}

/// The 64-bit numbers of a time type.
fn wide(array: &ArrayRef) -> PyResult<arrow_array::Int64Array> {
    let data = array.to_data().into_builder().data_type(DataType::Int64).build();
    let data = data.map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
    Ok(arrow_array::Int64Array::from(data))
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn cast(py: Python<'_>, array: &ArrayRef, to: &DataType) -> PyResult<ArrayRef> {
    arrow_cast::cast(array, to).map_err(|error| to_python(py, &Error::new(Kind::Unsupported, error.to_string())))
}
