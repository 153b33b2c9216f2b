//! Objects of S3 that are put: whole, or in parts that become an object at once when the last one is there.
//!
//! Every request is asked again as [`super::retry`] says. Where an answer was lost the object itself tells whether the
//! request took effect. Must not know: what the bytes are, local files.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use object_store::PutPayload;

use super::answer::{Wanted, element};
use super::counters::Counters;
use super::pin::Pin;
use super::retry::{Again, Failure, Retry};
use super::s3::{Ask, Bucket, encode};
use super::transfer::Source;
use crate::error::{Error, Kind, Result};

/// Idle timeouts that a store may take to make an object of parts: S3 says minutes for very large ones.
const PATIENCE_TO_COMPLETE: u32 = 60;
/// The same for what is written at once.
const PATIENCE: u32 = 2;

/// One key of a bucket, to be written.
#[derive(Clone)]
pub(crate) struct Target {
    pub bucket: Arc<Bucket>,
    pub key: String,
}

/// How a write that may only create ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    Yes,
    /// Another object is there.
    Exists,
    /// A repeated request found an object: perhaps what an earlier one wrote, whose answer was lost.
    Perhaps,
}

impl Target {
    fn path(&self) -> Result<String> {
        match self.key.is_empty() {
            true => Err(Error::new(Kind::InvalidArgument, "the location names a bucket, not an object")),
            false => Ok(format!("/{}", encode(&self.key, b"/"))),
        }
    }

    /// One PUT.
    pub(crate) async fn put(&self, body: PutPayload, if_absent: bool) -> Result<Created> {
        let path = self.path()?;
        let headers: &[(&str, &str)] = if if_absent { &[("if-none-match", "*")] } else { &[] };
        let mut retry = Retry::new(self.bucket.settings.retry);
        let mut repeats = false;
        loop {
            let ask = Ask { method: Method::PUT, target: &path, headers, body: body.clone(), patience: PATIENCE };
            let failure = match self.bucket.change(&ask).await {
                Ok(Ok(_)) => return Ok(Created::Yes),
                Ok(Err(refused)) if if_absent && refused.status == StatusCode::PRECONDITION_FAILED => {
                    return Ok(if repeats { Created::Perhaps } else { Created::Exists });
                }
                Ok(Err(refused)) if if_absent && refused.status == StatusCode::CONFLICT => {
                    Failure::passing(Kind::Storage, Again::Transient, "another writer is creating the same object")
                }
                Ok(Err(refused)) => self.bucket.explain_refusal(&refused),
                Err(failure) => failure,
            };
            retry.pause(failure, self.bucket.reached()).await?;
            repeats = true;
        }
    }

    /// Removes the object; one that is not there is no error.
    pub(crate) async fn delete(&self) -> Result<()> {
        self.ask(Method::DELETE, &self.path()?, PutPayload::new(), PATIENCE).await.map(|_| ())
    }

    /// Bytes of the object; None if there is none.
    async fn size(&self) -> Result<Option<u64>> {
        let source = Source::S3 { bucket: &self.bucket, key: &self.key };
        let (pin, counters) = (Pin::default(), Counters::default());
        match source.discover(Wanted::Suffix(1), &pin, &counters, 1).await {
            Ok((range, _)) => Ok(Some(range.end)),
            Err(error) if error.kind() == Kind::ObjectNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A request that may be sent twice. What it would remove may be gone already (404).
    async fn ask(&self, method: Method, target: &str, body: PutPayload, patience: u32) -> Result<(HeaderMap, String)> {
        let mut retry = Retry::new(self.bucket.settings.retry);
        loop {
            let ask = Ask { method: method.clone(), target, headers: &[], body: body.clone(), patience };
            let failure = match self.bucket.change(&ask).await {
                // A store that began to answer before it was done reports what went wrong in the body.
                Ok(Ok((_, text))) if text.contains("<Error>") => {
                    let code = element(&text, "Code").unwrap_or("no code");
                    Failure::passing(Kind::Storage, Again::Transient, format!("the store answered 200 with {code:.60}"))
                }
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(refused)) if method == Method::DELETE && is_gone(refused.status, refused.code()) => {
                    return Ok((HeaderMap::new(), String::new()));
                }
                Ok(Err(refused)) => {
                    let failure = self.bucket.explain_refusal(&refused);
                    // What NoSuchUpload means only the caller knows.
                    if refused.code() == "NoSuchUpload" {
                        Failure { message: NO_SUCH_UPLOAD.into(), ..failure }
                    } else {
                        failure
                    }
                }
                Err(failure) => failure,
            };
            retry.pause(failure, self.bucket.reached()).await?;
        }
    }
}

const NO_SUCH_UPLOAD: &str = "the upload does not exist any more";

fn is_gone(status: StatusCode, code: &str) -> bool {
    status == StatusCode::NOT_FOUND && code != "NoSuchBucket"
}

/// An object under way in parts.
#[derive(Clone)]
pub(crate) struct Multipart {
    target: Target,
    path: String,
    id: String,
}

impl Multipart {
    /// Begins one.
    pub(crate) async fn begin(target: Target) -> Result<Multipart> {
        let path = target.path()?;
        let (_, text) = target.ask(Method::POST, &format!("{path}?uploads="), PutPayload::new(), PATIENCE).await?;
        let id = element(&text, "UploadId").filter(|id| !id.is_empty()).map(|id| encode(id, b""));
        let id = id.ok_or_else(|| Error::new(Kind::Storage, "the store began an upload without naming it"))?;
        Ok(Multipart { target, path, id })
    }

    /// Puts one part, counted from 1; returns its ETag.
    pub(crate) async fn part(&self, number: usize, body: PutPayload) -> Result<String> {
        let target = format!("{}?partNumber={number}&uploadId={}", self.path, self.id);
        let (headers, _) = self.target.ask(Method::PUT, &target, body, PATIENCE).await?;
        let tag = headers.get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| Error::new(Kind::Storage, "the store took a part without an ETag"))
    }

    /// Makes the object of the parts, which are `size` bytes in all.
    pub(crate) async fn complete(&self, tags: &[String], size: u64) -> Result<()> {
        let parts = tags.iter().enumerate().map(|(at, tag)| {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", at + 1)
        });
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</CompleteMultipartUpload>",
            parts.collect::<String>()
        );
        let target = format!("{}?uploadId={}", self.path, self.id);
        match self.target.ask(Method::POST, &target, body.into(), PATIENCE_TO_COMPLETE).await {
            Ok(_) => Ok(()),
            // An earlier request took effect and its answer was lost.
            Err(error) if error.message() == NO_SUCH_UPLOAD && self.target.size().await? == Some(size) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives the parts up.
    pub(crate) async fn abort(&self) -> Result<()> {
        let target = format!("{}?uploadId={}", self.path, self.id);
        self.target.ask(Method::DELETE, &target, PutPayload::new(), PATIENCE).await.map(|_| ())
    }
}
