//! `write`: frame -> data files of a table.

use std::sync::Arc;

use headrace_core::error::Error;
use headrace_core::metrics::Progress;
use headrace_core::write::{self as core, WriteRequest};
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::frame::Frame;
use crate::gate::wait_with_progress;
use crate::store::Store;

#[pyfunction]
#[pyo3(signature = (store, frame, request, progress=None))]
pub fn write(
    py: Python<'_>,
    store: &Store,
    frame: &Frame,
    request: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Vec<String>> {
    let request = WriteRequest::from_json(request).map_err(|error: Error| to_python(py, &error))?;
    let (store, frame) = (store.inner.clone(), frame.inner.clone());
    let moved = Arc::new(Progress::default());
    let tell = progress.map(|tell| (tell, Arc::clone(&moved)));
    wait_with_progress(py, tell, |cancel| async move { core::write(&store, &frame, request, &cancel, moved).await })
}
