//! The wire against a scripted server: every way in which an answer may come, and the ways in which none does.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::error::Kind;
use crate::runtime::runtime;
use crate::store::scripted::{Reply, Request, Server, Then};
use crate::store::{Counters, Pin, Store, memory};

type Script = fn(&Request) -> Reply;

fn data() -> Vec<u8> {
    (0..300_000u32).map(|value| (value * 7 % 251) as u8).collect()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    runtime().unwrap().block_on(work)
}

fn read(store: &Store, range: Range<u64>, counters: &Counters) -> crate::error::Result<Bytes> {
    let (frozen, slot) = memory::room((range.end - range.start) as usize)?;
    let object = store.open("s3://bucket/key")?;
    wait(object.source().fill(range, &Pin::default(), slot, counters))?;
    memory::bytes(frozen)
}

fn good(request: &Request) -> Reply {
    Reply::object(request, &data(), "\"v1\"")
}

/// The good answer with other framing headers and another body.
fn framed(request: &Request, framing: &str, body: impl Fn(&[u8]) -> Vec<u8>) -> Reply {
    let range = request.range(300_000);
    let head = format!(
        "HTTP/1.1 206 Partial\r\ncontent-range: bytes {}-{}/300000\r\netag: \"v1\"\r\n{framing}\r\n",
        range.start,
        range.end - 1
    );
    Reply { bytes: [head.into_bytes(), body(&data()[range])].concat(), then: Then::KeepOpen }
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let sizes = [1usize, 70_000, 5, 13_000];
    let (mut rest, mut bytes, mut turn) = (body, Vec::new(), 0);
    while !rest.is_empty() {
        let (chunk, left) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
        bytes.extend_from_slice(format!("{:X};ext=1\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        (rest, turn) = (left, turn + 1);
    }
    bytes.extend_from_slice(b"0\r\nx-trailer: y\r\n\r\n");
    bytes
}

#[test]
fn connections_are_used_again() {
    for script in [good, |request: &Request| framed(request, "transfer-encoding: chunked\r\n", chunked)] {
        let server = Server::start(script);
        let (store, counters) = (server.store(), Counters::default());
        for turn in 0..5 {
            let range = turn * 10..200_000 + turn;
            let expected = &data()[range.start as usize..range.end as usize];
            assert!(read(&store, range.clone(), &counters).unwrap() == expected);
        }
        assert_eq!((counters.connections(), counters.requests(), counters.retries()), (1, 5, 0));
        assert!(counters.waiting() > Duration::ZERO);
    }
}

#[test]
fn a_connection_that_the_server_closed_while_idle_costs_no_retry() {
    // Closed in order after an answer, which is seen before it is used; and at the moment of the next request.
    let scripts: [Script; 2] = [
        |request| Reply { then: Then::Close, ..good(request) },
        |request| if request.index % 2 == 1 { Reply { bytes: Vec::new(), then: Then::Close } } else { good(request) },
    ];
    for script in scripts {
        let server = Server::start(script);
        let (store, counters) = (server.store(), Counters::default());
        for _ in 0..3 {
            assert!(read(&store, 0..100_000, &counters).unwrap() == data()[..100_000]);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!((counters.connections(), counters.requests(), counters.retries()), (3, 3, 0));
    }
    // A fresh connection that is closed unanswered is a failed attempt.
    let server = Server::start(|request| match request.index {
        0 => Reply { bytes: Vec::new(), then: Then::Close },
        _ => good(request),
    });
    let counters = Counters::default();
    assert_eq!(read(&server.store(), 0..10, &counters).unwrap(), data()[..10]);
    assert_eq!((counters.connections(), counters.requests(), counters.retries()), (2, 2, 1));
}

#[test]
fn bodies_end_as_their_heads_say() {
    let plain = |body: &[u8]| body.to_vec();
    let length = "content-length: 100000\r\n";
    let server = Server::start(move |request| match request.index % 4 {
        0 => {
            let reply = framed(request, &format!("{length}connection: close\r\n"), plain);
            Reply { then: Then::Close, ..reply }
        }
        1 => Reply { then: Then::Close, ..framed(request, "", plain) },
        2 => {
            let reply = framed(request, length, plain);
            let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".to_vec();
            Reply { bytes: [interim, reply.bytes].concat(), ..reply }
        }
        _ => framed(request, length, plain),
    });
    let (store, counters) = (server.store(), Counters::default());
    for _ in 0..4 {
        assert!(read(&store, 0..100_000, &counters).unwrap() == data()[..100_000]);
    }
    assert_eq!((counters.connections(), counters.retries()), (3, 0));
}

#[test]
fn bodies_that_end_otherwise_are_repeated_from_where_they_broke() {
    let faults: [Script; 5] = [
        |request| framed(request, "transfer-encoding: chunked\r\n", chunked).cut(40_000, Then::Close),
        |request| framed(request, "transfer-encoding: chunked\r\n", |_| b"zz\r\n".to_vec()),
        |request| framed(request, "", <[u8]>::to_vec).cut(1, Then::Close),
        |request| framed(request, "transfer-encoding: chunked\r\n", |body| chunked(&[body, b"more"].concat())),
        |request| framed(request, "content-length: 99999\r\n", |body| body[1..].to_vec()),
    ];
    for (turn, fault) in faults.into_iter().enumerate() {
        let server = Server::start(move |request| if request.index == 0 { fault(request) } else { good(request) });
        let counters = Counters::default();
        let bytes = read(&server.store(), 0..100_000, &counters);
        if turn == 3 {
            // All bytes came, and then more: whose they are nobody can say.
            assert!(bytes.unwrap() == data()[..100_000]);
            continue;
        }
        assert!(bytes.unwrap() == data()[..100_000], "{turn}");
        assert_eq!((counters.requests(), counters.retries()), (2, 1), "{turn}");
    }
}

#[test]
fn heads_that_are_no_heads_are_typed_errors() {
    let faults: [(&str, Script); 4] = [
        ("more than 64 KiB", |_| Reply {
            bytes: [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'y'; 80 << 10]].concat(),
            then: Then::KeepOpen,
        }),
        ("silent", |_| Reply { bytes: b"HTTP/1.1 206 Partial\r\ncontent-le".to_vec(), then: Then::Stall }),
        ("not HTTP/1.1", |_| Reply { bytes: b"\x16\x03\x01\x00 TLS?\r\n\r\n".to_vec(), then: Then::KeepOpen }),
        ("Content-Length", |request| framed(request, "content-length: 5\r\ncontent-length: 6\r\n", <[u8]>::to_vec)),
    ];
    for (what, fault) in faults {
        let server = Server::start(fault);
        let error = read(&server.store(), 0..100_000, &Counters::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{what}: {error}");
        assert!(error.message().contains(what) && error.message().contains("4 attempts"), "{what}: {error}");
        assert!(error.hint_text().is_some());
    }
}

/// A TLS server with a certificate of its own making, which answers every request alike, and a wire that trusts it or not.
fn tls_server(trusted: bool) -> (Arc<Origin>, Wire) {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = wait(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    runtime().unwrap().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let answer = [b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n".to_vec(), data()].concat();
            let mut request = [0; 4096];
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                stream.write_all(&answer).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    });
    let mut roots = rustls::RootCertStore::empty();
    if trusted {
        roots.add(issued.cert.der().clone()).unwrap();
    }
    let client = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    (Arc::new(Origin::of(&url.parse().unwrap()).unwrap()), Wire { tls, idle: Arc::default() })
}

#[test]
fn tls_brings_the_same_bytes_over_kept_connections() {
    let (origin, wire) = tls_server(true);
    let counters = Counters::default();
    for _ in 0..3 {
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let sent = wait(wire.send(&origin, request, Duration::from_secs(5), &counters));
        let mut response = sent.map_err(|trouble| trouble.text).unwrap();
        let (mut body, mut filled) = (vec![0; 400_000], 0);
        loop {
            match wait(response.body.read(&mut body[filled..])).unwrap() {
                0 => break,
                count => filled += count,
            }
        }
        assert!(body[..filled] == data());
    }
    assert_eq!(counters.connections(), 1);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_named() {
    let (origin, wire) = tls_server(false);
    let sent = wait(wire.send(&origin, b"GET / HTTP/1.1\r\n\r\n", Duration::from_secs(5), &Counters::default()));
    let trouble = sent.map(|_| ()).unwrap_err();
    assert_eq!(trouble.phase, Phase::Certificate, "{}", trouble.text);
}
