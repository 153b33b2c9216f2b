//! Manifests and manifest lists, written for a commit.

use std::sync::Arc;

use ::arrow_schema::{DataType, Field};
use headrace_core::frame::{self, keys};
use headrace_core::iceberg::schema::Schema;
use headrace_core::iceberg::writing::inspection;
use headrace_core::iceberg::{arrow_types, writing};
use headrace_core::row_deletes;
use pyo3::prelude::*;

use crate::capsule;
use crate::column::Column;
use crate::errors::to_python;
use crate::files::FileList;
use crate::frame::Frame;
use crate::gate::{compute, wait};
use crate::load::predicate;
use crate::store::Store;

/// Writes manifests that list new files.
#[pyfunction]
pub fn write_manifests(py: Python<'_>, store: &Store, files: Vec<String>, request: String) -> PyResult<String> {
    let store = store.inner.clone();
    wait(py, |cancel| async move { writing::write_manifests(&store, files, &request, &cancel).await })
}

/// Writes the manifest list of a snapshot.
#[pyfunction]
pub fn write_manifest_list(py: Python<'_>, store: &Store, request: String) -> PyResult<String> {
    let store = store.inner.clone();
    wait(py, |cancel| async move { writing::write_manifest_list(&store, &request, &cancel).await })
}

/// Writes a snapshot's manifests again, without the files that are selected.
#[pyfunction]
#[pyo3(signature = (store, files, request, filter=None))]
pub fn rewrite_manifests(
    py: Python<'_>,
    store: &Store,
    files: Vec<String>,
    request: String,
    filter: Option<&str>,
) -> PyResult<String> {
    let store = store.inner.clone();
    let filter = predicate(py, filter)?;
    wait(py, |cancel| async move { writing::rewrite_manifests(&store, files, &request, &filter, &cancel).await })
}

/// Writes files that delete rows of others.
#[pyfunction]
pub fn write_row_deletes(
    py: Python<'_>,
    store: &Store,
    files: &FileList,
    rows: &Frame,
    request: String,
) -> PyResult<Vec<String>> {
    let (store, files, rows) = (store.inner.clone(), files.inner.clone(), rows.inner.clone());
    wait(py, |cancel| async move { row_deletes::write(&store, &files, &rows, &request, &cancel).await })
}

/// The schema of a table that is to hold rows of an Arrow schema.
#[pyfunction]
pub fn arrow_schema(py: Python<'_>, data: &Bound<'_, PyAny>, format_version: i64) -> PyResult<String> {
    let schema = capsule::schema_in(&data.call_method0("__arrow_c_schema__")?)?;
    arrow_types::schema_json(&schema, format_version).map_err(|error| to_python(py, &error))
}

/// The keys of a frame's rows, each once.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Keys {
    inner: keys::Keys,
}

#[pymethods]
impl Keys {
    #[new]
    fn new(py: Python<'_>, frame: &Frame, names: Vec<String>, schema: &str) -> PyResult<Keys> {
        let frame = frame.inner.clone();
        let made = compute(py, || keys::Keys::new(&frame, &names, &Schema::from_json(schema)?))?;
        Ok(Keys { inner: made })
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn absent(&self, py: Python<'_>, frame: &Frame) -> PyResult<Column> {
        let frame = frame.inner.clone();
        let mask = compute(py, || self.inner.absent(&frame))?;
        let field = Field::new("absent", DataType::Boolean, false);
        Ok(Column { field: Arc::new(field), array: Arc::new(mask) })
    }

    fn present(&self, py: Python<'_>, frame: &Frame) -> PyResult<Column> {
        let frame = frame.inner.clone();
        let mask = compute(py, || self.inner.present(&frame))?;
        let field = Field::new("present", DataType::Boolean, false);
        Ok(Column { field: Arc::new(field), array: Arc::new(mask) })
    }

    fn filter_json(&self, py: Python<'_>) -> PyResult<String> {
        self.inner.filter_json().map_err(|error| to_python(py, &error))
    }
}

/// The manifests of a snapshot.
#[pyfunction]
#[pyo3(signature = (store, manifest_list, manifests))]
pub fn list_manifests(
    py: Python<'_>,
    store: &Store,
    manifest_list: Option<String>,
    manifests: Vec<String>,
) -> PyResult<Frame> {
    let store = store.inner.clone();
    let listing = |cancel| async move { inspection::manifests(&store, manifest_list, manifests, &cancel).await };
    let batch = wait(py, listing)?;
    let inner = compute(py, || frame::Frame::of_batches(batch.schema(), &[batch]))?;
    Ok(Frame { inner })
}

/// The partitions of listed files.
#[pyfunction]
pub fn list_partitions(py: Python<'_>, files: &FileList) -> PyResult<Frame> {
    let files = files.inner.clone();
    let inner = compute(py, || {
        let batch = inspection::partitions(&files)?;
        frame::Frame::of_batches(batch.schema(), &[batch])
    })?;
    Ok(Frame { inner })
}
