//! One bucket of S3: URLs, signatures, one request and its answer, over the [`wire`](super::wire) or through a proxy.
//!
//! One attempt only: [`super::transfer`] asks again. Redirects are not followed, so a signature reaches only the endpoint
//! it was made for. Must not know: retries, pins, which bytes belong together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::proxy::matcher::Matcher;
use object_store::PutPayload;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use url::{Position, Url};

use super::answer::{Head, Wanted, head, refusal, says_expired, size_of_unsatisfied};
use super::answered::Answered;
use super::counters::Counters;
use super::credentials::{Credentials, Signer};
use super::memory::Filling;
use super::pin::Identity;
use super::retry::{Again, Failure};
use super::settings::{Settings, origin};
use super::wire::{Origin, Wire, wire};
use crate::error::{Error, Kind, Result};
use crate::http::client::{CERTIFICATE_HINT, Phase, Purpose, Trouble, USER_AGENT, client, explain};

/// Of a refusal's body, or of the answer to a write, no more is read.
const LARGEST_REFUSAL: usize = 64 << 10;
/// A body is handed to the connection in pieces of this size, and each is a sign of life.
const SENT_PIECE: usize = 256 << 10;

/// A bucket, with the connections and credentials of this process.
pub(crate) struct Bucket {
    name: String,
    /// URL of the bucket, without a trailing slash.
    pub(super) base: String,
    way: Way,
    pub(super) credentials: Arc<Credentials>,
    pub(crate) settings: Arc<Settings>,
    /// The endpoint has answered at least once.
    reached: AtomicBool,
}

/// How requests reach the endpoint.
enum Way {
    Wire {
        wire: Arc<Wire>,
        origin: Arc<Origin>,
    },
    /// The environment names a proxy for it, and how to speak with one is the client's business.
    Proxy(reqwest::Client),
}

/// An answer whose head is good; its body is still on the wire.
pub(crate) struct Answer {
    pub head: Head,
    answered: Option<Answered>,
}

/// A request that is refused by the store's own word.
pub(crate) struct Refused {
    pub status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Refused {
    /// S3's name for the reason; empty where it gave none.
    pub(crate) fn code(&self) -> &str {
        super::answer::element(&self.body, "Code").unwrap_or_default()
    }
}

/// What is asked of the bucket.
pub(crate) struct Ask<'a> {
    pub method: Method,
    /// Path and query below the bucket's URL.
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: PutPayload,
    /// Idle timeouts that the answer may take once the whole body is sent.
    pub patience: u32,
}

impl<'a> Ask<'a> {
    fn get(target: &'a str, headers: &'a [(&'a str, &'a str)]) -> Ask<'a> {
        Ask { method: Method::GET, target, headers, body: PutPayload::new(), patience: 1 }
    }
}

impl Way {
    fn to(base: &str, settings: &Settings) -> Result<Way> {
        let uri = base.parse::<http::Uri>().ok();
        let is_proxied = uri.is_some_and(|uri| Matcher::from_system().intercept(&uri).is_some());
        match Url::parse(base).ok().as_ref().and_then(Origin::of).filter(|_| !is_proxied) {
            Some(origin) => Ok(Way::Wire { wire: wire()?, origin: Arc::new(origin) }),
            None => client(Purpose::ObjectStore, settings.connect_timeout).map(Way::Proxy),
        }
    }
}

impl Bucket {
    /// A bucket; nothing is asked yet.
    pub(crate) fn new(name: &str, settings: Arc<Settings>, credentials: Arc<Credentials>) -> Result<Bucket> {
        let base = base_url(name, &settings)?;
        let way = Way::to(&base, &settings)?;
        Ok(Bucket { name: name.to_owned(), base, way, credentials, settings, reached: AtomicBool::new(false) })
    }

