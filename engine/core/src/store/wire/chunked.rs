//! Chunked bodies (RFC 9112, section 7.1): how many bytes of the stream are the body's next.
//!
//! Pure: it looks at bytes and says what to do with them. Must not know: sockets.

use std::io;

use super::head::invalid;

/// A longer size line or trailer is refused.
const LONGEST_LINE: usize = 8 << 10;

/// Where a chunked body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// The line with the next chunk's size is next.
    Size,
    /// So many bytes of the body are next.
    Data(u64),
    /// The line end after a chunk is next.
    DataEnd,
    /// Trailers are next, up to an empty line.
    Trailer,
    Done,
}

/// What [`Chunked::step`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes were framing.
    Skip(usize),
    /// The line is not complete: more bytes are needed.
    More,
}

impl Chunked {
    /// Steps over one line of framing at the front of `bytes`.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> io::Result<Step> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return if bytes.len() > LONGEST_LINE {
                Err(invalid("a line without end in a chunked body"))
            } else {
                Ok(Step::More)
            };
        };
        let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        *self = match *self {
            Chunked::Size => match size(line)? {
                0 => Chunked::Trailer,
                size => Chunked::Data(size),
            },
            Chunked::DataEnd if line.is_empty() => Chunked::Size,
            Chunked::DataEnd => return Err(invalid("a chunk that is longer than its size")),
            Chunked::Trailer if line.is_empty() => Chunked::Done,
            state => state,
        };
        Ok(Step::Skip(end + 1))
    }

    /// So many bytes of the body were taken.
    pub(crate) fn took(&mut self, count: u64) {
        if let Chunked::Data(left) = *self {
            *self = if left > count { Chunked::Data(left - count) } else { Chunked::DataEnd };
        }
    }
}

fn size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or_else(|| invalid("a chunk without a size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_stepped_over() {
        let mut state = Chunked::Size;
        assert_eq!(state.step(b"1").unwrap(), Step::More);
        assert_eq!(state.step(b"1a;x=y\r\nabc").unwrap(), Step::Skip(8));
        assert_eq!(state, Chunked::Data(26));
        state.took(25);
        state.took(1);
        assert_eq!((state, state.step(b"\r\n0\r\n").unwrap()), (Chunked::DataEnd, Step::Skip(2)));
        assert_eq!(state.step(b"0\r\nA: b\r\n\r\n").unwrap(), Step::Skip(3));
        assert_eq!((state, state.step(b"A: b\r\n\r\n").unwrap()), (Chunked::Trailer, Step::Skip(6)));
        assert_eq!((state.step(b"\r\n").unwrap(), state), (Step::Skip(2), Chunked::Done));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [b"\r\n".as_slice(), b"-1\r\n", b"0x10\r\n", b"11111111111111111\r\n", b"g\r\n"] {
            assert!(Chunked::Size.step(line).is_err());
        }
        assert!(Chunked::DataEnd.step(b"abc\r\n").is_err());
        assert!(Chunked::Size.step(&[b'1'; 9000]).is_err());
    }
}
