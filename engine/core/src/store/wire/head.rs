//! The head of an answer: status, headers, and how the end of its body is known (RFC 9112, section 6.3).
//!
//! Pure: bytes in, values out. Must not know: sockets, what the headers mean to S3.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// S3 sends some 15 headers; a proxy adds a few.
const MOST_HEADERS: usize = 128;

/// A head that is complete.
#[derive(Debug)]
pub(crate) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub framing: Framing,
    /// The connection may carry another request afterwards.
    pub keeps: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The head at the front of `bytes` and its length; None while it is not complete. Interim answers (1xx) are heads too.
pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes).map_err(|e| invalid(&format!("what came is not HTTP/1.1 ({e})")))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| invalid("a status that HTTP does not have"))?;
    let mut map = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else { return Err(invalid("a header that HTTP forbids")) };
        map.append(name, value);
    }
    let framing = framing(status, &map)?;
    let keeps =
        response.version == Some(1) && framing != Framing::UntilClose && !lists(&map, header::CONNECTION, "close");
    Ok(Some((Head { status, headers: map, framing, keeps }, length)))
}

fn framing(status: StatusCode, headers: &HeaderMap) -> io::Result<Framing> {
    if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut lengths = lengths.map(|value| value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()));
    let length = lengths.next();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // Both together is how answers are smuggled past a proxy (RFC 9112, 11.2).
        return match lists(headers, header::TRANSFER_ENCODING, "chunked") && length.is_none() {
            true => Ok(Framing::Chunked),
            false => Err(invalid("a Transfer-Encoding that is not plainly chunked")),
        };
    }
    match length {
        None => Ok(Framing::UntilClose),
        Some(Some(length)) if lengths.all(|other| other == Some(length)) => Ok(Framing::Length(length)),
        Some(_) => Err(invalid("a Content-Length that is no number, or several")),
    }
}

/// Whether a header that is a list of words holds this one.
fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

pub(crate) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> io::Result<(Head, usize)> {
        parse(text.as_bytes()).map(|head| head.expect("complete"))
    }

    #[test]
    fn the_end_of_a_body_is_known_as_the_rfc_says() {
        for (text, framing, keeps) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Framing::Length(7), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\ncontent-length: 7\r\n\r\n", Framing::Length(7), true),
            ("HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked, true),
            ("HTTP/1.1 200 OK\r\n\r\n", Framing::UntilClose, false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", Framing::Length(7), false),
            ("HTTP/1.1 206 P\r\nConnection: x, Close\r\nContent-Length: 7\r\n\r\n", Framing::Length(7), false),
            ("HTTP/1.1 100 Continue\r\n\r\n", Framing::Length(0), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", Framing::Length(0), true),
        ] {
            let (head, length) = parsed(text).unwrap();
            assert_eq!((head.framing, head.keeps, length), (framing, keeps, text.len()), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap().is_none());
    }
}
