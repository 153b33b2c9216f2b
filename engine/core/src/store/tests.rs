//! The store against a scripted server and a folder: exact bytes, or the right error within a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::scripted::{Reply, Request, Server, Then};
use super::*;
use crate::runtime::runtime;

type Fault = fn(&Request) -> Reply;

fn data() -> Vec<u8> {
    (0..100_000u32).map(|value| (value * 7 % 251) as u8).collect()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    runtime().unwrap().block_on(work)
}

/// Reads bytes 1000-90000 from a server with this script.
fn read(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Result<Bytes>, Vec<Request>) {
    let server = Server::start(script);
    let began = Instant::now();
    let result = wait(server.store().read("s3://bucket/key", Some(1000..90_000)));
    assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
    (result, server.requests())
}

fn good(request: &Request) -> Reply {
    Reply::object(request, &data(), "\"v1\"")
}

#[test]
fn faults_that_pass_end_in_exact_bytes() {
    let faults: [(&str, Fault); 8] = [
        ("503", |_| Reply::refusal(503, "SlowDown")),
        ("500", |_| Reply::refusal(500, "InternalError")),
        ("429", |_| Reply::refusal(429, "")),
        ("reset mid-body", |request| good(request).cut(50_000, Then::Reset)),
        ("short body", |request| good(request).cut(1, Then::Close)),
        ("stall", |request| good(request).cut(50_000, Then::Stall)),
        ("silence", |_| Reply { bytes: Vec::new(), then: Then::Stall }),
        ("wrong range", |_| {
            Reply::new(206, &[("content-range", "bytes 0-9/100000"), ("etag", "\"v1\"")], b"0123456789")
        }),
    ];
    for (name, fault) in faults {
        let (result, requests) = read(move |request| if request.index < 2 { fault(request) } else { good(request) });
        assert_eq!(result.unwrap(), data()[1000..90_000], "{name}");
        assert_eq!(requests.len(), 3, "{name}");
    }
}

#[test]
fn faults_that_stay_end_in_a_typed_error() {
    let faults: [(&str, Kind, Fault); 8] = [
        ("503", Kind::RateLimit, |_| Reply::refusal(503, "SlowDown")),
        ("500", Kind::Storage, |_| Reply::refusal(500, "InternalError")),
        ("reset", Kind::Storage, |request| good(request).cut(88_990, Then::Reset)),
        ("short body", Kind::Storage, |request| good(request).cut(88_990, Then::Close)),
        ("stall", Kind::Storage, |request| good(request).cut(88_990, Then::Stall)),
        ("silence", Kind::Unreachable, |_| Reply { bytes: Vec::new(), then: Then::Stall }),
        ("garbage", Kind::Unreachable, |_| Reply { bytes: b"SSH-2.0-x\r\n\r\n".to_vec(), then: Then::Close }),
        ("whole object", Kind::Storage, |_| Reply::new(200, &[("etag", "\"v1\"")], &data())),
    ];
    for (name, kind, fault) in faults {
        let (result, requests) = read(fault);
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.location()), (kind, Some("s3://bucket/key")), "{name}: {error}");
        assert_eq!(error.byte_range(), Some(1000..90_000), "{name}");
        assert!(error.message().contains("4 attempts"), "{name}: {error}");
        assert_eq!(requests.len(), 4, "{name}");
    }
}

