//! `FileList`: the data files of a plan or shard, and the planning that makes one.

use arrow_array::Array;
use headrace_core::error::{Error, Kind};
use headrace_core::iceberg::request::PlanRequest;
use headrace_core::iceberg::shards::By;
use headrace_core::iceberg::{changes as changing, files, plan as planning, shards};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyType};

use crate::capsule;
use crate::column::Column;
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
    fn total_rows(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        let counts = self.inner.int64("record_count").map_err(|error| to_python(py, &error))?;
        Ok((counts.null_count() == 0).then(|| counts.values().iter().sum()))
    }

    #[getter]
    fn total_bytes(&self, py: Python<'_>) -> PyResult<i64> {
        let lengths = self.inner.int64("length").map_err(|error| to_python(py, &error))?;
        Ok(lengths.values().iter().sum())
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
    fn of_files(
        py: Python<'_>,
        locations: Vec<String>,
        sizes: Vec<i64>,
        partitions: Vec<(i32, PyRef<'_, Column>)>,
        specs: &str,
    ) -> PyResult<FileList> {
        let partitions = partitions.iter().map(|(id, column)| (*id, column.array.clone())).collect();
        let inner = files::FileList::of_files(locations, sizes, partitions, specs);
        Ok(FileList { inner: inner.map_err(|error| to_python(py, &error))? })
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

/// Plans what snapshots changed: (files, report as JSON).
#[pyfunction]
#[pyo3(signature = (store, request, steps, filter=None))]
pub fn changes(
    py: Python<'_>,
    store: &Store,
    request: &str,
    steps: &str,
    filter: Option<&str>,
) -> PyResult<(FileList, String)> {
    let request = PlanRequest::from_json(request).map_err(|error| to_python(py, &error))?;
    let steps = changing::Step::all_from_json(steps).map_err(|error| to_python(py, &error))?;
    let filter = predicate(py, filter)?;
    let store = store.inner.clone();
    let (files, report) =
        wait(py, |cancel| async move { changing::changes(&store, &request, &steps, &filter, &cancel).await })?;
    Ok((FileList { inner: files }, report.to_json()))
}
