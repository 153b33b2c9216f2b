//! One bucket of S3: URLs, signatures, one request and its answer. The seam under which another transport may be put.
//!
//! One attempt only: [`super::transfer`] asks again. Redirects are not followed, so a signature reaches only the endpoint
//! it was made for. Must not know: retries, pins, which bytes belong together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, StatusCode};
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use url::Url;

use super::answer::{Head, Wanted, head, refusal, says_expired, size_of_unsatisfied};
use super::credentials::{Credentials, Signer};
use super::pin::Identity;
use super::retry::{Again, Failure};
use super::settings::{Settings, origin};
use crate::error::{Error, Kind, Result};
use crate::http::client::{CERTIFICATE_HINT, Phase, Purpose, Trouble, client, explain};

/// Of a refusal's body no more is read.
const LARGEST_REFUSAL: usize = 64 << 10;
/// A body may take this long, and as much again as its bytes need at [`SLOWEST`].
const LONGEST_BODY_S: u64 = 60;
/// Bytes per second below which a connection is given up although it is not silent.
const SLOWEST: u64 = 16 << 10;
/// A silence is noticed to this fraction of the idle timeout.
const TICKS: u32 = 4;

/// A bucket, with the clients and credentials of this process.
pub(crate) struct Bucket {
    name: String,
    /// URL of the bucket, without a trailing slash.
    base: String,
    client: reqwest::Client,
    credentials: Arc<Credentials>,
    pub(crate) settings: Arc<Settings>,
    /// The endpoint has answered at least once.
    reached: AtomicBool,
}

/// An answer whose head is good; its body is still on the wire.
pub(crate) struct Answer {
    pub head: Head,
    response: Option<reqwest::Response>,
}

struct Refused {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Bucket {
    /// A bucket; nothing is asked yet.
    pub(crate) fn new(name: &str, settings: Arc<Settings>, credentials: Arc<Credentials>) -> Result<Bucket> {
        let base = base_url(name, &settings)?;
        let client = client(Purpose::ObjectStore, settings.connect_timeout)?;
        Ok(Bucket { name: name.to_owned(), base, client, credentials, settings, reached: AtomicBool::new(false) })
    }

    /// Whether the endpoint has ever answered.
    pub(crate) fn reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Asks for bytes of an object. The answer's head is checked; nothing of its body is read yet.
    pub(crate) async fn get(&self, key: &str, wanted: &Wanted, if_match: Option<&str>) -> Result<Answer, Failure> {
        if key.is_empty() {
            return Err(Failure::lasting(Kind::InvalidArgument, "the location names a bucket, not an object"));
        }
        let range = wanted.header();
        let mut headers = vec![("range", range.as_str())];
        headers.extend(if_match.map(|tag| ("if-match", tag)));
        match self.send(&format!("/{}", encode(key, b"/")), &headers).await? {
            Ok(response) => {
                let head = head(response.status(), response.headers(), wanted)?;
                Ok(Answer { head, response: Some(response) })
            }
            Err(refused) if refused.status == StatusCode::RANGE_NOT_SATISFIABLE => self.unsatisfied(&refused, wanted),
            Err(refused) => Err(self.explain_refusal(&refused)),
        }
    }

    /// A text that the bucket itself answers with, for listings.
    pub(crate) async fn query(&self, query: &str, limit: usize) -> Result<String, Failure> {
        let response = match self.send(&format!("/?{query}"), &[]).await? {
            Ok(response) => response,
            Err(refused) => return Err(self.explain_refusal(&refused)),
        };
        let (text, cut) = self.read_text(response, limit).await?;
        if cut {
            Err(Failure::lasting(Kind::Storage, format!("a listing of more than {limit} bytes")))
        } else {
            Ok(text)
        }
    }

    fn explain_refusal(&self, refused: &Refused) -> Failure {
        refusal(refused.status, &refused.headers, &refused.body, &self.settings, &self.name)
    }

