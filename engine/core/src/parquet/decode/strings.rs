//! Strings and binary: where each lies in its page, then a view of it, or its bytes moved next to the others.
//!
//! Must not know: nulls' bitmaps, pages' headers, columns.

use super::Refusal;
use super::delta::lengths;
use super::page::Encoding;
use super::scratch::Scratch;

/// Bytes readable after the last string, so that one load of 16 fetches any short string or prefix.
pub const PADDING: usize = 16;
const LONGEST_INLINE: usize = 12;
/// The bytes of a 32-bit length are ASCII where it is less.
const ASCII_LENGTH: usize = 128;

/// By number of bytes, a mask for the lowest ones.
static LOWEST: [u128; LONGEST_INLINE + 1] = {
    let mut masks = [0; LONGEST_INLINE + 1];
    let mut bytes = 0;
    while bytes <= LONGEST_INLINE {
        masks[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    masks
};

/// A string's place in its page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// From `start` to `end`; 2 GiB at most.
    pub fn new(start: usize, end: usize) -> Result<Span, Refusal> {
        match (i32::try_from(start), i32::try_from(end)) {
            (Ok(start), Ok(end)) if start <= end => Ok(Span { start: start as u32, length: (end - start) as u32 }),
            _ => Err(Refusal::Unsupported),
        }
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.length as usize
    }

    /// Its bytes in `page`.
    pub fn of<'a>(&self, page: &'a [u8]) -> &'a [u8] {
        page.get(self.start as usize..).and_then(|rest| rest.get(..self.length())).unwrap_or_default()
    }
}

/// Whether [`find`] reads an encoding.
pub fn is_in_page(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::Plain | Encoding::DeltaLengthByteArray)
}

/// The spans of `count` strings in a page's `values`, checked to be UTF-8 if wished.
pub fn find(encoding: Encoding, values: &[u8], count: usize, utf8: bool, scratch: &mut Scratch) -> Result<(), Refusal> {
    match encoding {
        Encoding::Plain => {
            let longest = plain(values, count, &mut scratch.spans)?;
            if utf8 { check_plain(values, &scratch.spans, longest) } else { Ok(()) }
        }
        Encoding::DeltaLengthByteArray => {
            lengths(values, count, &mut scratch.numbers, &mut scratch.spans)?;
            if utf8 { check_joined(values, &scratch.spans) } else { Ok(()) }
        }
        _ => Err(Refusal::Unsupported),
    }
}

/// Each string after its length in four bytes. Returns the longest one's.
fn plain(values: &[u8], count: usize, spans: &mut Vec<Span>) -> Result<usize, Refusal> {
    spans.clear();
    if values.len() > i32::MAX as usize {
        return Err(Refusal::Unsupported);
    }
    if count > values.len() / 4 {
        return Err(ended());
    }
    spans.resize(count, Span::default());
    let (mut at, mut longest) = (0usize, 0u32);
    for span in spans.iter_mut() {
        let length = match values.get(at..at + 4) {
            Some(bytes) => u32::from_le_bytes(bytes.try_into().unwrap_or_default()),
            None => return Err(ended()),
        };
        *span = Span { start: at as u32 + 4, length };
        longest = longest.max(length);
        at += 4 + length as usize;
    }
    if at > values.len() {
        return Err(ended());
    }
    Ok(longest as usize)
}

/// Lengths below 128 are ASCII bytes themselves: values between them are valid if the whole is.
fn check_plain(values: &[u8], spans: &[Span], longest: usize) -> Result<(), Refusal> {
    let end = spans.last().map_or(0, |span| span.start as usize + span.length());
    let mut start = 0;
    if longest >= ASCII_LENGTH {
        for span in spans.iter().filter(|span| span.length() >= ASCII_LENGTH) {
            check(values.get(start..span.start as usize - 4).unwrap_or_default())?;
            start = span.start as usize;
        }
    }
    check(values.get(start..end).unwrap_or_default())
}

/// Strings one directly after another: the whole is valid, and none begins within a character.
pub fn check_joined(bytes: &[u8], spans: &[Span]) -> Result<(), Refusal> {
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(()) };
    check(bytes.get(first.start as usize..last.start as usize + last.length()).unwrap_or_default())?;
    let within =
        |span: &Span| span.length > 0 && bytes.get(span.start as usize).is_some_and(|byte| byte & 0xc0 == 0x80);
    match spans.iter().any(within) {
        true => Err(not_utf8()),
        false => Ok(()),
    }
}

fn check(bytes: &[u8]) -> Result<(), Refusal> {
    simdutf8::basic::from_utf8(bytes).map(|_| ()).map_err(|_| not_utf8())
}

