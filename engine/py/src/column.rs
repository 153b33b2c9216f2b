//! `Column`: one contiguous Arrow array with its name, lent to Python.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, FieldRef};
use headrace_core::error::{Error, Kind};
use headrace_core::frame::format::type_name;
use headrace_core::frame::{array_bytes, dense, nested};
use headrace_core::iceberg::schema::TYPE;
use headrace_core::parquet::mapping::field_id;
use pyo3::exceptions::{PyAttributeError, PyBufferError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

use crate::capsule;
use crate::dlpack;
use crate::errors::to_python;
use crate::gate::compute;
use crate::numpy;
use crate::pylist;

/// One column of a frame.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Column {
    pub(crate) field: FieldRef,
    pub(crate) array: ArrayRef,
}

impl Column {
    pub fn new(field: FieldRef, array: ArrayRef) -> Column {
        Column { field, array }
    }

    /// Another array under this column's name.
    pub fn derived(&self, array: ArrayRef) -> Column {
        let field = Field::new(self.field.name(), array.data_type().clone(), true);
        Column { field: Arc::new(field), array }
    }
}

#[pymethods]
impl Column {
    #[staticmethod]
    #[pyo3(signature = (data, name=None))]
    fn from_arrow(data: &Bound<'_, PyAny>, name: Option<&str>) -> PyResult<Column> {
        let (field, array) = capsule::column_in(data)?;
        let field = match name {
            Some(name) => field.with_name(name),
            None => field,
        };
        Ok(Column { field: Arc::new(field), array })
    }

    #[staticmethod]
    #[pyo3(signature = (name, format, values, nulls=None))]
    fn from_values(
        name: &str,
        format: &str,
        values: &Bound<'_, PyAny>,
        nulls: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Column> {
        let array = match format {
            "u" => numpy::strings_of(values)?,
            "z" => numpy::bytes_of(values)?,
            _ => numpy::column_of(values, format, nulls)?,
        };
        Ok(Column { field: Arc::new(Field::new(name, array.data_type().clone(), true)), array })
    }

    #[getter]
    fn name(&self) -> &str {
        self.field.name()
    }

    #[getter]
    fn r#type(&self, py: Python<'_>) -> PyResult<String> {
        match self.field.data_type() {
            DataType::Dictionary(_, _) => Ok("dictionary".into()),
            _ => Ok(capsule::ffi_field(py, &self.field)?.format().to_string()),
        }
    }

    #[getter]
    fn type_name(&self) -> String {
        type_name(self.field.data_type())
    }

    #[getter]
    fn field_id(&self) -> Option<i32> {
        field_id(&self.field)
    }

    #[getter]
    fn iceberg_type(&self) -> Option<&str> {
        self.field.metadata().get(TYPE).map(String::as_str)
    }

    #[getter]
    fn null_count(&self) -> usize {
        self.array.logical_null_count()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        array_bytes(&self.array)
    }

    fn __len__(&self) -> usize {
        self.array.len()
    }

    fn slice(&self, offset: usize, length: usize) -> Column {
        let offset = offset.min(self.array.len());
        let length = length.min(self.array.len() - offset);
        Column { field: Arc::clone(&self.field), array: self.array.slice(offset, length) }
    }

    fn rename(&self, name: &str) -> Column {
        Column { field: Arc::new(self.field.as_ref().clone().with_name(name)), array: Arc::clone(&self.array) }
    }

    #[getter]
    fn field_names(&self) -> Vec<String> {
        match self.field.data_type() {
            DataType::Struct(fields) => fields.iter().map(|field| field.name().clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn struct_field(&self, py: Python<'_>, index: usize) -> PyResult<Column> {
        let (field, array) = compute(py, || nested::field(&self.array, index))?;
        Ok(Column { field, array })
    }

    fn elements(&self, py: Python<'_>) -> PyResult<Column> {
        let (field, array) = compute(py, || nested::elements(&self.array))?;
        Ok(Column { field, array })
    }

    fn lengths(&self, py: Python<'_>) -> PyResult<Column> {
        Ok(self.derived(Arc::new(compute(py, || nested::lengths(&self.array))?)))
    }

    fn map_part(&self, py: Python<'_>, part: usize) -> PyResult<Column> {
        Ok(self.derived(compute(py, || nested::map_part(&self.array, part))?))
    }

    fn dense(&self, py: Python<'_>) -> PyResult<Column> {
        Ok(self.derived(compute(py, || dense::dense(&self.array))?))
    }

    /// The same values in memory of their own.
    fn copied(&self, py: Python<'_>) -> PyResult<Column> {
        Ok(self.derived(compute(py, || nested::copied(&self.array))?))
    }

    fn maps_as_lists(&self, py: Python<'_>) -> PyResult<Column> {
        Ok(self.derived(compute(py, || nested::maps_as_lists(&self.array))?))
    }

    #[getter]
    fn holds_map(&self) -> bool {
        nested::holds_map(self.field.data_type())
    }

    fn null_bytes(&self, py: Python<'_>) -> PyResult<Column> {
        Ok(self.derived(Arc::new(compute(py, || dense::null_bytes(self.array.as_ref()))?)))
    }

    fn tensor(&self, py: Python<'_>) -> Option<(Column, Vec<usize>)> {
        let (shape, values) = py.detach(|| dense::tensor(&self.array))?;
        Some((self.derived(values), shape))
    }

    fn decoded(&self, py: Python<'_>) -> PyResult<Column> {
        Ok(self.derived(compute(py, || nested::decoded(&self.array))?))
    }

    fn encoded(&self, py: Python<'_>) -> PyResult<(Column, Column)> {
        let (codes, values) = compute(py, || nested::encoded(&self.array))?;
        Ok((self.derived(codes), self.derived(values)))
    }

    fn cast(&self, py: Python<'_>, format: &str) -> PyResult<Column> {
        let target = numpy::type_of(format).map_err(|error| to_python(py, &error))?;
        let cast = compute(py, || {
            let options = arrow_cast::CastOptions { safe: false, ..arrow_cast::CastOptions::default() };
            arrow_cast::cast_with_options(&self.array, &target, &options)
                .map_err(|error| Error::new(Kind::TypeMismatch, error.to_string()))
        })?;
        Ok(self.derived(cast))
    }

    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, pylist::objects(py, &self.array)?)
    }

    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        numpy::interface(py, self.array.as_ref())?
            .ok_or_else(|| PyAttributeError::new_err(format!("NumPy has no dtype for {}", self.type_name())))
    }

    #[pyo3(signature = (shape, boolean, versioned))]
    fn dlpack<'py>(
        &self,
        py: Python<'py>,
        shape: Vec<usize>,
        boolean: bool,
        versioned: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.array.null_count() > 0 {
            return Err(PyBufferError::new_err("DLPack has no nulls"));
        }
        dlpack::capsule(py, &self.array, &shape, boolean, versioned)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema_out(py, capsule::ffi_field(py, &self.field)?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        if let Some(requested) = requested_schema {
            let requested = capsule::field_in(&requested)?;
            if let Ok(cast) = py.detach(|| arrow_cast::cast(&self.array, requested.data_type())) {
                let field = self.field.as_ref().clone().with_data_type(requested.data_type().clone());
                return capsule::array_out(py, &field, &cast);
            }
        }
        capsule::array_out(py, &self.field, &self.array)
    }
}
