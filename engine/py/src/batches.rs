//! `Batches`: frames of a stream, one after another, for Python and for whoever speaks the Arrow C stream interface.
//!
//! A child of `fork` has none of the threads that bring the frames: there a stream refuses to be read, and leaves its
//! memory alone when it goes.

use std::sync::Arc;
use std::thread::ThreadId;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use headrace_core::error::{Error, Kind, Result};
use headrace_core::frame::Frame as CoreFrame;
use headrace_core::load::stream::Stream;
use headrace_core::load::{self as core, FileTask, LoadRequest};
use headrace_core::runtime::{available_cores, runtime};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::capsule::{self, GilCheck};
use crate::errors::to_python;
use crate::files::FileList;
use crate::frame::Frame;
use crate::gate::{wait, wait_with_progress};
use crate::load::predicate;
use crate::store::Store;

/// A stream and the process that it belongs to.
struct Owned {
    stream: Option<Stream>,
    pid: u32,
}

impl Owned {
    fn stream(&self) -> Result<&Stream> {
        self.stream.as_ref().filter(|_| self.pid == std::process::id()).ok_or_else(|| {
            Error::new(Kind::InvalidArgument, "batches cannot be read in a forked child of the process that began them")
                .hint("plans and shards can be taken along: call batches() in the child")
        })
    }

    async fn next(self: Arc<Self>) -> Result<Option<CoreFrame>> {
        self.stream()?.next().await
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            std::mem::forget(self.stream.take()); // its threads are not here to be told
        }
    }
}

/// Frames on their way; each is given once, to whoever asks first.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Batches {
    owned: Arc<Owned>,
    schema: SchemaRef,
    tell: Option<Py<PyAny>>,
}

#[pymethods]
impl Batches {
    /// The next frame, None after the last one.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        let progress = self.owned.stream().map(|stream| Arc::clone(&stream.progress));
        let progress = progress.map_err(|error| to_python(py, &error))?;
        let tell = self.tell.as_ref().map(|tell| (tell.clone_ref(py), progress));
        let owned = Arc::clone(&self.owned);
        let frame = wait_with_progress(py, tell, |_| owned.next())?;
        Ok(frame.map(|inner| Frame { inner }))
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Ends what is on its way.
    fn close(&self, py: Python<'_>) {
        if let Ok(stream) = self.owned.stream() {
            py.detach(|| stream.close());
        }
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema_out(py, capsule::ffi_schema(py, &self.schema)?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        self.owned.stream().map_err(|error| to_python(py, &error))?;
        let requested = requested_schema.map(|schema| capsule::schema_in(&schema)).transpose()?;
        let schema = match &requested {
            None => Arc::clone(&self.schema),
            Some(requested) => {
                let empty = CoreFrame::of_batches(Arc::clone(&self.schema), &[]);
                empty.map_err(|error| to_python(py, &error))?.requested(requested, 1).schema()
            }
        };
        let (gil, main) = (GilCheck::find(py)?, main_thread(py)?);
        capsule::reader_out(py, Reader { owned: Arc::clone(&self.owned), schema, requested, gil, main })
    }
}

/// What a consumer of the C stream pulls from.
struct Reader {
    owned: Arc<Owned>,
    schema: SchemaRef,
    requested: Option<Arc<Schema>>,
    gil: GilCheck,
    /// Where Ctrl-C is looked for
    main: Option<ThreadId>,
}

/// The calling thread, if it is Python's main one.
fn main_thread(py: Python<'_>) -> PyResult<Option<ThreadId>> {
    let threading = py.import("threading")?;
    let is_main = threading.call_method0("current_thread")?.is(&threading.call_method0("main_thread")?);
    Ok(is_main.then(|| std::thread::current().id()))
}

impl Reader {
    /// The next frame. A consumer may or may not hold the GIL, which the engine may need meanwhile (for credentials), and
    /// which is taken where it is not held only on the main thread: others may be waited for by who holds it.
    fn pull(&self) -> Result<Option<CoreFrame>, ArrowError> {
        let owned = Arc::clone(&self.owned);
        if self.gil.is_held() || self.main == Some(std::thread::current().id()) {
            return Python::attach(|py| wait(py, |_| owned.next()).map_err(|error| self.interrupted(py, error)));
        }
        let failed = |error: Error| ArrowError::ExternalError(Box::new(error));
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.owned.stream().map_err(failed)?;
        runtime().map_err(failed)?.spawn(async move {
            let _ = sender.send(owned.next().await); // the receiver waits below
        });
        receiver
            .recv()
            .map_err(|_| failed(Error::new(Kind::Internal, "the engine stopped without an answer")))?
            .map_err(failed)
    }

    /// The batch in the types that the consumer was told: nothing else may reach it.
    fn as_announced(&self, frame: &CoreFrame) -> Result<RecordBatch, ArrowError> {
        let Some(requested) = &self.requested else { return Ok(frame.batch().clone()) };
        let batch = frame.requested(requested, available_cores());
        let types = |schema: &Schema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        match types(&batch.schema()) == types(&self.schema) {
            true => Ok(batch),
            false => Err(ArrowError::CastError("a value does not fit the schema that was asked for".to_string())),
        }
    }

    /// A consumer knows no exceptions: Ctrl-C ends the stream here, and is raised again where Python has the word.
    fn interrupted(&self, py: Python<'_>, error: PyErr) -> ArrowError {
        if error.is_instance_of::<PyKeyboardInterrupt>(py) {
            if let Ok(stream) = self.owned.stream() {
                stream.close();
            }
            let _ = py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main"));
        }
        ArrowError::ExternalError(error.to_string().into())
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.pull().transpose()?;
        Some(frame.and_then(|frame| self.as_announced(&frame)))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Begins to load files, frame after frame.
#[pyfunction]
#[pyo3(signature = (store, files, request, filter=None, progress=None))]
pub fn batches(
    py: Python<'_>,
    store: &Store,
    files: &FileList,
    request: &str,
    filter: Option<&str>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Batches> {
    let raise = |error: Error| to_python(py, &error);
    let predicate = predicate(py, filter)?;
    let batch_rows = batch_rows(request).map_err(raise)?;
    let request = LoadRequest::from_json(request).map_err(raise)?;
    let tasks = FileTask::of_list(&files.inner).map_err(raise)?;
    let stream = Stream::begin(&store.inner, tasks, request, batch_rows, predicate).map_err(raise)?;
    let schema = Arc::clone(stream.schema());
    Ok(Batches { owned: Arc::new(Owned { stream: Some(stream), pid: std::process::id() }), schema, tell: progress })
}

fn batch_rows(request: &str) -> Result<Option<usize>> {
    let value: serde_json::Value = serde_json::from_str(request)
        .map_err(|error| Error::new(Kind::InvalidArgument, format!("request is not JSON: {error}")))?;
    Ok(value
        .get("batch_rows")
        .and_then(serde_json::Value::as_u64)
        .map(|rows| usize::try_from(rows).unwrap_or(usize::MAX)))
}

/// Bytes of the frame that a load would give, from the footers of some files.
#[pyfunction]
pub fn estimate(py: Python<'_>, store: &Store, files: &FileList, request: &str, sample: usize) -> PyResult<u64> {
    let request = LoadRequest::from_json(request).map_err(|error| to_python(py, &error))?;
    let (store, files) = (store.inner.clone(), files.inner.clone());
    wait(py, |cancel| async move { core::estimate(&store, &files, request, sample, &cancel).await })
}