/// Views of strings. `padded` is the page with [`PADDING`] bytes more; a long view points `base` bytes further than its
/// span, into the buffer at `place`. Returns whether there is a long one.
pub fn views(spans: &[Span], padded: &[u8], place: u32, base: u32, out: &mut [[u8; 16]]) -> Result<bool, Refusal> {
    let place = u128::from(place) << 64;
    let mut long = false;
    for (view, span) in out.iter_mut().zip(spans) {
        let (start, length) = (span.start as usize, span.length());
        let Some(bytes) = padded.get(start..start + 16) else { return Err(ended()) };
        let bytes = u128::from_le_bytes(bytes.try_into().unwrap_or_default());
        let is_long = length > LONGEST_INLINE;
        // Of a long string the first four bytes, of a short one all.
        let kept = if is_long { 4 } else { length };
        let target = if is_long { place | u128::from(span.start.wrapping_add(base)) << 96 } else { 0 };
        let bytes = bytes & LOWEST[kept.min(LONGEST_INLINE)];
        *view = (u128::from(span.length) | bytes << 32 | target).to_le_bytes();
        long |= is_long;
    }
    Ok(long)
}

/// Copies strings one after another to the front of `out`, which is at least as long as all of them.
pub fn copy(spans: &[Span], padded: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    let mut at = 0;
    for span in spans {
        let (start, length) = (span.start as usize, span.length());
        // Mostly strings are short: 16 bytes are copied where there is room, whatever the length.
        match (out.get_mut(at..at + 16), padded.get(start..start + 16)) {
            (Some(place), Some(bytes)) if length <= 16 => place.copy_from_slice(bytes),
            _ => {
                let place = out.get_mut(at..at + length).ok_or_else(ended)?;
                place.copy_from_slice(padded.get(start..start + length).ok_or_else(ended)?);
            }
        }
        at += length;
    }
    Ok(())
}

fn ended() -> Refusal {
    Refusal::damaged("a page of strings ends within one")
}

fn not_utf8() -> Refusal {
    Refusal::damaged("a string is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_page(strings: &[&[u8]]) -> Vec<u8> {
        strings.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes(), *text].concat()).collect()
    }

    fn found(page: &[u8], count: usize, utf8: bool) -> Result<Vec<Span>, Refusal> {
        let mut scratch = Scratch::default();
        find(Encoding::Plain, page, count, utf8, &mut scratch)?;
        Ok(scratch.spans)
    }

    #[test]
    fn strings_are_found_and_viewed() {
        let long = "x".repeat(300);
        let strings = ["", "a", "exactly12byt", "thirteen bytes", "\u{e4}\u{20ac}", &long];
        let strings: Vec<&[u8]> = strings.iter().map(|text| text.as_bytes()).collect();
        let mut page = plain_page(&strings);
        let spans = found(&page, strings.len(), true).map_err(|_| ()).unwrap();
        page.extend([0xff; PADDING]);
        let mut views_out = vec![[0; 16]; strings.len()];
        assert!(views(&spans, &page, 7, 1000, &mut views_out).map_err(|_| ()).unwrap());
        for ((span, text), view) in spans.iter().zip(&strings).zip(&views_out) {
            assert_eq!(span.of(&page), *text);
            assert_eq!(view[..4], (text.len() as u32).to_le_bytes());
            if text.len() <= LONGEST_INLINE {
                assert_eq!(&view[4..4 + text.len()], *text);
                continue;
            }
            let offset = u32::from_le_bytes(view[12..].try_into().unwrap()) as usize - 1000;
            assert_eq!((&view[4..8], &view[8..12]), (&text[..4], &7u32.to_le_bytes()[..]));
            assert_eq!(&page[offset..offset + text.len()], *text);
        }
        let mut out = vec![0; strings.concat().len()];
        copy(&spans, &page, &mut out).map_err(|_| ()).unwrap();
        assert_eq!(out, strings.concat());
    }

    #[test]
    fn a_character_that_two_strings_share_is_not_utf8() {
        let euro = "\u{20ac}".as_bytes();
        assert!(found(&plain_page(&[&euro[..1], &euro[1..]]), 2, true).is_err());
        assert!(found(&plain_page(&[&euro[..1], &euro[1..]]), 2, false).is_ok());
        // A length of 0xac20 between the two halves does not make them one.
        let joined = [&[0xe2, 0x82][..], &[b'x'; 0xac]].concat();
        assert!(found(&plain_page(&[&[0xe2, 0x82], &joined[2..]]), 2, true).is_err());
        let spans = [Span { start: 0, length: 1 }, Span { start: 1, length: 2 }];
        assert!(check_joined(euro, &spans).is_err());
        assert!(check_joined(euro, &[Span { start: 0, length: 3 }, Span { start: 3, length: 0 }]).is_ok());
    }

    #[test]
    fn a_page_that_ends_early_is_damaged() {
        let page = plain_page(&[b"abc", b"defgh"]);
        for length in 0..page.len() {
            assert!(found(&page[..length], 2, true).is_err(), "{length}");
        }
        assert!(found(&page, 3, true).is_err());
    }
}
