//! Stub of the skeleton: replaced by the fetch branch.
use std::ops::Range;

use bytes::Bytes;

use crate::error::Result;
use crate::store::Store;

/// An object.
pub struct PinnedObject {
    store: Store,
    location: String,
    size: Option<u64>,
}

impl PinnedObject {
    /// An object.
    pub fn new(store: Store, location: &str, size: Option<u64>) -> PinnedObject {
        PinnedObject { store, location: location.to_string(), size }
    }
    /// Location
    pub fn location(&self) -> &str {
        &self.location
    }
    /// Size
    pub fn known_size(&self) -> Option<u64> {
        self.size
    }
    /// Suffix
    pub async fn read_suffix(&self, n: u64) -> Result<(Bytes, u64)> {
        let all = self.store.read(&self.location, None).await?;
        let from = all.len().saturating_sub(n as usize);
        let size = all.len() as u64;
        Ok((all.slice(from..), size))
    }
    /// Range
    pub async fn read_range(&self, range: Range<u64>) -> Result<Bytes> {
        self.store.read(&self.location, Some(range)).await
    }
    /// Ranges
    pub async fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut parts = Vec::new();
        for range in ranges {
            parts.push(self.read_range(range.clone()).await?);
        }
        Ok(parts)
    }
}