#[test]
fn refusals_are_not_repeated_and_show_no_secret() {
    let refusals: [(u16, &str, Kind); 6] = [
        (403, "AccessDenied", Kind::Authentication),
        (403, "InvalidAccessKeyId", Kind::Authentication),
        (401, "", Kind::Authentication),
        (404, "NoSuchKey", Kind::ObjectNotFound),
        (301, "PermanentRedirect", Kind::Configuration),
        (412, "PreconditionFailed", Kind::ObjectChanged),
    ];
    for (status, code, kind) in refusals {
        let (result, requests) = read(move |request| {
            let echo = format!(
                "<Error><Code>{code}</Code><Message>{}</Message></Error>",
                request.header("x-amz-security-token")
            );
            Reply::new(status, &[], echo.as_bytes())
        });
        let error = result.unwrap_err();
        assert_eq!((error.kind(), requests.len()), (kind, 1), "{status} {code}");
        assert!(error.hint_text().is_some(), "{status} {code}");
        let shown = format!("{error} {error:?}");
        assert!(!["KEYID", "HIDDEN", "TOKEN", "Signature"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}

#[test]
fn what_came_before_a_fault_is_not_fetched_again() {
    let (result, requests) = read(|request| match request.index {
        0 => good(request).cut(50_000, Then::Reset),
        _ => good(request),
    });
    assert_eq!(result.unwrap(), data()[1000..90_000]);
    assert_eq!(requests[1].header("range"), "bytes=40000-89999");
    assert_eq!(requests[1].header("if-match"), "\"v1\"");
    // A time of change is no ETag: it is compared, not sent.
    let (result, requests) = read(|request| {
        let (data, range) = (data(), request.range(100_000));
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, data.len());
        let headers = [("content-range", content_range.as_str()), ("last-modified", "Sun, 01 Nov 2026 00:00:00 GMT")];
        let reply = Reply::new(206, &headers, &data[range]);
        if request.index == 0 { reply.cut(50_000, Then::Reset) } else { reply }
    });
    assert_eq!(result.unwrap(), data()[1000..90_000]);
    assert_eq!((requests[1].header("range"), requests[1].header("if-match")), ("bytes=40000-89999", ""));
    // Without either nothing tells whether the rest is of the same version: it begins anew.
    let (result, requests) = read(|request| {
        let reply = Reply::object(request, &data(), "\"v1\"");
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        let head = text.find("etag").unwrap();
        let bytes = [&reply.bytes[..head], b"x-tg".as_slice(), &reply.bytes[head + 4..]].concat();
        let reply = Reply { bytes, then: Then::KeepOpen };
        if request.index == 0 { reply.cut(50_000, Then::Reset) } else { reply }
    });
    assert_eq!(result.unwrap(), data()[1000..90_000]);
    assert_eq!(requests[1].header("range"), "bytes=1000-89999");
}

#[test]
fn another_version_in_the_midst_of_a_body_is_an_error() {
    for honours_if_match in [true, false] {
        let (result, requests) = read(move |request| match request.index {
            0 => good(request).cut(50_000, Then::Reset),
            _ if honours_if_match => Reply::object(request, &data(), "\"v2\""),
            _ => {
                let mut careless = request.clone();
                careless.headers.remove("if-match");
                Reply::object(&careless, &data(), "\"v2\"")
            }
        });
        assert_eq!((result.unwrap_err().kind(), requests.len()), (Kind::ObjectChanged, 2));
    }
}

#[test]
fn a_range_refused_of_the_version_that_has_it_is_asked_again() {
    let refused = || Reply::new(416, &[("content-range", "bytes */0")], b"");
    let (result, requests) = read(move |request| match request.index {
        0 => good(request).cut(50_000, Then::Reset),
        1 => refused(),
        _ => good(request),
    });
    assert_eq!(result.unwrap(), data()[1000..90_000]);
    assert_eq!((requests.len(), requests[2].header("range")), (3, "bytes=40000-89999"));
    // Whoever keeps saying so is believed at last.
    let (result, requests) =
        read(move |request| if request.index == 0 { good(request).cut(50_000, Then::Reset) } else { refused() });
    let error = result.unwrap_err();
    assert_eq!((error.kind(), requests.len()), (Kind::ObjectChanged, 4), "{error}");
    // Without If-Match nothing contradicts it.
    let (result, requests) = read(move |_| refused());
    assert_eq!((result.unwrap_err().kind(), requests.len()), (Kind::ObjectChanged, 1));
}

#[test]
fn whole_objects_sizes_and_empty_ones() {
    let server = Server::start(|request| match request.target.as_str() {
        "/bucket/empty" => Reply::object(request, b"", "\"e\""),
        _ if request.index == 0 => good(request).cut(50_000, Then::Reset),
        _ => good(request),
    });
    let store = server.store();
    assert_eq!(wait(store.read("s3a://bucket/key", None)).unwrap(), data());
    assert_eq!(wait(store.size("s3://bucket/key")).unwrap(), 100_000);
    assert_eq!(wait(store.read("s3://bucket/empty", None)).unwrap().len(), 0);
    assert_eq!(wait(store.size("s3://bucket/empty")).unwrap(), 0);
    assert_eq!(wait(store.read("s3://bucket/key", Some(5..5))).unwrap().len(), 0);
    assert!(server.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn keys_are_sent_as_they_are() {
    let server = Server::start(good);
    let key = "a b/c%3Ad/ds=2026-01-01/+&?#/ü/日/x//y~";
    wait(server.store().read(&format!("s3://bucket/{key}"), Some(0..1))).unwrap();
    let encoded = "/bucket/a%20b/c%253Ad/ds%3D2026-01-01/%2B%26%3F%23/%C3%BC/%E6%97%A5/x//y~";
    assert_eq!(server.requests()[0].target, encoded);
}

#[test]
fn only_signed_requests_carry_keys() {
    let server = Server::start(good);
    wait(server.store().read("s3://bucket/key", Some(0..1))).unwrap();
    let mut properties = server.properties();
    properties.insert("s3.anonymous".into(), "true".into());
    wait(Store::new(properties).unwrap().read("s3://bucket/key", Some(0..1))).unwrap();
    let requests = server.requests();
    assert!(requests[0].header("authorization").contains("Credential=KEYID/"));
    assert!(requests[1].headers.keys().all(|name| name != "authorization" && !name.starts_with("x-amz")));
}

#[test]
fn a_wrong_endpoint_is_given_up_in_seconds() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for endpoint in [format!("http://127.0.0.1:{port}"), "http://no-such-host.invalid".to_owned()] {
        let mut properties = Server::start(good).properties();
        properties.insert("s3.endpoint".into(), endpoint.clone());
        properties.remove("s3.retry.num-retries");
        let began = Instant::now();
        let error = wait(Store::new(properties).unwrap().read("s3://bucket/key", None)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable);
        assert!(error.message().contains(&endpoint) && error.hint_text().unwrap().contains("s3.endpoint"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
}

struct Vending {
    calls: AtomicUsize,
    lifetime: Duration,
}

impl CredentialSource for Vending {
    fn refresh(&self) -> Result<Properties> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        std::thread::sleep(Duration::from_millis(50));
        let end = SystemTime::now() + self.lifetime;
        let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().to_string();
        Ok([
            ("s3.access-key-id", format!("K{call}")),
            ("s3.secret-access-key", "S".into()),
            ("s3.session-token-expires-at-ms", end),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }
}

#[test]
fn credentials_are_renewed_once_for_all() {
    let vending = |lifetime| Arc::new(Vending { calls: AtomicUsize::new(0), lifetime });
    let server = Server::start(|request| match request.header("authorization").contains("Credential=K1/") {
        true => good(request),
        false => Reply::refusal(400, "ExpiredToken"),
    });
    // The store says that the old credential has ended: sixteen readers, one renewal.
    let source = vending(Duration::from_secs(3600));
    let store = server.store().with_refresh(Arc::clone(&source) as Arc<dyn CredentialSource>);
    let reads = (0..16).map(|_| store.read("s3://bucket/key", Some(0..10)));
    assert!(wait(futures::future::join_all(reads)).iter().all(|read| read.as_ref().unwrap()[..] == data()[..10]));
    assert_eq!(source.calls.load(Ordering::SeqCst), 1);
    // The old one's time is over: it is not even sent.
    let before = server.requests().len();
    let mut properties = server.properties();
    properties.insert("s3.session-token-expires-at-ms".into(), "1000".into());
    let source = vending(Duration::from_secs(3600));
    let store = Store::new(properties).unwrap().with_refresh(Arc::clone(&source) as Arc<dyn CredentialSource>);
    wait(store.read("s3://bucket/key", Some(0..10))).unwrap();
    assert_eq!((source.calls.load(Ordering::SeqCst), server.requests().len()), (1, before + 1));
    // Nobody to ask.
    let error = wait(server.store().read("s3://bucket/key", Some(0..10))).unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication);
}

struct Refusing(AtomicUsize);

impl CredentialSource for Refusing {
    fn refresh(&self) -> Result<Properties> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        Err(Error::new(Kind::RateLimit, "not now"))
    }
}

#[test]
fn a_failed_renewal_fails_all_who_waited_for_it() {
    let server = Server::start(good);
    let mut properties = server.properties();
    properties.insert("s3.session-token-expires-at-ms".into(), "1000".into());
    let source = Arc::new(Refusing(AtomicUsize::new(0)));
    let store = Store::new(properties).unwrap().with_refresh(Arc::clone(&source) as Arc<dyn CredentialSource>);
    let reads = (0..16).map(|_| store.read("s3://bucket/key", Some(0..10)));
    let reads = wait(futures::future::join_all(reads));
    assert!(reads.iter().all(|read| read.as_ref().unwrap_err().kind() == Kind::RateLimit));
    assert_eq!((source.0.load(Ordering::SeqCst), server.requests().len()), (1, 0));
}

#[test]
fn a_credential_near_its_end_serves_while_it_is_renewed() {
    let server = Server::start(good);
    let mut properties = server.properties();
    let soon = SystemTime::now() + Duration::from_secs(7);
    let soon = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().to_string();
    properties.insert("s3.session-token-expires-at-ms".into(), soon);
    let source = Arc::new(Vending { calls: AtomicUsize::new(0), lifetime: Duration::from_secs(3600) });
    let store = Store::new(properties).unwrap().with_refresh(Arc::clone(&source) as Arc<dyn CredentialSource>);
    let used = || {
        wait(store.read("s3://bucket/key", Some(0..10))).unwrap();
        server.requests().last().unwrap().header("authorization").contains("Credential=K1/")
    };
    assert!(!used(), "the old one serves until it is near its end");
    let began = Instant::now();
    while !used() {
        assert!(began.elapsed() < Duration::from_secs(9));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(source.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_catalog_that_always_vends_dead_credentials_is_an_error() {
    let server = Server::start(|_| Reply::refusal(403, "ExpiredToken"));
    let source = Arc::new(Vending { calls: AtomicUsize::new(0), lifetime: Duration::from_secs(3600) });
    let store = server.store().with_refresh(Arc::clone(&source) as Arc<dyn CredentialSource>);
    assert_eq!(wait(store.read("s3://bucket/key", None)).unwrap_err().kind(), Kind::Authentication);
    assert_eq!((source.calls.load(Ordering::SeqCst), server.requests().len()), (1, 2));
}

#[test]
fn listings_come_page_by_page_in_the_callers_spelling() {
    let server = Server::start(|request| {
        let more = !request.target.contains("continuation-token=t%2B1");
        let (token, key) =
            if more { ("<NextContinuationToken>t+1</NextContinuationToken>", "wh/t/b%3D1") } else { ("", "wh/t/a//x") };
        let body = format!(
            "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{more}</IsTruncated>{token}<Contents><Key>{key}</Key>\
             <Size>3</Size></Contents></ListBucketResult>"
        );
        Reply::new(200, &[], body.as_bytes())
    });
    let mut properties = server.properties();
    properties.insert("location-map".into(), "s3://old=s3://bucket/wh".into());
    let found = wait(Store::new(properties).unwrap().list("s3a://old/t/")).unwrap();
    assert_eq!(found, [("s3a://old/t/a//x".to_owned(), 3), ("s3a://old/t/b=1".to_owned(), 3)]);
    assert!(server.requests()[0].target.contains("prefix=wh%2Ft%2F"));
}

#[test]
fn local_files_are_read_listed_and_refused() {
    let folder = std::env::temp_dir().join(format!("headrace-store-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("t/ds=1")).unwrap();
    std::fs::write(folder.join("t/ds=1/a b%20"), data()).unwrap();
    std::fs::write(folder.join("t/z"), b"").unwrap();
    let root = folder.to_str().unwrap().to_owned();
    let store = Store::new(Properties::new()).unwrap().with_allowed(vec![format!("{root}/t")]);
    let file = format!("file://{root}/t/ds=1/a b%20");
    assert_eq!(wait(store.read(&file, Some(5..50_000))).unwrap(), data()[5..50_000]);
    assert_eq!(wait(store.read(&file, None)).unwrap(), data());
    assert_eq!(wait(store.size(&file)).unwrap(), 100_000);
    assert_eq!(wait(store.read(&format!("{root}/t/z"), None)).unwrap().len(), 0);
    let listed = wait(store.list(&format!("file:{root}/t"))).unwrap();
    assert_eq!(listed, [(format!("file:{root}/t/ds=1/a b%20"), 100_000), (format!("file:{root}/t/z"), 0)]);
    assert_eq!(wait(store.list(&format!("{root}/t/none"))).unwrap(), []);
    for (location, kind) in [
        (format!("{root}/t/none"), Kind::ObjectNotFound),
        (format!("{root}/t/ds=1"), Kind::ObjectNotFound),
        (format!("{root}/other"), Kind::LocationRefused),
        (format!("{root}/t/../other"), Kind::LocationRefused),
        ("gs://b/k".to_owned(), Kind::Unsupported),
    ] {
        let error = wait(store.read(&location, None)).unwrap_err();
        assert_eq!((error.kind(), error.location()), (kind, Some(location.as_str())));
    }
    assert_eq!(wait(store.read(&file, Some(99_999..100_001))).unwrap_err().kind(), Kind::ObjectChanged);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn debug_shows_no_secret() {
    let server = Server::start(good);
    let shown = format!("{:?}", server.store());
    assert!(
        shown.contains("127.0.0.1") && !["KEYID", "HIDDEN", "TOKEN"].iter().any(|secret| shown.contains(secret)),
        "{shown}"
    );
}
