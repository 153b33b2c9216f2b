//! Bytes of one object into one buffer: attempts, what came before a failure is kept, every answer checked with the pin.
//!
//! Must not know: how a request is made ([`super::s3`]), which ranges belong together ([`crate::fetch`]).

use std::ops::Range;

use bytes::BytesMut;

use super::answer::Wanted;
use super::counters::Counters;
use super::local;
use super::pin::Pin;
use super::retry::{Failure, Retry};
use super::s3::Bucket;
use crate::error::{Error, Kind, Result};

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
    /// Reads exactly `range` into `buffer`, which is empty and has room for it.
    pub(crate) async fn fill(
        &self,
        range: Range<u64>,
        pin: &Pin,
        mut buffer: BytesMut,
        counters: &Counters,
    ) -> Result<BytesMut> {
        match self {
            Source::S3 { bucket, key } => {
                let result = fill(bucket, key, &range, pin, &mut buffer, counters, false).await;
                result.map_err(|error| error.bytes(range)).map(|()| buffer)
            }
            Source::Local { path } => {
                let (_, read) = read_local(path, Wanted::Bounded(range.clone()), pin, counters, u64::MAX).await?;
                if buffer.capacity() == 0 {
                    return Ok(read);
                }
                buffer.extend_from_slice(&read); // a part of somebody's larger buffer
                Ok(buffer)
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
    ) -> Result<(Range<u64>, BytesMut)> {
        match self {
            Source::S3 { bucket, key } => discover(bucket, key, &wanted, pin, counters, limit).await,
            Source::Local { path } => read_local(path, wanted, pin, counters, limit).await,
        }
    }
}

async fn fill(
    bucket: &Bucket,
    key: &str,
    range: &Range<u64>,
    pin: &Pin,
    buffer: &mut BytesMut,
    counters: &Counters,
    continues: bool,
) -> Result<()> {
    let mut retry = Retry::new(bucket.settings.retry);
    let mut repeats = continues;
    loop {
        let before = buffer.len() as u64;
        if range.start + before >= range.end {
            return Ok(());
        }
        let rest = Wanted::Bounded(range.start + before..range.end);
        counters.request(repeats);
        let result = attempt(bucket, key, &rest, pin, buffer).await;
        counters.received(buffer.len() as u64 - before);
        let Err(failure) = result else { return Ok(()) };
        if !pin.is_tagged() {
            buffer.clear(); // nothing tells whether the rest would be of the same version
        } else if buffer.len() as u64 - before >= PROGRESS {
            retry.progress();
        }
        retry.pause(failure, bucket.reached()).await?;
        repeats = true;
    }
}

async fn attempt(bucket: &Bucket, key: &str, wanted: &Wanted, pin: &Pin, buffer: &mut BytesMut) -> Result<(), Failure> {
    let answer = bucket.get(key, wanted, pin.if_match().as_deref()).await?;
    pin.check(answer.head.identity.clone())?;
    answer.read_into(buffer, &bucket.settings).await
}

async fn discover(
    bucket: &Bucket,
    key: &str,
    wanted: &Wanted,
    pin: &Pin,
    counters: &Counters,
    limit: u64,
) -> Result<(Range<u64>, BytesMut)> {
    let mut retry = Retry::new(bucket.settings.retry);
    let mut repeats = false;
    let answer = loop {
        counters.request(repeats);
        let result = bucket.get(key, wanted, pin.if_match().as_deref()).await;
        match result.and_then(|answer| pin.check(answer.head.identity.clone()).map(|()| answer)) {
            Ok(answer) => break answer,
            Err(failure) => retry.pause(failure, bucket.reached()).await?,
        }
        repeats = true;
    };
    let range = answer.head.range.clone();
    let mut buffer = BytesMut::with_capacity(checked_length(&range, limit)?);
    let result = answer.read_into(&mut buffer, &bucket.settings).await;
    counters.received(buffer.len() as u64);
    if let Err(failure) = result {
        if !pin.is_tagged() {
            buffer.clear();
        }
        // The range is known now: the rest is an ordinary read.
        retry.pause(failure, true).await.map_err(|error| error.bytes(range.clone()))?;
        let rest = fill(bucket, key, &range, pin, &mut buffer, counters, true).await;
        rest.map_err(|error| error.bytes(range.clone()))?;
    }
    Ok((range, buffer))
}

async fn read_local(
    path: &str,
    wanted: Wanted,
    pin: &Pin,
    counters: &Counters,
    limit: u64,
) -> Result<(Range<u64>, BytesMut)> {
    counters.request(false);
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || local::read(&owned, &wanted, limit)).await;
    let (head, buffer) = read.map_err(|_| Error::new(Kind::Internal, "a read of a file broke off"))??;
    pin.check(head.identity)?;
    counters.received(buffer.len() as u64);
    Ok((head.range, buffer))
}
