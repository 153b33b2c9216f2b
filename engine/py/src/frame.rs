//! `Frame`: columns of equal length, lent to Python.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, UInt64Array};
use arrow_schema::{DataType, Schema};
use headrace_core::error::{Error, Kind};
use headrace_core::frame::{self, StringLayout};
use headrace_core::runtime::available_cores;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use crate::capsule;
use crate::column::Column;
use crate::errors::to_python;
use crate::gate::compute;

/// Names, types, first rows, last rows.
type Cells = (Vec<String>, Vec<String>, Vec<Vec<String>>, Vec<Vec<String>>);

/// Immutable columns of equal length, each one contiguous Arrow array.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Frame {
    pub(crate) inner: frame::Frame,
}

#[pymethods]
impl Frame {
    #[staticmethod]
    fn from_arrow(data: &Bound<'_, PyAny>) -> PyResult<Frame> {
        let (schema, batches) = capsule::batches_in(data)?;
        let inner = compute(data.py(), || frame::Frame::of_batches(schema, &batches))?;
        Ok(Frame { inner })
    }

    #[staticmethod]
    fn concat(py: Python<'_>, frames: Vec<PyRef<'_, Frame>>) -> PyResult<Frame> {
        let frames: Vec<frame::Frame> = frames.iter().map(|frame| frame.inner.clone()).collect();
        let inner = compute(py, || frame::Frame::concat(&frames))?;
        Ok(Frame { inner })
    }

