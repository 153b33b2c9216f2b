//! HTTP/1.1 GETs over connections of our own, whose bodies are read straight into the memory that they are for.
//!
//! Between a socket and the column chunk lies one copy, the kernel's: the head is read through a small buffer, the body
//! with `read(2)` into the caller's slice. Connections are kept per origin and belong to one process. One attempt only,
//! except where a kept connection turns out to be closed before it answered: that says nothing about the request, so it
//! is sent once more on a fresh one. Must not know: S3, signatures, retries, which bytes belong together.
//!
//! Inside: [`connect`] opens, [`tls`] encrypts, [`pool`] keeps, [`head`] parses, [`body`] delivers (in chunks: [`chunked`]).

mod body;
mod chunked;
mod connect;
mod connection;
mod head;
mod pool;
#[cfg(test)]
mod tests;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

pub(crate) use body::Body;
pub(crate) use connect::Origin;
use connection::Connection;
use pool::Idle;

use super::counters::Counters;
use crate::error::Result;
use crate::http::client::{Phase, Trouble, tls};
use crate::runtime::PerProcess;

static WIRE: PerProcess<Wire> = PerProcess::new();

/// The connections of this process.
pub(crate) struct Wire {
    tls: Arc<rustls::ClientConfig>,
    idle: Arc<Idle>,
}

/// An answer whose head came; its body is still on the wire.
pub(crate) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

/// A connection failed between the first byte of a request and the last of the answer's head.
enum Lost {
    /// It was closed before anything of an answer came.
    Unanswered(io::Error),
    Broken(io::Error),
}

/// The connections of this process, shared by all stores.
pub(crate) fn wire() -> Result<Arc<Wire>> {
    WIRE.get_or_try_init(|| Ok(Wire { tls: Arc::new(tls(&[b"http/1.1"])?), idle: Arc::default() }))
}

impl Wire {
    /// Sends a request, which is a whole head, and reads the head of the answer.
    pub(crate) async fn send(
        &self,
        origin: &Arc<Origin>,
        request: &[u8],
        connect_timeout: Duration,
        counters: &Counters,
    ) -> Result<Response, Trouble> {
        if let Some(connection) = self.idle.take(origin) {
            match self.exchange(connection, origin, request).await {
                Ok(response) => return Ok(response),
                Err(Lost::Unanswered(_)) => {} // the server closed it while it was idle
                Err(Lost::Broken(error)) => return Err(broken(&error)),
            }
        }
        counters.connection();
        let stream = connect::connect(origin, &self.tls, connect_timeout).await?;
        let sent = self.exchange(Connection::new(stream), origin, request).await;
        sent.map_err(|(Lost::Unanswered(error) | Lost::Broken(error))| broken(&error))
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        origin: &Arc<Origin>,
        request: &[u8],
    ) -> Result<Response, Lost> {
        connection.write(request).await.map_err(Lost::Unanswered)?;
        let head = connection.head().await.map_err(|error| match connection.is_silent() {
            true => Lost::Unanswered(error),
            false => Lost::Broken(error),
        })?;
        let body = Body::new(connection, &head, Arc::clone(origin), Arc::clone(&self.idle));
        Ok(Response { status: head.status, headers: head.headers, body })
    }
}

fn broken(error: &io::Error) -> Trouble {
    Trouble { phase: Phase::Broken, text: format!("the connection broke: {error}") }
}
