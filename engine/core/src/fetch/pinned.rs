//! One object of one version: ranges of it, fetched together, every answer of the version of the first.
//!
//! Must not know: Parquet. Neighbours: [`super::Fetcher`] bounds what is in flight; [`crate::store`] brings the bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::kept::{Kept, WHOLE_BYTES};
use super::pace::Turn;
use super::runs::{Run, cut, cut_local, join};
use super::{Fetcher, Permit};
use crate::arena::Slot;
use crate::error::{Error, Kind, Result};
use crate::store::{Object, Pin, Store, Wanted, checked_length, memory};

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
    kept: Arc<Kept>,
    whole_bytes: u64,
    fetcher: Fetcher,
}

impl PinnedObject {
    /// An object, with its size where the table's metadata knows it. Nothing is asked yet.
    pub fn new(store: Store, location: impl Into<String>, known_size: Option<u64>) -> PinnedObject {
        let pin = Arc::new(Pin::with_size(known_size));
        PinnedObject {
            store,
            location: location.into().into(),
            pin,
            kept: Arc::default(),
            whole_bytes: WHOLE_BYTES,
            fetcher: Fetcher::default(),
        }
    }

    /// The same object under the bounds and counters of a load.
    #[must_use]
    pub fn with_fetcher(self, fetcher: Fetcher) -> PinnedObject {
        PinnedObject { fetcher, ..self }
    }

    /// The same object, which comes whole with its tail if it has at most so many bytes (1 MiB unless told). For callers
    /// who know that they will read most of it.
    #[must_use]
    pub fn with_whole_bytes(self, whole_bytes: u64) -> PinnedObject {
        PinnedObject { whole_bytes, ..self }
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
    ///
    /// A small remote object of known size comes whole, and later reads of it take no request: whoever reads an end is
    /// about to read what it points to.
    pub async fn read_suffix(&self, n: u64) -> Result<(Bytes, u64)> {
        let read = async {
            match self.size() {
                Some(size) => {
                    self.keep_if_small(size).await?;
                    Ok((self.read_range(size.saturating_sub(n)..size).await?, size))
                }
                None => self.discover_suffix(n).await,
            }
        };
        read.await.map_err(|error: Error| error.at(&*self.location))
    }

    async fn discover_suffix(&self, n: u64) -> Result<(Bytes, u64)> {
        let object = self.store.open(&self.location)?;
        let admitted = self.fetcher.admit(n).await?;
        let _busy = self.fetcher.counters.busy();
        let wanted = Wanted::Suffix(n.max(1));
        let discovered = object.source().discover(wanted, &self.pin, &self.fetcher.counters, LONGEST_SUFFIX).await;
        let (range, bytes) = discovered?;
        admitted.done(&self.fetcher, bytes.len() as u64);
        if range.start == 0
            && let Some(share) = self.fetcher.kept.take(range.end)
        {
            self.kept.keep(bytes.clone(), share);
        }
        Ok((bytes, range.end))
    }

    async fn keep_if_small(&self, size: u64) -> Result<()> {
        if size == 0 || size > self.whole_bytes || self.kept.bytes().is_some() {
            return Ok(());
        }
        if self.store.open(&self.location)?.is_remote()
            && let Some(share) = self.fetcher.kept.take(size)
        {
            self.kept.keep(self.read_range(0..size).await?, share);
        }
        Ok(())
    }

    /// Reads ranges, in any order, overlapping or empty. Neighbours come in one request, long runs in several, all at the
    /// same time within the fetcher's bounds. Each result is a slice of the buffer its run was fetched into, not a copy:
    /// keeping one keeps that buffer (up to 16 MiB, or the range itself if it is longer).
    pub async fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read_all(ranges).await.map_err(|error| error.at(&*self.location))
    }

    /// The same, each range as soon as its bytes are here: decoding need not wait for the last one.
    ///
    /// # Errors
    /// At once for what cannot be asked for; [`Arrivals::next`] tells of reads that fail.
    pub fn begin_ranges(&self, ranges: &[Range<u64>]) -> Result<Arrivals> {
        self.begin(ranges).map_err(|error| error.at(&*self.location))
    }

    fn begin(&self, ranges: &[Range<u64>]) -> Result<Arrivals> {
        let runs = self.runs(ranges)?;
        if let Some(whole) = self.kept.bytes() {
            let here = ranges.iter().map(|range| slice(whole, range, 0)).enumerate().collect();
            return Ok(Arrivals::new(Arc::clone(&self.location), here));
        }
        let empty = (0..ranges.len()).filter(|&index| ranges[index].is_empty());
        let mut arrivals =
            Arrivals::new(Arc::clone(&self.location), empty.map(|index| (index, Bytes::new())).collect());
        if runs.is_empty() {
            return Ok(arrivals);
        }
        let object = self.store.open(&self.location)?;
        for run in runs {
            let (this, object, members) = (self.clone(), object.clone(), members(&run, ranges));
            arrivals.expect(async move {
                let bytes = this.fetch_run(&object, &run.range).await?;
                Ok(members.into_iter().map(|(index, range)| (index, slice(&bytes, &range, run.range.start))).collect())
            });
        }
        Ok(arrivals)
    }

