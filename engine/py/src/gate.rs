//! The one gate between Python and the engine: the GIL is released while the engine works, Ctrl-C is looked for every
//! 20 ms, progress is told on the calling thread, and an error becomes the exception of its kind.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headrace_core::error::{Error, Kind, Result};
use headrace_core::metrics::Progress;
use headrace_core::runtime::{Cancel, runtime, settle};
use pyo3::prelude::*;

use crate::errors::to_python;

/// Ctrl-C must end a load within 100 ms: look five times as often.
const SIGNALS_EVERY: Duration = Duration::from_millis(20);
/// A store that does not answer must not hold a process for ever.
const LONGEST_TIDYING: Duration = Duration::from_secs(10);
const PROGRESS_EVERY: Duration = Duration::from_millis(50);

/// Sets the flag when the call is over, however it ends: threads that still decode stop at their next batch.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs a future of the engine on its runtime and waits for it.
pub fn wait<T, F>(py: Python<'_>, work: impl FnOnce(Cancel) -> F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    wait_with_progress(py, None, work)
}

/// The same, calling `tell(done, total)` now and then.
pub fn wait_with_progress<T, F>(
    py: Python<'_>,
    tell: Option<(Py<PyAny>, Arc<Progress>)>,
    work: impl FnOnce(Cancel) -> F,
) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let cancel = Cancel::default();
    let _guard = CancelOnDrop(cancel.clone());
    let runtime = runtime().map_err(|error| to_python(py, &error))?;
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let receiver = Mutex::new(receiver); // only to be Sync: this thread alone waits on it
    let future = work(cancel);
    let task = runtime.spawn(async move {
        let _ = sender.send(future.await);
    });
    let mut told = Instant::now();
    let outcome = loop {
        match py.detach(|| receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(SIGNALS_EVERY)) {
            Ok(outcome) => break outcome,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                break Err(Error::new(Kind::Internal, "the engine stopped without an answer"));
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let interrupted = py.check_signals().and_then(|()| match &tell {
                    Some((tell, progress)) if told.elapsed() >= PROGRESS_EVERY => {
                        told = Instant::now();
                        tell.call1(py, progress.read()).map(|_| ())
                    }
                    _ => Ok(()),
                });
                if let Err(interrupted) = interrupted {
                    task.abort();
                    return Err(interrupted);
                }
            }
        }
    };
    let value = outcome.map_err(|error| to_python(py, &error))?;
    if let Some((tell, progress)) = &tell {
        tell.call1(py, progress.read())?;
    }
    Ok(value)
}

/// Called when the interpreter ends: waits until writes that Ctrl-C ended have removed their files, which no snapshot will
/// ever reach. A second Ctrl-C ends the wait.
#[pyfunction]
pub fn tidy_up(py: Python<'_>) -> PyResult<()> {
    let ends = Instant::now() + LONGEST_TIDYING;
    let settled = || py.detach(|| settle(SIGNALS_EVERY)).map_err(|error| to_python(py, &error));
    while !settled()? && Instant::now() < ends {
        py.check_signals()?;
    }
    Ok(())
}

/// Runs CPU work of the engine without the GIL.
pub fn compute<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(|error| to_python(py, &error))
}
