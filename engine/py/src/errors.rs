//! The engine's error as the Python exception of the same name in `headrace.errors`.

use headrace_core::error::{Error, Kind};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Raises `headrace.errors.<Kind>` with location, range and hint.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    if error.kind() == Kind::Cancelled {
        return PyErr::take(py).unwrap_or_else(|| PyKeyboardInterrupt::new_err("cancelled"));
    }
    match build(py, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

fn build<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let class = py.import("headrace.errors")?.getattr(error.kind().class_name())?;
    let keywords = PyDict::new(py);
    keywords.set_item("location", error.location())?;
    keywords.set_item("byte_range", error.byte_range().map(|range| (range.start, range.end)))?;
    keywords.set_item("hint", error.hint_text())?;
    class.call((error.message(),), Some(&keywords))
}
