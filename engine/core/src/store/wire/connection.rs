//! One connection: a stream, and what was read from it beyond a head.
//!
//! Every method may be dropped at an await without losing bytes that came. Must not know: bodies, pools.

use std::io;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::head::{Head, invalid, parse};
use super::tls::Tls;

/// A longer head is refused.
const LONGEST_HEAD: usize = 64 << 10;
/// A head and whatever of the body came with it; the latter is copied, so it is kept short.
const BUFFER: usize = 4 << 10;
/// Interim answers (1xx) before the one that counts.
const MOST_INTERIM: usize = 16;

/// A stream, plain or encrypted.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// A stream and the bytes that were read too far.
pub(crate) struct Connection {
    stream: Stream,
    /// What was read and not yet used lies at `done..came`.
    buffer: Vec<u8>,
    done: usize,
    came: usize,
    /// Nothing came since the last request was sent.
    silent: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Connection {
        Connection { stream, buffer: vec![0; BUFFER], done: 0, came: 0, silent: true }
    }

    /// Sends a request.
    pub(crate) async fn write(&mut self, request: &[u8]) -> io::Result<()> {
        self.silent = true;
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request).await,
            Stream::Tls(stream) => stream.write_all(request).await,
        }
    }

    /// Whether nothing came since the last request.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Reads the head of an answer.
    pub(crate) async fn head(&mut self) -> io::Result<Head> {
        let mut interim = 0;
        loop {
            match parse(self.pending())? {
                Some((head, length)) => {
                    self.consume(length);
                    if !head.status.is_informational() {
                        return Ok(head);
                    }
                    interim += 1;
                    if interim > MOST_INTERIM {
                        return Err(invalid("interim answers without an end"));
                    }
                }
                None if self.pending().len() > LONGEST_HEAD => return Err(invalid("headers of more than 64 KiB")),
                None => self.more().await?,
            }
        }
    }

    /// Bytes that were read and not yet used.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[self.done..self.came]
    }

    /// Marks pending bytes as used.
    pub(crate) fn consume(&mut self, length: usize) {
        self.done += length;
        if self.done == self.came {
            (self.done, self.came) = (0, 0);
        }
    }

    /// Reads some more bytes into the buffer; an error if there are none.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.done..self.came, 0);
        (self.done, self.came) = (0, self.came - self.done);
        if self.buffer.len() < self.came + BUFFER / 2 {
            self.buffer.resize(self.came + BUFFER, 0);
        }
        let room = &mut self.buffer[self.came..];
        let count = match &mut self.stream {
            Stream::Plain(stream) => stream.read(room).await?,
            Stream::Tls(stream) => stream.read(room).await?,
        };
        self.came += count;
        self.silent &= count == 0;
        if count == 0 { Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed")) } else { Ok(()) }
    }

    /// Reads bytes: those pending first, then from the stream right into `into`. 0: it was closed.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let pending = self.pending();
        if !pending.is_empty() {
            let count = pending.len().min(into.len());
            into[..count].copy_from_slice(&pending[..count]);
            self.consume(count);
            return Ok(count);
        }
        match &mut self.stream {
            Stream::Plain(stream) => stream.read(into).await,
            Stream::Tls(stream) => stream.read(into).await,
        }
    }

    /// Whether another request may be sent: an idle connection on which something came was closed, or is out of step.
    pub(crate) fn is_quiet(&self) -> bool {
        let (tcp, is_drained) = match &self.stream {
            Stream::Plain(stream) => (stream, true),
            Stream::Tls(stream) => (stream.tcp(), stream.is_drained()),
        };
        self.pending().is_empty() && is_drained && tcp.peek(&mut [0]).now_or_never().is_none()
    }
}
