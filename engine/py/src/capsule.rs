//! Arrow PyCapsules, in and out: the only place where the C data interface's structs change hands.
//!
//! Spec: <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>. A capsule owns its struct; the
//! struct's `release` runs when the capsule is collected unless a consumer has moved it out.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, to_ffi};
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{
    Array, ArrayReader, ArrayRef, RecordBatch, RecordBatchIterator, RecordBatchReader, StructArray, make_array,
    new_empty_array,
};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use headrace_core::error::{Error, Kind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::to_python;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

fn wrong(py: Python<'_>, error: impl std::fmt::Display) -> PyErr {
    to_python(py, &Error::new(Kind::InvalidArgument, format!("Arrow data cannot be exchanged: {error}")))
}

/// A schema, or one field, as a capsule.
pub fn schema_out<'py>(py: Python<'py>, schema: FFI_ArrowSchema) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

/// The C schema of a frame.
pub fn ffi_schema(py: Python<'_>, schema: &Schema) -> PyResult<FFI_ArrowSchema> {
    FFI_ArrowSchema::try_from(schema).map_err(|error| wrong(py, error))
}

/// The C schema of a column.
pub fn ffi_field(py: Python<'_>, field: &Field) -> PyResult<FFI_ArrowSchema> {
    FFI_ArrowSchema::try_from(field).map_err(|error| wrong(py, error))
}

/// A column as (schema capsule, array capsule). The memory is shared.
pub fn array_out<'py>(
    py: Python<'py>,
    field: &Field,
    array: &ArrayRef,
) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let (exported, _) = to_ffi(&array.to_data()).map_err(|error| wrong(py, error))?;
    let schema = schema_out(py, ffi_field(py, field)?)?;
    Ok((schema, PyCapsule::new_with_value(py, exported, ARRAY)?))
}

/// A frame as a stream of one batch. The memory is shared, every call gives a new stream.
pub fn stream_out<'py>(py: Python<'py>, batch: RecordBatch) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = batch.schema();
    let reader = RecordBatchIterator::new(std::iter::once(Ok(batch)), schema);
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM)
}

/// Batches that come one after another, as a stream. Its consumer may pull from any thread, with the GIL or without.
pub fn reader_out<'py>(
    py: Python<'py>,
    reader: impl RecordBatchReader + Send + 'static,
) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM)
}

/// Tells whether a thread holds the GIL: `PyGILState_Check`, which every CPython has and the stable ABI does not name.
#[derive(Clone, Copy)]
pub struct GilCheck(extern "C" fn() -> c_int);

impl GilCheck {
    /// Asks `ctypes` for the function's address.
    pub fn find(py: Python<'_>) -> PyResult<GilCheck> {
        let ctypes = py.import("ctypes")?;
        let function = ctypes.getattr("pythonapi")?.getattr("PyGILState_Check")?;
        let pointer = ctypes.call_method1("cast", (function, ctypes.getattr("c_void_p")?))?;
        let address: usize = pointer.getattr("value")?.extract()?;
        // SAFETY: it is the address of a C function without parameters that returns an int, which lives as long as the
        // interpreter does.
        Ok(GilCheck(unsafe { std::mem::transmute::<usize, extern "C" fn() -> c_int>(address) }))
    }

    /// Whether the calling thread holds the GIL.
    pub fn is_held(self) -> bool {
        (self.0)() == 1
    }
}

/// A consumer's requested schema.
pub fn schema_in(capsule: &Bound<'_, PyAny>) -> PyResult<SchemaRef> {
    let py = capsule.py();
    let capsule = capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("requested_schema is not a capsule"))?;
    let pointer = capsule.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>();
    // SAFETY: the name was checked: the capsule holds a live ArrowSchema, which is only read here.
    let schema = unsafe { pointer.as_ref() };
    Schema::try_from(schema).map(Arc::new).map_err(|error| wrong(py, error))
}

/// A requested field.
pub fn field_in(capsule: &Bound<'_, PyAny>) -> PyResult<Field> {
    let py = capsule.py();
    let capsule = capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("requested_schema is not a capsule"))?;
    let pointer = capsule.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>();
    // SAFETY: as above.
    Field::try_from(unsafe { pointer.as_ref() }).map_err(|error| wrong(py, error))
}

