//! Ranges of one object in the order in which their bytes come.
//!
//! Must not know: how they are fetched.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::error::{Error, Kind, Result};

/// Reads under way; dropping it ends them.
pub struct Arrivals {
    location: Arc<str>,
    here: VecDeque<(usize, Bytes)>,
    coming: JoinSet<Result<Vec<(usize, Bytes)>>>,
}

impl Arrivals {
    pub(crate) fn new(location: Arc<str>, here: VecDeque<(usize, Bytes)>) -> Arrivals {
        Arrivals { location, here, coming: JoinSet::new() }
    }

    /// Begins to fetch ranges that come together.
    pub(crate) fn expect(&mut self, fetch: impl Future<Output = Result<Vec<(usize, Bytes)>>> + Send + 'static) {
        self.coming.spawn(fetch);
    }

    /// The next range to arrive: its index among those asked for, and its bytes. None after the last.
    pub async fn next(&mut self) -> Result<Option<(usize, Bytes)>> {
        while self.here.is_empty() {
            let Some(joined) = self.coming.join_next().await else { return Ok(None) };
            let came = joined.map_err(|_| Error::new(Kind::Internal, "a read broke off")).and_then(|came| came);
            self.here = came.map_err(|error| error.at(&*self.location))?.into();
        }
        Ok(self.here.pop_front())
    }
}
