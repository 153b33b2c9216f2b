//! One object of one version: ranges of it, fetched together, every answer of the version of the first.
//!
//! Must not know: Parquet. Neighbours: [`super::Fetcher`] bounds what is in flight; [`crate::store`] brings the bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use super::runs::{Run, cut, join};
use super::{Fetcher, Permit};
use crate::error::{Error, Kind, Result};
use crate::store::{Object, Pin, Store, Wanted, checked_length};

/// More is not read as the tail of an object: a footer is smaller.
const LONGEST_SUFFIX: u64 = 1 << 30;
/// No column chunk is longer.
const LONGEST_RANGE: u64 = 64 << 30;

/// An object whose reads all see one version. Cheap to clone; clones share the version.
#[derive(Clone)]
pub struct PinnedObject {
    store: Store,
    location: Arc<str>,
    pin: Arc<Pin>,
    fetcher: Fetcher,
}

impl PinnedObject {
    /// An object, with its size where the table's metadata knows it. Nothing is asked yet.
    pub fn new(store: Store, location: impl Into<String>, known_size: Option<u64>) -> PinnedObject {
        let pin = Arc::new(Pin::with_size(known_size));
        PinnedObject { store, location: location.into().into(), pin, fetcher: Fetcher::default() }
    }

    /// The same object under the bounds and counters of a load.
    #[must_use]
    pub fn with_fetcher(self, fetcher: Fetcher) -> PinnedObject {
        PinnedObject { fetcher, ..self }
    }

    /// The bounds and counters it is read under.
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// The location as it was given.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Bytes of the object: known from metadata, or since the first answer.
    pub fn size(&self) -> Option<u64> {
        self.pin.size()
    }

    /// Reads one range.
    pub async fn read_range(&self, range: Range<u64>) -> Result<Bytes> {
        let mut read = self.read_ranges(std::slice::from_ref(&range)).await?;
        read.pop().ok_or_else(|| Error::new(Kind::Internal, "no bytes for a range"))
    }

    /// Reads the last `n` bytes, or all if there are fewer, in one request. Returns them and the size of the object.
    pub async fn read_suffix(&self, n: u64) -> Result<(Bytes, u64)> {
        let read = async {
            if let Some(size) = self.size() {
                let bytes = self.read_range(size.saturating_sub(n)..size).await?;
                return Ok((bytes, size));
            }
            let object = self.store.open(&self.location)?;
            let _permits = self.fetcher.admit(n).await?;
            let _busy = self.fetcher.counters.busy();
            let wanted = Wanted::Suffix(n.max(1));
            let (range, bytes) =
                object.source().discover(wanted, &self.pin, &self.fetcher.counters, LONGEST_SUFFIX).await?;
            Ok((bytes.freeze(), range.end))
        };
        read.await.map_err(|error: Error| error.at(&*self.location))
    }

