//! Extremes of long values, shortened so that they still bound: a minimum is cut, a maximum cut and made larger.
//!
//! Must not know: columns.

/// At most `longest` bytes; whole characters where it is text. The bytes, and whether they were cut.
pub(crate) fn shortened_min(bytes: &[u8], longest: Option<usize>, is_text: bool) -> (Vec<u8>, bool) {
    match cut(bytes, longest, is_text) {
        Some(kept) => (kept.to_vec(), true),
        None => (bytes.to_vec(), false),
    }
}

/// The same for a maximum; as it is where nothing shorter is larger.
pub(crate) fn shortened_max(bytes: &[u8], longest: Option<usize>, is_text: bool) -> (Vec<u8>, bool) {
    let larger = cut(bytes, longest, is_text).and_then(|kept| match is_text {
        true => larger_text(std::str::from_utf8(kept).ok()?),
        false => larger_bytes(kept),
    });
    match larger {
        Some(larger) => (larger, true),
        None => (bytes.to_vec(), false),
    }
}

fn cut(bytes: &[u8], longest: Option<usize>, is_text: bool) -> Option<&[u8]> {
    let longest = longest.filter(|longest| *longest > 0 && bytes.len() > *longest)?;
    let is_boundary = |at: &usize| !is_text || bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (1..=longest).rfind(is_boundary)?;
    bytes.get(..end)
}

/// The least bytes of at most this length that are above all that begin as these; None if there is none.
pub(crate) fn larger_bytes(kept: &[u8]) -> Option<Vec<u8>> {
    let last = kept.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut larger = kept.get(..=last)?.to_vec();
    *larger.last_mut()? += 1;
    Some(larger)
}

/// The last character that has a next one of the same length is replaced by it, and what follows is left out.
fn larger_text(kept: &str) -> Option<Vec<u8>> {
    kept.char_indices().rev().find_map(|(at, last)| {
        let next = char::from_u32(last as u32 + 1).filter(|next| next.len_utf8() == last.len_utf8())?;
        let mut larger = kept.get(..at)?.to_owned();
        larger.push(next);
        Some(larger.into_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shortened_still_bounds() {
        let text = "ab\u{e4}\u{10ffff}xyz";
        assert_eq!(shortened_min(text.as_bytes(), Some(3), true), (b"ab".to_vec(), true));
        assert_eq!(shortened_min(text.as_bytes(), Some(4), true), ("ab\u{e4}".as_bytes().to_vec(), true));
        assert_eq!(shortened_max(text.as_bytes(), Some(8), true), ("ab\u{e5}".as_bytes().to_vec(), true));
        assert_eq!(shortened_max(&[1, 255, 255, 9], Some(3), false), (vec![2], true));
        assert_eq!(shortened_max(&[255, 255, 9], Some(2), false), (vec![255, 255, 9], false));
        assert_eq!(shortened_max(b"abc", Some(3), true), (b"abc".to_vec(), false));
        assert_eq!(shortened_min(b"abc", None, true), (b"abc".to_vec(), false));
    }
}