    async fn read_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut read = vec![Bytes::new(); ranges.len()];
        // A single request needs no task: there is nothing to run beside it.
        if self.kept.bytes().is_none()
            && let [run] = self.runs(ranges)?.as_slice()
        {
            let bytes = self.fetch_run(&self.store.open(&self.location)?, &run.range).await?;
            for (index, range) in members(run, ranges) {
                read[index] = slice(&bytes, &range, run.range.start);
            }
            return Ok(read);
        }
        let mut arrivals = self.begin(ranges)?;
        while let Some((index, bytes)) = arrivals.next().await? {
            read[index] = bytes;
        }
        Ok(read)
    }

    /// What is to be fetched for these ranges. Nothing is made yet whose size follows from them.
    fn runs(&self, ranges: &[Range<u64>]) -> Result<Vec<Run>> {
        self.check(ranges)?;
        let runs = join(ranges);
        runs.iter().try_for_each(|run| length_of(&run.range).map(drop))?;
        Ok(runs)
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

    /// Fetches a run into memory of its own: in one request, or in parts at the same time.
    async fn fetch_run(&self, object: &Object, run: &Range<u64>) -> Result<Bytes> {
        let parts = if object.is_remote() { cut(run) } else { cut_local(run) };
        if parts.len() == 1 {
            let admitted = self.fetcher.admit(run.end - run.start).await?;
            let (frozen, slot) = memory::room(length_of(run)?)?; // not before it may be filled
            self.fetch(object, run.clone(), slot, admitted).await?;
            return memory::bytes(frozen);
        }
        let lengths = parts.iter().map(length_of).collect::<Result<Vec<_>>>()?;
        let (frozen, slots) = memory::rooms(&lengths)?;
        let mut tasks = JoinSet::new(); // dropped on the first error or if the caller goes away: ends the others
        for (part, slot) in parts.into_iter().zip(slots) {
            let (this, object) = (self.clone(), object.clone());
            tasks.spawn(async move {
                let admitted = this.fetcher.admit(part.end - part.start).await?;
                this.fetch(&object, part, slot, admitted).await
            });
        }
        while let Some(joined) = tasks.join_next().await {
            joined.map_err(|_| Error::new(Kind::Internal, "a read broke off"))??;
        }
        memory::bytes(frozen)
    }

    async fn fetch(&self, object: &Object, range: Range<u64>, slot: Slot, admitted: Admitted) -> Result<()> {
        let _busy = self.fetcher.counters.busy();
        let bytes = range.end - range.start;
        object.source().fill(range, &self.pin, slot, &self.fetcher.counters).await?;
        admitted.done(&self.fetcher, bytes);
        Ok(())
    }
}

/// Each range of a run with its index.
fn members(run: &Run, ranges: &[Range<u64>]) -> Vec<(usize, Range<u64>)> {
    run.members.iter().map(|&member| (member, ranges[member].clone())).collect()
}

/// The bytes of a range, in those that begin at `start` of the object.
fn slice(bytes: &Bytes, range: &Range<u64>, start: u64) -> Bytes {
    let at = |position: u64| usize::try_from(position - start).unwrap_or(usize::MAX);
    if range.is_empty() { Bytes::new() } else { bytes.slice(at(range.start)..at(range.end)) }
}

/// The length of a range, if it fits into memory: it comes from a file or its metadata, so it may be nonsense.
fn length_of(range: &Range<u64>) -> Result<usize> {
    checked_length(range, LONGEST_RANGE).map_err(|failure| {
        let hint = "the file or the metadata that points into it is damaged, or this machine has too little memory";
        Error::from(failure.hint(hint)).bytes(range.clone())
    })
}

/// What a request holds while it is under way.
pub(crate) struct Admitted {
    _bytes: Permit,
    turn: Turn,
}

impl Admitted {
    /// The request brought so many bytes.
    fn done(&self, fetcher: &Fetcher, bytes: u64) {
        self.turn.done(bytes, fetcher.counters.throttles());
    }
}

impl Fetcher {
    /// Waits until so many bytes may be in flight, then for a turn.
    pub(crate) async fn admit(&self, bytes: u64) -> Result<Admitted> {
        let bytes = self.budget.acquire(bytes).await?;
        let turn = self.pace.turn().await?;
        Ok(Admitted { _bytes: bytes, turn })
    }
}
