//! Manifests and manifest lists, written for a commit.

use headrace_core::iceberg::writing;
use pyo3::prelude::*;

use crate::gate::wait;
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
