//! What an answer of S3 means: which bytes it holds, or why it is a refusal and whether to ask again.
//!
//! Pure: headers and bodies in, values out. Must not know: sockets, retries' timing.

use std::ops::Range;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::ambient::CREDENTIALS_HINT;
use super::pin::{Identity, changed};
use super::retry::{Again, Failure};
use super::settings::Settings;
use crate::error::Kind;

/// Which bytes of an object are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `[start, end)`, not empty.
    Bounded(Range<u64>),
    /// The last bytes, at most so many, at least one.
    Suffix(u64),
    /// Everything.
    Whole,
}

impl Wanted {
    /// Value of the Range header. Everything is asked for as a range too: the answer then names the size.
    pub(crate) fn header(&self) -> String {
        match self {
            Wanted::Bounded(range) => format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
            Wanted::Suffix(length) => format!("bytes=-{length}"),
            Wanted::Whole => "bytes=0-".to_owned(),
        }
    }

    /// The range it is of an object of this size.
    pub(crate) fn of(&self, size: u64) -> Range<u64> {
        match self {
            Wanted::Bounded(range) => range.clone(),
            Wanted::Suffix(length) => size.saturating_sub(*length)..size,
            Wanted::Whole => 0..size,
        }
    }
}

/// The head of a good answer: which version of the object it is of, and which bytes follow.
#[derive(Debug)]
pub(crate) struct Head {
    pub identity: Identity,
    pub range: Range<u64>,
}

/// Checks the head of a successful answer against what was asked.
pub(crate) fn head(status: StatusCode, headers: &HeaderMap, wanted: &Wanted) -> Result<Head, Failure> {
    let length = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let (range, size) = match status {
        StatusCode::PARTIAL_CONTENT => content_range(headers).ok_or_else(|| wrong("no usable Content-Range"))?,
        // A server may answer with the whole object: good only if that is what was wanted.
        StatusCode::OK => length.map(|length| (0..length, length)).ok_or_else(|| wrong("no Content-Length"))?,
        _ => return Err(wrong(&format!("status {status}"))),
    };
    let expected = wanted.of(size);
    if let Wanted::Bounded(_) = wanted
        && size < expected.end
    {
        return Err(too_short(size, &expected));
    }
    if range != expected {
        return Err(wrong(&format!("bytes {}-{}", range.start, range.end)));
    }
    if length.is_some_and(|length| length != range.end - range.start) {
        return Err(wrong("a Content-Length that differs from its Content-Range"));
    }
    let tag = text(headers, header::ETAG).or_else(|| text(headers, header::LAST_MODIFIED)).map(str::to_owned);
    Ok(Head { identity: Identity { tag, size }, range })
}

/// The range asked for ends beyond the object.
pub(crate) fn too_short(size: u64, wanted: &Range<u64>) -> Failure {
    changed(format!(
        "the object has {size} bytes, too few for the bytes {}-{} that were asked for",
        wanted.start, wanted.end
    ))
}

fn wrong(found: &str) -> Failure {
    Failure::passing(
        Kind::Storage,
        Again::Transient,
        format!("the store answered with {found} instead of the range asked for"),
    )
    .hint("a proxy or gateway between here and the store may ignore range requests")
}

fn content_range(headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    let (range, size) = text(headers, header::CONTENT_RANGE)?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, end) = (start.parse::<u64>().ok()?, last.parse::<u64>().ok()?.checked_add(1)?);
    let size = size.parse().ok()?;
    (start < end && end <= size).then_some((start..end, size))
}

/// Size in the Content-Range ("bytes */SIZE") or the body of a 416 answer.
pub(crate) fn size_of_unsatisfied(headers: &HeaderMap, body: &str) -> Option<u64> {
    let size =
        text(headers, header::CONTENT_RANGE).and_then(|value| value.trim().strip_prefix("bytes */")?.parse().ok());
    size.or_else(|| element(body, "ActualObjectSize")?.parse().ok())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Text of the first element of this name in a small XML document. No attributes, as S3 writes it.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let length = xml[start..].find(&format!("</{name}>"))?;
    Some(&xml[start..start + length])
}

/// Whether this refusal says that the credential has ended.
pub(crate) fn says_expired(status: StatusCode, body: &str) -> bool {
    let code = element(body, "Code").unwrap_or_default();
    status.is_client_error() && matches!(code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired")
}

/// Explains an answer that is not a success.
pub(crate) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
    settings: &Settings,
    bucket: &str,
) -> Failure {
    let code: String =
        element(body, "Code").unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let said = if code.is_empty() { format!("{status}") } else { format!("{} {code}", status.as_u16()) };
    let endpoint = settings.endpoint_shown();
    let found = format!("{endpoint} answered {said}");
    match (status.as_u16(), code.as_str()) {
        (301 | 302 | 303 | 307 | 308, _)
        | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
            elsewhere(headers, body, settings, bucket, &found)
        }
        (404, "NoSuchBucket") => {
            Failure::lasting(Kind::ObjectNotFound, format!("bucket {bucket:?} does not exist ({found})"))
                .hint("check the bucket's name and s3.endpoint")
        }
        (404, _) => Failure::lasting(Kind::ObjectNotFound, format!("the object does not exist ({found})")).hint(
            "the table's metadata names it: it was removed, or the location was rewritten (see property location-map)",
        ),
        (412, _) => changed("another version of the object appeared during the read".to_owned()),
        (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "InvalidAccessKeyId") => {
            denied(&code, settings, found)
        }
        (429, _) | (503, _) | (_, "SlowDown" | "RequestLimitExceeded" | "Throttling" | "ThrottlingException") => {
            let asked =
                text(headers, header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
            Failure::passing(Kind::RateLimit, Again::Throttled(asked), format!("the store asks to slow down ({found})"))
                .hint("try again later, or with less concurrency")
        }
        (408 | 500.., _) | (_, "RequestTimeout" | "InternalError") => {
            Failure::passing(Kind::Storage, Again::Transient, found).hint("the store is in trouble: try again later")
        }
        _ => Failure::lasting(Kind::Storage, found),
    }
}