    #[staticmethod]
    fn from_columns(py: Python<'_>, columns: Vec<PyRef<'_, Column>>) -> PyResult<Frame> {
        let rows = columns.first().map_or(0, |column| column.array.len());
        if let Some(other) = columns.iter().find(|column| column.array.len() != rows) {
            let (name, length) = (other.field.name(), other.array.len());
            let message = format!("column {name:?} has {length} rows, the first one {rows}");
            return Err(to_python(py, &Error::new(Kind::InvalidArgument, message)));
        }
        let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let arrays = columns.iter().map(|column| Arc::clone(&column.array)).collect();
        let inner = compute(py, || frame::Frame::new(Arc::new(Schema::new(fields)), arrays, rows))?;
        Ok(Frame { inner })
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Frame> {
        let inner = compute(py, || frame::ipc::from_bytes(data))?;
        Ok(Frame { inner })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &compute(py, || frame::ipc::to_bytes(&self.inner))?))
    }

    /// (names, types, first rows, last rows), all text.
    fn cells(&self, py: Python<'_>, max_rows: usize) -> PyResult<Cells> {
        let cells = compute(py, || Ok(frame::format::cells(&self.inner, max_rows)))?;
        Ok((cells.names, cells.types, cells.head, cells.tail))
    }

    fn format(&self, py: Python<'_>, max_rows: usize, max_width: usize) -> PyResult<String> {
        compute(py, || Ok(frame::format::table(&self.inner, max_rows, max_width)))
    }

    fn for_pandas(&self, py: Python<'_>, float_decimals: bool) -> PyResult<Vec<Column>> {
        let columns = compute(py, || self.inner.for_pandas(float_decimals, available_cores()))?;
        let schema = self.inner.batch().schema();
        let named = schema.fields().iter().zip(columns).map(|(field, array)| {
            let field = field.as_ref().clone().with_data_type(array.data_type().clone());
            Column::new(Arc::new(field), array)
        });
        Ok(named.collect())
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.inner.num_rows()
    }

    #[getter]
    fn num_columns(&self) -> usize {
        self.inner.batch().num_columns()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.inner.nbytes()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.batch().schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    #[getter]
    fn metrics(&self) -> &str {
        self.inner.metrics()
    }

    fn column(&self, py: Python<'_>, index: usize) -> PyResult<Column> {
        let batch = self.inner.batch();
        if index >= batch.num_columns() {
            let message = format!("column {index} of a frame of {} columns", batch.num_columns());
            return Err(to_python(py, &Error::new(Kind::ColumnNotFound, message)));
        }
        Ok(Column::new(Arc::clone(&batch.schema().fields()[index]), Arc::clone(batch.column(index))))
    }

    fn select(&self, py: Python<'_>, indices: Vec<usize>) -> PyResult<Frame> {
        self.derived(py, |frame| frame.select(&indices))
    }

    fn rename(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Frame> {
        self.derived(py, |frame| frame.rename(&names))
    }

    fn slice(&self, offset: usize, length: usize) -> Frame {
        Frame { inner: self.inner.slice(offset, length) }
    }

    fn take(&self, indices: &Bound<'_, PyAny>) -> PyResult<Frame> {
        let py = indices.py();
        let positions = positions(indices)?;
        self.derived(py, |frame| frame.take(&positions))
    }

    fn filter(&self, mask: &Bound<'_, PyAny>, null_as: bool) -> PyResult<Frame> {
        let py = mask.py();
        let mask = mask_in(mask, null_as)?;
        self.derived(py, |frame| frame.filter(&mask))
    }

    fn cast_strings(&self, py: Python<'_>, layout: &str) -> PyResult<Frame> {
        let layout = match layout {
            "view" => StringLayout::View,
            "large_string" => StringLayout::LargeString,
            other => {
                let message = format!("strings is \"view\" or \"large_string\", found {other:?}");
                return Err(to_python(py, &Error::new(Kind::InvalidArgument, message)));
            }
        };
        self.derived(py, |frame| frame.cast_strings(layout, available_cores()))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema_out(py, capsule::ffi_schema(py, &self.inner.batch().schema())?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let batch = match requested_schema {
            None => self.inner.batch().clone(),
            Some(requested) => {
                let requested = capsule::schema_in(&requested)?;
                compute(py, || Ok(self.inner.requested(&requested, available_cores())))?
            }
        };
        capsule::stream_out(py, batch)
    }
}

impl Frame {
    fn derived(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&frame::Frame) -> headrace_core::error::Result<frame::Frame> + Send,
    ) -> PyResult<Frame> {
        let inner = compute(py, || work(&self.inner))?;
        Ok(Frame { inner })
    }
}

/// Row positions from an Arrow array of integers or a sequence of int.
fn positions(indices: &Bound<'_, PyAny>) -> PyResult<UInt64Array> {
    if !indices.hasattr("__arrow_c_array__")? {
        return Ok(UInt64Array::from(indices.extract::<Vec<u64>>()?));
    }
    let (_, array) = capsule::array_in(indices)?;
    let wrong = |message: String| to_python(indices.py(), &Error::new(Kind::InvalidArgument, message));
    if !array.data_type().is_integer() || array.null_count() > 0 {
        return Err(wrong(format!("row positions are integers without nulls, found {}", array.data_type())));
    }
    let options = arrow_cast::CastOptions { safe: false, ..arrow_cast::CastOptions::default() };
    let cast = arrow_cast::cast_with_options(&array, &DataType::UInt64, &options).map_err(|e| wrong(e.to_string()))?;
    Ok(cast.as_primitive::<arrow_array::types::UInt64Type>().clone())
}

/// A mask from an Arrow array of booleans or a sequence of bool or None.
fn mask_in(mask: &Bound<'_, PyAny>, null_as: bool) -> PyResult<BooleanArray> {
    let mask = if mask.hasattr("__arrow_c_array__")? {
        let (_, array) = capsule::array_in(mask)?;
        let wrong = || Error::new(Kind::InvalidArgument, format!("a mask is boolean, found {}", array.data_type()));
        array.as_boolean_opt().cloned().ok_or_else(|| to_python(mask.py(), &wrong()))?
    } else {
        BooleanArray::from(mask.extract::<Vec<Option<bool>>>()?)
    };
    Ok(match mask.null_count() {
        0 => mask,
        _ => mask.iter().map(|value| Some(value.unwrap_or(null_as))).collect(),
    })
}
