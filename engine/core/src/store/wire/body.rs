//! The body of an answer: bytes into the caller's memory until its end, then the connection back to the pool.
//!
//! A body that is dropped before its end takes its connection with it: what is still on the way would be taken for the
//! next answer. Must not know: what the bytes are.

use std::io;
use std::sync::Arc;

use super::chunked::{Chunked, Step};
use super::connect::Origin;
use super::connection::Connection;
use super::head::{Framing, Head};
use super::pool::Idle;

/// What is left of a body.
pub(crate) struct Body {
    /// None once the end was reached.
    connection: Option<Connection>,
    left: Left,
    keeps: bool,
    origin: Arc<Origin>,
    idle: Arc<Idle>,
}

enum Left {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Body {
    pub(crate) fn new(connection: Connection, head: &Head, origin: Arc<Origin>, idle: Arc<Idle>) -> Body {
        let left = match head.framing {
            Framing::Length(length) => Left::Length(length),
            Framing::Chunked => Left::Chunked(Chunked::Size),
            Framing::UntilClose => Left::UntilClose,
        };
        let mut body = Body { connection: Some(connection), left, keeps: head.keeps, origin, idle };
        if matches!(body.left, Left::Length(0)) {
            body.finish();
        }
        body
    }

    /// Reads some bytes into `into`, which is not empty; 0 at the end. May be dropped while it waits.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let (count, ended) = match &mut self.left {
            Left::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(into.len());
                let count = connection.read(&mut into[..most]).await?;
                if count == 0 {
                    return Err(closed(&format!("it was closed {left} bytes short")));
                }
                *left -= count as u64;
                (count, *left == 0)
            }
            Left::UntilClose => {
                let count = connection.read(into).await?;
                (count, count == 0)
            }
            Left::Chunked(state) => {
                let count = read_chunked(connection, state, into).await?;
                (count, count == 0)
            }
        };
        if ended {
            self.finish();
        }
        Ok(count)
    }

    fn finish(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.keeps
        {
            self.idle.give(&self.origin, connection);
        }
    }
}

async fn read_chunked(connection: &mut Connection, state: &mut Chunked, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match *state {
            Chunked::Done => return Ok(0),
            Chunked::Data(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
                let count = connection.read(&mut into[..most]).await?;
                if count == 0 {
                    return Err(closed("it was closed within a chunk"));
                }
                state.took(count as u64);
                return Ok(count);
            }
            _ => match state.step(connection.pending())? {
                Step::Skip(length) => connection.consume(length),
                Step::More => connection.more().await?,
            },
        }
    }
}

fn closed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}
