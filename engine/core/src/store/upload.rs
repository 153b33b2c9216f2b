//! Objects that are written: whole, or piece by piece with the pieces on their way while the next one is made.
//!
//! An object is there as a whole or not at all. What is given up leaves nothing. Must not know: what the bytes are.
//! Neighbours: [`super::multipart`] speaks S3, [`super::placed`] writes files.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::PutPayload;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::multipart::{Created, Multipart, Target};
use super::placed::{self, Placing};
use super::{Object, Store, blocking};
use crate::error::{Error, Kind, Result};

/// Every piece but the last of a [`Writer`] is so long. S3 allows 10,000 parts: the largest object is 160 GB.
pub const PIECE_BYTES: usize = 16 << 20;
/// Requests at a time that delete.
const CONCURRENT_DELETES: usize = 16;

impl Store {
    /// Writes a whole object, replacing what is there.
    pub async fn put(&self, location: &str, bytes: Bytes) -> Result<()> {
        self.place(location, bytes, false).await.map(|_| ()).map_err(|error| error.at(location))
    }

    /// Writes a whole object unless there is one; whether it is now there with these bytes and by this call.
    ///
    /// If an answer was lost the object is read: one of the same bytes counts as written.
    pub async fn put_if_absent(&self, location: &str, bytes: Bytes) -> Result<bool> {
        self.place(location, bytes, true).await.map_err(|error| error.at(location))
    }

    async fn place(&self, location: &str, bytes: Bytes, if_absent: bool) -> Result<bool> {
        match self.open(location)? {
            Object::Local { path } => {
                let work = move || {
                    let mut placing = Placing::begin(&path)?;
                    placing.write(&bytes)?;
                    placing.finish(if_absent)
                };
                blocking(work).await
            }
            Object::S3 { bucket, key } => match (Target { bucket, key }).put(bytes.clone().into(), if_absent).await? {
                Created::Yes => Ok(true),
                Created::Exists => Ok(false),
                Created::Perhaps => Ok(self.read(location, None).await? == bytes),
            },
        }
    }

    /// Removes objects; one that is not there is no error. The first failure is told when all others are gone.
    pub async fn delete(&self, locations: &[String]) -> Result<()> {
        let deletes = futures::stream::iter(locations.to_vec()).map(|location| {
            let store = self.clone();
            async move { store.delete_one(&location).await.map_err(|error| error.at(location)) }
        });
        let ended: Vec<Result<()>> = deletes.buffer_unordered(CONCURRENT_DELETES).collect().await;
        ended.into_iter().collect()
    }

    async fn delete_one(&self, location: &str) -> Result<()> {
        match self.open(location)? {
            Object::Local { path } => blocking(move || placed::delete(&path)).await,
            Object::S3 { bucket, key } => Target { bucket, key }.delete().await,
        }
    }

    /// An object to be written piece by piece. `slots` bounds what all writers that share it have on their way, in MiB.
    pub fn writer(&self, location: &str, slots: Arc<Semaphore>) -> Result<Writer> {
        let way = match self.open(location).map_err(|error| error.at(location))? {
            Object::Local { path } => Way::Local { path, placing: None },
            Object::S3 { bucket, key } => Way::S3 { target: Target { bucket, key }, held: None, parts: None },
        };
        Ok(Writer { location: location.to_owned(), way, slots, size: 0 })
    }
}

/// An object under way. It comes into being with [`Writer::finish`]; given up, it leaves nothing.
pub struct Writer {
    location: String,
    way: Way,
    slots: Arc<Semaphore>,
    size: u64,
}

enum Way {
    Local {
        path: String,
        placing: Option<Placing>,
    },
    S3 {
        target: Target,
        /// The first piece: if no other follows, one PUT does.
        held: Option<PutPayload>,
        parts: Option<Parts>,
    },
}

/// Parts of one object, some of them on their way.
struct Parts {
    upload: Multipart,
    sending: JoinSet<Result<(usize, String)>>,
    tags: Vec<String>,
}

