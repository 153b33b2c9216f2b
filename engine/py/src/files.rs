//! `FileList`: the data files of a plan or shard, and the planning that makes one.

use headrace_core::error::{Error, Kind};
use headrace_core::iceberg::request::PlanRequest;
use headrace_core::iceberg::shards::By;
use headrace_core::iceberg::{files, plan as planning, shards};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyType};

use crate::capsule;
use crate::errors::to_python;
use crate::gate::{compute, wait};
use crate::load::predicate;
use crate::store::Store;

/// The data files of a plan or shard, columnar.
#[pyclass(frozen, module = "headrace._engine")]
pub struct FileList {
    pub(crate) inner: files::FileList,
}

#[pymethods]
impl FileList {
    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn slice(&self, offset: usize, length: usize) -> FileList {
        FileList { inner: self.inner.slice(offset, length) }
    }

    fn take(&self, py: Python<'_>, positions: Vec<u32>) -> PyResult<FileList> {
        let inner = self.inner.take(&positions).map_err(|error| to_python(py, &error))?;
        Ok(FileList { inner })
    }

    /// Lists of nearly equal weight that together are this one.
    fn split(&self, py: Python<'_>, count: usize, by: &str) -> PyResult<Vec<FileList>> {
        let by = match by {
            "bytes" => By::Bytes,
            "rows" => By::Rows,
            other => {
                let message = format!("by is \"bytes\" or \"rows\", found {other:?}");
                return Err(to_python(py, &Error::new(Kind::InvalidArgument, message)));
            }
        };
        let lists = compute(py, || shards::split(&self.inner, count, by))?;
        Ok(lists.into_iter().map(|inner| FileList { inner }).collect())
    }

    #[getter]
    fn total_rows(&self, py: Python<'_>) -> PyResult<i64> {
        self.sum(py, "record_count")
    }

    #[getter]
    fn total_bytes(&self, py: Python<'_>) -> PyResult<i64> {
        self.sum(py, "length")
    }

    fn locations(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let locations = self.inner.locations().map_err(|error| to_python(py, &error))?;
        Ok(locations.iter().flatten().map(str::to_string).collect())
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.inner.to_bytes().map_err(|error| to_python(py, &error))?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<FileList> {
        let inner = files::FileList::from_bytes(data).map_err(|error| to_python(py, &error))?;
        Ok(FileList { inner })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let class: Bound<'py, PyType> = py.get_type::<FileList>();
        Ok((class.getattr("from_bytes")?, (self.to_bytes(py)?,)))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema_out(py, capsule::ffi_schema(py, self.inner.batch().schema_ref())?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        capsule::stream_out(py, self.inner.batch().clone())
    }
}

impl FileList {
    fn sum(&self, py: Python<'_>, column: &str) -> PyResult<i64> {
        let values = self.inner.int64(column).map_err(|error| to_python(py, &error))?;
        Ok(values.values().iter().sum())
    }
}

/// Plans a scan: (files, report as JSON).
#[pyfunction]
#[pyo3(signature = (store, request, filter=None))]
pub fn plan(py: Python<'_>, store: &Store, request: &str, filter: Option<&str>) -> PyResult<(FileList, String)> {
    let request = PlanRequest::from_json(request).map_err(|error| to_python(py, &error))?;
    let filter = predicate(py, filter)?;
    let store = store.inner.clone();
    let (files, report) = wait(py, |cancel| async move { planning::plan(&store, &request, &filter, &cancel).await })?;
    Ok((FileList { inner: files }, report.to_json()))
}
