//! `Store`: objects of one table.

use std::collections::HashMap;

use headrace_core::store;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::to_python;
use crate::gate::wait;

/// Objects of one table: S3 and local files.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Store {
    pub(crate) inner: store::Store,
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (properties, allowed=None, refresh=None))]
    fn new(
        py: Python<'_>,
        properties: HashMap<String, String>,
        allowed: Option<Vec<String>>,
        refresh: Option<Py<PyAny>>,
    ) -> PyResult<Store> {
        let _ = (allowed, refresh);
        let inner = store::Store::new(properties).map_err(|error| to_python(py, &error))?;
        Ok(Store { inner })
    }

    #[pyo3(signature = (location, start=None, end=None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        location: String,
        start: Option<u64>,
        end: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let store = self.inner.clone();
        let range = start.zip(end).map(|(start, end)| start..end);
        let bytes = wait(py, |_| async move { store.read(&location, range).await })?;
        Ok(PyBytes::new(py, &bytes))
    }
}
