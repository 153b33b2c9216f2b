//! Small objects written whole, and removed: manifests and metadata.
//!
//! On a local disk an object appears complete or not at all: a temporary file, flushed, takes its name at the end. Must
//! not know: what is written. Neighbours: [`super::s3`] knows the bucket's address, [`super::credentials`] signs.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};

use super::s3::{Bucket, encode};
use super::{Object, Store, blocking};
use crate::error::{Error, Kind, Result};
use crate::http::client::{Purpose, client, explain};

/// Requests are repeated this often, since a store that is busy says so with 503.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);

impl Store {
    /// Writes an object whole; `if_absent`: only where there is none.
    ///
    /// # Errors
    /// `Storage` if `if_absent` and the object is there; what the store answers else.
    pub async fn put(&self, location: &str, data: Bytes, if_absent: bool) -> Result<()> {
        let put = async {
            match self.open(location)? {
                Object::Local { path } => blocking(move || write(&path, &data, if_absent)).await,
                Object::S3 { bucket, key } => {
                    let headers: &[(&str, &str)] = if if_absent { &[("if-none-match", "*")] } else { &[] };
                    match send(&bucket, http::Method::PUT, &key, data, headers).await? {
                        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT if if_absent => Err(exists()),
                        status if status.is_success() => Ok(()),
                        status => Err(refused(status)),
                    }
                }
            }
        };
        put.await.map_err(|error: Error| error.at(location))
    }

    /// Removes objects; those that are not there are fine.
    pub async fn delete(&self, locations: Vec<String>) -> Result<()> {
        for location in locations {
            let delete = async {
                match self.open(&location)? {
                    Object::Local { path } => blocking(move || remove(&path)).await,
                    Object::S3 { bucket, key } => {
                        match send(&bucket, http::Method::DELETE, &key, Bytes::new(), &[]).await? {
                            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
                            status => Err(refused(status)),
                        }
                    }
                }
            };
            delete.await.map_err(|error: Error| error.at(&location))?;
        }
        Ok(())
    }
}

async fn send(
    bucket: &Bucket,
    method: http::Method,
    key: &str,
    data: Bytes,
    headers: &[(&str, &str)],
) -> Result<StatusCode> {
    let url = format!("{}/{}", bucket.base, encode(key, b"/"));
    let client = client(Purpose::ObjectStore, bucket.settings.connect_timeout)?;
    let mut wait = FIRST_WAIT;
    for attempt in 1..=ATTEMPTS {
        let mut request = http::Request::builder().method(method.clone()).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let made = request.body(HttpRequestBody::from(data.clone()));
        let mut signed: HttpRequest = made.map_err(|_| internal("URL or header"))?;
        if let Some(signer) = bucket.credentials.signer().await? {
            let authorizer = AwsAuthorizer::new(&signer.credential, "s3", &bucket.settings.region);
            authorizer.try_authorize(&mut signed, None).map_err(|_| internal("signature"))?;
        }
        let sent = client.request(method.clone(), &url).headers(signed.headers().clone()).body(data.clone());
        match sent.timeout(Duration::from_secs(120)).send().await {
            Ok(answer) if !(answer.status().is_server_error() && attempt < ATTEMPTS) => return Ok(answer.status()),
            Err(error) if attempt == ATTEMPTS => {
                let text = explain(error).text;
                return Err(Error::new(Kind::Unreachable, format!("no answer from the store: {text}")));
            }
            _ => tokio::time::sleep(wait).await,
        }
        wait *= 2;
    }
    Err(internal("attempts"))
}

fn write(path: &str, data: &[u8], if_absent: bool) -> Result<()> {
    let path = Path::new(path);
    let failed = |e: std::io::Error| Error::new(Kind::Storage, format!("the file cannot be written: {e}"));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{:016x}.tmp", rand::random::<u64>()));
    let written = OpenOptions::new().write(true).create_new(true).open(&temporary).and_then(|mut file: File| {
        file.write_all(data)?;
        file.sync_all()?;
        if if_absent { std::fs::hard_link(&temporary, path) } else { std::fs::rename(&temporary, path) }
    });
    if if_absent || written.is_err() {
        let _ = std::fs::remove_file(&temporary); // gone already where it was renamed
    }
    written.map_err(|e| if if_absent && e.kind() == ErrorKind::AlreadyExists { exists() } else { failed(e) })
}

fn remove(path: &str) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::new(Kind::Storage, format!("the file cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}

fn exists() -> Error {
    Error::new(Kind::Storage, "the object exists already")
}

fn refused(status: StatusCode) -> Error {
    let kind = if matches!(status.as_u16(), 401 | 403) { Kind::Authentication } else { Kind::Storage };
    Error::new(kind, format!("the store answered {}", status.as_u16()))
}

fn internal(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the request could not be made: {what}"))
}
