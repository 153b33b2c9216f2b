//! Whole objects into memory: for who wants their bytes and not their columns.
//!
//! Must not know: what is in them.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::{Budget, Fetcher, PinnedObject};
use crate::error::Result;
use crate::store::Store;

/// Objects under way at once; within each, requests are bounded by the fetcher.
const CONCURRENT_OBJECTS: usize = 16;

/// Reads objects whole, each into one buffer, in the order of their locations.
pub async fn read_objects(store: &Store, locations: Vec<String>, concurrency: usize) -> Result<Vec<Bytes>> {
    // The caller wants all bytes in memory: there is nothing to be held back.
    let fetcher = Fetcher::new(Budget::new(u64::MAX), concurrency);
    let reads = locations.into_iter().map(|location| {
        let (store, fetcher) = (store.clone(), fetcher.clone());
        crate::runtime::spawn(async move {
            let size = store.size(&location).await?;
            PinnedObject::new(store, location, Some(size)).with_fetcher(fetcher).read_range(0..size).await
        })
    });
    futures::stream::iter(reads).buffered(CONCURRENT_OBJECTS).try_collect().await
}