    /// Reads ranges, in any order, overlapping or empty. Neighbours come in one request, long runs in several, all at the
    /// same time within the fetcher's bounds. Each result is a slice of the buffer its run was fetched into, not a copy:
    /// keeping one keeps that buffer (up to 16 MiB, or the range itself if it is longer).
    pub async fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read_all(ranges).await.map_err(|error| error.at(&*self.location))
    }

    async fn read_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(ranges)?;
        let runs = join(ranges);
        for run in &runs {
            length_of(&run.range)?; // before anything is made whose size follows from it
        }
        let mut read = vec![Bytes::new(); ranges.len()];
        if runs.is_empty() {
            return Ok(read);
        }
        let object = self.store.open(&self.location)?;
        let buffers = match runs.as_slice() {
            // Nothing to run beside it: no task.
            [run] if parts(&object, run).len() == 1 => vec![self.fetch(&object, run.range.clone(), None).await?],
            runs => self.fetch_all(&object, runs).await?,
        };
        for (run, buffer) in runs.iter().zip(buffers) {
            let buffer = buffer.freeze();
            for &member in &run.members {
                let at = |position: u64| usize::try_from(position - run.range.start).unwrap_or(usize::MAX);
                read[member] = buffer.slice(at(ranges[member].start)..at(ranges[member].end));
            }
        }
        Ok(read)
    }

    fn check(&self, ranges: &[Range<u64>]) -> Result<()> {
        let size = self.size().unwrap_or(u64::MAX);
        match ranges.iter().find(|range| range.start > range.end || range.end > size) {
            None => Ok(()),
            Some(range) => Err(Error::new(
                Kind::Storage,
                format!("bytes {}-{} were asked for, but the object has {size}", range.start, range.end),
            )
            .bytes(range.clone())
            .hint("the file or the metadata that points into it is damaged")),
        }
    }

    /// Fetches every run into a buffer of its own, in the order of the runs.
    async fn fetch_all(&self, object: &Object, runs: &[Run]) -> Result<Vec<BytesMut>> {
        let mut tasks = JoinSet::new(); // dropped on the first error or if the caller goes away: ends the others
        let mut pieces = Vec::new();
        for run in runs {
            let parts = parts(object, run);
            pieces.push(vec![None; parts.len()]);
            let mut room = if parts.len() > 1 { Some(room(&run.range)?) } else { None };
            for (index, part) in parts.into_iter().enumerate() {
                let place = (pieces.len() - 1, index);
                let length = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
                // Several requests fill disjoint parts of one allocation, which are joined again without a copy.
                let buffer = room.as_mut().map(|room| {
                    let rest = room.split_off(length.min(room.capacity()));
                    std::mem::replace(room, rest)
                });
                let (this, object) = (self.clone(), object.clone());
                tasks.spawn(async move { (place, this.fetch(&object, part, buffer).await) });
            }
        }
        while let Some(joined) = tasks.join_next().await {
            let ((run, part), buffer) = joined.map_err(|_| Error::new(Kind::Internal, "a read broke off"))?;
            pieces[run][part] = Some(buffer?);
        }
        Ok(pieces.into_iter().map(unsplit).collect())
    }

    async fn fetch(&self, object: &Object, range: Range<u64>, buffer: Option<BytesMut>) -> Result<BytesMut> {
        let _permits = self.fetcher.admit(range.end - range.start).await?;
        let _busy = self.fetcher.counters.busy();
        let buffer = match buffer {
            Some(buffer) => buffer,
            None if object.is_remote() => room(&range)?,
            None => BytesMut::new(), // the file's reader makes its own
        };
        object.source().fill(range, &self.pin, buffer, &self.fetcher.counters).await
    }
}

/// An empty buffer with room for a range.
fn room(range: &Range<u64>) -> Result<BytesMut> {
    length_of(range).map(BytesMut::with_capacity)
}

/// The length of a range, if it fits into memory: it comes from a file or its metadata, so it may be nonsense.
fn length_of(range: &Range<u64>) -> Result<usize> {
    checked_length(range, LONGEST_RANGE).map_err(|failure| {
        let hint = "the file or the metadata that points into it is damaged, or this machine has too little memory";
        Error::from(failure.hint(hint)).bytes(range.clone())
    })
}

fn parts(object: &Object, run: &Run) -> Vec<Range<u64>> {
    if object.is_remote() { cut(&run.range) } else { vec![run.range.clone()] }
}

fn unsplit(pieces: Vec<Option<BytesMut>>) -> BytesMut {
    let mut pieces = pieces.into_iter().flatten();
    let mut first = pieces.next().unwrap_or_default();
    pieces.for_each(|piece| first.unsplit(piece));
    first
}

/// What a request holds while it is under way.
pub(crate) struct Admitted {
    _bytes: Permit,
    _slot: tokio::sync::OwnedSemaphorePermit,
}

impl Fetcher {
    /// Waits until so many bytes may be in flight, then for a connection.
    pub(crate) async fn admit(&self, bytes: u64) -> Result<Admitted> {
        let bytes = self.budget.acquire(bytes).await?;
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| Error::new(Kind::Internal, "the fetcher of a load was closed"))?;
        Ok(Admitted { _bytes: bytes, _slot: slot })
    }
}
