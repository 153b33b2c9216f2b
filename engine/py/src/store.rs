//! `Store`: objects of one table. `http_request` and `aws_credentials`, for the catalogs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headrace_core::error::{Error, Kind, Result};
use headrace_core::fetch::read_objects;
use headrace_core::store::{self, CredentialSource, Properties};
use headrace_core::{http, store::aws_credentials as find_credentials};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Buffer;
use crate::errors::to_python;
use crate::gate::wait;

/// Objects of one table: S3 and local files.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Store {
    pub(crate) inner: store::Store,
}

/// A Python callable that gives fresh properties. Called from a thread of the engine, which takes the GIL for it.
struct Refresh(Py<PyAny>);

impl CredentialSource for Refresh {
    fn refresh(&self) -> Result<Properties> {
        Python::attach(|py| self.0.call0(py).and_then(|given| given.extract(py))).map_err(|error: PyErr| {
            Error::new(Kind::Authentication, format!("credentials were not refreshed: {error}"))
        })
    }
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (properties, allowed=None, refresh=None, reader=None))]
    fn new(
        py: Python<'_>,
        properties: HashMap<String, String>,
        allowed: Option<Vec<String>>,
        refresh: Option<Py<PyAny>>,
        reader: Option<String>,
    ) -> PyResult<Store> {
        let mut inner = store::Store::new(properties).map_err(|error| to_python(py, &error))?;
        if let Some(allowed) = allowed {
            inner = inner.with_allowed(allowed);
        }
        if let Some(refresh) = refresh {
            inner = inner.with_refresh(Arc::new(Refresh(refresh)));
        }
        if let Some(reader) = reader {
            inner = inner.with_reader(reader);
        }
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
        let bytes = wait(py, |_| async move {
            let range = match (start, end) {
                (None, None) => None,
                (start, Some(end)) => Some(start.unwrap_or(0)..end),
                (Some(start), None) => Some(start..store.size(&location).await?),
            };
            store.read(&location, range).await
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[pyo3(signature = (locations, concurrency=64))]
    fn read_many(&self, py: Python<'_>, locations: Vec<String>, concurrency: usize) -> PyResult<Vec<Buffer>> {
        let store = self.inner.clone();
        let read = wait(py, |_| async move { read_objects(&store, locations, concurrency).await })?;
        Ok(read.into_iter().map(Buffer::new).collect())
    }

    fn size(&self, py: Python<'_>, location: String) -> PyResult<u64> {
        let store = self.inner.clone();
        wait(py, |_| async move { store.size(&location).await })
    }

    fn list(&self, py: Python<'_>, prefix: String) -> PyResult<Vec<(String, u64)>> {
        let store = self.inner.clone();
        wait(py, |_| async move { store.list(&prefix).await })
    }

    #[pyo3(signature = (location, data, if_absent=false))]
    fn put(&self, py: Python<'_>, location: String, data: Vec<u8>, if_absent: bool) -> PyResult<bool> {
        let (store, data) = (self.inner.clone(), Bytes::from(data));
        wait(py, |_| async move {
            match if_absent {
                true => store.put_if_absent(&location, data).await,
                false => store.put(&location, data).await.map(|()| true),
            }
        })
    }

    fn delete(&self, py: Python<'_>, locations: Vec<String>) -> PyResult<()> {
        let store = self.inner.clone();
        wait(py, |_| async move { store.delete(&locations).await })
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.inner)
    }
}

type Answer<'py> = (u16, HashMap<String, String>, Bound<'py, PyBytes>);

/// One HTTP request; any status is an answer.
#[pyfunction]
#[pyo3(signature = (method, url, headers, body=None, timeout_s=60.0))]
pub fn http_request<'py>(
    py: Python<'py>,
    method: String,
    url: String,
    headers: HashMap<String, String>,
    body: Option<Vec<u8>>,
    timeout_s: f64,
) -> PyResult<Answer<'py>> {
    let headers: Vec<(String, String)> = headers.into_iter().collect();
    let timeout = Duration::try_from_secs_f64(timeout_s).unwrap_or(Duration::MAX);
    let work = async move { http::request(&method, &url, &headers, body.map(Bytes::from), timeout).await };
    let answer = wait(py, |_| work)?;
    let mut named: HashMap<String, String> = HashMap::new();
    for (name, value) in answer.headers {
        let place = named.entry(name).or_default();
        *place = if place.is_empty() { value } else { format!("{place}, {value}") };
    }
    Ok((answer.status, named, PyBytes::new(py, &answer.body)))
}

/// (access key id, secret, session token) as the store would find them.
#[pyfunction]
pub fn aws_credentials(
    py: Python<'_>,
    properties: HashMap<String, String>,
) -> PyResult<(String, String, Option<String>)> {
    wait(py, |_| find_credentials(properties))
}
