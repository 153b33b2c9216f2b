//! Requests of catalogs against a scripted server.

use std::time::{Duration, Instant};

use super::*;
use crate::runtime::runtime;
use crate::store::scripted::{Reply, Server, Then};

fn ask(url: &str, headers: &[(&str, &str)], method: &str, body: Option<&'static [u8]>) -> Result<Response> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let work = request(method, url, &headers, body.map(Bytes::from_static), Duration::from_millis(600));
    runtime().unwrap().block_on(work)
}

#[test]
fn any_status_is_an_answer() {
    let server = Server::start(|request| {
        assert_eq!((request.method.as_str(), request.body.as_slice()), ("POST", b"{}".as_slice()));
        Reply::new(409, &[("X-Twice", "a"), ("x-twice", "b")], request.header("authorization").as_bytes())
    });
    let answer =
        ask(&format!("http://127.0.0.1:{}/v1", server.port), &[("Authorization", "Bearer t")], "POST", Some(b"{}"))
            .unwrap();
    assert_eq!((answer.status, answer.body.as_ref()), (409, b"Bearer t".as_slice()));
    let twice: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value.as_str()).collect();
    assert_eq!(twice, ["a", "b"]);
    assert_eq!(server.requests().len(), 1, "no retry");
}

#[test]
fn a_token_stays_with_its_origin() {
    let other = Server::start(|_| Reply::new(200, &[], b"other"));
    let port = other.port;
    let server = Server::start(move |request| match request.target.as_str() {
        "/away" => Reply::new(307, &[("location", &format!("http://127.0.0.1:{port}/"))], b""),
        "/here" => Reply::new(302, &[("location", "/end")], b""),
        "/loop" => Reply::new(302, &[("location", "/loop")], b""),
        _ => Reply::new(200, &[], b"end"),
    });
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
    let token = [("Authorization", "Bearer t")];
    assert_eq!(ask(&url("/away"), &token, "GET", None).unwrap().status, 307);
    assert_eq!(ask(&url("/away"), &[("X-Own", "secret")], "GET", None).unwrap().status, 307);
    assert_eq!(other.requests().len(), 0);
    assert_eq!(ask(&url("/away"), &[("Accept", "*/*")], "GET", None).unwrap().body.as_ref(), b"other");
    assert_eq!(ask(&url("/here"), &token, "GET", None).unwrap().body.as_ref(), b"end");
    assert_eq!(
        ask(&url("/here"), &token, "POST", Some(b"x")).unwrap().status,
        302,
        "a write is not repeated as a read"
    );
    assert_eq!(ask(&url("/loop"), &token, "GET", None).unwrap_err().kind(), Kind::Unreachable);
}

#[test]
fn no_answer_is_an_error_without_secrets() {
    let server = Server::start(|request| match request.target.starts_with("/stall") {
        true => Reply { bytes: Vec::new(), then: Then::Stall },
        false => Reply::new(200, &[("content-length", "100")], b"short").cut(0, Then::Close),
    });
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let began = Instant::now();
    for (port, path) in [(server.port, "stall"), (server.port, "short"), (closed, "")] {
        let url = format!("http://me:HIDDEN@127.0.0.1:{port}/{path}?X-Amz-Signature=SECRET");
        let error = ask(&url, &[], "GET", None).err().unwrap();
        let shown = format!("{error} {error:?}");
        assert_eq!(error.kind(), Kind::Unreachable);
        assert!(shown.contains("127.0.0.1") && !shown.contains("HIDDEN") && !shown.contains("SECRET"), "{shown}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    for (url, headers) in [("ftp://h/", [("a", "b")]), ("nonsense", [("a", "b")]), ("http://h/", [("a b", "SECRET")])] {
        let error = ask(url, &headers, "GET", None).err().unwrap();
        assert!(error.kind() == Kind::Configuration && !format!("{error:?}").contains("SECRET"), "{error:?}");
    }
}

#[test]
fn a_file_of_roots_that_cannot_be_used_is_named() {
    let mut roots = rustls::RootCertStore::empty();
    let folder = std::env::temp_dir().join(format!("headrace-roots-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in [("empty", ""), ("bad", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let error = client::add_file(&mut roots, "AWS_CA_BUNDLE", &path).unwrap_err();
        assert!(error.kind() == Kind::Configuration && error.message().contains("AWS_CA_BUNDLE"), "{error}");
    }
    assert!(client::add_file(&mut roots, "SSL_CERT_FILE", &folder.join("missing")).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}
