//! `Buffer`: bytes of the engine's, lent to Python through the buffer protocol.

#![allow(unsafe_code)]

use std::ffi::c_int;

use bytes::Bytes;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Read-only bytes; `memoryview`, `bytes`, `numpy.frombuffer` and `pyarrow.py_buffer` take them.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Buffer {
    bytes: Bytes,
}

impl Buffer {
    pub fn new(bytes: Bytes) -> Buffer {
        Buffer { bytes }
    }
}

#[pymethods]
impl Buffer {
    fn __len__(&self) -> usize {
        self.bytes.len()
    }

    /// # Safety
    /// Called by Python with a view to fill in.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let length = ffi::Py_ssize_t::try_from(slf.get().bytes.len());
        let length = length.map_err(|_| PyBufferError::new_err("more bytes than Python can count"))?;
        let start = slf.get().bytes.as_ptr().cast_mut().cast();
        // SAFETY: the view is Python's. It keeps a reference to this object, which never changes its bytes; they are lent
        // as read-only.
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 1, flags) };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
