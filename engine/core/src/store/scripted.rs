//! An S3 server for tests that does as it is told: right answers, and every wrong one, on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Properties, Store};
use crate::runtime::runtime;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// How many came before it, on all connections.
    pub index: usize,
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The range asked for, of an object of `size` bytes.
    pub(crate) fn range(&self, size: usize) -> std::ops::Range<usize> {
        let Some((start, end)) = self.header("range").strip_prefix("bytes=").and_then(|text| text.split_once('-'))
        else {
            return 0..size;
        };
        match (start.parse::<usize>(), end.parse::<usize>()) {
            (Ok(start), Ok(last)) => start..(last + 1).min(size),
            (Ok(start), Err(_)) => start..size,
            (Err(_), Ok(suffix)) => size.saturating_sub(suffix)..size,
            _ => panic!("range {:?}", self.header("range")),
        }
    }
}

/// What happens after the bytes were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    KeepOpen,
    Close,
    Reset,
    Stall,
}

/// Bytes to write, and what follows them.
pub(crate) struct Reply {
    pub bytes: Vec<u8>,
    pub then: Then,
}

impl Reply {
    /// A status with headers and a body; Content-Length is added unless given.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head = format!("HTTP/1.1 {status} Status\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(body);
        Reply { bytes, then: Then::KeepOpen }
    }

    /// The right answer for an object.
    pub(crate) fn object(request: &Request, data: &[u8], etag: &str) -> Reply {
        let if_match = request.header("if-match");
        if !if_match.is_empty() && if_match != etag {
            return Reply::refusal(412, "PreconditionFailed");
        }
        let range = request.range(data.len());
        if range.start >= range.end {
            return Reply::new(416, &[("content-range", &format!("bytes */{}", data.len()))], b"");
        }
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, data.len());
        Reply::new(206, &[("content-range", &content_range), ("etag", etag)], &data[range])
    }

    pub(crate) fn refusal(status: u16, code: &str) -> Reply {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        Reply::new(status, &[], body.as_bytes())
    }

    /// Cuts so many bytes off the end, then does `then`.
    pub(crate) fn cut(mut self, bytes: usize, then: Then) -> Reply {
        self.bytes.truncate(self.bytes.len() - bytes);
        Reply { then, ..self }
    }
}

/// A server that answers with what a function says. Ends when dropped.
pub(crate) struct Server {
    pub port: u16,
    log: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let runtime = runtime().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::<Mutex<Vec<Request>>>::default();
        let (script, seen) = (Arc::new(script), Arc::clone(&log));
        let task = runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Server { port, log, task }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Properties that lead to this server, with short timeouts.
    pub(crate) fn properties(&self) -> Properties {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let pairs = [
            ("s3.endpoint", endpoint.as_str()),
            ("s3.access-key-id", "KEYID"),
            ("s3.secret-access-key", "HIDDEN"),
            ("s3.session-token", "TOKEN"),
            ("s3.request-timeout", "0.4"),
            ("s3.connect-timeout", "0.4"),
            ("s3.retry.num-retries", "3"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.properties()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: Arc<impl Fn(&Request) -> Reply>, log: Arc<Mutex<Vec<Request>>>) {
    while let Some(mut request) = receive(&mut stream).await {
        {
            let mut log = log.lock().unwrap();
            request.index = log.len();
            log.push(request.clone());
        }
        let reply = script(&request);
        if stream.write_all(&reply.bytes).await.is_err() {
            return;
        }
        match reply.then {
            Then::KeepOpen => {}
            Then::Close => return,
            Then::Stall => tokio::time::sleep(Duration::from_secs(30)).await,
            Then::Reset => {
                tokio::time::sleep(Duration::from_millis(30)).await; // the reader takes what was written
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let (method, target) = (first.next()?, first.next()?);
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: HashMap<_, _> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse::<usize>().unwrap());
    while bytes.len() < end + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    Some(Request { index: 0, method, target, headers, body: bytes[end..end + length].to_vec() })
}