fn elsewhere(headers: &HeaderMap, body: &str, settings: &Settings, bucket: &str, found: &str) -> Failure {
    let header = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
    let region = header.or_else(|| element(body, "Region"));
    let fits =
        |region: &&str| region.len() <= 64 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match region.filter(fits).filter(|region| *region != settings.region) {
        Some(region) => {
            let message = format!("bucket {bucket:?} is in region {region}, not in {} ({found})", settings.region);
            Failure::lasting(Kind::Configuration, message).hint(format!("set s3.region={region}"))
        }
        None => {
            Failure::lasting(Kind::Configuration, format!("bucket {bucket:?} is served by another endpoint ({found})"))
                .hint(format!("set s3.region (it is {}) and s3.endpoint to those of the bucket", settings.region))
        }
    }
}

fn denied(code: &str, settings: &Settings, found: String) -> Failure {
    let hint = match code {
        "RequestTimeTooSkewed" => "set this machine's clock",
        "ExpiredToken" | "TokenRefreshRequired" => {
            "the session token has ended: renew it (s3.session-token, AWS_SESSION_TOKEN), or load the table anew from its catalog"
        }
        "SignatureDoesNotMatch" => {
            "s3.secret-access-key (or AWS_SECRET_ACCESS_KEY) does not belong to the access key, or s3.region is wrong"
        }
        "InvalidAccessKeyId" => {
            "the store does not know the access key: check s3.access-key-id (or AWS_ACCESS_KEY_ID) and s3.endpoint"
        }
        _ if settings.anonymous => {
            "the request was not signed: unset s3.anonymous and set s3.access-key-id and s3.secret-access-key"
        }
        _ => CREDENTIALS_HINT,
    };
    Failure::lasting(Kind::Authentication, format!("access denied ({found})")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Properties;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn a_head_is_what_was_asked_for_or_a_failure() {
        let wanted = Wanted::Bounded(10..20);
        let good = headers(&[("content-range", "bytes 10-19/30"), ("content-length", "10"), ("etag", "\"a\"")]);
        let found = head(StatusCode::PARTIAL_CONTENT, &good, &wanted).unwrap();
        assert_eq!((found.range, found.identity.size), (10..20, 30));
        for bad in [
            "bytes 10-18/30",
            "bytes 0-9/30",
            "bytes 19-10/30",
            "bytes 10-19/*",
            "bytes 10-19/18446744073709551616",
            "x",
        ] {
            let bad = headers(&[("content-range", bad)]);
            let failure = head(StatusCode::PARTIAL_CONTENT, &bad, &wanted).unwrap_err();
            assert_eq!((failure.kind, failure.again), (Kind::Storage, Some(Again::Transient)));
        }
        let short = headers(&[("content-range", "bytes 10-14/15")]);
        assert_eq!(head(StatusCode::PARTIAL_CONTENT, &short, &wanted).unwrap_err().kind, Kind::ObjectChanged);
        let whole = headers(&[("content-length", "7")]);
        assert_eq!(head(StatusCode::OK, &whole, &Wanted::Suffix(100)).unwrap().range, 0..7);
        assert!(head(StatusCode::OK, &whole, &Wanted::Bounded(1..3)).is_err());
    }

    #[test]
    fn refusals_become_typed_failures() {
        let settings = Settings::new(&Properties::new()).unwrap();
        let explain = |status: u16, headers: &HeaderMap, code: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
            refusal(StatusCode::from_u16(status).unwrap(), headers, &body, &settings, "b")
        };
        let none = HeaderMap::new();
        for (status, code, kind, again) in [
            (404, "NoSuchKey", Kind::ObjectNotFound, false),
            (403, "AccessDenied", Kind::Authentication, false),
            (401, "", Kind::Authentication, false),
            (400, "ExpiredToken", Kind::Authentication, false),
            (412, "PreconditionFailed", Kind::ObjectChanged, false),
            (503, "SlowDown", Kind::RateLimit, true),
            (429, "", Kind::RateLimit, true),
            (500, "InternalError", Kind::Storage, true),
            (400, "RequestTimeout", Kind::Storage, true),
            (400, "InvalidRequest", Kind::Storage, false),
        ] {
            let failure = explain(status, &none, code);
            assert_eq!((failure.kind, failure.again.is_some()), (kind, again), "{status} {code}");
        }
        let moved = explain(301, &headers(&[("x-amz-bucket-region", "eu-west-3")]), "PermanentRedirect");
        assert_eq!((moved.kind, moved.hint.as_deref()), (Kind::Configuration, Some("set s3.region=eu-west-3")));
    }
}
