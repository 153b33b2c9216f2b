//! Bytes of one object into their memory: attempts, what came before a failure is kept, every answer checked with the pin.
//!
//! Must not know: how a request is made ([`super::s3`]), which ranges belong together ([`crate::fetch`]).

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::answer::Wanted;
use super::counters::Counters;
use super::memory::{self, Filling};
use super::pin::Pin;
use super::retry::{Again, Failure, Retry};
use super::s3::{Answer, Bucket};
use super::{blocking, local};
use crate::arena::Slot;
use crate::error::{Kind, Result};

/// Above this it is first tried whether the allocator can give so much: a refusal would end the process.
const SURELY_FREE: usize = 64 << 20;
/// So much of a broken body counts as progress, after which the bounds of the retry start anew.
const PROGRESS: u64 = 256 << 10;

/// An object that can be read.
pub(crate) enum Source<'a> {
    S3 { bucket: &'a Bucket, key: &'a str },
    Local { path: &'a str },
}

/// The length of a range as a size of memory, if that much can be had.
pub(crate) fn checked_length(range: &Range<u64>, limit: u64) -> Result<usize, Failure> {
    let length = range.end.saturating_sub(range.start);
    let fits = |length: &usize| *length <= SURELY_FREE || Vec::<u8>::new().try_reserve_exact(*length).is_ok();
    match usize::try_from(length).ok().filter(|_| length <= limit).filter(fits) {
        Some(length) => Ok(length),
        None => Err(Failure::lasting(Kind::MemoryLimit, format!("{length} bytes in one piece are too many"))),
    }
}

impl Source<'_> {
    /// Reads exactly `range` into `slot`, which is as long.
    pub(crate) async fn fill(&self, range: Range<u64>, pin: &Pin, mut slot: Slot, counters: &Counters) -> Result<()> {
        match self {
            Source::S3 { bucket, key } => {
                let reading = Reading { bucket, key, pin, counters };
                let filled = reading.fill(&range, &mut Filling::new(&mut slot), false).await;
                filled.map_err(|error| error.bytes(range))
            }
            Source::Local { path } => {
                counters.request(false);
                let path = (*path).to_owned();
                let identity = blocking(move || {
                    let opened = local::open(&path)?;
                    opened.read(range.start, &mut slot)?;
                    Ok(opened.identity)
                });
                pin.check(identity.await?)?;
                counters.received(range.end - range.start);
                Ok(())
            }
        }
    }

    /// Reads what only the answer can tell the range of. Returns that range and its bytes.
    pub(crate) async fn discover(
        &self,
        wanted: Wanted,
        pin: &Pin,
        counters: &Counters,
        limit: u64,
    ) -> Result<(Range<u64>, Bytes)> {
        match self {
            Source::S3 { bucket, key } => Reading { bucket, key, pin, counters }.discover(&wanted, limit).await,
            Source::Local { path } => {
                counters.request(false);
                let path = (*path).to_owned();
                let read = blocking(move || {
                    let opened = local::open(&path)?;
                    let range = wanted.of(opened.identity.size);
                    let (frozen, mut slot) = memory::room(checked_length(&range, limit)?)?;
                    opened.read(range.start, &mut slot)?;
                    drop(slot);
                    Ok((opened.identity, range, memory::bytes(frozen)?))
                });
                let (identity, range, bytes) = read.await?;
                pin.check(identity)?;
                counters.received(bytes.len() as u64);
                Ok((range, bytes))
            }
        }
    }
}

/// One object of S3 that is being read.
struct Reading<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    pin: &'a Pin,
    counters: &'a Counters,
}

impl Reading<'_> {
    async fn fill(&self, range: &Range<u64>, into: &mut Filling<'_>, continues: bool) -> Result<()> {
        let mut retry = Retry::new(self.bucket.settings.retry);
        let mut repeats = continues;
        loop {
            let before = into.filled();
            if range.start + before >= range.end {
                return Ok(());
            }
            let rest = Wanted::Bounded(range.start + before..range.end);
            let result = match self.ask(&rest, repeats).await {
                Ok(answer) => self.receive(answer, into).await,
                Err(failure) => Err(failure),
            };
            let Err(failure) = result else { return Ok(()) };
            if into.filled() - before >= PROGRESS && self.pin.is_tagged() {
                retry.progress();
            }
            self.pause(&mut retry, failure, into).await?;
            repeats = true;
        }
    }

    async fn discover(&self, wanted: &Wanted, limit: u64) -> Result<(Range<u64>, Bytes)> {
        let mut retry = Retry::new(self.bucket.settings.retry);
        let mut repeats = false;
        let answer = loop {
            match self.ask(wanted, repeats).await {
                Ok(answer) => break answer,
                Err(failure) => self.pause(&mut retry, failure, &mut Filling::new(&mut [])).await?,
            }
            repeats = true;
        };
        let range = answer.head.range.clone();
        let (frozen, mut slot) = memory::room(checked_length(&range, limit)?)?;
        let mut into = Filling::new(&mut slot);
        if let Err(failure) = self.receive(answer, &mut into).await {
            // The range is known now: the rest is an ordinary read.
            let place = |error: crate::error::Error| error.bytes(range.clone());
            self.pause(&mut retry, failure, &mut into).await.map_err(place)?;
            self.fill(&range, &mut into, true).await.map_err(place)?;
        }
        drop(slot);
        Ok((range, memory::bytes(frozen)?))
    }

    /// Asks, and checks the head of the answer.
    async fn ask(&self, wanted: &Wanted, repeats: bool) -> Result<Answer, Failure> {
        self.counters.request(repeats);
        let began = Instant::now();
        let answer = self.bucket.get(self.key, wanted, self.pin.if_match().as_deref(), self.counters).await;
        self.counters.times(began.elapsed(), Duration::ZERO);
        let answer = answer?;
        self.pin.check(answer.head.identity.clone())?;
        Ok(answer)
    }

    async fn receive(&self, answer: Answer, into: &mut Filling<'_>) -> Result<(), Failure> {
        let (began, before) = (Instant::now(), into.filled());
        let received = answer.fill(into, &self.bucket.settings).await;
        self.counters.times(Duration::ZERO, began.elapsed());
        self.counters.received(into.filled() - before);
        received
    }

    /// Waits before the next attempt, or gives up.
    async fn pause(&self, retry: &mut Retry, failure: Failure, into: &mut Filling<'_>) -> Result<()> {
        if !self.pin.is_tagged() {
            into.clear(); // nothing tells whether the rest would be of the same version
        }
        if matches!(failure.again, Some(Again::Throttled(_))) {
            self.counters.throttle();
        }
        retry.pause(failure, self.bucket.reached()).await
    }
}
