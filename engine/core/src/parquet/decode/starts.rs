//! Where the data pages of a column chunk in memory begin, found once for all parts that are decoded of it.
//!
//! Only headers are looked at. Must not know: what pages hold.

use std::ops::Range;

use super::page::{self, Encoding, Found, Kind};

/// The data pages of one chunk of a column without lists.
#[derive(Debug)]
pub struct PageStarts {
    pages: Vec<Start>,
    /// Behind the last page
    end: Start,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    row: usize,
    offset: usize,
    /// The page holds positions in the dictionary
    is_positions: bool,
}

/// The bytes of a chunk that hold some rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Bytes {
    /// What comes before all data pages, the dictionary, if these pages need it: once it is full, writers go on without
    pub dictionary: Range<usize>,
    /// The data pages
    pub pages: Range<usize>,
    /// Their first row
    pub first_row: usize,
}

impl PageStarts {
    /// Looks at every header of a whole chunk. None where one cannot be read: whoever decodes the chunk says why.
    pub fn of(chunk: &[u8]) -> Option<PageStarts> {
        let (mut pages, mut end) = (Vec::new(), Start { row: 0, offset: 0, is_positions: false });
        while let Found::Page(page, length) = page::first(chunk.get(end.offset..)?, true).ok()? {
            let mut rows = 0;
            if matches!(page.kind, Kind::Data { .. } | Kind::DataV2 { .. }) {
                pages.push(Start { is_positions: page.encoding == Encoding::Dictionary, ..end });
                rows = page.values; // without lists they are as many
            }
            end = Start { row: end.row.checked_add(rows)?, offset: end.offset + length, ..end };
        }
        Some(PageStarts { pages, end })
    }

    /// The first row of every page.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        self.pages.iter().map(|page| page.row)
    }

    /// The bytes that these rows need.
    pub fn bytes(&self, rows: &Range<usize>) -> Bytes {
        let first = self.pages.partition_point(|page| page.row <= rows.start).saturating_sub(1);
        let behind = self.pages.partition_point(|page| page.row < rows.end);
        let start = |at: usize| *self.pages.get(at).unwrap_or(&self.end);
        let (from, to) = (start(first), start(behind.max(first)));
        let pages = self.pages.get(first..behind).unwrap_or_default();
        let dictionary = if pages.iter().any(|page| page.is_positions) { start(0).offset } else { 0 };
        Bytes { dictionary: 0..dictionary, pages: from.offset..to.offset, first_row: from.row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a page with no body, in Thrift's compact encoding: a data page of so many values in an encoding, or
    /// a dictionary.
    fn header(data: Option<(u8, u8)>) -> Vec<u8> {
        let (kind, skip) = if data.is_some() { (0, 2) } else { (4, 4) };
        let (values, encoding) = data.unwrap_or_default();
        // type, both sizes 0; field 5 or 7: values, encoding
        vec![0x15, kind, 0x15, 0, 0x15, 0, (skip << 4) | 0x0c, 0x15, values << 1, 0x15, encoding << 1, 0, 0]
    }

    #[test]
    fn rows_are_found_in_their_pages() {
        let size = header(None).len();
        let (positions, plain) = (8, 0);
        let pages = [Some((10, positions)), Some((20, positions)), Some((5, plain))];
        let chunk = [None].into_iter().chain(pages).flat_map(header).collect::<Vec<_>>();
        let starts = PageStarts::of(&chunk).unwrap();
        assert_eq!(starts.rows().collect::<Vec<_>>(), [0, 10, 30]);
        let bytes = |pages: Range<usize>, first_row| Bytes {
            dictionary: if first_row < 30 { 0..size } else { 0..0 },
            pages: pages.start * size..pages.end * size,
            first_row,
        };
        assert_eq!(starts.bytes(&(0..35)), bytes(1..4, 0));
        assert_eq!(starts.bytes(&(9..10)), bytes(1..2, 0));
        assert_eq!(starts.bytes(&(10..30)), bytes(2..3, 10));
        assert_eq!(starts.bytes(&(29..31)), bytes(2..4, 10));
        assert_eq!(starts.bytes(&(34..99)), bytes(3..4, 30));
        assert!(PageStarts::of(&chunk[..chunk.len() - 1]).is_none(), "the last header is cut off");
        let none = PageStarts::of(&[]).unwrap();
        assert_eq!(none.bytes(&(0..9)), Bytes { dictionary: 0..0, pages: 0..0, first_row: 0 });
    }
}
