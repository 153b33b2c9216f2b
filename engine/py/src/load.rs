//! `load` and `read_parquet`: files -> frame.

use std::sync::Arc;

use headrace_core::error::{Error, Kind};
use headrace_core::iceberg::predicate::Predicate;
use headrace_core::load as core;
use headrace_core::load::{FileTask, LoadRequest};
use headrace_core::metrics::Progress;
use pyo3::prelude::*;

use crate::column::Column;
use crate::errors::to_python;
use crate::files::FileList;
use crate::frame::Frame;
use crate::gate::{wait, wait_with_progress};
use crate::store::Store;

/// A filter's JSON, or everything.
pub fn predicate(py: Python<'_>, filter: Option<&str>) -> PyResult<Predicate> {
    filter.map_or(Ok(Predicate::True), Predicate::from_json).map_err(|error| to_python(py, &error))
}

#[pyfunction]
#[pyo3(signature = (store, files, request, filter=None, progress=None))]
pub fn load(
    py: Python<'_>,
    store: &Store,
    files: &FileList,
    request: &str,
    filter: Option<&str>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Frame> {
    let raise = |error: Error| to_python(py, &error);
    let request = LoadRequest::from_json(request).map_err(raise)?;
    let predicate = predicate(py, filter)?;
    let tasks = FileTask::of_list(&files.inner).map_err(raise)?;
    let store = store.inner.clone();
    let moved = Arc::new(Progress::default());
    let tell = progress.map(|tell| (tell, Arc::clone(&moved)));
    let frame = wait_with_progress(py, tell, |cancel| async move {
        core::load(&store, tasks, request, predicate, &cancel, &moved).await
    })?;
    Ok(Frame { inner: frame })
}

#[pyfunction]
#[pyo3(signature = (store, locations, request, filter=None, progress=None, folders=Vec::new()))]
pub fn read_parquet(
    py: Python<'_>,
    store: &Store,
    locations: Vec<String>,
    request: &str,
    filter: Option<&str>,
    progress: Option<Py<PyAny>>,
    folders: Vec<PyRef<'_, Column>>,
) -> PyResult<Frame> {
    let predicate = predicate(py, filter)?;
    let store = store.inner.clone();
    let folders = folders.iter().map(|column| (column.field.name().clone(), column.array.clone())).collect();
    let moved = Arc::new(Progress::default());
    let tell = progress.map(|tell| (tell, Arc::clone(&moved)));
    let options: serde_json::Value = serde_json::from_str(request)
        .map_err(|error| to_python(py, &Error::new(Kind::InvalidArgument, format!("request is not JSON: {error}"))))?;
    let frame = wait_with_progress(py, tell, |cancel| async move {
        core::load_folders(&store, locations, folders, &options, predicate, &cancel, &moved).await
    })?;
    Ok(Frame { inner: frame })
}

/// The schema of a Parquet file as Iceberg JSON with ids of our own, for binding a filter.
#[pyfunction]
pub fn parquet_schema(py: Python<'_>, store: &Store, location: String) -> PyResult<String> {
    let store = store.inner.clone();
    wait(py, |_| async move { Ok(core::schema_of(&store, &location).await?.to_iceberg_json()) })
}

/// Gives memory of freed frames and of manifests back to the system; bytes.
#[pyfunction]
pub fn release_memory(py: Python<'_>) -> usize {
    py.detach(|| headrace_core::iceberg::cache::release() + headrace_core::arena::release())
}

/// (manifests that plans keep, their bytes)
#[pyfunction]
pub fn kept_manifests() -> (usize, usize) {
    headrace_core::iceberg::cache::state()
}

/// (bytes of freed frames that wait for the next load, the most that may)
#[pyfunction]
pub fn kept_memory() -> (usize, usize) {
    headrace_core::arena::state()
}
