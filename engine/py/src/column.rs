//! `Column`: one contiguous Arrow array with its name, lent to Python.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::FieldRef;
use headrace_core::frame::array_bytes;
use headrace_core::parquet::mapping::field_id;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::capsule;

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
}

#[pymethods]
impl Column {
    #[getter]
    fn name(&self) -> &str {
        self.field.name()
    }

    #[getter]
    fn r#type(&self, py: Python<'_>) -> PyResult<String> {
        Ok(capsule::ffi_field(py, &self.field)?.format().to_string())
    }

    #[getter]
    fn field_id(&self) -> Option<i32> {
        field_id(&self.field)
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
            if let Ok(cast) = arrow_cast::cast(&self.array, requested.data_type()) {
                let field = self.field.as_ref().clone().with_data_type(requested.data_type().clone());
                return capsule::array_out(py, &field, &cast);
            }
        }
        capsule::array_out(py, &self.field, &self.array)
    }
}
