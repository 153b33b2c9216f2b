//! HTTP for the catalogs of the control plane: one request, one answer, no retry.
//!
//! Must not know: what a catalog is. Retries belong to the caller, who knows whether asking twice is safe; to help it,
//! `Kind::Unreachable` says that the request was not answered. Neighbours: [`client`] makes the clients.

pub(crate) mod client;

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use url::Url;

use crate::error::{Error, Kind, Result};
use client::{CERTIFICATE_HINT, Phase, Purpose, Trouble, explain};

/// Largest body that is read: a catalog's answer beyond it is a mistake.
const LARGEST_BODY: u64 = 1 << 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 5;

/// An answer, whatever its status.
#[derive(Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, with their values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl fmt::Debug for Response {
    /// Neither headers nor body: either may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Sends one request and reads the whole answer within `timeout`. Must run on the engine's runtime.
///
/// Redirects are followed within one origin; to another one only without a body and without any header of the caller's
/// that is not known to be harmless, since it may be a credential. A redirect that is not followed is the answer.
pub async fn request(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Option<Bytes>,
    timeout: Duration,
) -> Result<Response> {
    let place = shown(url);
    let work = converse(method, url, headers, body);
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result.map_err(|error| error.at(place)),
        Err(_) => Err(Error::new(Kind::Unreachable, format!("no complete answer within {timeout:?}"))
            .at(place)
            .hint("the request may have been carried out; check that the server is healthy, or allow more time")),
    }
}

async fn converse(method: &str, url: &str, headers: &[(String, String)], body: Option<Bytes>) -> Result<Response> {
    let client = client::client(Purpose::Catalog, CONNECT_TIMEOUT)?;
    let method = reqwest::Method::from_bytes(method.as_bytes())
        .map_err(|_| Error::new(Kind::InvalidArgument, format!("{method:?} is not an HTTP method")))?;
    let header_map = header_map(headers)?;
    let mut url = parse_url(url)?;
    for _ in 0..MOST_REDIRECTS {
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        *request.headers_mut() = header_map.clone();
        *request.body_mut() = body.clone().map(Into::into);
        let response = client.execute(request).await.map_err(|e| unreachable(explain(e)))?;
        match redirection(&response, &url, headers, &method, body.is_some()) {
            Some(next) => url = next,
            None => return read(response).await,
        }
    }
    Err(Error::new(Kind::Unreachable, format!("redirected more than {MOST_REDIRECTS} times")))
}

fn parse_url(text: &str) -> Result<Url> {
    let bad = |why: String| {
        Error::new(Kind::Configuration, format!("not a usable URL: {why}"))
            .hint("a URL begins with http:// or https://")
    };
    let url = Url::parse(text).map_err(|e| bad(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("scheme {:?}", url.scheme())));
    }
    Ok(url)
}

fn header_map(headers: &[(String, String)]) -> Result<http::HeaderMap> {
    let mut map = http::HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // The value may be a token: it is never shown.
        let bad = || Error::new(Kind::Configuration, format!("header {name:?} has a name or value that HTTP forbids"));
        let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = http::HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

/// Where to go next, if the answer says so and it is safe.
fn redirection(
    response: &reqwest::Response,
    from: &Url,
    headers: &[(String, String)],
    method: &reqwest::Method,
    has_body: bool,
) -> Option<Url> {
    let keeps_method = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => false,
        _ => return None,
    };
    let reads = *method == reqwest::Method::GET || *method == reqwest::Method::HEAD;
    let next = from.join(response.headers().get(http::header::LOCATION)?.to_str().ok()?).ok()?;
    let same_origin = next.origin() == from.origin();
    let harmless = ["accept", "accept-encoding", "content-type", "user-agent"];
    let bare = headers.iter().all(|(name, _)| harmless.contains(&name.to_ascii_lowercase().as_str())) && !has_body;
    ((reads || keeps_method) && (same_origin || bare)).then_some(next)
}

async fn read(mut response: reqwest::Response) -> Result<Response> {
    let too_large = || Error::new(Kind::Storage, format!("the answer is larger than {LARGEST_BODY} bytes"));
    if response.content_length().is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(explain(e)))? {
        if (body.len() + chunk.len()) as u64 > LARGEST_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(Response { status: response.status().as_u16(), headers: headers.collect(), body: body.freeze() })
}

fn unreachable(trouble: Trouble) -> Error {
    let error = Error::new(Kind::Unreachable, format!("no answer: {}", trouble.text));
    match trouble.phase {
        Phase::Certificate => error.hint(CERTIFICATE_HINT),
        Phase::Connect => error.hint("check the address, that the server is up, and the proxy variables"),
        Phase::Timeout | Phase::Broken => error.hint("the request may have been carried out"),
    }
}

/// A URL for messages: without user, password, query and fragment.
pub(crate) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "(not a URL)".to_owned() };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests;
