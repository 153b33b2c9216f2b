//! An answer under way, whichever way it comes: its head, and its body piece by piece with an eye on the clock.
//!
//! Must not know: what was asked for, retries.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, Sleep};

use super::memory::Filling;
use super::retry::{Again, Failure};
use super::settings::Settings;
use super::wire;
use crate::error::Kind;
use crate::http::client::explain;

/// A body may take this long, and as much again as its bytes need at [`SLOWEST`].
const LONGEST_BODY_S: u64 = 60;
/// Bytes per second below which a connection is given up although it is not silent.
const SLOWEST: u64 = 16 << 10;
/// A silence is noticed to this fraction of the idle timeout.
const TICKS: u32 = 4;

/// The head of an answer, and the way to its body.
pub(crate) struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Body,
}

enum Body {
    Wire(wire::Body),
    /// Through a proxy.
    Client {
        response: reqwest::Response,
        rest: Bytes,
    },
}

impl From<wire::Response> for Answered {
    fn from(response: wire::Response) -> Answered {
        Answered { status: response.status, headers: response.headers, body: Body::Wire(response.body) }
    }
}

impl From<reqwest::Response> for Answered {
    fn from(mut response: reqwest::Response) -> Answered {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        Answered { status, headers, body: Body::Client { response, rest: Bytes::new() } }
    }
}

impl Body {
    /// Reads some bytes; 0 at the end. May be dropped while it waits.
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, String> {
        match self {
            Body::Wire(body) => body.read(into).await.map_err(|error| error.to_string()),
            Body::Client { response, rest } => {
                while rest.is_empty() {
                    match response.chunk().await.map_err(|error| explain(error).text)? {
                        Some(chunk) => *rest = chunk,
                        None => return Ok(0),
                    }
                }
                let count = rest.len().min(into.len());
                rest.copy_to_slice(&mut into[..count]);
                Ok(count)
            }
        }
    }
}

impl Answered {
    /// Fills the memory with the body, which must be as long. On failure what came stays.
    pub(crate) async fn fill(mut self, into: &mut Filling<'_>, settings: &Settings) -> Result<(), Failure> {
        let mut patience = Patience::new(settings, into.rest().len());
        while !into.rest().is_empty() {
            let count = patience.wait(self.body.read(into.rest())).await;
            let missing = into.rest().len();
            match count.map_err(|what| broken(&format!("{what}, {missing} bytes short")))? {
                0 => return Err(broken(&format!("it ended {missing} bytes short"))),
                count => into.advance(count),
            }
        }
        // The end of a chunked body is yet to come, and without it the connection cannot be used again.
        match patience.wait(self.body.read(&mut [0])).await.map_err(|what| broken(&what))? {
            0 => Ok(()),
            _ => Err(broken("more bytes than announced")),
        }
    }

    /// The body as a text of at most so many bytes, and whether there was more.
    pub(crate) async fn text(&mut self, limit: usize, settings: &Settings) -> Result<(String, bool), String> {
        let mut patience = Patience::new(settings, limit);
        let (mut text, mut piece) = (Vec::new(), vec![0; 16 << 10]);
        loop {
            let count = patience.wait(self.body.read(&mut piece)).await?;
            let fits = count.min(limit - text.len());
            text.extend_from_slice(&piece[..fits]);
            if count == 0 || fits < count {
                return Ok((String::from_utf8_lossy(&text).into_owned(), fits < count));
            }
        }
    }
}

fn broken(what: &str) -> Failure {
    Failure::passing(Kind::Storage, Again::Transient, format!("the body of the answer broke off: {what}"))
        .hint("the connection to the store is not stable: look at proxies, timeouts (s3.request-timeout) and the store")
}

/// How long a body may stay silent, and how long it may take. The timer is set once a tick, not once a piece: pieces
/// come by the ten thousand.
struct Patience {
    tick: std::pin::Pin<Box<Sleep>>,
    length: Duration,
    idle_timeout: Duration,
    ticks: u64,
    silent: u32,
    most_ticks: u64,
}

impl Patience {
    fn new(settings: &Settings, bytes: usize) -> Patience {
        let length = settings.idle_timeout / TICKS;
        let tick_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        let most_ticks = (LONGEST_BODY_S + bytes as u64 / SLOWEST) * 1000 / tick_ms + u64::from(TICKS);
        let tick = Box::pin(tokio::time::sleep(length));
        Patience { tick, length, idle_timeout: settings.idle_timeout, ticks: 0, silent: 0, most_ticks }
    }

    /// Waits for the next piece.
    async fn wait(&mut self, piece: impl Future<Output = Result<usize, String>>) -> Result<usize, String> {
        tokio::pin!(piece);
        loop {
            tokio::select! {
                biased;
                count = &mut piece => {
                    self.silent = 0;
                    return count;
                }
                () = &mut self.tick => {
                    (self.ticks, self.silent) = (self.ticks + 1, self.silent + 1);
                    if self.silent > TICKS {
                        return Err(format!("nothing came for {:?}", self.idle_timeout));
                    }
                    if self.ticks > self.most_ticks {
                        return Err("it came too slowly".to_owned());
                    }
                    self.tick.as_mut().reset(Instant::now() + self.length);
                }
            }
        }
    }
}
