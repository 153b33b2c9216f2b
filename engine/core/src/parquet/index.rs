//! Where the pages of a column chunk are, and which of them hold rows that are wanted.
//!
//! Format: parquet.thrift, `OffsetIndex`: where each page begins, how long it is with its header, and its first row. An
//! index that contradicts itself or its chunk is ignored: the chunk is then read whole. Must not know: how pages are
//! fetched or decoded.

use std::ops::Range;

use arrow_buffer::BooleanBuffer;

use crate::error::Result;
use crate::parquet::thrift::{Cursor, wire};

/// Pages that nobody wants are fetched too where they are shorter than this: a request more costs as much.
const SMALLEST_GAP_BYTES: u64 = 256 << 10;
/// Rows whose survivors are counted together to see whether an index is worth its request.
const BLOCK_ROWS: usize = 4096;

/// Consecutive bytes of a column chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Rows of the row group that its pages hold
    pub rows: Range<usize>,
    /// Where it is in the file
    pub range: Range<u64>,
}

/// One page.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    length: u64,
    first_row: usize,
}

/// Whether less than half of the blocks of rows hold a wanted one.
pub fn is_sparse(wanted: &BooleanBuffer) -> bool {
    let blocks = wanted.len().div_ceil(BLOCK_ROWS);
    let starts = (0..wanted.len()).step_by(BLOCK_ROWS);
    let block = |start: usize| wanted.slice(start, BLOCK_ROWS.min(wanted.len() - start));
    blocks > 1 && starts.filter(|start| block(*start).count_set_bits() > 0).count() * 2 < blocks
}

/// The pieces of a chunk that hold its dictionary and every wanted row; None where the index cannot be trusted.
pub fn pieces(index: &[u8], chunk: &Range<u64>, wanted: &BooleanBuffer) -> Option<Vec<Piece>> {
    let places = checked(index, chunk, wanted.len())?;
    let first = places.first()?;
    let mut found = Vec::new();
    if first.offset > chunk.start {
        found.push(Piece { rows: 0..0, range: chunk.start..first.offset }); // the dictionary
    }
    for (place, rows) in places.iter().zip(rows_of(&places, wanted.len())) {
        if wanted.slice(rows.start, rows.len()).count_set_bits() == 0 {
            continue;
        }
        let range = place.offset..place.offset + place.length;
        match found.last_mut() {
            // The pages between come along.
            Some(before) if range.start - before.range.end <= SMALLEST_GAP_BYTES => {
                *before = Piece { rows: before.rows.start..rows.end, range: before.range.start..range.end };
            }
            _ => found.push(Piece { rows, range }),
        }
    }
    Some(found)
}

/// The rows of every page of a chunk of `rows` rows; None where the index cannot be trusted.
pub fn page_rows(index: &[u8], chunk: &Range<u64>, rows: usize) -> Option<Vec<Range<usize>>> {
    checked(index, chunk, rows).map(|places| rows_of(&places, rows).collect())
}

fn rows_of(places: &[Place], rows: usize) -> impl Iterator<Item = Range<usize>> {
    let ends = places.iter().skip(1).map(|next| next.first_row).chain([rows]);
    places.iter().zip(ends).map(|(place, end)| place.first_row..end)
}

/// The pages of an index that agrees with itself, its chunk and the number of rows.
fn checked(index: &[u8], chunk: &Range<u64>, rows: usize) -> Option<Vec<Place>> {
    let places = places(index).ok()?;
    let first = places.first().filter(|first| first.first_row == 0)?;
    let ascending = places.windows(2).all(|pair| {
        pair[0].first_row < pair[1].first_row && pair[0].offset.checked_add(pair[0].length) <= Some(pair[1].offset)
    });
    let last = places.last()?;
    let end = last.offset.checked_add(last.length)?;
    if !ascending || first.offset < chunk.start || end > chunk.end || last.first_row >= rows {
        return None;
    }
    Some(places)
}

fn places(index: &[u8]) -> Result<Vec<Place>> {
    let mut cursor = Cursor::new(index);
    let (mut found, mut last) = (Vec::new(), 0);
    while let Some(header) = cursor.header(&mut last)? {
        if (header.id, header.wire) != (1, wire::LIST) {
            cursor.skip(header.wire, 0)?;
            continue;
        }
        let (element, length) = cursor.list()?;
        for _ in 0..length {
            match element {
                wire::STRUCT => found.push(place(&mut cursor)?),
                other => cursor.skip_element(other, 0)?,
            }
        }
    }
    Ok(found)
}

fn place(cursor: &mut Cursor<'_>) -> Result<Place> {
    let (mut numbers, mut last) = ([None; 3], 0);
    while let Some(header) = cursor.header(&mut last)? {
        match (usize::try_from(header.id).ok().and_then(|id| numbers.get_mut(id.wrapping_sub(1))), header.wire) {
            (Some(number), wire::I32 | wire::I64) => *number = Some(cursor.signed()?),
            (_, wire) => cursor.skip(wire, 0)?,
        }
    }
    // A number that is missing or negative makes a place that no chunk holds.
    let [offset, length, first_row] = numbers.map(|number| number.and_then(|number| u64::try_from(number).ok()));
    Ok(Place {
        offset: offset.unwrap_or(u64::MAX),
        length: length.unwrap_or(u64::MAX),
        first_row: first_row.and_then(|row| usize::try_from(row).ok()).unwrap_or(usize::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of 100 rows and 1 MiB from byte 1000 on, in the compact encoding.
    fn index(pages: usize) -> Vec<u8> {
        let varint = |mut value: u64, out: &mut Vec<u8>| {
            while value >= 0x80 {
                out.push(value as u8 | 0x80);
                value >>= 7;
            }
            out.push(value as u8);
        };
        let mut bytes = vec![0x19, 0xf0 | wire::STRUCT, pages as u8];
        for page in 0..pages as u64 {
            bytes.push(0x16);
            varint((1000 + (page << 20)) << 1, &mut bytes);
            bytes.push(0x15);
            varint(1 << 21, &mut bytes);
            bytes.push(0x16);
            varint((page * 100) << 1, &mut bytes);
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn only_pages_with_wanted_rows_are_read() {
        let wanted = BooleanBuffer::collect_bool(1000, |row| row == 250 || row == 310 || row == 999);
        let chunk = 900..1000 + (10 << 20);
        let page = |page: u64| 1000 + (page << 20);
        assert_eq!(
            pieces(&index(10), &chunk, &wanted).unwrap(),
            [
                Piece { rows: 0..0, range: 900..1000 },
                Piece { rows: 200..400, range: page(2)..page(4) },
                Piece { rows: 900..1000, range: page(9)..page(10) },
            ]
        );
        assert!(pieces(&index(10), &(900..2000), &wanted).is_none(), "pages outside the chunk");
        assert!(pieces(&index(10), &chunk, &wanted.slice(0, 800)).is_none(), "pages beyond the rows");
        assert!(pieces(&index(10)[..40], &chunk, &wanted).is_none(), "an index that ends early");
    }

    #[test]
    fn an_index_is_asked_for_where_whole_blocks_are_not_wanted() {
        assert!(is_sparse(&BooleanBuffer::collect_bool(100_000, |row| row < 5000)));
        assert!(!is_sparse(&BooleanBuffer::collect_bool(100_000, |row| row % 1000 == 0)));
    }
}