    /// 416: the object is empty, or shorter than the range.
    fn unsatisfied(&self, refused: &Refused, wanted: &Wanted) -> Result<Answer, Failure> {
        let size = size_of_unsatisfied(&refused.headers, &refused.body);
        match wanted {
            // No range that ends with the object is beyond an object of one byte or more.
            Wanted::Suffix(_) | Wanted::Whole if size.unwrap_or(0) == 0 => {
                let tag = refused.headers.get(http::header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                Ok(Answer { head: Head { identity: Identity { tag, size: 0 }, range: 0..0 }, response: None })
            }
            Wanted::Bounded(range) => match size {
                Some(size) if size < range.end => Err(super::answer::too_short(size, range)),
                _ => Err(self.explain_refusal(refused)),
            },
            _ => Err(self.explain_refusal(refused)),
        }
    }

    /// Sends a GET; a credential that has ended is renewed once.
    async fn send(
        &self,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Result<reqwest::Response, Refused>, Failure> {
        let url = format!("{}{target}", self.base);
        let mut renewed = false;
        loop {
            let signer = self.credentials.signer().await?;
            let request = self.request(&url, headers, signer.as_ref())?;
            // The client itself gives up a connection that is not made; a little longer, so that it can say so.
            let patience = self.settings.connect_timeout.max(self.settings.idle_timeout) + Duration::from_millis(500);
            let response = match tokio::time::timeout(patience, self.client.execute(request)).await {
                Ok(result) => result.map_err(|e| self.no_answer(explain(e)))?,
                Err(_) => return Err(self.no_answer(silence())),
            };
            self.reached.store(true, Ordering::Relaxed);
            if response.status().is_success() {
                return Ok(Ok(response));
            }
            let (status, headers) = (response.status(), response.headers().clone());
            let (body, _) = self.read_text(response, LARGEST_REFUSAL).await?;
            if let Some(signer) = signer
                && !renewed
                && says_expired(status, &body)
                && self.credentials.expired(&signer).await?
            {
                renewed = true;
                continue;
            }
            return Ok(Err(Refused { status, headers, body }));
        }
    }

    fn request(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        signer: Option<&Signer>,
    ) -> Result<reqwest::Request, Failure> {
        let internal = |what: &str| Failure::lasting(Kind::Internal, format!("the request could not be made: {what}"));
        let mut request = http::Request::get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request: HttpRequest = request.body(HttpRequestBody::empty()).map_err(|_| internal("URL or header"))?;
        let parsed = Url::parse(url).map_err(|_| internal("URL"))?;
        if let Some(signer) = signer {
            let authorizer = AwsAuthorizer::new(&signer.credential, "s3", &self.settings.region);
            authorizer.try_authorize(&mut request, None).map_err(|_| internal("signature"))?;
        }
        let mut sent = reqwest::Request::new(http::Method::GET, parsed);
        *sent.headers_mut() = std::mem::take(request.headers_mut());
        Ok(sent)
    }

    async fn read_text(&self, mut response: reqwest::Response, limit: usize) -> Result<(String, bool), Failure> {
        let mut body = Vec::new();
        loop {
            let chunk = tokio::time::timeout(self.settings.idle_timeout, response.chunk()).await;
            match chunk {
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                Ok(Ok(Some(_))) => return Ok((String::from_utf8_lossy(&body).into_owned(), true)),
                Ok(Ok(None)) => return Ok((String::from_utf8_lossy(&body).into_owned(), false)),
                Ok(Err(error)) => return Err(self.no_answer(explain(error))),
                Err(_) => return Err(self.no_answer(silence())),
            }
        }
    }

    fn no_answer(&self, trouble: Trouble) -> Failure {
        let endpoint = self.settings.endpoint_shown();
        let message = format!("no answer from {endpoint}: {}", trouble.text);
        let hint = match &self.settings.endpoint {
            Some(_) => "check s3.endpoint, that the server is up, and the proxy variables",
            None => "check the network, s3.region, the proxy variables, and whether s3.endpoint should be set",
        };
        match trouble.phase {
            Phase::Certificate => Failure::lasting(Kind::Unreachable, message).hint(CERTIFICATE_HINT),
            Phase::Connect => Failure::passing(Kind::Unreachable, Again::Connect, message).hint(hint),
            Phase::Timeout | Phase::Broken => Failure::passing(Kind::Unreachable, Again::Transient, message).hint(hint),
        }
    }
}

fn silence() -> Trouble {
    Trouble { phase: Phase::Timeout, text: "it stayed silent".to_owned() }
}

impl Answer {
    /// Appends the body to `into`, which has room for it. On failure `into` keeps what came.
    pub(crate) async fn read_into(self, into: &mut BytesMut, settings: &Settings) -> Result<(), Failure> {
        let Some(mut response) = self.response else { return Ok(()) };
        let mut missing = usize::try_from(self.head.range.end - self.head.range.start).unwrap_or(usize::MAX);
        let most_ticks = ticks(settings, missing as u64);
        let tick = tokio::time::sleep(settings.idle_timeout / TICKS);
        tokio::pin!(tick);
        let (mut ticks, mut silent) = (0u64, 0);
        loop {
            // The timer is looked at once a tick, not once a chunk: chunks come by the ten thousand.
            tokio::select! {
                biased;
                chunk = response.chunk() => match chunk {
                    Ok(Some(chunk)) if chunk.len() <= missing => {
                        into.put_slice(&chunk);
                        missing -= chunk.len();
                        silent = 0;
                    }
                    Ok(Some(_)) => return Err(broken("more bytes than announced")),
                    Ok(None) if missing == 0 => return Ok(()),
                    Ok(None) => return Err(broken(&format!("it ended {missing} bytes short"))),
                    Err(error) => return Err(broken(&explain(error).text)),
                },
                () = &mut tick => {
                    (ticks, silent) = (ticks + 1, silent + 1);
                    if silent > TICKS {
                        return Err(broken(&format!("nothing came for {:?}, {missing} bytes short", settings.idle_timeout)));
                    }
                    if ticks > most_ticks {
                        return Err(broken(&format!("it came too slowly, {missing} bytes short")));
                    }
                    tick.as_mut().reset(tokio::time::Instant::now() + settings.idle_timeout / TICKS);
                }
            }
        }
    }
}

fn ticks(settings: &Settings, bytes: u64) -> u64 {
    let tick_ms = u64::try_from((settings.idle_timeout / TICKS).as_millis()).unwrap_or(u64::MAX).max(1);
    (LONGEST_BODY_S + bytes / SLOWEST) * 1000 / tick_ms + u64::from(TICKS)
}

fn broken(what: &str) -> Failure {
    Failure::passing(Kind::Storage, Again::Transient, format!("the body of the answer broke off: {what}"))
        .hint("the connection to the store is not stable: look at proxies, timeouts (s3.request-timeout) and the store")
}

/// URL of a bucket: its name in the path or in front of the host.
fn base_url(bucket: &str, settings: &Settings) -> Result<String> {
    let Some(endpoint) = &settings.endpoint else {
        let region = &settings.region;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        // The certificate of AWS covers one label: a name with dots goes into the path.
        let in_path = !settings.virtual_addressing || bucket.contains('.');
        let (host, path) =
            if in_path { (String::new(), format!("/{bucket}")) } else { (format!("{bucket}."), String::new()) };
        return Ok(format!("https://{host}s3.{region}.{domain}{path}"));
    };
    let path = endpoint.path().trim_end_matches('/');
    if !settings.virtual_addressing {
        return Ok(format!("{}{path}/{bucket}", origin(endpoint)));
    }
    let host = endpoint.host_str().unwrap_or_default();
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    let text = format!("{}://{bucket}.{host}{port}{path}", endpoint.scheme());
    Url::parse(&text).map(|_| text).map_err(|e| {
        Error::new(Kind::Configuration, format!("bucket {bucket:?} cannot stand before the host {host:?}: {e}"))
            .hint("set s3.force-virtual-addressing=false")
    })
}

/// Percent-encodes all but RFC 3986's unreserved characters and `keep`, as the signature wants it.
pub(crate) fn encode(text: &str, keep: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digits = [b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            encoded.extend(digits.map(char::from));
        }
    }
    encoded
}
