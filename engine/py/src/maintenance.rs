//! What a table's maintenance needs: listings with times, orphans, expired files, manifests clustered, files packed.

use std::sync::Arc;

use headrace_core::frame;
use headrace_core::iceberg::{packing, reach, writing};
use headrace_core::store::Listed;
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::files::FileList;
use crate::frame::Frame;
use crate::gate::{compute, wait};
use crate::store::Store;

/// Objects below some folders, with their times.
#[pyclass(frozen, module = "headrace._engine")]
pub struct Listing {
    inner: Arc<Vec<Listed>>,
}

#[pymethods]
impl Listing {
    #[new]
    fn new(py: Python<'_>, store: &Store, prefixes: Vec<String>) -> PyResult<Listing> {
        let store = store.inner.clone();
        let found = wait(py, |cancel| async move {
            let mut found = Vec::new();
            for prefix in prefixes {
                cancel.check()?;
                found.extend(store.list_objects(&prefix).await?);
            }
            found.sort_unstable_by(|a: &Listed, b: &Listed| a.location.cmp(&b.location));
            found.dedup_by(|a, b| a.location == b.location);
            Ok(found)
        })?;
        Ok(Listing { inner: Arc::new(found) })
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn orphans(&self, py: Python<'_>, store: &Store, request: String) -> PyResult<Listing> {
        let (store, listing) = (store.inner.clone(), Arc::clone(&self.inner));
        let found = wait(py, |cancel| async move { reach::orphans(&store, &listing, &request, &cancel).await })?;
        Ok(Listing { inner: Arc::new(found) })
    }

    fn delete(&self, py: Python<'_>, store: &Store) -> PyResult<()> {
        let (store, listing) = (store.inner.clone(), Arc::clone(&self.inner));
        wait(py, |cancel| async move {
            for chunk in listing.chunks(1000) {
                cancel.check()?;
                let locations: Vec<String> = chunk.iter().map(|each| each.location.clone()).collect();
                store.delete(&locations).await?;
            }
            Ok(())
        })
    }

    fn to_frame(&self, py: Python<'_>) -> PyResult<Frame> {
        let listing = Arc::clone(&self.inner);
        let inner = compute(py, || {
            let batch = reach::listing_batch(&listing)?;
            frame::Frame::of_batches(batch.schema(), &[batch])
        })?;
        Ok(Frame { inner })
    }
}

/// Removes what only expired snapshots reach.
#[pyfunction]
pub fn remove_expired(py: Python<'_>, store: &Store, request: String) -> PyResult<String> {
    let store = store.inner.clone();
    wait(py, |cancel| async move { reach::remove_expired(&store, &request, &cancel).await })
}

/// Writes a snapshot's manifests again, clustered by partition.
#[pyfunction]
pub fn cluster_manifests(py: Python<'_>, store: &Store, request: String) -> PyResult<String> {
    let store = store.inner.clone();
    wait(py, |cancel| async move { writing::cluster_manifests(&store, &request, &cancel).await })
}

/// Positions of files that are to be written again, in bins.
#[pyfunction]
pub fn pack_files(py: Python<'_>, files: &FileList, request: &str) -> PyResult<Vec<Vec<u32>>> {
    packing::pack(&files.inner, request).map_err(|error| to_python(py, &error))
}