/// Everything a producer's stream or struct array holds: schema and batches, memory shared.
pub fn batches_in(data: &Bound<'_, PyAny>) -> PyResult<(SchemaRef, Vec<RecordBatch>)> {
    let py = data.py();
    if data.hasattr("__arrow_c_stream__")? {
        let capsule = data.call_method0("__arrow_c_stream__")?;
        let capsule =
            capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("__arrow_c_stream__ gave no capsule"))?;
        let pointer = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
        // SAFETY: the name was checked; from_raw moves the struct out and leaves a released one in the capsule.
        let reader =
            unsafe { RecordBatchStreamReader::from_raw(pointer.as_ptr()) }.map_err(|error| wrong(py, error))?;
        let schema = reader.schema();
        // The producer's get_next may need the GIL and takes it itself.
        let batches = py.detach(|| reader.collect::<Result<Vec<_>, _>>()).map_err(|error| wrong(py, error))?;
        return Ok((schema, batches));
    }
    let (field, array) = array_in(data)?;
    let Some(columns) = array.as_any().downcast_ref::<StructArray>() else {
        let message = format!("a frame is made of a struct array or a stream, found an array of {}", field.data_type());
        return Err(to_python(py, &Error::new(Kind::InvalidArgument, message)));
    };
    let batch = RecordBatch::from(columns);
    Ok((batch.schema(), vec![batch]))
}

/// One column of a producer: an array, memory shared, or a stream of arrays, joined where it has more than one.
pub fn column_in(data: &Bound<'_, PyAny>) -> PyResult<(Field, ArrayRef)> {
    let py = data.py();
    if data.hasattr("__arrow_c_array__")? || !data.hasattr("__arrow_c_stream__")? {
        return array_in(data);
    }
    let capsule = data.call_method0("__arrow_c_stream__")?;
    let capsule =
        capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("__arrow_c_stream__ gave no capsule"))?;
    let pointer = capsule.pointer_checked(Some(STREAM))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: the name was checked; from_raw moves the struct out and leaves a released one in the capsule.
    let reader = unsafe { ArrayStreamReader::from_raw(pointer.as_ptr()) }.map_err(|error| wrong(py, error))?;
    let field = reader.field().as_ref().clone();
    let joined = py.detach(|| {
        let arrays = reader.collect::<Result<Vec<_>, _>>()?;
        match arrays.as_slice() {
            [] => Ok(new_empty_array(field.data_type())),
            [only] => Ok(Arc::clone(only)),
            more => arrow_select::concat::concat(&more.iter().map(|array| array.as_ref()).collect::<Vec<_>>()),
        }
    });
    Ok((field, joined.map_err(|error: ArrowError| wrong(py, error))?))
}

/// One array of a producer, memory shared.
pub fn array_in(data: &Bound<'_, PyAny>) -> PyResult<(Field, ArrayRef)> {
    let py = data.py();
    if !data.hasattr("__arrow_c_array__")? {
        let kind = data.get_type().name()?;
        let error = Error::new(Kind::InvalidArgument, format!("{kind} has neither __arrow_c_stream__ nor __arrow_c_array__"))
            .hint("give a frame of pandas >= 2.2, Polars, PyArrow, DuckDB, or anything that speaks the Arrow PyCapsule interface");
        return Err(to_python(py, &error));
    }
    let pair = data.call_method0("__arrow_c_array__")?;
    let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
    let field = field_in(&schema)?;
    let array = array.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("__arrow_c_array__ gave no capsule"))?;
    let pointer = array.pointer_checked(Some(ARRAY))?.cast::<FFI_ArrowArray>();
    // SAFETY: the name was checked; from_raw moves the struct out and leaves a released one in the capsule.
    let exported = unsafe { FFI_ArrowArray::from_raw(pointer.as_ptr()) };
    // SAFETY: the producer states by the interface that array and schema belong together.
    let data = unsafe { arrow_array::ffi::from_ffi_and_data_type(exported, field.data_type().clone()) };
    let data = data.map_err(|error| wrong(py, error))?;
    data.validate_full().map_err(|error| wrong(py, error))?;
    Ok((field, make_array(data)))
}