impl Writer {
    /// Where it will be.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Takes the next piece, of [`PIECE_BYTES`] unless it is the last. Waits while too many are on their way.
    pub async fn write(&mut self, piece: PutPayload) -> Result<()> {
        self.size += piece.content_length() as u64;
        let written = self.way.write(piece, &self.slots).await;
        written.map_err(|error| error.at(self.location.clone()))
    }

    /// Waits until everything is there; returns the object's size. On failure nothing is left.
    pub async fn finish(mut self) -> Result<u64> {
        match self.way.finish(self.size, &self.slots).await {
            Ok(()) => Ok(self.size),
            Err(error) => {
                let error = error.at(self.location.clone());
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Gives the object up. A store that cannot be told keeps the parts until its lifecycle rules remove them.
    pub async fn abort(self) {
        if let Way::S3 { parts: Some(mut parts), .. } = self.way {
            parts.sending.shutdown().await;
            let _ = parts.upload.abort().await;
        }
    }
}

impl Way {
    async fn write(&mut self, piece: PutPayload, slots: &Arc<Semaphore>) -> Result<()> {
        match self {
            Way::Local { path, placing } => {
                let (path, open) = (path.clone(), placing.take());
                let work = move || {
                    let mut open = open.map_or_else(|| Placing::begin(&path), Ok)?;
                    piece.iter().try_for_each(|bytes| open.write(bytes))?;
                    Ok(open)
                };
                *placing = Some(blocking(work).await?);
                Ok(())
            }
            Way::S3 { target, held, parts } => {
                let parts = match (parts, held.take()) {
                    (Some(parts), _) => parts,
                    (None, None) => {
                        *held = Some(piece);
                        return Ok(());
                    }
                    (parts @ None, Some(first)) => {
                        let upload = Multipart::begin(target.clone()).await?;
                        let parts = parts.insert(Parts { upload, sending: JoinSet::new(), tags: Vec::new() });
                        parts.send(first, slots).await?;
                        parts
                    }
                };
                parts.send(piece, slots).await
            }
        }
    }

    async fn finish(&mut self, size: u64, slots: &Arc<Semaphore>) -> Result<()> {
        match self {
            Way::Local { path, placing } => {
                let (path, open) = (path.clone(), placing.take());
                let work = move || open.map_or_else(|| Placing::begin(&path), Ok)?.finish(false).map(|_| ());
                blocking(work).await
            }
            Way::S3 { target, held, parts: None } => {
                let body = held.take().unwrap_or_default();
                let _slot = slot(slots, body.content_length()).await?;
                target.put(body, false).await.map(|_| ())
            }
            Way::S3 { parts: Some(parts), .. } => parts.complete(size).await,
        }
    }
}

impl Parts {
    /// Sends one part on its way. A part that failed meanwhile is told here, not only at the end.
    async fn send(&mut self, piece: PutPayload, slots: &Arc<Semaphore>) -> Result<()> {
        while let Some(ended) = self.sending.try_join_next() {
            self.note(ended)?;
        }
        let slot = slot(slots, piece.content_length()).await?;
        self.tags.push(String::new());
        let (upload, number) = (self.upload.clone(), self.tags.len());
        self.sending.spawn(async move {
            let tag = upload.part(number, piece).await;
            drop(slot);
            tag.map(|tag| (number, tag))
        });
        Ok(())
    }

    async fn complete(&mut self, size: u64) -> Result<()> {
        while let Some(ended) = self.sending.join_next().await {
            self.note(ended)?;
        }
        self.upload.complete(&self.tags, size).await
    }

    fn note(&mut self, ended: std::result::Result<Result<(usize, String)>, tokio::task::JoinError>) -> Result<()> {
        let (number, tag) = ended.map_err(|_| broke_off())??;
        self.tags[number - 1] = tag;
        Ok(())
    }
}

async fn slot(slots: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit> {
    let mebibytes = bytes.div_ceil(1 << 20).clamp(1, PIECE_BYTES >> 20) as u32;
    Arc::clone(slots).acquire_many_owned(mebibytes).await.map_err(|_| broke_off())
}

fn broke_off() -> Error {
    Error::new(Kind::Internal, "an upload broke off")
}