    /// Whether the endpoint has ever answered.
    pub(crate) fn reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Asks for bytes of an object. The answer's head is checked; nothing of its body is read yet.
    pub(crate) async fn get(
        &self,
        key: &str,
        wanted: &Wanted,
        if_match: Option<&str>,
        counters: &Counters,
    ) -> Result<Answer, Failure> {
        if key.is_empty() {
            return Err(Failure::lasting(Kind::InvalidArgument, "the location names a bucket, not an object"));
        }
        let range = wanted.header();
        let mut headers = vec![("range", range.as_str())];
        headers.extend(if_match.map(|tag| ("if-match", tag)));
        match self.send(&Ask::get(&format!("/{}", encode(key, b"/")), &headers), counters).await? {
            Ok(answered) => {
                let head = head(answered.status, &answered.headers, wanted)?;
                Ok(Answer { head, answered: Some(answered) })
            }
            Err(refused) if refused.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                let answer = self.unsatisfied(&refused, wanted);
                // If-Match is weighed before the range (RFC 9110 13.2.2): of another version it would be a 412, and this
                // version has the range. SeaweedFS was seen to say so, rarely, of objects that stood as they were.
                answer.map_err(|failure| if if_match.is_some() { failure.may_pass() } else { failure })
            }
            Err(refused) => Err(self.explain_refusal(&refused)),
        }
    }

    /// A text that the bucket itself answers with, for listings.
    pub(crate) async fn query(&self, query: &str, limit: usize) -> Result<String, Failure> {
        let mut answered = match self.send(&Ask::get(&format!("/?{query}"), &[]), &Counters::default()).await? {
            Ok(answered) => answered,
            Err(refused) => return Err(self.explain_refusal(&refused)),
        };
        match self.read_text(&mut answered, limit).await? {
            (_, true) => Err(Failure::lasting(Kind::Storage, format!("a listing of more than {limit} bytes"))),
            (text, false) => Ok(text),
        }
    }

    /// A request that writes or deletes: the headers and the text of its answer.
    pub(crate) async fn change(&self, ask: &Ask<'_>) -> Result<Result<(HeaderMap, String), Refused>, Failure> {
        let mut answered = match self.send(ask, &Counters::default()).await? {
            Ok(answered) => answered,
            Err(refused) => return Ok(Err(refused)),
        };
        let (text, _) = self.read_text(&mut answered, LARGEST_REFUSAL).await?;
        Ok(Ok((answered.headers, text)))
    }

    pub(crate) fn explain_refusal(&self, refused: &Refused) -> Failure {
        refusal(refused.status, &refused.headers, &refused.body, &self.settings, &self.name)
    }

    /// 416: the object is empty, or shorter than the range.
    fn unsatisfied(&self, refused: &Refused, wanted: &Wanted) -> Result<Answer, Failure> {
        let size = size_of_unsatisfied(&refused.headers, &refused.body);
        match wanted {
            // No range that ends with the object is beyond an object of one byte or more.
            Wanted::Suffix(_) | Wanted::Whole if size.unwrap_or(0) == 0 => {
                let tag = refused.headers.get(http::header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                Ok(Answer { head: Head { identity: Identity { tag, size: 0 }, range: 0..0 }, answered: None })
            }
            Wanted::Bounded(range) => match size {
                Some(size) if size < range.end => Err(super::answer::too_short(size, range)),
                _ => Err(self.explain_refusal(refused)),
            },
            _ => Err(self.explain_refusal(refused)),
        }
    }

    /// Sends a request; a credential that has ended is renewed once.
    async fn send(&self, ask: &Ask<'_>, counters: &Counters) -> Result<Result<Answered, Refused>, Failure> {
        let url = format!("{}{}", self.base, ask.target);
        let url = Url::parse(&url).map_err(|_| unmade("URL"))?;
        let mut renewed = false;
        loop {
            let signer = self.credentials.signer().await?;
            let headers = self.signed(&url, ask, signer.as_ref())?;
            let answered = match ask.method {
                // Connecting has a timeout of its own; a little longer, so that it can say so.
                Method::GET => tokio::time::timeout(self.patience(), self.exchange(&url, headers, counters))
                    .await
                    .unwrap_or_else(|_| Err(silence())),
                _ => self.submit(&url, headers, ask).await,
            };
            let mut answered = answered.map_err(|trouble| self.no_answer(trouble))?;
            self.reached.store(true, Ordering::Relaxed);
            if answered.status.is_success() {
                return Ok(Ok(answered));
            }
            let (body, _) = self.read_text(&mut answered, LARGEST_REFUSAL).await?;
            if let Some(signer) = signer
                && !renewed
                && says_expired(answered.status, &body)
                && self.credentials.expired(&signer).await?
            {
                renewed = true;
                continue;
            }
            return Ok(Err(Refused { status: answered.status, headers: answered.headers, body }));
        }
    }

    fn patience(&self) -> Duration {
        self.settings.connect_timeout.max(self.settings.idle_timeout) + Duration::from_millis(500)
    }

    /// One request with a body, through the client: given up when no more of the body is taken, or nothing is answered.
    async fn submit(&self, url: &Url, mut headers: HeaderMap, ask: &Ask<'_>) -> Result<Answered, Trouble> {
        let client = match &self.way {
            Way::Proxy(client) => client.clone(),
            Way::Wire { .. } => client(Purpose::ObjectStore, self.settings.connect_timeout)
                .map_err(|error| Trouble { phase: Phase::Connect, text: error.message().to_owned() })?,
        };
        let (taken, length) = (Arc::new(AtomicU64::new(0)), ask.body.content_length());
        headers.insert(http::header::CONTENT_LENGTH, length.into());
        let mut request = reqwest::Request::new(ask.method.clone(), url.clone());
        *request.headers_mut() = headers;
        if length > 0 {
            let taken = Arc::clone(&taken);
            let sent = pieces(ask.body.clone()).map(move |piece| {
                taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Ok::<_, std::io::Error>(piece)
            });
            *request.body_mut() = Some(reqwest::Body::wrap_stream(futures::stream::iter(sent)));
        }
        let answer = client.execute(request);
        tokio::pin!(answer);
        loop {
            let before = taken.load(Ordering::Relaxed);
            let patience = self.patience() * if before >= length as u64 { ask.patience } else { 1 };
            match tokio::time::timeout(patience, &mut answer).await {
                Ok(answered) => return answered.map(Answered::from).map_err(explain),
                Err(_) if taken.load(Ordering::Relaxed) > before => {}
                Err(_) => return Err(silence()),
            }
        }
    }

    /// One request, one head.
    async fn exchange(&self, url: &Url, headers: HeaderMap, counters: &Counters) -> Result<Answered, Trouble> {
        match &self.way {
            Way::Wire { wire, origin } => {
                let request = request_head(url, &headers);
                let sent = wire.send(origin, &request, self.settings.connect_timeout, counters).await;
                sent.map(Answered::from)
            }
            Way::Proxy(client) => {
                let mut request = reqwest::Request::new(http::Method::GET, url.clone());
                *request.headers_mut() = headers;
                client.execute(request).await.map(Answered::from).map_err(explain)
            }
        }
    }

    fn signed(&self, url: &Url, ask: &Ask<'_>, signer: Option<&Signer>) -> Result<HeaderMap, Failure> {
        let mut request = http::Request::builder().method(ask.method.clone()).uri(url.as_str());
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let mut request: HttpRequest = request.body(HttpRequestBody::empty()).map_err(|_| unmade("URL or header"))?;
        if let Some(signer) = signer {
            let authorizer = AwsAuthorizer::new(&signer.credential, "s3", &self.settings.region);
            // TLS vouches for a body already, and a digest of it costs as much as to encrypt it.
            let is_empty = ask.body.content_length() == 0; // its digest is known
            let digest = (!is_empty && url.scheme() != "https").then(|| digest(&ask.body));
            let authorizer = authorizer.with_sign_payload(is_empty || digest.is_some());
            let digest = digest.as_ref().map(|digest| digest.as_ref());
            authorizer.try_authorize(&mut request, digest).map_err(|_| unmade("signature"))?;
        }
        Ok(std::mem::take(request.headers_mut()))
    }

    async fn read_text(&self, answered: &mut Answered, limit: usize) -> Result<(String, bool), Failure> {
        let text = answered.text(limit, &self.settings).await;
        text.map_err(|text| self.no_answer(Trouble { phase: Phase::Broken, text }))
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

/// A body as it is handed to the connection.
fn pieces(body: PutPayload) -> impl Iterator<Item = Bytes> {
    body.into_iter().flat_map(|mut bytes| {
        std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(SENT_PIECE))))
    })
}

/// SHA-256 of a body, which its signature covers.
fn digest(body: &PutPayload) -> ring::digest::Digest {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    body.iter().for_each(|bytes| digest.update(bytes));
    digest.finish()
}

fn silence() -> Trouble {
    Trouble { phase: Phase::Timeout, text: "it stayed silent".to_owned() }
}

fn unmade(what: &str) -> Failure {
    Failure::lasting(Kind::Internal, format!("the request could not be made: {what}"))
}

impl Answer {
    /// Fills `into` with the body. On failure what came stays.
    pub(crate) async fn fill(self, into: &mut Filling<'_>, settings: &Settings) -> Result<(), Failure> {
        match self.answered {
            Some(answered) => answered.fill(into, settings).await,
            None => Ok(()),
        }
    }
}

/// A request as it goes over the wire. The signature covers this host and this path.
fn request_head(url: &Url, headers: &HeaderMap) -> Vec<u8> {
    let (path, host) =
        (&url[Position::BeforePath..Position::AfterQuery], &url[Position::BeforeHost..Position::AfterPort]);
    let first = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\n");
    let mut head = first.into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
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
